"""False alarms: micrographs without particles, on which the program should find nothing.

    PICKSTREAM_DATA=../shared nice /usr/bin/python3 tests/bench/nulls.py [--program FILE]
        [--count N] [--seeds N] [--list]

    --count N   N nulls, spread evenly over all of them
    --seeds N   of each kind and diameter (default 6: more than 300 nulls in all)
    --list      each false alarm

Nulls are copies of every micrograph of the data with the phases of white noise (the set's own
diameter), and white, pink, blurred, Poisson and CTF noise, gradients, stripes, empty ice, an edge
of carbon and an ice crystal on empty ice, each at 30, 64 and 120 px. A false alarm has more than
two picks and is not flagged as unreliable. Printed are counts per kind, and over all the rate with
its upper confidence limit (Clopper-Pearson, one-sided, 95 %). The exit status is 1 if there is a
false alarm.
"""

import argparse
import collections
import pathlib
import sys
import tempfile
import typing

import numpy as np
from scipy.stats import beta

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import null_images
import pickers
from made import write
from sets import ICE, ICE_DIAMETER, Micrograph, data_sets
from support import PROGRAM

DIAMETERS = 30, 64, 120  # px
MAX_PICKS = 2
SEEDS = 6
CONFIDENCE = 0.95


class Null(typing.NamedTuple):
    kind: str
    seed: int
    diameter: float
    source: Micrograph | None  # whose phases are randomised


class Outcome(typing.NamedTuple):
    null: Null
    picks: int
    confident: int  # picks with a score above 0.8
    unreliable: bool

    @property
    def alarm(self):
        return self.picks > MAX_PICKS and not self.unreliable


def all_nulls(seeds):
    sources = data_sets()
    if ICE.exists():
        sources["contaminated"] = [Micrograph.read(ICE, ICE_DIAMETER)]
    nulls = [Null(f"phases of {name}", seed, source.diameter, source)
             for name, micrographs in sources.items() for source in micrographs
             for seed in range(seeds)]
    return nulls + [Null(kind, seed, diameter, None) for kind in null_images.KINDS
                    for diameter in DIAMETERS for seed in range(seeds)]


def judge(program, null):
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        if null.source:
            path = write(directory / f"{null.source.path.stem}_phases{null.seed}.mrc",
                         null_images.phases_randomised(null.source.image(), null.seed))
        else:
            path = null_images.write_null(program, null.kind, null.seed, null.diameter, directory)
        found = pickers.pick(program, path, null.diameter)
    return Outcome(null, len(found.picks), int((found.picks[:, 2] > 0.8).sum()), found.unreliable)


def upper_limit(events, trials):
    """Clopper-Pearson: the largest rate that would give so few events in 5 % of all cases."""
    return 1.0 if events == trials else beta.ppf(CONFIDENCE, events + 1, trials - events)


def report(outcomes):
    by_kind = collections.defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.null.kind].append(outcome)
    print(f"{'kind':24}{'nulls':>7}{'flagged':>9}{'> 2 picks':>11}{'false alarms':>14}"
          f"{'most picks':>12}")
    for kind, group in by_kind.items():
        print(f"{kind:24}{len(group):7}{sum(one.unreliable for one in group):9}"
              f"{sum(one.picks > MAX_PICKS for one in group):11}"
              f"{sum(one.alarm for one in group):14}{max(one.picks for one in group):12}")
    alarms = sum(outcome.alarm for outcome in outcomes)
    print(f"false alarms: {alarms} of {len(outcomes)} = {100 * alarms / len(outcomes):.2f} %, "
          f"upper 95 % limit {100 * upper_limit(alarms, len(outcomes)):.2f} %")
    return alarms


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    nulls = all_nulls(arguments.seeds)
    if arguments.count and arguments.count < len(nulls):
        nulls = [nulls[k] for k in np.linspace(0, len(nulls) - 1, arguments.count).astype(int)]
    outcomes = pickers.parallel(lambda null: judge(arguments.program, null), nulls)
    alarms = report(outcomes)
    if arguments.list:
        for outcome in filter(lambda one: one.alarm, outcomes):
            source = outcome.null.source
            print(f"  {source.path.stem if source else outcome.null.kind}, seed "
                  f"{outcome.null.seed}, {outcome.null.diameter:.4g} px: {outcome.picks} picks, "
                  f"{outcome.confident} with a score above 0.8")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
