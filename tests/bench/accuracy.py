"""How right the picks are where the truth is known: precision, recall and F1 by optimal assignment.

    PICKSTREAM_DATA=../shared /usr/bin/python3 tests/bench/accuracy.py [--program FILE] [--ablation]
        [--diagram FILE]

    --ablation       also without each of the profile's rules (build/release/tests/bench/ablation)
    --diagram FILE   reliability diagram of the scores, a PNG

Sets, all picked with the settings by default, nothing but the diameter given:

    apoferritin    six real micrographs, particles 60 to 66 px wide, tolerance 30 px
    synthetic      four, particles 0.65 boxes wide, tolerance 0.35 boxes
    contaminated   a real one with an ice crystal and its published mask: no pick belongs there
    made.py        has more: rods, ice with small contaminants, few particles, and nothing at all

A pick within half a diameter of a place on the ignore list is neither right nor wrong, unless it
matches a particle. The exit status is 1 if a number to reach is missed.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import mrcfile
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import made
from support import DATA, PROGRAM

FACTORS = (0.75, 0.85, 1, 1.15, 1.25)
APOFERRITIN = 64  # px
APOFERRITIN_SWEEP = (52, 56, 60, 64, 68, 72, 80)
SYNTHETIC = 0.65  # boxes
SYNTHETIC_SWEEP = (0.5, 0.575, 0.65, 0.725, 0.8)


class Micrograph:
    def __init__(self, path):
        self.path = path
        self.truth = points(path.with_name(path.stem + "_truth.txt"))
        self.ignored = points(path.with_name(path.stem + "_ignore.txt"))
        self.box = int(path.stem.partition("box")[2] or 0)
        self.diameter = SYNTHETIC * self.box if self.box else APOFERRITIN
        self.tolerance = 0.35 * self.box if self.box else 30

    @classmethod
    def made(cls, path, diameter):
        micrograph = cls(path)
        micrograph.diameter, micrograph.tolerance = diameter, diameter / 3
        return micrograph


def points(path):
    if not path.is_file() or path.stat().st_size == 0:
        return np.zeros((0, 2))
    return np.loadtxt(path, ndmin=2)


def pick(program, path, diameter):
    """The message that the program writes for one micrograph."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([program, "pick", "--diameter", f"{diameter:.6g}px", "--format", "json",
                        "-o", directory, path], check=True, capture_output=True)
        message = json.loads(next(pathlib.Path(directory).glob("*.json")).read_text("utf-8"))
    message["picks"] = np.array(message["picks"], "f8").reshape(-1, 4)
    return message


def match(picks, truth, tolerance):
    """Which picks are right, and the truth of each: as many pairs as can be, the nearest of
    these."""
    distances = cdist(picks[:, :2], truth)
    rows, columns = linear_sum_assignment(np.where(distances <= tolerance, distances - 1e6, 0))
    near = distances[rows, columns] <= tolerance
    return rows[near], columns[near]


def judge(micrograph, picks):
    """For each pick 1, 0 or nan: right, wrong, neither."""
    right, _ = match(picks, micrograph.truth, micrograph.tolerance)
    verdict = np.zeros(len(picks))
    if len(micrograph.ignored) and len(picks):
        near = cdist(picks[:, :2], micrograph.ignored).min(axis=1) <= micrograph.diameter / 2
        verdict[near] = np.nan
    verdict[right] = 1
    return verdict


def rates(micrograph, picks):
    verdict = judge(micrograph, picks)
    right = np.nansum(verdict)
    counted = np.isfinite(verdict).sum()
    precision = right / counted if counted else 0
    recall = right / len(micrograph.truth)
    return precision, recall, 2 * right / (counted + len(micrograph.truth))


