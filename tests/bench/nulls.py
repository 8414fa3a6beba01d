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
import itertools
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


def print_kind(kind, outcomes):
    print(f"{kind:24}{len(outcomes):7}{sum(one.unreliable for one in outcomes):9}"
          f"{sum(one.picks > MAX_PICKS for one in outcomes):11}"
          f"{sum(one.alarm for one in outcomes):14}{max(one.picks for one in outcomes):12}",
          flush=True)


def print_alarm(outcome):
    null = outcome.null
    print(f"  {null.source.path.stem if null.source else null.kind}, seed {null.seed}, "
          f"{null.diameter:.4g} px: {outcome.picks} picks, {outcome.confident} with a score above "
          "0.8")


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
    print(f"{'kind':24}{'nulls':>7}{'flagged':>9}{'> 2 picks':>11}{'false alarms':>14}"
          f"{'most picks':>12}")
    alarms = []
    for kind, group in itertools.groupby(nulls, key=lambda null: null.kind):
        outcomes = pickers.parallel(lambda null: judge(arguments.program, null), group)
        print_kind(kind, outcomes)
        alarms += [outcome for outcome in outcomes if outcome.alarm]
    print(f"false alarms: {len(alarms)} of {len(nulls)} = {100 * len(alarms) / len(nulls):.2f} %, "
          f"upper 95 % limit {100 * upper_limit(len(alarms), len(nulls)):.2f} %")
    if arguments.list:
        for alarm in alarms:
            print_alarm(alarm)
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
