"""How far the cheaper classifiers are from the SVM on the golden cases, and what they cost.

    PICKSTREAM_DATA=../shared /usr/bin/python3 tests/bench/classifiers.py
"""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import GOLDEN, PROGRAM


def pick(case, meta, classifier, directory):
    subprocess.run(
        [PROGRAM, "pick", "--profile", "aspire", "--diameter", f"{meta['particle_size']}px",
         "--set", f"picker.tau1={meta['tau1']}", "--set", f"picker.tau2={meta['tau2']}",
         "--set", f"picker.classifier={classifier}", "--format", "json", "-o", directory,
         GOLDEN / case / meta["micrograph"]],
        check=True, capture_output=True)
    result = json.loads(next(pathlib.Path(directory).glob("*.json")).read_text())
    return [(row[0], row[1]) for row in result["picks"]], result["milliseconds"]


def near(a, b, distance):
    return sum(any((x - u) ** 2 + (y - v) ** 2 <= distance**2 for u, v in b) for x, y in a)


print("case       classifier    picks  of the SVM's picks   of its own within  train+classify")
print("                                found within D/4     D/4 of an SVM pick")
for case in ["apo_p48", "apo_p64", "noise", "sim2k", "sim4k"]:
    meta = json.loads((GOLDEN / case / "meta.json").read_text())
    reference = None
    for classifier in ["svm", "naive_bayes", "mixture"]:
        with tempfile.TemporaryDirectory() as directory:
            picks, times = pick(case, meta, classifier, directory)
        reference = picks if reference is None else reference
        reach = meta["particle_size"] / 4
        found = near(reference, picks, reach) / max(1, len(reference))
        own = near(picks, reference, reach) / max(1, len(picks))
        print(f"{case:10} {classifier:12} {len(picks):6} {found:17.2f} {own:20.2f}"
              f" {times['train'] + times['classify']:12.1f} ms")
