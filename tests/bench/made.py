"""Micrographs for sets.py whose particles are known because they were put there: what
../shared/data has none of. All of them are the same at every run."""

import pathlib
import subprocess

import mrcfile
import numpy as np
from micrographs import read_star
from scipy import ndimage


def write(path, image, truth=None, ignored=None):
    with mrcfile.new(path, overwrite=True, data=image.astype("f4")) as mrc:
        mrc.voxel_size = 1
    for what, points in ("truth", truth), ("ignore", ignored):
        if points is not None:
            np.savetxt(path.with_name(f"{path.stem}_{what}.txt"), points)
    return path


def synth(program, directory, *options):
    """Paths of `pickstream synth`'s micrographs, 1 angstrom a pixel, and their true centres."""
    subprocess.run([program, "synth", "--pixel-size", "1", "--contaminants", "0",
                    *map(str, options), directory], check=True, capture_output=True)
    for path in sorted(pathlib.Path(directory).glob("synth_*[0-9].mrc")):
        truth = read_star(path.with_name(path.stem + "_truth.star"))
        yield path, np.column_stack(list(truth.values()))[:, :2]


# ---- rods ----------------------------------------------------------------------------------------

def elongated(_, directory):
    """Rods half as wide as long, in all directions of the plane, dark in white noise."""
    random = np.random.default_rng(7)
    shape, length = (1400, 1500), 80
    for index, contrast in enumerate((1.0, 0.5)):
        image, centres = np.zeros(shape), []
        while len(centres) < 150:
            centre = random.uniform((0, 0), shape[::-1])
            if all(np.hypot(*(centre - other)) > length for other in centres):
                centres.append(centre)
                angle = random.uniform(0, np.pi)
                left, top = np.maximum(centre.astype(int) - length, 0)
                y, x = np.mgrid[top:min(top + 2 * length, shape[0]),
                                left:min(left + 2 * length, shape[1])]
                along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
                across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
                rod = (np.abs(along) < length / 2) * np.sqrt(
                    np.maximum(0, 1 - (across / (length / 4)) ** 2))
                image[y, x] -= contrast * rod
        path = pathlib.Path(directory) / f"elongated{index + 1}.mrc"
        yield write(path, image + random.normal(size=shape), centres), length


# ---- contaminants --------------------------------------------------------------------------------

def blob(random, x, y, diameter, noise):
    """A drop of frozen ethane or the like: a soft dark disk. How much darker, and where."""
    radius = diameter * random.uniform(0.25, 0.8)
    centre = random.uniform(0, x.max()), random.uniform(0, y.max())
    turn, flat = random.uniform(0, np.pi), random.uniform(0.6, 1)
    along = (x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)
    across = ((y - centre[1]) * np.cos(turn) - (x - centre[0]) * np.sin(turn)) / flat
    inside = radius - np.hypot(along, across)
    dark = noise * random.uniform(0.6, 2.5) / (1 + np.exp(-inside / (0.06 * diameter)))
    return dark, inside > -0.1 * diameter


def crystal(random, x, y, diameter, noise):
    """Ice with straight edges, fringes and a bright rim."""
    radius = diameter * random.uniform(2, 4)
    centre = random.uniform(0, x.max()), random.uniform(0, y.max())
    inside = np.full(x.shape, np.inf)
    for side in range(7):
        turn = 2 * np.pi * side / 7 + random.uniform(-0.3, 0.3)
        inside = np.minimum(inside, radius - (x - centre[0]) * np.cos(turn)
                            - (y - centre[1]) * np.sin(turn))
    fringes = 1 + 0.15 * np.sin(random.uniform(0.3, 0.9) * (x + 0.5 * y))
    dark = noise * random.uniform(4, 9) * fringes / (1 + np.exp(-inside / 3))
    return dark - 1.5 * noise * np.exp(-0.5 * ((inside + 4) / 3) ** 2), inside > -0.2 * diameter


def carbon(random, x, y, diameter, noise):
    """The edge of the film, and its texture."""
    inside = np.hypot(x - 0.15 * x.max(), y - 0.5 * y.max()) - 1.1 * y.max()
    texture = ndimage.gaussian_filter(random.normal(size=x.shape), 1.5) * 6
    return noise * (2.5 + 1.2 * texture) / (1 + np.exp(-inside / 2)), inside > -0.2 * diameter


def spotted(program, directory):
    """Particles among what should not be picked. Those on or near it are to be ignored."""
    diameter, noise, seed = 60, 7, 100
    for things in [blob] * 14, [crystal] * 2 + [blob] * 7, [carbon]:
        for particles, snr in (60, 0.1), (60, 0.04), (150, 0.06):
            seed += 1
            random = np.random.default_rng(seed)
            made = synth(program, pathlib.Path(directory) / f"spotted{seed}", "--size", "1200x1100",
                         "--diameter", diameter, "--particles", particles, "--snr", snr,
                         "--seed", seed)
            path, truth = next(made)
            image = mrcfile.read(path).astype("f8")
            y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype("f8")
            hidden = np.zeros(image.shape, bool)
            for thing in things:
                dark, covered = thing(random, x, y, diameter, noise)
                image -= dark
                hidden |= covered
            column, row = np.rint(truth).astype(int).T
            lost = hidden[row, column]
            path = pathlib.Path(directory) / f"spotted{seed}.mrc"
            yield write(path, image, truth[~lost], truth[lost]), diameter


def few(program, directory):
    """From very clear particles to hardly visible ones, not many of them."""
    for seed, (diameter, particles, snr) in enumerate(
            [(64, 10, 0.5), (64, 15, 0.5), (64, 12, 0.1), (64, 12, 0.04), (100, 30, 0.1),
             (150, 25, 0.05)]):
        made = synth(program, pathlib.Path(directory) / f"few{seed}", "--size", "1300x1200",
                     "--diameter", diameter, "--particles", particles, "--snr", snr,
                     "--seed", 300 + seed)
        path, truth = next(made)
        yield write(path.with_name(f"few{seed}.mrc"), mrcfile.read(path), truth), diameter