class Bench:
    def __init__(self, program):
        self.program = program
        self.cache = {}
        self.missed = []

    def pick(self, micrograph, diameter):
        key = micrograph.path, round(diameter, 4)
        if key not in self.cache:
            self.cache[key] = pick(self.program, micrograph.path, diameter)
        return self.cache[key]

    def limit(self, what, value, least):
        if value < least:
            self.missed.append(f"{what}: {value:.3f}, {least} expected")

    def sweep(self, name, micrographs, diameters, mean_limit, worst_limit):
        """One line: F1 over all micrographs and diameters (a function of the micrograph)."""
        scores = []
        for micrograph in micrographs:
            for diameter in diameters(micrograph):
                message = self.pick(micrograph, diameter)
                scores.append(rates(micrograph, message["picks"])[2])
        worst = min(range(len(scores)), key=scores.__getitem__)
        count = len(scores) // len(micrographs)
        where = micrographs[worst // count]
        print(f"{name:36} mean {np.mean(scores):.3f}  worst {min(scores):.3f}"
              f"  ({where.path.stem}, {diameters(where)[worst % count]:.4g} px)")
        self.limit(f"{name}, mean", np.mean(scores), mean_limit)
        self.limit(f"{name}, worst", min(scores), worst_limit)

    def table(self, micrographs):
        """F1 of each file at each factor."""
        print(f"{'F1 at diameter x':26}" + "".join(f"{factor:8}" for factor in FACTORS)
              + "   precision recall unreliable")
        rows = []
        for micrograph in micrographs:
            row = []
            for factor in FACTORS:
                message = self.pick(micrograph, factor * micrograph.diameter)
                row.append(rates(micrograph, message["picks"])[2])
            message = self.pick(micrograph, micrograph.diameter)
            precision, recall, _ = rates(micrograph, message["picks"])
            flagged = any(w.startswith("unreliable") for w in message["result"]["warnings"])
            print(f"{micrograph.path.stem:26}" + "".join(f"{score:8.3f}" for score in row)
                  + f"{precision:12.3f}{recall:7.3f}{'      yes' if flagged else ''}")
            rows.append(row)
        for what, function in ("mean", np.mean), ("worst", np.min):
            print(f"{what:26}" + "".join(f"{score:8.3f}" for score in function(rows, axis=0)))


# ---- where nothing is to be found ----------------------------------------------------------------

def contaminated(bench):
    path = DATA / "data/contaminated/ice.mrc"
    mask = np.squeeze(mrcfile.read(path.with_name("ice_mask.mrc")))
    crystal = largest_region(mask >= 50)
    for diameter in 30, 40, 60:
        picks = pick(bench.program, path, diameter)["picks"]
        x, y = (np.clip(np.rint(picks[:, k]).astype(int), 0, mask.shape[1 - k] - 1)
                for k in (0, 1))
        on_crystal = int(crystal[y, x].sum())
        on_mask = int((mask[y, x] >= 50).sum()) - on_crystal
        print(f"contaminated, {diameter} px: {len(picks)} picks, {on_crystal} on the crystal, "
              f"{on_mask} elsewhere in the mask")
        if on_crystal > 0 or on_mask > 1:
            bench.missed.append(f"contaminated, {diameter} px: {on_crystal} + {on_mask}")


def largest_region(mask):
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def empty(bench, empties):
    for name, path in empties:
        counts = []
        for diameter in 30, 64, 120:
            message = pick(bench.program, path, diameter)
            flagged = any(w.startswith("unreliable") for w in message["result"]["warnings"])
            counts.append(f"{len(message['picks'])}{' unreliable' if flagged else ''}")
            if len(message["picks"]) > 1 and not flagged:
                bench.missed.append(f"empty, {name}, {diameter} px: {len(message['picks'])}")
        print(f"empty, {name:10} 30, 64, 120 px: {', '.join(counts)}")


# ---- centres -------------------------------------------------------------------------------------

def centres(bench, synthetic, sets):
    """How far right picks lie from centres that are known because they were put there. Limits are
    for `sets`: the truth of `synthetic` is the centre of a ribosome's box, and its projections,
    which have no symmetry, have theirs elsewhere (the prototype errs by as much, 0.06 to 0.09)."""
    print("\ncentres       picks  median error, diameters  mean dx, dy, px")
    for name, micrographs in {"synthetic": synthetic, **sets}.items():
        errors, distances = [], []
        for micrograph in micrographs:
            picks = bench.pick(micrograph, micrograph.diameter)["picks"]
            right, found = match(picks, micrograph.truth, micrograph.tolerance)
            errors.append(picks[right, :2] - micrograph.truth[found])
            distances.append(np.hypot(*errors[-1].T) / micrograph.diameter)
        errors, median = np.concatenate(errors), np.median(np.concatenate(distances))
        mean = errors.mean(axis=0)
        print(f"{name:12} {len(errors):6} {median:24.3f}  {mean[0]:+.2f}, {mean[1]:+.2f}")
        if name in sets and (median > 0.05 or np.abs(mean).max() > 0.5):
            bench.missed.append(f"centres, {name}: {median:.3f} D, {mean[0]:.2f}, {mean[1]:.2f} px")


# ---- scores --------------------------------------------------------------------------------------

def calibration(bench, micrographs, diagram):
    """What the scores promise against what is right, in ten bins."""
    scores, verdicts = [], []
    for micrograph in micrographs:
        for factor in FACTORS:
            picks = bench.pick(micrograph, factor * micrograph.diameter)["picks"]
            verdicts.append(judge(micrograph, picks))
            scores.append(picks[:, 2])
    scores, verdicts = np.concatenate(scores), np.concatenate(verdicts)
    counted = np.isfinite(verdicts)
    scores, verdicts = scores[counted], verdicts[counted]
    bins = np.minimum((10 * scores).astype(int), 9)
    print("\nscores: picks, mean score, share that is right")
    error, rows = 0, []
    for k in range(10):
        inside = bins == k
        if inside.any():
            promised, right = scores[inside].mean(), verdicts[inside].mean()
            rows.append((inside.sum(), promised, right))
            error += inside.mean() * abs(promised - right)
            print(f"  {k / 10:.1f} to {k / 10 + 0.1:.1f} {inside.sum():6} {promised:7.3f} {right:7.3f}")
    print(f"expected calibration error {error:.3f}")
    if error > 0.05:
        bench.missed.append(f"expected calibration error {error:.3f}, 0.05 expected")
    if diagram:
        draw_reliability(rows, error, diagram)


def draw_reliability(rows, error, path):
    from PIL import Image, ImageDraw

    side, margin = 400, 50
    image = Image.new("RGB", (side + 2 * margin, side + 2 * margin), "white")
    draw = ImageDraw.Draw(image)

    def at(x, y):
        return margin + side * x, margin + side * (1 - y)

    draw.rectangle([*at(0, 1), *at(1, 0)], outline="black")
    draw.line([*at(0, 0), *at(1, 1)], fill="gray")
    for k in range(11):
        x, y = at(k / 10, 0)
        draw.text((x - 8, y + 6), f"{k / 10:.1f}", fill="black")
        x, y = at(0, k / 10)
        draw.text((x - 26, y - 6), f"{k / 10:.1f}", fill="black")
    for count, promised, right in rows:
        x, y = at(promised, right)
        radius = 2 + 2 * np.log10(count)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill="steelblue")
        draw.text((x - 12, y + radius + 1), str(count), fill="black")
    draw.text((margin, 12), f"share of picks that are right (up) by score; error {error:.3f}",
              fill="black")
    image.save(path)


