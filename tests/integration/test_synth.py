"""pickstream synth, run as a user runs it: files that other programs read, on time, with the truth."""
import os
import re
import resource
import signal
import subprocess
import time

import mrcfile
import numpy as np
import pytest
import tifffile
from support import PROGRAM

SMALL = ["--size", "256x200", "--diameter", "60"]


def synth(*arguments, status=0, **options):
    done = subprocess.run([PROGRAM, "synth", *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, **options)
    assert done.returncode == status, done.stderr
    return done


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def truth(path):
    rows = [line.split() for line in path.read_text().splitlines()]
    return np.array([[float(value) for value in row] for row in rows
                     if row and re.fullmatch(r"[-0-9.]+", row[0])])


def test_same_options_same_files(tmp_path):
    for name, count in ("a", 2), ("b", 3):
        synth(*SMALL, "--seed", 5, "--carbon", "--count", count, tmp_path / name)
    synth(*SMALL, "--seed", 6, "--carbon", tmp_path / "c")
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert sorted(a) == ["synth_000001.mrc", "synth_000001_truth.star", "synth_000002.mrc",
                         "synth_000002_truth.star"]
    assert len(b) == 6
    assert all(b[name] == a[name] for name in a)
    assert a["synth_000001.mrc"] != a["synth_000002.mrc"]
    assert all(c[name] != a[name] for name in c)


@pytest.mark.parametrize("mode, dtype", [(1, "i2"), (2, "f4"), (12, "f2")])
def test_mrc_is_valid_and_holds_its_statistics(tmp_path, mode, dtype):
    synth("--size", "300x211", "--pixel-size", 1.07, "--diameter", 60, "--mode", mode, tmp_path)
    path = tmp_path / "synth_000001.mrc"
    if mode != 12:  # there mrcfile itself overflows: it sums squares in float16
        assert mrcfile.validate(path)
    with mrcfile.open(path) as mrc:
        assert mrc.data.dtype == np.dtype(dtype) and mrc.data.shape == (211, 300)
        assert mrc.header.mode == mode and mrc.header.ispg == 0 and mrc.header.nsymbt == 0
        assert mrc.voxel_size.x == pytest.approx(1.07, rel=1e-6)
        assert mrc.voxel_size.y == pytest.approx(1.07, rel=1e-6)
        data = mrc.data.astype("f8")
        assert mrc.header.dmin == data.min() and mrc.header.dmax == data.max()
        assert mrc.header.dmean == pytest.approx(data.mean(), rel=1e-6)
        assert mrc.header.rms == pytest.approx(data.std(), rel=1e-5)
        assert data.mean() / (16 if mode == 1 else 1) == pytest.approx(60, abs=3)


@pytest.mark.parametrize("mode, dtype", [(1, "u2"), (2, "f4")])
def test_tiff_is_the_flipped_mrc(tmp_path, mode, dtype):
    for file_format in "mrc", "tiff":
        synth(*SMALL, "--mode", mode, "--pixel-size", 0.83, "--format", file_format, tmp_path)
    mrc = mrcfile.read(tmp_path / "synth_000001.mrc")
    with tifffile.TiffFile(tmp_path / "synth_000001.tiff") as tiff:
        page = tiff.pages[0]
        assert len(tiff.pages) == 1 and page.dtype == np.dtype(dtype)
        assert np.array_equal(page.asarray()[::-1], mrc)
        assert page.tags["ResolutionUnit"].value == 3  # centimetre
        for name in "XResolution", "YResolution":
            numerator, denominator = page.tags[name].value
            assert 1e8 * denominator / numerator == pytest.approx(0.83, rel=1e-6)


def test_truth_lies_on_the_particles(tmp_path):
    """Cumulative darkness around the truth, in x and y, of a non-square micrograph: a disk at the
    truth is darker than the same disk moved by its diameter in any direction."""
    diameter = 40
    synth("--size", "900x500", "--pixel-size", 2, "--diameter", 2 * diameter, "--ice-gradient", 0,
          "--contaminants", 0, tmp_path)
    image = mrcfile.read(tmp_path / "synth_000001.mrc")
    star = tmp_path / "synth_000001_truth.star"
    assert "loop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n" in star.read_text()
    centres = truth(star)
    assert 30 < len(centres) < 110
    y, x = np.mgrid[:500, :900]

    def brightness(dx, dy):
        return np.mean([image[np.hypot(x - cx - dx, y - cy - dy) < diameter / 3].mean()
                        for cx, cy in centres
                        if diameter < cx < 900 - diameter and diameter < cy < 500 - diameter])

    here = brightness(0, 0)
    for dx, dy in (30, 0), (-30, 0), (0, 30), (0, -30):
        assert brightness(dx, dy) - here > 0.8  # noise of such a mean: 0.05


def test_rate_is_kept_and_truth_comes_first(tmp_path):
    began = time.time_ns()
    done = synth(*SMALL, "--count", 4, "--rate", 10, tmp_path)
    paths = [str(tmp_path / f"synth_{k:06d}.mrc") for k in range(1, 5)]
    assert done.stdout.splitlines() == paths
    written = [os.stat(path).st_mtime_ns for path in paths]
    for k, path in enumerate(paths):
        assert os.stat(path.replace(".mrc", "_truth.star")).st_mtime_ns <= written[k]
    # Never early; file times are as coarse as the kernel's tick.
    for k, at in enumerate(written):
        assert (at - began) / 1e9 > 0.1 * k - 0.02


def test_a_rate_that_cannot_be_kept_is_said(tmp_path):
    done = synth(*SMALL, "--count", 5, "--rate", 1000, tmp_path)
    assert re.fullmatch(r"pickstream synth: this machine does not keep --rate: the last micrograph "
                        r"came \d+\.\d s late\n", done.stderr)


def test_slow_files_grow(tmp_path):
    """Odd ones under their own name, even ones hidden until they are whole."""
    process = subprocess.Popen([PROGRAM, "synth", *SMALL, "--count", "2", "--rate", "2", "--slow",
                                str(tmp_path)], stdout=subprocess.PIPE)
    whole = 1024 + 4 * 256 * 200
    open_sizes, hidden_sizes, second_sizes = set(), set(), set()
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        for path in tmp_path.iterdir():
            try:
                size = path.stat().st_size
            except FileNotFoundError:  # renamed in between
                continue
            if path.suffix == ".mrc":
                assert path.with_name(path.stem + "_truth.star").exists()
                (open_sizes if path.stem == "synth_000001" else second_sizes).add(size)
            elif path.suffix == ".tmp" and path.name.startswith(".pickstream-"):
                hidden_sizes.add(size)
    process.stdout.close()
    assert process.wait() == 0
    assert len(open_sizes) > 8 and max(open_sizes) == whole
    assert len(hidden_sizes) > 8
    assert second_sizes <= {whole}
    assert len(contents(tmp_path)) == 4


@pytest.mark.parametrize("arguments, message", [
    ([], "needs one directory to write to"),
    (["out", "other"], "needs one directory to write to"),
    (["--size", "100", "out"], '--size is "100", must be WIDTHxHEIGHT, as in 4096x4096'),
    (["--size", "100x100y", "out"], '--size is "100x100y", must be WIDTHxHEIGHT, as in 4096x4096'),
    (["--size", "8x100", "out"], "width (px) is 8, must be between 16 and 32768"),
    (["--size", "64x64", "out"], "a particle of 78.5714 px does not fit into a micrograph of 64 x 64"),
    (["--mode", "6", "out"], "--mode is 6, must be 1 or 2, or 12 for mrc"),
    (["--mode", "12", "--format", "tiff", "out"], "--mode is 12, must be 1 or 2, or 12 for mrc"),
    (["--format", "png", "out"], '--format is "png", must be mrc or tiff'),
    (["--snr", "-1", "out"], "--snr"),
])
def test_mistakes_are_named(tmp_path, arguments, message):
    done = synth(*arguments, status=2, cwd=tmp_path)
    assert done.stderr.startswith("pickstream synth: ") and message in done.stderr
    assert done.stdout == "" and not contents(tmp_path)


def test_directories_are_made(tmp_path):
    synth(*SMALL, tmp_path / "not" / "yet")
    assert len(contents(tmp_path / "not" / "yet")) == 2


def test_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    done = synth(*SMALL, tmp_path / "file" / "x", status=1)
    assert done.stderr == (f"pickstream synth: {tmp_path}/file/x/synth_000001_truth.star: "
                           f"cannot make directory {tmp_path}/file/x: Not a directory\n")


def test_full_disk(tmp_path):
    """A file-size limit stands for the disk: one line, exit 1, and no half micrograph is left."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

    done = synth(*SMALL, "--count", 3, tmp_path, status=1, preexec_fn=limit)
    assert done.stderr == f"pickstream synth: {tmp_path}/synth_000001.mrc: cannot write: File too large\n"
    assert list(contents(tmp_path)) == ["synth_000001_truth.star"]
