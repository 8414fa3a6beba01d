"""Do small changes of the image or of the diameter change the picks? Needs no truth.

    PICKSTREAM_DATA=../shared nice /usr/bin/python3 tests/bench/stability.py [--program FILE]
        [--sets NAME ...]
    ... stability.py --diameter PX FILE ...

Each micrograph of the data, or each FILE, is picked

    D x 0.7 to 1.4   in steps of 0.1: each is compared with the next
    sixteenths       grey levels rounded to 1/16 of a level; those of an 8-bit file get a random
                     part of a level first, which undoes the rounding that it has been through
    levels           rounded to whole levels (not of 8-bit files); a level of other files is 1/16 of
                     their standard deviation
    crop             5 % of the rows and columns cut off, compared where both images are
    flip, turn       mirrored left to right, rotated by 90 degrees
    noise            white noise of a tenth of the standard deviation added
    bin              2 x 2 pixels averaged, half the diameter

at the true diameter except in the first row, and compared with the unchanged image. Coordinates
are transformed back. For each pair: the change of F1 at 0.3 D where the truth is known, and the
overlap: the share of the picks with a score above 0.8 of one that have a pick of the other within
0.3 D, the smaller of both directions. A pair is unstable if F1 changes by 0.1 or more or the
overlap is below 0.9: these are listed, and the exit status is 1 if there are any.
"""

import argparse
import dataclasses
import itertools
import pathlib
import sys
import tempfile
import typing

import numpy as np
from scipy.spatial import cKDTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pickers
import scoring
from made import write
from sets import ICE, ICE_DIAMETER, Micrograph, data_sets
from support import PROGRAM

FACTORS = 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4
CONFIDENT = 0.8
MAX_F1_CHANGE = 0.1  # a change as large as this is unstable
MIN_OVERLAP = 0.9
CROP = 0.05
NOISE = 0.1  # standard deviations
LEVELS = 16  # grey levels in a standard deviation of files that have no 8-bit levels


# ---- changes of the image ------------------------------------------------------------------------

class Change(typing.NamedTuple):
    image: np.ndarray
    back: typing.Callable = lambda xy: xy  # coordinates of the unchanged image
    scale: float = 1  # of the diameter
    corner: tuple = (0, 0)  # x y; the changed image has nothing to the left or above


def sixteenths(micrograph, image, random):
    if not micrograph.integer:
        step = image.std() / LEVELS / 16
        return Change(np.rint(image / step) * step)
    dithered = image + random.uniform(-0.5, 0.5, image.shape)
    return Change(np.rint(16 * dithered) / 16)


def levels(micrograph, image, _):
    if micrograph.integer:
        return None
    step = image.std() / LEVELS
    return Change(np.rint(image / step) * step)


def crop(_, image, __):
    top, left = (round(CROP * side) for side in image.shape)
    return Change(image[top:, left:], lambda xy: xy + (left, top), corner=(left, top))


def flip(_, image, __):
    width = image.shape[1]
    return Change(image[:, ::-1], lambda xy: np.column_stack([width - 1 - xy[:, 0], xy[:, 1]]))


def turn(_, image, __):
    """The pixel at row x, column height - 1 - y of the changed image was at x, y."""
    height = image.shape[0]
    return Change(np.rot90(image, -1),
                  lambda xy: np.column_stack([xy[:, 1], height - 1 - xy[:, 0]]))


def noise(_, image, random):
    return Change(image + NOISE * image.std() * random.normal(size=image.shape))


