"""The sets of micrographs with known particles, for accuracy.py and stability.py.

Files of the data directory (PICKSTREAM_DATA, default ../shared), and sets that made.py writes:

    ribosome80s, trpv1, betagal, klh   three real micrographs each, truth incomplete or disputed
    apoferritin                        six real micrographs, annotated completely
    synthetic                          four, ribosome projections
    rods, spotted, few                 written by made.py: rods, particles among contaminants,
                                       10 to 30 particles
"""

import dataclasses
import functools
import pathlib

import made
import mrcfile
import numpy as np
from support import DATA

# True diameters in px. Those of the synthetic set are a share of the box in the file's name.
DIAMETERS = {"ribosome80s": 56, "trpv1": 35, "betagal": 54, "klh": 170, "apoferritin": 64}
SYNTHETIC_DIAMETER = 0.65  # boxes

MADE = {"rods": made.elongated, "spotted": made.spotted, "few": made.few}

# All particles of these sets are known: every other pick is wrong.
COMPLETE = "apoferritin", "synthetic", *MADE

ICE = DATA / "data/contaminated/ice.mrc"
ICE_DIAMETER = 40  # px; the file has no known particles


@dataclasses.dataclass(frozen=True, eq=False)
class Micrograph:
    path: pathlib.Path
    diameter: float  # px, the true one
    truth: np.ndarray  # x y in px; no rows if unknown
    ignored: np.ndarray  # a pick near one of these is neither right nor wrong

    @classmethod
    def read(cls, path, diameter):
        return cls(path, diameter, points(path.with_name(path.stem + "_truth.txt")),
                   points(path.with_name(path.stem + "_ignore.txt")))

    @functools.cached_property
    def shape(self):
        with mrcfile.open(self.path, header_only=True, permissive=True) as mrc:
            return int(mrc.header.ny), int(mrc.header.nx)

    @functools.cached_property
    def integer(self):
        """Whether the file holds 8-bit grey levels."""
        with mrcfile.open(self.path, header_only=True, permissive=True) as mrc:
            return int(mrc.header.mode) == 0

    def image(self):
        return np.squeeze(mrcfile.read(self.path)).astype("f4")


def points(path):
    if not path.is_file() or path.stat().st_size == 0:
        return np.zeros((0, 2))
    return np.loadtxt(path, ndmin=2)[:, :2]


def data_sets():
    """Micrographs of the data directory by name of their set."""
    sets = {}
    for name in "ribosome80s", "trpv1", "betagal", "klh":
        sets[name] = [Micrograph.read(path, DIAMETERS[name])
                      for path in sorted((DATA / "data/real" / name).glob("*.mrc"))]
    sets["apoferritin"] = [Micrograph.read(path, DIAMETERS["apoferritin"])
                           for path in sorted((DATA / "data/apoferritin").glob("*.mrc"))]
    sets["synthetic"] = [
        Micrograph.read(path, SYNTHETIC_DIAMETER * int(path.stem.partition("box")[2]))
        for path in sorted((DATA / "data/synthetic").glob("*.mrc"))]
    return {name: micrographs for name, micrographs in sets.items() if micrographs}


def made_sets(program, directory, names=tuple(MADE)):
    """Micrographs that made.py writes into a directory, by name of their set."""
    return {name: [Micrograph.read(path, diameter)
                   for path, diameter in MADE[name](program, directory)] for name in names}
