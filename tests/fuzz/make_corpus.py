#!/usr/bin/python3
"""Writes corpus/mrc and corpus/tiff beside this script: small files, sound and damaged.

The same files every time; run it after changing it and commit what it wrote.
Needs numpy, Pillow and tifffile.
"""

import io
import pathlib
import struct

import numpy as np
import PIL.Image
import tifffile

HERE = pathlib.Path(__file__).resolve().parent / "corpus"


def mrc(mode, data, nx=5, ny=3, nz=1, order="<", nsymbt=0, ispg=0, mz=None, extra=(), cut=None):
    """An MRC file; `data` is its pixels as bytes, `extra` pairs of offset and bytes."""
    head = bytearray(1024)
    struct.pack_into(order + "10i", head, 0, nx, ny, nz, mode, 0, 0, 0, nx, ny, mz or nz)
    struct.pack_into(order + "3f", head, 40, 1.5 * nx, 1.5 * ny, 1.5 * nz)
    struct.pack_into(order + "2i", head, 88, ispg, nsymbt)
    head[208:216] = b"MAP \x44\x44\0\0" if order == "<" else b"MAP \x11\x11\0\0"
    for offset, value in extra:
        head[offset : offset + len(value)] = value
    return (bytes(head) + bytes(max(nsymbt, 0) % 4096) + data)[:cut]


def mrc_files():
    ramp = np.arange(15)
    imod = [(152, struct.pack("<2i", 1146047817, 0))]
    nibbles = [(152, struct.pack("<2i", 1146047817, 16))]
    for order, name in (("<", "le"), (">", "be")):
        for mode, dtype in ((0, "i1"), (1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")):
            data = ramp.astype(order + dtype).tobytes()
            yield f"mode{mode}_{name}", mrc(mode, data, order=order)
    yield "mode101", mrc(101, bytes(range(9)))
    yield "mode0_imod", mrc(0, bytes(15), extra=imod)
    yield "mode0_nibbles", mrc(0, bytes(15), extra=nibbles)
    yield "extended", mrc(0, bytes(15), nsymbt=160)
    yield "movie", mrc(1, bytes(30 * 4), nz=4)
    yield "movie101_be", mrc(101, bytes(9 * 3), nz=3, order=">")
    yield "volume", mrc(0, bytes(15 * 3), nz=3, ispg=1)
    yield "surplus", mrc(0, bytes(17))
    yield "nz_wrong", mrc(0, bytes(45))
    yield "no_stamp", mrc(2, bytes(60), extra=[(208, bytes(8))])
    yield "complex", mrc(4, bytes(120))
    yield "garbage_mode", mrc(154285104, bytes(60))
    yield "nsymbt_negative", mrc(0, bytes(15), nsymbt=-1)
    yield "nsymbt_huge", mrc(0, bytes(15), extra=[(92, struct.pack("<i", 2**31 - 1))])
    yield "sides_huge", mrc(2, bytes(60), nx=1048575, ny=1048575, nz=1048575)
    yield "sides_negative", mrc(2, bytes(60), nx=-5)
    yield "cell_nan", mrc(0, bytes(15), extra=[(40, struct.pack("<2f", float("nan"), float("inf")))])
    yield "cut_data", mrc(2, bytes(60), cut=1060)
    yield "cut_header", mrc(2, bytes(60), cut=700)
    yield "empty", b""
    yield "zeros", bytes(1100)


def tiff(data, **options):
    stream = io.BytesIO()
    options.setdefault("metadata", None)
    options.setdefault("software", None)
    tifffile.imwrite(stream, data, photometric=options.pop("photometric", "minisblack"), **options)
    return stream.getvalue()


def pillow(data, codec, predictor=1):
    """Through libtiff, which has the codecs that tifffile does not."""
    stream = io.BytesIO()
    PIL.Image.fromarray(data).save(stream, "TIFF", compression=codec, tiffinfo={317: predictor})
    return stream.getvalue()


def set_tag(data, tag, value):
    """Changes the value of a tag in the first directory of a little-endian classic TIFF."""
    data = bytearray(data)
    (offset,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, offset)
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<I", data, entry + 8, value)
            return bytes(data)
    raise KeyError(tag)


def tiff_files():
    ramp = np.arange(35).reshape(5, 7)
    for dtype in ("u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "f8"):
        yield f"{dtype}_le", tiff(ramp.astype(dtype), byteorder="<")
        yield f"{dtype}_be_big", tiff(ramp.astype(dtype), byteorder=">", bigtiff=True)
    yield "tiles", tiff(np.zeros((20, 37), "u2"), tile=(16, 16))
    yield "strips", tiff(np.zeros((20, 7), "f4"), rowsperstrip=3)
    yield "resolution", tiff(ramp.astype("u1"), resolution=(1e8, 1e8), resolutionunit="centimeter")
    yield "min_is_white", tiff(ramp.astype("u1"), photometric="miniswhite")
    yield "movie", tiff(np.zeros((4, 5, 7), "i2"))
    yield "rgb", tiff(np.zeros((5, 7, 3), "u1"), photometric="rgb")
    yield "deflate", tiff(ramp.astype("u2"), compression="zlib")
    yield "deflate_tiles", tiff(np.zeros((20, 37), "f4"), compression="zlib", tile=(16, 16))
    for codec in ("tiff_lzw", "tiff_adobe_deflate", "zstd", "packbits"):
        yield f"{codec}_8", pillow(np.zeros((20, 37), "u1"), codec)
    for codec in ("tiff_lzw", "tiff_adobe_deflate", "zstd"):
        yield f"{codec}_predictor2", pillow(ramp.astype("u2"), codec, 2)
        yield f"{codec}_predictor3", pillow(ramp.astype("f4"), codec, 3)
    plain = tiff(ramp.astype("u2"))
    deflate = tiff(ramp.astype("u2"), compression="zlib")
    yield "lzw_damaged", set_tag(plain, 259, 5)
    yield "zstd_damaged", set_tag(plain, 259, 50000)
    yield "packbits", set_tag(plain, 259, 32773)
    yield "four_bits", set_tag(plain, 258, 4)
    yield "eer", set_tag(plain, 259, 65001)
    yield "jpeg", set_tag(plain, 259, 7)
    yield "wide", set_tag(deflate, 256, 40000)
    yield "rows_per_strip_0", set_tag(plain, 278, 0)
    yield "strip_missing", set_tag(plain, 273, 0)
    yield "strip_behind_end", set_tag(plain, 273, 2**31)
    yield "samples", set_tag(plain, 277, 9)
    yield "cut_data", plain[: len(plain) - 30]
    yield "cut_directory", plain[:60]
    yield "cut_header", plain[:6]
    (offset,) = struct.unpack_from("<I", plain, 4)
    (count,) = struct.unpack_from("<H", plain, offset)
    link = offset + 2 + 12 * count
    yield "loop", plain[:link] + struct.pack("<I", offset) + plain[link + 4 :]


def main():
    for name, files in (("mrc", mrc_files()), ("tiff", tiff_files())):
        folder = HERE / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for stem, data in files:
            assert len(data) < 4096, stem
            (folder / f"{stem}.{name}").write_bytes(data)
        print(folder, len(list(folder.iterdir())))


if __name__ == "__main__":
    main()
