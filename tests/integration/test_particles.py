"""Extracted particles: what RELION extracts at the same coordinates, and classifies."""

import shutil
import types

import mrcfile
import numpy as np
import pytest
from micrographs import PIXEL_SIZE, read_picks, write_mrc, write_tiff
from support import run
from test_relion import extract, relion

needs_relion = pytest.mark.skipif(
    shutil.which("relion_preprocess") is None, reason="RELION is not installed"
)

NAMES = {"mrc.mrc": "f4", "tif.tif": "f4", "half.mrc": "f2"}


@pytest.fixture(scope="module")
def project(tmp_path_factory, scene):
    """A RELION project with the scene, which is not square, in three formats; RELION 3 cannot read
    float16, so that it gets a float32 twin of that one, half.mrc, in Twins."""
    directory = tmp_path_factory.mktemp("particles")
    for name, dtype in NAMES.items():
        (directory / "Micrographs").mkdir(exist_ok=True)
        write = write_mrc if name.endswith(".mrc") else write_tiff
        write(directory / "Micrographs" / name, scene.image, dtype)
    run("pick", *scene.options, "--extract", "-o", directory / "Picks/Micrographs",
        directory / "Micrographs")
    picks = read_picks(directory / "Picks/Micrographs/mrc_autopick.star")
    return types.SimpleNamespace(directory=directory, picks=picks)


def correlations(ours, theirs):
    assert ours.shape == theirs.shape
    return [np.corrcoef(a.ravel(), b.ravel())[0, 1]
            for a, b in zip(ours.astype("f8"), theirs.astype("f8"), strict=True)]


def stack(directory, name, picks="Picks"):
    with mrcfile.open(directory / picks / f"Micrographs/{name.rpartition('.')[0]}_particles.mrcs") as file:
        return file.data.copy(), float(file.voxel_size.x), file.is_image_stack()


@needs_relion
@pytest.mark.parametrize("name", NAMES)
def test_relion_extracts_the_same_boxes(project, name):
    ours, pixel_size, is_stack = stack(project.directory, name)
    assert ours.dtype == np.float32 and ours.shape == (len(project.picks), 60, 60)
    assert is_stack and pixel_size == pytest.approx(PIXEL_SIZE, 1e-5)
    stacks, _ = extract(project.directory, ["mrc.mrc"], 60, options=["--norm", "--bg_radius", 22, "--invert_contrast"])
    c = correlations(ours, stacks["mrc.mrc"]); print(min(c), np.abs(ours-stacks["mrc.mrc"]).max())
    assert min(c) > 0.99999
