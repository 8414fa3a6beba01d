"""What each rule of the adaptive profile is worth: accuracy with the rule left out (ablation.c)."""

import pathlib

import null_images
import numpy as np
import pickers
import scoring

RULES = ("none", "frame", "coarse search", "strange windows", "clean search", "outliers",
         "contenders", "parts", "more noise", "support vectors", "energy channel", "contaminants",
         "learning")
NULLS = "white", "gradients", "pink", "blurred", "poisson", "ctf", "ice"
NULL_DIAMETERS = 30, 64, 120  # px


def table(bench, sets, directory):
    """Mean and worst F1 at 0.3 D of each set, and the picks on micrographs without particles that
    are not flagged. "-" where the tool does not know the rule."""
    print(f"\nF1 at 0.3 D, mean and worst\n{'left out':16}"
          + "".join(f"{name:>15}" for name in sets) + f"{'nulls':>7}")
    nulls = [null_images.write_null(bench.program, kind, 0, 64, pathlib.Path(directory))
             for kind in NULLS]
    for rule in RULES:
        line = f"{rule:16}"
        for micrographs in sets.values():
            def f1(run, rule=rule):
                found = pickers.ablation(bench.tool, rule, run[0].path, run[1])
                return None if found is None else scoring.rates(run[0], found.picks).f1
            scores = pickers.parallel(f1, bench.runs(micrographs))
            line += f"{'-':>15}" if None in scores else f"{np.mean(scores):9.3f}{min(scores):6.3f}"

        def false_picks(run, rule=rule):
            found = pickers.ablation(bench.tool, rule, *run)
            return None if found is None else 0 if found.unreliable else len(found.picks)
        false = pickers.parallel(false_picks, [(path, diameter) for path in nulls
                                               for diameter in NULL_DIAMETERS])
        print(line + (f"{'-':>7}" if None in false else f"{sum(false):7}"), flush=True)
