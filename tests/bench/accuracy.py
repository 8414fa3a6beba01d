"""How right the picks are where the truth is known: F1, its limits, and what the scores promise.

    PICKSTREAM_DATA=../shared nice /usr/bin/python3 tests/bench/accuracy.py [--program FILE]
        [--factors F ...] [--relion] [--markdown] [--files] [--ablation] [--diagram FILE]

Every set of sets.py is picked with the settings by default, nothing but the diameter given: the
true one times each factor. Columns of the main table:

    F1 mean, worst     at 0.3 D, over all files and factors
    D/2                mean F1 at half a diameter
    prec, recall       means at 0.3 D
    flagged            runs that the program calls unreliable
    chance             F1 at 0.3 D of random points 0.7 D apart, at their best number
    oracle             F1 at 0.3 D at the best threshold of each run's candidates, by the truth
    AP                 average precision of these candidates; both need the tool
                       tests/bench/ablation beside the program
    s                  seconds of a run with one thread, median
    RELION             its Laplacian picker with D +- 10 % (--relion): F1 at 0.3 D
    at D/2, best cut   the same at half a diameter; at 0.3 D with the best threshold of each run by
                       the truth

The exit status is 1 if a limit below is missed. nulls.py and stability.py have the micrographs
without particles and the small changes of an image.
"""

import argparse
import pathlib
import sys
import tempfile

import mrcfile
import numpy as np
from scipy import ndimage

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import leave_out
import pickers
import reliability
import scoring
from sets import COMPLETE, ICE, MADE, data_sets, made_sets
from support import PROGRAM

FACTORS = 0.8, 1, 1.2

# Set: tolerance in D of the limits, least mean and least worst F1 over all files and factors.
LIMITS = {
    "ribosome80s": (0.3, 0.84, 0.65),
    "trpv1": (0.3, 0.52, 0.40),
    "betagal": (0.3, 0.72, 0.60),
    "klh": (0.3, 0.65, 0.45),
    "apoferritin": (30 / 64, 0.965, 0.93),
    "synthetic": (0.3, 0.98, 0.95),
    "rods": (1 / 3, 0.9, 0.75),
    "spotted": (1 / 3, 0.9, 0.75),
    "few": (1 / 3, 0.9, 0.75),
}
MAX_CALIBRATION_ERROR = 0.03  # over all sets with complete truth
MAX_CALIBRATION_ERROR_OF_A_SET = 0.06
MAX_CENTRE_ERROR = 0.05  # diameters, median
MAX_CENTRE_BIAS = 0.5  # px, mean
CENTRES = "rods", "spotted", "few"  # sets whose centres are exact


class Bench:
    def __init__(self, arguments):
        self.program = arguments.program
        self.tool = str(pathlib.Path(arguments.program).parent / "tests/bench/ablation")
        self.factors = arguments.factors
        self.relion = arguments.relion
        self.missed = []

    def runs(self, micrographs):
        return [(micrograph, factor * micrograph.diameter)
                for micrograph in micrographs for factor in self.factors]

    def prepare(self, micrographs):
        """Runs every program on the files, two at a time."""
        runs = self.runs(micrographs)
        pickers.warm(pickers.pick, [(self.program, m.path, d) for m, d in runs])
        pickers.warm(pickers.candidates, [(self.tool, m.path, d) for m, d in runs])
        if self.relion:
            pickers.warm(pickers.relion, [(m.path, d, adjust) for m, d in runs
                                          for adjust in (0, pickers.RELION_CANDIDATES)])

    def picks(self, micrograph, diameter):
        return pickers.pick(self.program, micrograph.path, diameter).picks

    def most(self, what, value, limit):
        if value > limit:
            self.missed.append(f"{what}: {value:.3f}, at most {limit} expected")

    def least(self, what, value, limit):
        if value < limit:
            self.missed.append(f"{what}: {value:.3f}, at least {limit} expected")


# ---- the main table ------------------------------------------------------------------------------

def over_candidates(function, runs, lists):
    """Mean of a function over runs and their candidates; None if a list is missing."""
    if any(candidates is None for candidates in lists):
        return None
    return np.mean([function(micrograph, candidates)
                    for (micrograph, _), candidates in zip(runs, lists)])


