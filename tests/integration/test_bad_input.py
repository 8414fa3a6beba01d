"""Files that cannot be picked: each gets one line that names file, fault and expectation, the files
around it are picked, and the exit status says that something failed."""

import ctypes
import os
import resource
import signal
import types

import numpy as np
import pytest
from micrographs import (patched, patched_tiff_tag, read_picks, write_imagej_stack, write_mrc,
                         write_tiff)
from support import notes, run

HEADER = 1024  # bytes of an MRC header
MODE, NSYMBT, EXTTYP = 12, 92, 104  # offsets in it
COMPRESSION = 259  # a TIFF tag
MODES = "0, 1, 2, 6, 12 or 101 expected"
CODECS = "none, LZW, deflate, PackBits or zstd expected"


def drop_privileges():
    """Makes root obey permissions, in the process that is about to become the program; False if it
    would not. Other users obey them anyway."""
    drop_bounding, dac_override, dac_read_search = 24, 1, 2  # linux/prctl.h, linux/capability.h
    if os.geteuid() != 0:
        return True
    libc = ctypes.CDLL(None)
    return all(libc.prctl(drop_bounding, bit, 0, 0, 0) == 0
               for bit in (dac_override, dac_read_search))


def can_drop_privileges():
    child = os.fork()
    if child == 0:
        os._exit(0 if drop_privileges() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ---- one of each ---------------------------------------------------------------------------------

MAKERS = {}


def bad(name, message):
    """Registers a function that makes the file of that name, for which the message is printed."""
    def register(maker):
        MAKERS[name] = (message, maker)
        return maker
    return register


def bad_bytes(name, message, change):
    """A good MRC file with something done to its bytes."""
    @bad(name, message)
    def _(path, scene):
        path.write_bytes(change(scene.path.read_bytes()))


bad_bytes("empty.mrc", "an empty file, a micrograph expected", lambda good: b"")
bad_bytes("header_cut.mrc", "truncated: 500 bytes, the header of an MRC file has 1024",
          lambda good: good[:500])
bad_bytes("data_cut.mrc",
          "truncated: 1843100 bytes of pixel data, 1843200 expected from 900 x 1024 px of mode 1",
          lambda good: good[:-100])
bad_bytes("nz_wrong.mrc",
          "corrupt header: nz says 1, but the length of the file fits 2 frames of 900 x 1024 px of "
          "mode 1",
          lambda good: good + good[HEADER:])
bad_bytes("nsymbt_large.mrc",
          "wrong nsymbt: it says 4096 bytes of extended header, but header and pixels alone are "
          "the 1844224 bytes of the file",
          lambda good: patched(good, NSYMBT, 4096))
bad_bytes("nsymbt_negative.mrc",
          "wrong nsymbt: -1, the length of the extended header expected",
          lambda good: patched(good, NSYMBT, -1))
bad_bytes("nsymbt_zero.mrc",
          "wrong nsymbt: it says 0, but the file is 768 bytes longer than header and pixels and "
          "names an extended header (FEI1)",
          lambda good: good[:EXTTYP] + b"FEI1" + good[EXTTYP + 4:HEADER] + bytes(768)
          + good[HEADER:])
bad_bytes("mode_garbage.mrc", f"corrupt header: mode 154285104 is not an MRC mode ({MODES})",
          lambda good: patched(good, MODE, 154285104))
bad_bytes("mode_complex.mrc", f"mode 4 (complex 32-bit float) is not used for micrographs: {MODES}",
          lambda good: patched(good, MODE, 4))
bad_bytes("sides_huge.mrc",
          "truncated: 1843200 bytes of pixel data, 20000000000 expected from 100000 x 100000 px of "
          "mode 1",
          lambda good: patched(patched(good, 0, 100000), 4, 100000))
bad_bytes("sides_negative.mrc",
          "corrupt header: nx = -900, ny = 1024, nz = 1 (1 to 1048575 expected of each)",
          lambda good: patched(good, 0, -900))
bad_bytes("text.mrc", "neither MRC nor TIFF: it is text", lambda good: b"a note\n" * 300)
bad_bytes("gzipped.mrc", "neither MRC nor TIFF: it is gzip compressed data",
          lambda good: b"\x1f\x8b\x08" + bytes(2000))
bad_bytes("preallocated.mrc",
          "neither MRC nor TIFF: its first 1024 bytes are all zero, as if it were not written yet",
          lambda good: bytes(len(good)))
bad_bytes("garbage.mrc", "neither MRC nor TIFF: it begins with the bytes ff fe fd fc",
          lambda good: bytes(range(255, -1, -1)) * 10)


@bad("one_pixel.mrc", "too small: 1 x 1 px, at least 247 x 247 expected for two windows at a "
                      "particle diameter of 40 px")
def _(path, scene):
    write_mrc(path, np.zeros((1, 1), "f4"))


@bad("small.mrc", "too small: 900 x 246 px, at least 247 x 247 expected for two windows at a "
                  "particle diameter of 40 px")
def _(path, scene):
    write_mrc(path, scene.image[:246])


@bad("movie.mrc", "movie of 5 frames: skipped; with input.movies = sum they would be added up")
def _(path, scene):
    write_mrc(path, np.repeat(scene.image[np.newaxis], 5, axis=0))


@bad("movie_pages.tif",
     "movie of 3 frames: skipped; with input.movies = sum they would be added up")
def _(path, scene):
    write_tiff(path, np.repeat(scene.image[np.newaxis], 3, axis=0))


@bad("stack_one_directory.tif",
     "movie of 3 frames, 1 of them in its directories: skipped; only a TIFF with a directory for "
     "each frame can be added up")
def _(path, scene):
    write_imagej_stack(path, scene.image, 3)


@bad("volume.mrc", "a volume of 32 sections (space group 1), a micrograph expected")
def _(path, scene):
    write_mrc(path, np.zeros((32, 32, 32), "f4"), volume=True)


@bad("dangling.mrc", "a dangling link: what it points to does not exist")
def _(path, scene):
    path.symlink_to("nowhere.mrc")


@bad("loop.mrc", "cannot open: Too many levels of symbolic links")
def _(path, scene):
    path.symlink_to(path.name)


@bad("pipe.mrc", "not a regular file but a pipe")
def _(path, scene):
    os.mkfifo(path)


@bad("secret.mrc", "no permission to read it")
def _(path, scene):
    path.write_bytes(scene.path.read_bytes())
    path.chmod(0)


@bad("locked", "Permission denied")
def _(path, scene):
    path.mkdir(mode=0)


for number, meaning in (7, "JPEG"), (34712, "JPEG 2000"), (12345, "unknown"), (
        65000, "EER, 8 bits: electron events of a movie"), (
        65001, "EER, 7 bits: electron events of a movie"), (
        65002, "EER: electron events of a movie"):
    @bad(f"compression_{number}.tif", f"TIFF compression {number} ({meaning}): {CODECS}")
    def _(path, scene, number=number):
        content = write_tiff(path, scene.image).read_bytes()
        path.write_bytes(patched_tiff_tag(content, COMPRESSION, number))


@bad("strip_cut.tif", "truncated: strip 1 of 1 has 1843200 bytes from byte 1024, but the file ends "
                      "at byte 1843224")
def _(path, scene):
    content = write_tiff(path, scene.image, metadata=None, align=1024).read_bytes()
    path.write_bytes(content[:-1000])


@bad("complex.tif", "TIFF with 64-bit complex float samples: 4, 8, 16 or 32-bit integer, or 16, 32 "
                    "or 64-bit float expected")
def _(path, scene):
    write_tiff(path, np.zeros((64, 64), "c8"))


# ---- all of them in one run ----------------------------------------------------------------------

GOOD = ["a_first.mrc", "n_between.tif", "z_last.mrc"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory, scene):
    """Picks a directory of everything above, with good micrographs before, between and behind, and
    a file that does not exist."""
    directory = tmp_path_factory.mktemp("bad")
    out = tmp_path_factory.mktemp("out")
    permissions = can_drop_privileges()
    for name, (_, maker) in MAKERS.items():
        if permissions or name not in ("secret.mrc", "locked"):
            maker(directory / name, scene)
    write_mrc(directory / GOOD[0], scene.image)
    write_tiff(directory / GOOD[1], scene.image)
    write_mrc(directory / GOOD[2], scene.image)
    missing = directory / "missing.mrc"
    done = run("pick", *scene.options, "-o", out, directory, missing, status=1,
               preexec_fn=drop_privileges)
    return types.SimpleNamespace(directory=directory, out=out, done=done, missing=missing,
                                 permissions=permissions)


@pytest.mark.parametrize("name", MAKERS)
def test_one_line_names_file_fault_and_expectation(outcome, name):
    if not outcome.permissions and name in ("secret.mrc", "locked"):
        pytest.skip("root, and cannot drop its privileges")
    path = outcome.directory / name
    lines = [line for line in notes(outcome.done) if str(path) in line]
    assert lines == [f"pickstream: {path}: {MAKERS[name][0]}"]
    assert str(path) not in outcome.done.stdout


def test_missing_file_is_named(outcome):
    assert f"pickstream: {outcome.missing}: No such file or directory" \
        in notes(outcome.done)


def test_nothing_else_is_said(outcome):
    failed = len(MAKERS) + 1 - (0 if outcome.permissions else 2)
    lines = notes(outcome.done)
    assert len(lines) == failed + 1
    assert lines[-1].startswith("pickstream: 3 picked (")
    assert f" picks), 0 rejected, {failed} failed, on " in lines[-1]


def test_the_others_are_picked(outcome, scene):
    alone = outcome.out / "alone"
    run("pick", *scene.options, "-o", alone, scene.path)
    (expected,) = alone.glob("*_autopick.star")
    for name in GOOD:
        written = outcome.out / f"{name[:-4]}_autopick.star"
        assert written.read_bytes() == expected.read_bytes()
    assert [line.split(":")[0] for line in outcome.done.stdout.splitlines()] \
        == [str(outcome.directory / name) for name in GOOD]


def test_nothing_is_written_for_those_that_failed(outcome):
    assert sorted(path.name for path in outcome.out.glob("[!.]*") if path.is_file()) \
        == sorted(["autopick.star", *(f"{name[:-4]}_autopick.star" for name in GOOD)])
    listed = (outcome.out / "autopick.star").read_text().splitlines()
    assert len([line for line in listed if line.endswith("_autopick.star")]) == len(GOOD)


# ---- pixels that nothing can be learned from -----------------------------------------------------

@pytest.mark.parametrize("image, reason", [
    (np.full((700, 600), np.nan, "f4"), "no pixel is a finite number"),
    (np.full((700, 600), np.inf, "f4"), "no pixel is a finite number"),
    (np.full((700, 600), 7, "f4"), "constant image: every pixel is 7"),
    (np.zeros((700, 600), "i2"), "constant image: every pixel is 0"),
], ids=["nan", "infinite", "seven", "zero"])
def test_no_image_is_rejected_with_an_empty_file(tmp_path, image, reason):
    path = write_mrc(tmp_path / "x.mrc", image)
    done = run("pick", "--diameter", "40px", "-o", tmp_path, path)
    assert (done.stdout, notes(done)) == (f"{path}: rejected: {reason}\n", [])
    star = tmp_path / "x_autopick.star"
    assert read_picks(star).shape == (0, 3)
    assert f"# rejected: {reason}\n" in star.read_text(encoding="utf-8")


def test_odd_pixels_are_reported_and_do_not_spoil_the_picks(tmp_path, scene):
    image = scene.image.astype("f4")
    image[200:210, 300:310] = np.nan
    image[500, 500] = np.inf
    image[:, 620] = 0
    image[700, 100] = 32767  # a hot pixel
    path = write_mrc(tmp_path / "x.mrc", image)
    done = run("pick", *scene.options, "-o", tmp_path, path)
    assert notes(done) == [
        f"pickstream: {path}: 101 pixels are no finite numbers: replaced by the mean",
        f"pickstream: {path}: 1 dead columns, the first at x = 620: interpolated",
    ]
    run("pick", *scene.options, "-o", tmp_path / "clean", scene.path)
    picks = read_picks(tmp_path / "x_autopick.star")
    (clean,) = (tmp_path / "clean").glob("*_autopick.star")
    clean = read_picks(clean)
    near = [np.hypot(*(picks[:, :2] - xy).T).min() < 10 for xy in clean[:, :2]]
    assert np.mean(near) > 0.8


def test_surplus_bytes_are_a_warning(tmp_path, scene):
    path = tmp_path / "x.mrc"
    path.write_bytes(scene.path.read_bytes() + bytes(77))
    done = run("pick", *scene.options, "-o", tmp_path, path)
    assert notes(done) == [f"pickstream: {path}: 77 bytes after the pixel data ignored"]
    assert len(read_picks(tmp_path / "x_autopick.star")) > 20


# ---- the picker's own limits ---------------------------------------------------------------------

def test_diameter_in_angstrom_needs_a_pixel_size(tmp_path, scene):
    path = write_tiff(tmp_path / "x.tif", scene.image, resolution=None)
    done = run("pick", "--diameter", "56", "-o", tmp_path, path, status=1)
    assert notes(done)[0] == (
        f"pickstream: {path}: no pixel size in the header, and the diameter is in A: set "
        "picker.pixel_size, or give the diameter in px")
    run("pick", "--diameter", "56", "--pixel-size", "1.4", "-o", tmp_path, path)


def test_max_pixels_is_a_limit(tmp_path, scene):
    done = run("pick", *scene.options, "--set", "compute.max_pixels=921599", "-o", tmp_path,
               scene.path, status=1)
    assert notes(done)[0] == (
        f"pickstream: {scene.path}: 900 x 1024 px, more than the 921599 pixels that "
        "compute.max_pixels allows")
    run("pick", *scene.options, "--set", "compute.max_pixels=921600", "-o", tmp_path, scene.path)


def test_more_examples_than_windows(tmp_path, scene):
    done = run("pick", *scene.options, "--set", "picker.tau2=1000000", "-o", tmp_path, scene.path,
               status=1)
    assert " windows to rank, fewer than tau1 = " in done.stderr
    assert f"pickstream: {scene.path}: " in done.stderr


# ---- output that cannot be written ---------------------------------------------------------------

def test_file_in_place_of_the_output_directory(tmp_path, scene):
    out = tmp_path / "out"
    out.write_text("not a directory", encoding="utf-8")
    done = run("pick", *scene.options, "-o", out, scene.path, status=1)
    assert notes(done)[0] == (
        f"pickstream: {scene.path}: {out}: cannot write in this directory: Not a directory")
    assert out.read_text(encoding="utf-8") == "not a directory"


def test_output_directory_without_permission(tmp_path, scene):
    if not can_drop_privileges():
        pytest.skip("root, and cannot drop its privileges")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    done = run("pick", *scene.options, "-o", locked, scene.path, status=1,
               preexec_fn=drop_privileges)
    assert notes(done)[0] == (
        f"pickstream: {scene.path}: {locked}: cannot write in this directory: "
        "Permission denied")
    done = run("pick", *scene.options, "-o", locked / "below", scene.path, status=1,
               preexec_fn=drop_privileges)
    assert notes(done)[0] == (
        f"pickstream: {scene.path}: cannot make directory {locked}/below: Permission denied")


def fill_disk():
    """A limit on the size of files stands for the disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))


def test_full_disk(tmp_path, scene):
    done = run("pick", *scene.options, "-o", tmp_path, scene.path, status=1, preexec_fn=fill_disk)
    assert notes(done)[0] == (
        f"pickstream: {tmp_path}/synth_000001_autopick.star: cannot write: File too large")
    assert not list(tmp_path.glob("[!.]*"))


def test_an_old_file_survives_a_full_disk(tmp_path, scene):
    old = tmp_path / "synth_000001_autopick.star"
    run("pick", *scene.options, "-o", tmp_path, scene.path)
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert old.name in content
    run("pick", *scene.options, "--set", "picker.max_picks=20", "-o", tmp_path, scene.path,
        status=1, preexec_fn=fill_disk)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content
