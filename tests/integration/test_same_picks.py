"""The same pixels give the same picks: in any file format, with any number of threads, in any
company; and those of the reference implementation, where its data are there."""

import json
import os
import subprocess

import numpy as np
import pytest
from micrographs import read_picks, write_mrc, write_tiff
from support import GOLDEN, PROGRAM, ROOT, SANITIZER, needs_data, notes, run


def star_of(out, name="x"):
    return (out / f"{name}_autopick.star").read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory, scene):
    """The STAR file of the scene, picked alone."""
    out = tmp_path_factory.mktemp("expected")
    run("pick", *scene.options, "-o", out, scene.path)
    content = star_of(out, scene.path.stem)
    assert len(content.splitlines()) > 30
    return content


# ---- formats -------------------------------------------------------------------------------------

MRC = {
    "mode1": {},
    "mode2": {"dtype": "f4"},
    "mode6": {"dtype": "u2"},
    "mode12": {"dtype": "f2"},
    "mode1_big_endian": {"swapped": True},
    "mode2_big_endian": {"dtype": "f4", "swapped": True},
    "mode12_big_endian": {"dtype": "f2", "swapped": True},
}
TIFF = {
    "int16": {},
    "uint16": {"dtype": "u2"},
    "int32": {"dtype": "i4"},
    "float16": {"dtype": "f2"},
    "float32": {"dtype": "f4"},
    "float64": {"dtype": "f8"},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (64, 112)},
    "big_endian": {"byteorder": ">"},
    "bigtiff": {"bigtiff": True},
    "bigtiff_tiles_deflate": {"bigtiff": True, "tile": (256, 256), "compression": "zlib"},
    "deflate_big_endian": {"byteorder": ">", "compression": "zlib"},
    "lzw": {"dtype": "u2", "compression": "lzw"},
    "lzw_float": {"dtype": "f4", "compression": "lzw"},
}


@pytest.fixture(scope="module")
def formats(tmp_path_factory, scene):
    directory, out = tmp_path_factory.mktemp("formats"), tmp_path_factory.mktemp("out")
    for name, options in MRC.items():
        write_mrc(directory / f"{name}.mrc", scene.image, **options)
    for name, options in TIFF.items():
        write_tiff(directory / f"{name}.tif", scene.image, **options)
    done = run("pick", *scene.options, "-o", out, directory)
    assert len(notes(done)) == 1  # no warnings
    return out


@pytest.mark.parametrize("name", [*MRC, *TIFF])
def test_every_format_gives_the_same_file(formats, expected, name):
    assert star_of(formats, name) == expected


def test_a_flipped_image_has_other_picks(tmp_path, scene, expected):
    """P23: without this the test above could not see a TIFF that is read upside down."""
    path = write_tiff(tmp_path / "x.tif", scene.image[::-1])
    run("pick", *scene.options, "-o", tmp_path, path)
    assert star_of(tmp_path) != expected


def test_pixel_size_of_either_format(tmp_path, scene, expected):
    """P20"""
    for path in (write_mrc(tmp_path / "mrc.mrc", scene.image),
                 write_tiff(tmp_path / "cm.tif", scene.image),
                 write_tiff(tmp_path / "inch.tif", scene.image,
                            resolution=((1_270_000_000, 7),) * 2, resolutionunit="INCH")):
        run("pick", "--profile", "aspire", "--diameter", 1.4 * scene.diameter, "-o", tmp_path, path)
        assert star_of(tmp_path, path.stem) == expected


# ---- movies --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def frames(scene):
    """Five frames that add up to the scene exactly, none of them like it."""
    random = np.random.default_rng(1)
    first = [random.integers(0, 200, scene.image.shape, "i2") for _ in range(4)]
    return np.stack([*first, scene.image - sum(first)])


@pytest.mark.parametrize("name, write, options", [
    ("x.mrc", write_mrc, {}),
    ("x.mrcs", write_mrc, {"dtype": "f4"}),
    ("x.mrc", write_mrc, {"dtype": "f2", "swapped": True}),
    ("x.tif", write_tiff, {}),
    ("x.tif", write_tiff, {"dtype": "f4", "tile": (128, 128), "compression": "zlib"}),
], ids=["mrc", "mrcs", "big_endian", "tiff", "tiff_tiles"])
def test_frames_of_a_movie_are_added_up(tmp_path, scene, expected, frames, name, write, options):
    """P11"""
    path = write(tmp_path / name, frames, **options)
    run("pick", *scene.options, "--set", "input.movies=sum", "--format", "star,json", "-o",
        tmp_path, path)
    assert star_of(tmp_path) == expected
    with open(tmp_path / "x_autopick.json", encoding="utf-8") as stream:
        assert json.load(stream)["micrograph"]["frames"] == 5