def measure(bench, micrographs):
    """The columns of a set by heading; None where there is no value."""
    bench.prepare(micrographs)
    runs = bench.runs(micrographs)
    found = [pickers.pick(bench.program, m.path, d) for m, d in runs]
    near = [scoring.rates(m, one.picks) for (m, _), one in zip(runs, found)]
    half = [scoring.rates(m, one.picks, 0.5).f1 for (m, _), one in zip(runs, found)]
    lists = [pickers.candidates(bench.tool, m.path, d) for m, d in runs]
    row = {
        "files": len(micrographs),
        "F1 mean": np.mean([rates.f1 for rates in near]),
        "worst": min(rates.f1 for rates in near),
        "D/2": np.mean(half),
        "prec": np.mean([rates.precision for rates in near]),
        "recall": np.mean([rates.recall for rates in near]),
        "flagged": f"{sum(one.unreliable for one in found)}/{len(found)}",
        "chance": np.mean([scoring.chance(micrograph) for micrograph in micrographs]),
        "oracle": over_candidates(scoring.best_cut, runs, lists),
        "AP": over_candidates(scoring.average_precision, runs, lists),
        "s": f"{np.median([one.seconds for one in found]):.2f}",
    }
    if bench.relion:
        for heading, tolerance in ("RELION", scoring.TOLERANCE), ("at D/2", 0.5):
            row[heading] = np.mean([scoring.rates(m, pickers.relion(m.path, d, 0), tolerance).f1
                                    for m, d in runs])
        row["best cut"] = np.mean([scoring.best_cut(m, pickers.relion(
            m.path, d, pickers.RELION_CANDIDATES)) for m, d in runs])
    return row


def text(value):
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def print_table(bench, sets, markdown):
    """A line as soon as a set is done."""
    for place, (name, micrographs) in enumerate(sets.items()):
        row = measure(bench, micrographs)
        if markdown:
            if place == 0:
                print("| set | " + " | ".join(row) + " |\n|" + "---|" * (len(row) + 1))
            print(f"| {name} | " + " | ".join(map(text, row.values())) + " |", flush=True)
        else:
            if place == 0:
                print(f"{'set':12}" + "".join(f"{heading:>9}" for heading in row))
            print(f"{name:12}" + "".join(f"{text(value):>9}" for value in row.values()),
                  flush=True)


def check_limits(bench, sets):
    print("\nlimits         tolerance  F1 mean  at least  worst  at least")
    for name, micrographs in sets.items():
        tolerance, mean, worst = LIMITS[name]
        scores = [scoring.rates(m, bench.picks(m, d), tolerance).f1
                  for m, d in bench.runs(micrographs)]
        print(f"{name:12} {tolerance:9.2f} D {np.mean(scores):8.3f} {mean:9} {min(scores):6.3f} "
              f"{worst:9}")
        bench.least(f"{name}, mean F1 at {tolerance:.2f} D", np.mean(scores), mean)
        bench.least(f"{name}, worst F1 at {tolerance:.2f} D", min(scores), worst)


def print_files(bench, sets):
    print(f"\n{'F1 at 0.3 D, diameter x':32}" + "".join(f"{factor:9}" for factor in bench.factors))
    for micrographs in sets.values():
        for micrograph in micrographs:
            line = f"{micrograph.path.stem:32}"
            for factor in bench.factors:
                one = pickers.pick(bench.program, micrograph.path, factor * micrograph.diameter)
                f1 = scoring.rates(micrograph, one.picks).f1
                line += f"{f1:8.3f}{'?' if one.unreliable else ' '}"
            print(line)
    print("? = flagged unreliable")


# ---- scores, centres, the crystal ----------------------------------------------------------------

