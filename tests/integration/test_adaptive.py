"""The adaptive profile as its users meet it: right picks whose scores are probabilities, the same
particles however the micrograph was turned, cut or scaled, and nothing where nothing is."""

import json

import mrcfile
import numpy as np
import pytest
from micrographs import read_star, write_mrc
from scipy.ndimage import distance_transform_edt
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from support import DATA, needs_data, run

DIAMETER = 60  # px


def pick(path, out, *options, diameter=DIAMETER):
    run("pick", "--diameter", f"{diameter}px", "--format", "json", "-o", out, *options, path)
    message = json.loads((out / f"{path.stem}_autopick.json").read_text("utf-8"))
    return np.array(message["picks"], "f8").reshape(-1, 4), message["result"]


def agreement(a, b, distance):
    """F1 between two sets of points."""
    distances = cdist(a[:, :2], b[:, :2])
    near = linear_sum_assignment(np.where(distances <= distance, distances - 1e6, 0))
    return 2 * (distances[near] <= distance).sum() / (len(a) + len(b))


def unreliable(result):
    return any(warning.startswith("unreliable: ") for warning in result["warnings"])


def synthetic(directory, *options, diameter=DIAMETER):
    """Path and true centres of a micrograph, 1 angstrom a pixel."""
    run("synth", "--pixel-size", 1, "--diameter", diameter, *options, directory)
    columns = read_star(directory / "synth_000001_truth.star")
    return directory / "synth_000001.mrc", np.column_stack(list(columns.values()))[:, :2]


PLATE = "--size", "1300x1202", "--seed", 4, "--contaminants", 0


@pytest.fixture(scope="module")
def test_image(tmp_path_factory):
    """Image, true centres, picks."""
    directory = tmp_path_factory.mktemp("test_image")
    path, truth = synthetic(directory, *PLATE)
    picks, result = pick(path, directory)
    assert result["warnings"] == []
    return path, mrcfile.read(path), truth, picks


def test_picks_are_right_and_centred(test_image):
    """P22"""
    _, _, truth, picks = test_image
    assert len(truth) > 80
    assert agreement(picks, truth, DIAMETER / 4) > 0.98
    nearest = truth[cdist(picks[:, :2], truth).argmin(axis=1)]
    errors = picks[:, :2] - nearest
    assert np.median(np.hypot(*errors.T)) < 0.05 * DIAMETER
    assert (np.abs(errors.mean(axis=0)) < 0.5).all()
    assert (picks[:, :2] % 1 != 0).any()


def test_scores_are_probabilities(test_image):
    """P28"""
    _, _, truth, picks = test_image
    assert (0 <= picks[:, 2]).all() and (picks[:, 2] <= 1).all()
    assert (np.diff(picks[:, 2]) <= 0).all()
    right = cdist(picks[:, :2], truth).min(axis=1) < DIAMETER / 4
    assert picks[:, 2].mean() == pytest.approx(right.mean(), abs=0.05)


@pytest.mark.parametrize("border", ["repeated", "constant", "missing"])
def test_borders_without_an_image_have_no_picks(test_image, tmp_path, border):
    """A frame that motion correction left: the outermost real line again and again, one value, or
    NaN."""
    _, image, truth, _ = test_image
    width = 100
    image = image.copy()
    image[:width] = {"repeated": image[width], "constant": 3, "missing": np.nan}[border]
    image[:, :width] = {"repeated": image[:, width : width + 1], "constant": 3, "missing": np.nan}[border]
    path = write_mrc(tmp_path / "a.mrc", image)
    picks, result = pick(path, tmp_path)
    assert (picks[:, :2] > width - 1).all()
    margin = json.loads((tmp_path / "a_autopick.json").read_text("utf-8"))["coordinates"]["unpicked_margin"]
    assert all(width <= margin[side] <= width + 8 for side in (0, 2)) and margin[1] == margin[3] == 0
    inside = (truth > width + DIAMETER / 2).all(axis=1)
    assert agreement(picks[(picks[:, :2] > width + DIAMETER / 2).all(axis=1)], truth[inside], DIAMETER / 3) > 0.95