# ---- threads, order, company ---------------------------------------------------------------------

@pytest.mark.parametrize("threads", [1, 2, 3, 4, 16])
def test_any_number_of_threads(tmp_path, scene, expected, threads):
    """P26"""
    run("pick", *scene.options, "--threads", threads, "-o", tmp_path, scene.path)
    assert star_of(tmp_path, scene.path.stem) == expected


def test_any_order_and_company(tmp_path, scene, expected):
    """P25: first, in the middle and last; behind images that are larger, smaller, rejected, damaged."""
    write_mrc(tmp_path / "a.mrc", scene.image)
    write_mrc(tmp_path / "b.mrc", np.tile(scene.image[::-1], (2, 1)))
    write_mrc(tmp_path / "c.mrc", scene.image)
    write_mrc(tmp_path / "d.mrc", np.zeros((900, 1100), "f4"))
    write_tiff(tmp_path / "e.tif", scene.image)
    write_mrc(tmp_path / "f.mrc", scene.image[200:900, :700])
    (tmp_path / "g.mrc").write_bytes(b"")
    write_mrc(tmp_path / "h.mrc", scene.image)
    run("pick", *scene.options, "-o", tmp_path, tmp_path, status=1)
    for name in "aceh":
        assert star_of(tmp_path, name) == expected
    alone = tmp_path / "alone"
    for name in "bf":
        run("pick", *scene.options, "-o", alone, tmp_path / f"{name}.mrc")
        assert star_of(tmp_path, name) == star_of(alone, name) != expected


def test_small_ones_side_by_side(tmp_path, scene, expected):
    """They share the threads; the list for RELION is in order, whichever is done first."""
    for name in "abcd":
        write_mrc(tmp_path / f"{name}.mrc", scene.image)
    run("pick", *scene.options, "--threads", 2, "--format", "star,json", "-o", tmp_path, tmp_path)
    devices = []
    for name in "abcd":
        assert star_of(tmp_path, name) == expected
        with open(tmp_path / f"{name}_autopick.json", encoding="utf-8") as stream:
            devices.append(json.load(stream)["picker"]["device"])
    assert [", 1 threads" in device for device in devices] == [False, True, True, True]
    lines = (tmp_path / "autopick.star").read_text("utf-8").splitlines()
    listed = [line.split()[1] for line in lines if "_autopick.star" in line]
    assert listed == [f"{tmp_path}/{name}_autopick.star" for name in "abcd"]


@pytest.mark.parametrize("classifier", ["naive_bayes", "mixture"])
def test_other_classifiers_repeat_themselves(tmp_path, scene, expected, classifier):
    for threads in "1", "4":
        run("pick", *scene.options, "--set", f"picker.classifier={classifier}", "--threads",
            threads, "-o", tmp_path / threads, scene.path)
    one, four = (star_of(tmp_path / threads, scene.path.stem) for threads in "14")
    assert one == four != expected


# ---- the reference implementation ----------------------------------------------------------------

@needs_data
@pytest.mark.parametrize("case, explicit_tau", [
    ("sim2k", True), ("apo_p48", True), ("apo_p64", True), ("noise", True), ("sim4k", False)])
def test_picks_of_the_reference(tmp_path, case, explicit_tau):
    with open(GOLDEN / case / "meta.json", encoding="utf-8") as stream:
        meta = json.load(stream)
    micrograph = GOLDEN / case / meta["micrograph"]
    options = ["--profile", "aspire", "--diameter", f"{meta['particle_size']}px"]
    if explicit_tau:
        options += [f"--set=picker.{key}={meta[key]}" for key in ("tau1", "tau2")]
    run("pick", *options, "-o", tmp_path, micrograph)
    picks = read_picks(tmp_path / f"{micrograph.stem}_autopick.star")
    text = (GOLDEN / case / "centers_xy.txt").read_text(encoding="utf-8")
    centres = sorted(tuple(float(word) for word in line.split()) for line in text.splitlines())
    assert len(centres) == meta["picks"]
    assert sorted(map(tuple, picks[:, :2])) == centres


@needs_data
@pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer takes memory of its own")
@pytest.mark.parametrize("profile", ["adaptive", "aspire"])
def test_memory_for_a_large_micrograph(tmp_path, profile):
    process = subprocess.Popen(
        [PROGRAM, "pick", "--profile", profile, "--diameter", "78px", "-o", tmp_path, GOLDEN / "sim4k.mrc"], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss < 700 * 1024  # KiB