def bin2(_, image, __):
    rows, columns = (side // 2 * 2 for side in image.shape)
    binned = image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
    return Change(binned, lambda xy: 2 * xy + 0.5, scale=0.5)


CHANGES = {"sixteenths": sixteenths, "levels": levels, "crop": crop, "flip": flip, "turn": turn,
           "noise": noise, "bin": bin2}


def changed_picks(program, micrograph, name):
    """Picks in the changed image, in coordinates of the unchanged one, and the corner from which
    both can be compared; None if the change is none."""
    change = CHANGES[name](micrograph, micrograph.image().astype("f8"), np.random.default_rng(3))
    if change is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        path = write(pathlib.Path(directory) / f"{micrograph.path.stem}_{name}.mrc", change.image)
        found = pickers.pick(program, path, change.scale * micrograph.diameter)
    picks = found.picks.copy()
    picks[:, :2] = change.back(picks[:, :2])
    return found._replace(picks=picks), change.corner


# ---- pairs ---------------------------------------------------------------------------------------

class Pair(typing.NamedTuple):
    micrograph: Micrograph
    change: str
    counts: tuple[int, int]
    flagged: tuple[bool, bool]
    f1: tuple[float, float] | None
    overlap: float

    @property
    def f1_change(self):
        return abs(self.f1[1] - self.f1[0]) if self.f1 else np.nan

    @property
    def unstable(self):
        # Rounding must not decide about a change of exactly the limit.
        return (self.f1 is not None and self.f1_change >= MAX_F1_CHANGE - 1e-9) \
            or self.overlap < MIN_OVERLAP - 1e-9


def found_again(picks, others, distance):
    """Share of the confident picks that have another pick near; 1 if there are none."""
    confident = picks[picks[:, 2] > CONFIDENT, :2]
    if not len(confident):
        return 1.0
    if not len(others):
        return 0.0
    return (cKDTree(others[:, :2]).query(confident)[0] <= distance).mean()


def inside(points, corner):
    return points[(points[:, :2] >= corner).all(axis=1)]


def compare(micrograph, change, first, second, corner=(0, 0)):
    """`corner` limits the comparison to what lies right of it and below. A confident pick within
    half a diameter of it need not be found again: its particle may be cut."""
    distance = scoring.TOLERANCE * micrograph.diameter
    safe = np.array(corner) + micrograph.diameter / 2 * (np.array(corner) > 0)
    overlap = min(found_again(inside(a.picks, safe), b.picks, distance)
                  for a, b in ((first, second), (second, first)))
    f1 = None
    if len(micrograph.truth):
        seen = dataclasses.replace(micrograph, truth=inside(micrograph.truth, corner),
                                   ignored=inside(micrograph.ignored, corner))
        f1 = tuple(scoring.rates(seen, inside(one.picks, corner)).f1 for one in (first, second))
    return Pair(micrograph, change, (len(first.picks), len(second.picks)),
                (first.unreliable, second.unreliable), f1, overlap)


def pairs_of(program, micrographs):
    """All pairs of the micrographs; the program runs on two at a time."""
    pickers.warm(pickers.pick, [(program, m.path, factor * m.diameter)
                                for m in micrographs for factor in FACTORS])
    runs = list(itertools.product(micrographs, CHANGES))
    changed = pickers.parallel(lambda run: changed_picks(program, *run), runs)
    for micrograph in micrographs:
        swept = [pickers.pick(program, micrograph.path, factor * micrograph.diameter)
                 for factor in FACTORS]
        for k in range(len(FACTORS) - 1):
            yield compare(micrograph, f"D x {FACTORS[k]} to {FACTORS[k + 1]}", *swept[k:k + 2])
    for (micrograph, name), result in zip(runs, changed):
        if result:
            found, corner = result
            plain = pickers.pick(program, micrograph.path, micrograph.diameter)
            yield compare(micrograph, name, plain, found, corner)


# ---- report --------------------------------------------------------------------------------------

def report(name, pairs):
    def row(what, group):
        changes, overlaps = [pair.f1_change for pair in group], [pair.overlap for pair in group]
        known = any(pair.f1 for pair in group)
        f1 = f"{np.mean(changes):9.3f}{max(changes):8.3f}" if known else f"{'-':>9}{'-':>8}"
        print(f"{name:13}{what:17}{len(group):6}{f1}{np.mean(overlaps):10.3f}{min(overlaps):8.3f}"
              f"{sum(pair.unstable for pair in group):10}", flush=True)

    groups = {}
    for pair in pairs:
        groups.setdefault(pair.change, []).append(pair)
    for change, group in groups.items():
        row(change, group)
    row("all", pairs)


def print_pair(pair):
    counts = ", ".join(f"{count}{'?' if flagged else ''}"
                       for count, flagged in zip(pair.counts, pair.flagged))
    f1 = f"F1 {pair.f1[0]:.3f}, {pair.f1[1]:.3f}  " if pair.f1 else ""
    print(f"  {pair.micrograph.path.stem:32}{pair.change:17}{f1}overlap {pair.overlap:.3f}  "
          f"picks {counts}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--sets", nargs="+", help="only these")
    parser.add_argument("--diameter", type=float, help="of the particles in the files, px")
    parser.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE")
    arguments = parser.parse_args()
    if bool(arguments.files) != bool(arguments.diameter):
        parser.error("files need --diameter, and --diameter files")
    if arguments.files:
        sets = {"files": [Micrograph.read(path, arguments.diameter) for path in arguments.files]}
    else:
        sets = data_sets()
        if ICE.exists():
            sets["contaminated"] = [Micrograph.read(ICE, ICE_DIAMETER)]
    if arguments.sets:
        sets = {name: sets[name] for name in arguments.sets}
    print(f"{'set':13}{'change':17}{'pairs':>6}{'dF1 mean':>9}{'worst':>8}{'overlap':>10}"
          f"{'worst':>8}{'unstable':>10}")
    unstable, total = [], 0
    for name, micrographs in sets.items():
        pairs = list(pairs_of(arguments.program, micrographs))
        report(name, pairs)
        total += len(pairs)
        unstable += [pair for pair in pairs if pair.unstable]
    print(f"{len(unstable)} of {total} pairs are unstable (? = flagged unreliable)")
    for pair in unstable:
        print_pair(pair)
    return 1 if unstable else 0


if __name__ == "__main__":
    sys.exit(main())