def calibration(bench, sets, diagram):
    print("\nexpected calibration error of the scores (limits only where the truth is complete)")
    pooled = []
    for name, micrographs in sets.items():
        parts = []
        for micrograph, diameter in bench.runs(micrographs):
            picks = bench.picks(micrograph, diameter)
            parts.append((picks[:, 2], scoring.judge(micrograph, picks, LIMITS[name][0])))
        scores, verdicts = map(np.concatenate, zip(*parts))
        error = reliability.expected_error(reliability.bins(scores, verdicts))
        print(f"  {name:12} {error:.3f}{'' if name in COMPLETE else '  (truth incomplete)'}")
        if name in COMPLETE:
            pooled.append((scores, verdicts))
            bench.most(f"calibration error, {name}", error, MAX_CALIBRATION_ERROR_OF_A_SET)
    if not pooled:
        return
    rows = reliability.bins(*map(np.concatenate, zip(*pooled)))
    error = reliability.expected_error(rows)
    print(f"  all with complete truth {error:.3f}\nscores: picks, mean score, share that is right")
    reliability.print_bins(rows)
    bench.most("calibration error, all sets", error, MAX_CALIBRATION_ERROR)
    if diagram:
        reliability.draw(rows, diagram)


def centres(bench, sets):
    """How far right picks lie from the true centres, at the true diameter. The truth of the
    synthetic set is the centre of a ribosome's box, not of its projection: it has no limit."""
    print("\ncentres       picks  median error, D  mean dx, dy, px")
    for name, micrographs in sets.items():
        if name not in COMPLETE:
            continue
        errors, distances = [], []
        for micrograph in micrographs:
            picks = bench.picks(micrograph, micrograph.diameter)
            right, found = scoring.match(picks, micrograph.truth, micrograph.diameter / 2)
            errors.append(picks[right, :2] - micrograph.truth[found])
            distances.append(np.hypot(*errors[-1].T) / micrograph.diameter)
        errors, distances = np.concatenate(errors), np.concatenate(distances)
        if not len(errors):
            print(f"{name:12}      0")
            continue
        median, mean = np.median(distances), errors.mean(axis=0)
        print(f"{name:12} {len(errors):6} {median:16.3f}  {mean[0]:+.2f}, {mean[1]:+.2f}")
        if name in CENTRES:
            bench.most(f"centres, {name}, D", median, MAX_CENTRE_ERROR)
            bench.most(f"centres, {name}, bias in px", np.abs(mean).max(), MAX_CENTRE_BIAS)


def contaminated(bench):
    """A real micrograph with an ice crystal and a published mask: no pick belongs there."""
    mask = np.squeeze(mrcfile.read(ICE.with_name("ice_mask.mrc"))) >= 50
    labels, _ = ndimage.label(mask)
    crystal = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    print()
    for diameter in 30, 40, 60:
        picks = pickers.pick(bench.program, ICE, diameter).picks
        x, y = (np.clip(np.rint(picks[:, k]).astype(int), 0, mask.shape[1 - k] - 1)
                for k in (0, 1))
        on_crystal = int(crystal[y, x].sum())
        elsewhere = int(mask[y, x].sum()) - on_crystal
        print(f"contaminated, {diameter} px: {len(picks)} picks, {on_crystal} on the crystal, "
              f"{elsewhere} elsewhere in the mask")
        bench.most(f"contaminated, {diameter} px, picks on the crystal", on_crystal, 0)
        bench.most(f"contaminated, {diameter} px, picks elsewhere in the mask", elsewhere, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS)
    parser.add_argument("--sets", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--relion", action="store_true", help="RELION's picker on the same files")
    parser.add_argument("--markdown", action="store_true", help="the main table for a document")
    parser.add_argument("--files", action="store_true", help="F1 of each file and factor")
    parser.add_argument("--ablation", action="store_true",
                        help="also without each of the profile's rules")
    parser.add_argument("--diagram", type=pathlib.Path, help="reliability diagram, a PNG")
    arguments = parser.parse_args()
    if arguments.relion and not pickers.has_relion():
        parser.error(f"{pickers.RELION} is not installed")
    bench = Bench(arguments)
    with tempfile.TemporaryDirectory() as directory:
        sets = data_sets() | made_sets(bench.program, directory,
                                       [name for name in MADE if name in arguments.sets])
        sets = {name: micrographs for name, micrographs in sets.items() if name in arguments.sets}
        print_table(bench, sets, arguments.markdown)
        check_limits(bench, sets)
        if arguments.files:
            print_files(bench, sets)
        calibration(bench, sets, arguments.diagram)
        centres(bench, sets)
        contaminated(bench)
        if arguments.ablation:
            leave_out.table(bench, sets, directory)
    for line in bench.missed:
        print("missed:", line)
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