@pytest.mark.parametrize("value", [0, 1e5, np.nan])
def test_areas_without_an_image_have_no_picks(test_image, tmp_path, value):
    """Half of the micrograph, a strip across it, and a block, as lost parts of a file and padding leave them."""
    _, image, truth, _ = test_image
    dead = np.zeros(image.shape, bool)
    dead[:, : image.shape[1] // 2] = True
    dead[300:340, :] = True
    dead[600:760, 700:900] = True
    path = write_mrc(tmp_path / "a.mrc", np.where(dead, np.float32(value), image).astype("f4"))
    picks, result = pick(path, tmp_path)
    x, y = np.rint(picks[:, :2]).astype(int).T
    assert not dead[y, x].any()
    assert any(w.startswith("no image data in ") for w in result["warnings"])
    distance = distance_transform_edt(~dead)
    clear = lambda p: p[distance[tuple(np.rint(p[:, 1::-1]).astype(int).T)] > DIAMETER / 2]
    assert agreement(clear(picks[:, :2]), clear(truth), DIAMETER / 3) > 0.9


def test_the_message_counts_what_may_be_wrong(test_image, tmp_path):
    path, _, _, _ = test_image
    picks, result = pick(path, tmp_path)
    assert result["expected_false"] == pytest.approx((1 - picks[:, 2]).sum(), abs=1e-3)
    assert result["separation"] > 4
    noise = write_mrc(tmp_path / "noise.mrc", np.random.default_rng(2).normal(size=(900, 1000)).astype("f4"))
    picks, result = pick(noise, tmp_path)
    assert result["unreliable"] and result["separation"] < 4 and (picks[:, 2] <= 0.25).all()


def test_nothing_but_the_micrograph_matters(test_image, tmp_path):
    path, image, _, picks = test_image
    other = write_mrc(tmp_path / "a.mrc", image[:700, :900])
    copy = write_mrc(tmp_path / "b.mrc", image)
    for threads in "1", "3":
        run("pick", "--diameter", f"{DIAMETER}px", "--format", "json", "--threads", threads, "-o",
            tmp_path / threads, other, copy)
        again = json.loads((tmp_path / threads / "b_autopick.json").read_text("utf-8"))["picks"]
        assert np.array_equal(np.array(again), picks)


TURNED = {
    "mirror": (lambda image: image[:, ::-1], lambda x, y, w, h: (w - 1 - x, y)),
    "upside_down": (lambda image: image[::-1], lambda x, y, w, h: (x, h - 1 - y)),
    "left": (lambda image: np.rot90(image), lambda x, y, w, h: (y, w - 1 - x)),
    "right": (lambda image: np.rot90(image, -1), lambda x, y, w, h: (h - 1 - y, x)),
    "brighter": (lambda image: image * 3.7 + 1000, lambda x, y, w, h: (x, y)),
}


@pytest.mark.parametrize("name", TURNED)
def test_the_same_particles(test_image, tmp_path, name):
    _, image, _, picks = test_image
    height, width = image.shape
    change, moved = TURNED[name]
    path = write_mrc(tmp_path / "x.mrc", np.ascontiguousarray(change(image), "f4"))
    again, _ = pick(path, tmp_path)
    expected = np.column_stack(moved(picks[:, 0], picks[:, 1], width, height))
    assert agreement(again, expected, DIAMETER / 4) >= 0.98


def test_a_part_has_its_particles(test_image, tmp_path):
    _, image, _, picks = test_image
    left, top, right, bottom = 201, 99, 1150, 1100
    path = write_mrc(tmp_path / "x.mrc", np.ascontiguousarray(image[top:bottom, left:right]))
    again, _ = pick(path, tmp_path)
    size = (right - left, bottom - top)

    def inner(points):
        return points[((points > DIAMETER) & (points < np.array(size) - DIAMETER)).all(axis=1)]

    assert agreement(inner(again[:, :2]), inner(picks[:, :2] - (left, top)), DIAMETER / 4) >= 0.98


def test_contrast(test_image, tmp_path):
    _, image, truth, _ = test_image
    path = write_mrc(tmp_path / "x.mrc", (100 - image).astype("f4"))
    for contrast in "bright", "auto":
        picks, _ = pick(path, tmp_path, "--set", f"picker.contrast={contrast}")
        assert agreement(picks, truth, DIAMETER / 4) > 0.98


@pytest.mark.parametrize("diameter, snr, seed", [(40, 0.1, 31), (64, 0.05, 32), (100, 0.1, 33)])
def test_auto_finds_dark_and_bright(tmp_path, diameter, snr, seed):
    path, truth = synthetic(tmp_path, "--size", "1100x1000", "--snr", snr, "--seed", seed,
                            diameter=diameter)
    told, _ = pick(path, tmp_path, diameter=diameter)
    negative = write_mrc(tmp_path / "negative.mrc", -mrcfile.read(path))
    for either in path, negative:
        picks, _ = pick(either, tmp_path, "--set", "picker.contrast=auto", diameter=diameter)
        assert agreement(picks, truth, diameter / 3) > 0.95
        assert agreement(picks, told, diameter / 8) > 0.97


@needs_data
@pytest.mark.parametrize("name", ["May08_03.05.02", "May08_03.15.02", "May08_04.33.57"])
def test_auto_finds_hollow_particles_dark_and_bright(tmp_path, name):
    path = DATA / f"data/apoferritin/{name}.mrc"
    told, _ = pick(path, tmp_path, diameter=64)
    negative = write_mrc(tmp_path / "negative.mrc", -mrcfile.read(path).astype("f4"))
    for either in path, negative:
        picks, _ = pick(either, tmp_path, "--set", "picker.contrast=auto", diameter=64)
        assert agreement(picks, told, 16) > 0.97


def test_limits_on_picks(test_image, tmp_path):
    """P39"""
    path, _, _, picks = test_image
    few, result = pick(path, tmp_path, "--set", "picker.max_picks=7")
    assert np.array_equal(few, picks[:7]) and result["truncated"]
    limit = float(np.median(picks[:, 2]))
    good, _ = pick(path, tmp_path, "--set", f"picker.min_score={limit:.9g}")
    assert (np.float32(good[:, 2]) >= np.float32(limit)).all() and 0 < len(good) < len(picks)


def test_contaminants_are_masked(test_image, tmp_path):
    """P27"""
    _, image, truth, _ = test_image
    image = image.copy()
    image[300:600, 400:750] -= 60
    path = write_mrc(tmp_path / "x.mrc", image)
    picks, result = pick(path, tmp_path)
    assert 0.05 < result["masked"] < 0.2 and result["warnings"] == []
    inside = (np.abs(picks[:, :2] - (575, 450)) < (175, 150)).all(axis=1)
    assert not inside.any()
    far = (np.abs(truth - (575, 450)) > (250, 225)).any(axis=1)
    assert cdist(truth[far], picks[:, :2]).min(axis=1).max() < DIAMETER / 4
    _, result = pick(path, tmp_path, "--set", "picker.mask_contaminants=no")
    assert result["masked"] == 0


def test_small_contaminants_do_not_take_over(tmp_path):
    """A dozen dark drops, too small for the mask and far clearer than the particles."""
    path, truth = synthetic(tmp_path, *PLATE, "--snr", 0.05, "--particles", 60)
    image = mrcfile.read(path).astype("f4")
    random = np.random.default_rng(3)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    drops = random.uniform(0, image.shape[::-1], (14, 2))
    for drop in drops:
        inside = random.uniform(0.3, 0.7) * DIAMETER - np.hypot(x - drop[0], y - drop[1])
        image -= 20 / (1 + np.exp(-inside / 4))
    picks, result = pick(write_mrc(tmp_path / "x.mrc", image.astype("f4")), tmp_path)
    far = truth[cdist(truth, drops).min(axis=1) > 1.5 * DIAMETER]
    assert not unreliable(result) and len(far) > 40
    assert (cdist(far, picks[:, :2]).min(axis=1) < DIAMETER / 4).mean() > 0.95
    assert (cdist(drops, picks[:, :2]).min(axis=1) > DIAMETER / 4).mean() > 0.9


def test_much_contamination_is_a_warning(test_image, tmp_path):
    _, image, _, _ = test_image
    image = image.copy()
    image[200:720, 300:900] -= 60
    _, result = pick(write_mrc(tmp_path / "x.mrc", image), tmp_path)
    assert result["masked"] > 0.2
    assert [w.split(" cover ")[0] for w in result["warnings"]] == ["contaminants"]


@pytest.mark.parametrize("diameter", [30, 64, 120])
@pytest.mark.parametrize("kind", ["white", "smooth", "gradient"])
def test_nothing_is_found_in_noise(tmp_path, kind, diameter):
    random = np.random.default_rng(17)
    image = random.normal(size=(900, 1000))
    if kind == "smooth":
        image = sum(np.roll(image, (dy, dx), (0, 1)) for dy in range(4) for dx in range(4))
    if kind == "gradient":
        image = image + np.arange(1000) / 300
    picks, result = pick(write_mrc(tmp_path / "x.mrc", image.astype("f4")), tmp_path,
                         diameter=diameter)
    assert len(picks) <= 1 or unreliable(result)
    assert (picks[:, 2] < 0.5).all()


@pytest.mark.parametrize("size, diameter, message", [
    ((100, 300), 60, "too small: 300 x 100 px, at least 120 x 120 expected at a particle diameter "
                     "of 60 px"),
    ((100, 300), 5, "a particle diameter of 5 px leaves no template: at least 8 px expected"),
])
def test_sizes_that_cannot_be_picked(tmp_path, size, diameter, message):
    image = np.random.default_rng(1).normal(size=size)
    path = write_mrc(tmp_path / "x.mrc", image.astype("f4"))
    done = run("pick", "--diameter", f"{diameter}px", "-o", tmp_path, path, status=1)
    assert message in done.stderr


@pytest.mark.parametrize("diameter", [8, 150, 400])
def test_smallest_and_largest_diameters_end(tmp_path, diameter):
    image = np.random.default_rng(2).normal(size=(801, 1003))
    pick(write_mrc(tmp_path / "x.mrc", image.astype("f4")), tmp_path, diameter=diameter)


@needs_data
@pytest.mark.parametrize("factor", [0.8, 1, 1.25])
def test_real_particles(tmp_path, factor):
    directory = DATA / "data/apoferritin"
    path = directory / "May08_03.13.02.mrc"
    truth = np.loadtxt(path.with_name(path.stem + "_truth.txt"))
    picks, result = pick(path, tmp_path, diameter=64 * factor)
    assert not unreliable(result)
    assert agreement(picks, truth, 30) > 0.95
