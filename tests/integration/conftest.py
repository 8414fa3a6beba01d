"""The micrograph that most tests pick."""

import mrcfile
import numpy as np
import pytest
from micrographs import PIXEL_SIZE, Scene, read_star
from support import run


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scene")
    run("synth", "--size", "900x1024", "--mode", 1, "--pixel-size", PIXEL_SIZE, "--seed", 3,
        "--diameter", Scene.diameter * PIXEL_SIZE, "--contaminants", 0, directory)
    path = directory / "synth_000001.mrc"
    image = mrcfile.read(path)
    truth = np.column_stack(list(read_star(directory / "synth_000001_truth.star").values()))
    assert image.dtype == np.int16 and image.shape == (1024, 900)
    assert 0 <= image.min() and image.max() < 2048
    return Scene(path, image, truth)