def made_sets(program, directory):
    return {name: [Micrograph.made(path, diameter) for path, diameter in made_by(program, directory)]
            for name, made_by in (("elongated", made.elongated), ("spotted", made.spotted),
                                  ("few", made.few))}


# ---- what each rule is worth ---------------------------------------------------------------------

RULES = ("none", "frame", "coarse search", "outstanding", "outliers", "probation", "certain",
         "low threshold", "support vectors", "energy channel", "contaminants", "learning")


def pick_without(tool, rule, path, diameter):
    done = subprocess.run([tool, rule, f"{diameter:.6g}px", path], check=True, capture_output=True,
                          encoding="utf-8")
    lines = [line.split() for line in done.stdout.splitlines()]
    return np.array(lines[1:], "f8").reshape(-1, 3), lines[0][1] == "unreliable"


def ablation(program, sets, empties):
    tool = pathlib.Path(program).parent / "tests/bench/ablation"
    print("\nF1, mean and worst, at diameter x " + ", ".join(map(str, FACTORS))
          + ";\npicks of empty micrographs that are not said to be unreliable\n"
          f"{'left out':18}" + "".join(f"{name:>16}" for name in sets) + f"{'empty':>8}")
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    for rule in RULES:
        line = f"{rule:18}"
        for micrographs in sets.values():
            def score(run, rule=rule):
                micrograph, factor = run
                diameter = factor * micrograph.diameter
                return rates(micrograph, pick_without(tool, rule, micrograph.path, diameter)[0])[2]
            scores = list(pool.map(score, [(m, factor) for m in micrographs for factor in FACTORS]))
            line += f"{np.mean(scores):9.3f}{min(scores):7.3f}"
        found = pool.map(lambda run, rule=rule: pick_without(tool, rule, *run),
                         [(path, diameter) for _, path in empties for diameter in (30, 64, 120)])
        wrong = sum(0 if flagged else len(picks) for picks, flagged in found)
        print(f"{line}{wrong:8}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--diagram", type=pathlib.Path)
    arguments = parser.parse_args()
    bench = Bench(arguments.program)
    apoferritin, synthetic = ([Micrograph(path) for path in sorted((DATA / "data" / name).glob("*.mrc"))]
                              for name in ("apoferritin", "synthetic"))
    bench.table(apoferritin + synthetic)
    print()
    bench.sweep("apoferritin, 64 px", apoferritin, lambda m: [APOFERRITIN], 0.95, 0.92)
    bench.sweep("apoferritin, 52 to 80 px", apoferritin, lambda m: APOFERRITIN_SWEEP, 0.94, 0.88)
    bench.sweep("synthetic, 0.65 box", synthetic, lambda m: [m.diameter], 0.985, 0.97)
    bench.sweep("synthetic, 0.5 to 0.8 box", synthetic,
                lambda m: [factor * m.box for factor in SYNTHETIC_SWEEP], 0.98, 0.95)
    with tempfile.TemporaryDirectory() as directory:
        sets = made_sets(arguments.program, directory)
        empties = list(made.empty(arguments.program, directory))
        for name, micrographs in sets.items():
            bench.sweep(f"{name}, D x 0.75 to 1.25", micrographs,
                        lambda m: [factor * m.diameter for factor in FACTORS], 0.9, 0.75)
        contaminated(bench)
        empty(bench, empties)
        centres(bench, synthetic, sets)
        calibration(bench, apoferritin + synthetic, arguments.diagram)
        if arguments.ablation:
            ablation(arguments.program,
                     {"apoferritin": apoferritin, "synthetic": synthetic, **sets}, empties)
    for line in bench.missed:
        print("missed:", line)
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
