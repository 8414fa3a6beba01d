"""Micrographs that tests make, and files of picks that tests read.

Images are numpy arrays in MRC order: image[y, x], the row that an MRC file stores first is y = 0.
"""

import dataclasses
import pathlib
import struct
import warnings

import mrcfile
import numpy as np
import tifffile
from PIL import Image

PIXEL_SIZE = 1.4  # angstrom
PER_CENTIMETRE = (500_000_000, 7)  # pixels, exactly


@dataclasses.dataclass(frozen=True)
class Scene:
    """A micrograph of `pickstream synth` whose pixels are integers below 2048, which every pixel
    type but a byte holds exactly; higher than wide, and unlike its mirror images.
    Picked as the reference implementation does it, which what tests expect was measured with."""

    path: pathlib.Path
    image: np.ndarray
    truth: np.ndarray  # x y, px
    diameter = 40  # px

    @property
    def options(self):
        return ["--profile", "aspire", "--diameter", f"{self.diameter}px"]


def write_mrc(path, image, dtype=None, swapped=False, volume=False, pixel_size=PIXEL_SIZE):
    """An MRC file in the mode that belongs to the type; a movie if the image has three axes."""
    image = np.asarray(image, dtype or image.dtype)
    if swapped:
        image = image.astype(image.dtype.newbyteorder(">"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mrcfile on NaN
        with mrcfile.new(path, data=image, overwrite=True) as mrc:
            if image.ndim == 3 and not volume:
                mrc.set_image_stack()
            mrc.voxel_size = pixel_size
    return path


def write_tiff(path, image, dtype=None, compression=None, **options):
    """A TIFF file, its rows from the top: the other way round than in an MRC file."""
    image = np.asarray(image, dtype or image.dtype)[..., ::-1, :]
    options = {"resolution": (PER_CENTIMETRE,) * 2, "resolutionunit": "CENTIMETER"} | options
    if compression == "lzw":  # tifffile alone does not write it
        Image.fromarray(image).save(path, compression="tiff_lzw")
    else:
        tifffile.imwrite(path, image, photometric="minisblack", compression=compression, **options)
    return path


def write_imagej_stack(path, image, frames):
    """A stack as ImageJ writes it if it is larger than 4 GB: one directory, for the first frame, and
    the others behind it."""
    write_tiff(path, image, metadata=None,
               description=f"ImageJ=1.53t\nimages={frames}\nslices={frames}\nloop=false\n")
    with path.open("ab") as file:
        for _ in range(frames - 1):
            file.write(np.ascontiguousarray(image[::-1]).tobytes())
    return path


def patched(content, offset, value):
    """The bytes with a little-endian 32-bit integer put at an offset."""
    content = bytearray(content)
    struct.pack_into("<i", content, offset, value)
    return bytes(content)


def patched_tiff_tag(content, tag, value):
    """The bytes of a little-endian TIFF, not BigTIFF, with a 16-bit value of a tag replaced."""
    content = bytearray(content)
    (directory,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            struct.pack_into("<H", content, entry + 8, value)
            return bytes(content)
    raise ValueError(f"no tag {tag}")


def read_star(path):
    """Columns of the one table in a STAR file, by label."""
    labels, rows, in_loop = [], [], False
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words == ["loop_"]:
            assert not in_loop
            in_loop = True
        elif in_loop and words and words[0].startswith("_"):
            assert not rows and words[1] == f"#{len(labels) + 1}"
            labels.append(words[0])
        elif in_loop and words:
            assert len(words) == len(labels)
            rows.append([float(word) for word in words])
    table = np.array(rows, dtype="f8").reshape(len(rows), len(labels))
    return {label: table[:, i] for i, label in enumerate(labels)}


def read_picks(path):
    """x, y, score of a STAR file of picks."""
    columns = read_star(path)
    assert list(columns) == ["_rlnCoordinateX", "_rlnCoordinateY", "_rlnAutopickFigureOfMerit"]
    return np.column_stack(list(columns.values()))
