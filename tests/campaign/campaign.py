"""What the campaigns share: options, the seed, the deadline, the evidence, the line of figures.

A campaign is a program with a function that works until its time is over:

    if __name__ == "__main__":
        campaign.main(work)          # work(campaign) with the Campaign below

It prints one line of figures at its end, and exits 1 if anything was violated. A violation is
printed where it is found; the directory of the campaign is then kept as evidence.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import BUILD, PROGRAM, ROOT, SANITIZER  # noqa: E402

MAX_VIOLATIONS = 50  # after those a campaign ends: the rest says nothing new
MEMORY = 5 if SANITIZER else 1  # times the memory that the program needs by itself
SIDE = 420  # px, of the micrographs: small, so that picking takes a moment only


class Violation(Exception):
    """Ends a campaign at once: later results would be meaningless."""


class Campaign:
    """One run: `name` is the program's, `seed` decides what it does."""

    def __init__(self, name, seconds, rounds, seed):
        self.name = name
        self.seed = seed
        self.seconds = seconds
        self.rounds = rounds
        self.random = random.Random(seed)
        self.began = time.monotonic()
        self.figures = collections.Counter()
        self.worst = {}  # figures of which the largest counts
        self.violations = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ps-{name}-", dir="/tmp"))

    def elapsed(self):
        return time.monotonic() - self.began

    def goes_on(self):
        """True until the time, the rounds or the patience with violations are used up."""
        if self.rounds == 0 or len(self.violations) >= MAX_VIOLATIONS:
            return False
        if self.rounds is not None:
            self.rounds -= 1
        return self.elapsed() < self.seconds

    def count(self, what, number=1):
        self.figures[what] += number

    def largest(self, what, value):
        self.worst[what] = max(self.worst.get(what, value), value)

    def violated(self, what):
        """Reports a violation; the campaign continues."""
        self.violations.append(what)
        print(f"{self.name}: seed {self.seed}: violation: {what}", file=sys.stderr, flush=True)

    def require(self, condition, what):
        """Reports a violation unless the condition holds, and returns whether it does."""
        if not condition:
            self.violated(what)
        return bool(condition)

    def line(self):
        figures = [f"{number} {what}" for what, number in self.figures.items()]
        figures += [f"{what} {value:g}" for what, value in self.worst.items()]
        return (f"{self.name}: seed {self.seed}, {self.elapsed():.0f} s: {', '.join(figures)}, "
                f"{len(self.violations)} violations")

    def end(self):
        """The line of figures; the exit status."""
        print(self.line(), flush=True)
        if not self.violations:
            shutil.rmtree(self.directory, ignore_errors=True)
            return 0
        (self.directory / "violations").write_text("\n".join(self.violations) + "\n")
        print(f"{self.name}: evidence in {self.directory}", file=sys.stderr)
        return 1


def main(work):
    """Runs a campaign as its options say, and exits."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--rounds", type=int, help="end after N rounds, if they are over sooner")
    parser.add_argument("--seed", type=int, help="what decides (default: another each time)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(3), "big")
    name = pathlib.Path(sys.argv[0]).stem
    campaign = Campaign(name, options.seconds, options.rounds, seed)
    try:
        work(campaign)
    except Violation as violation:
        campaign.violated(str(violation))
    except BaseException:
        print(f"{name}: seed {seed}: broken off, evidence in {campaign.directory}", file=sys.stderr)
        raise
    sys.exit(campaign.end())


# ---- running the program -------------------------------------------------------------------------

def library(name):
    """A library for LD_PRELOAD that the Makefile builds."""
    path = BUILD / f"tests/campaign/{name}.so"
    if not path.exists():
        raise SystemExit(f"{path} is missing: make campaign builds it")
    return path


def preloaded(path, **variables):
    """The environment of a process that loads the library; its variables are texts."""
    asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return os.environ | {"LD_PRELOAD": str(path), "ASAN_OPTIONS": asan} | variables


class Done:
    """How a command ended. `status` is None if it had to be killed for taking too long, and
    negative if a signal ended it."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def crashed(self):
        """The signal or sanitizer report that ended it; None if it ended by itself."""
        if self.status is None:
            return "it hung"
        if self.status < 0:
            return f"signal {-self.status}"
        if b"AddressSanitizer" in self.err or b"runtime error:" in self.err:
            return "a sanitizer's report"
        return None


def execute(*arguments, seconds=60, program=PROGRAM, **options):
    """Runs the program with a deadline; never raises for how it ends."""
    process = subprocess.Popen([program, *map(str, arguments)], cwd=ROOT, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        out, err = process.communicate(timeout=seconds)
        return Done(process.returncode, out, err)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return Done(None, out, err)


def synthesise(directory, count, seed=1, diameter=34):
    """Small micrographs, SIDE px wide and high, with particles of 24 px; their paths."""
    done = execute("synth", "--size", f"{SIDE}x{SIDE}", "--diameter", diameter, "--count", count,
                   "--seed", seed, directory)
    if done.status != 0:
        raise Violation(f"synth: {done.status}: {done.err.decode(errors='replace')}")
    return sorted(pathlib.Path(directory).glob("*.mrc"))


def wait_for(condition, seconds=60, step=0.02):
    """Waits for a condition; False if it does not come in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def temporaries(*directories):
    """Hidden files of interrupted writes."""
    return [path for directory in directories
            for path in pathlib.Path(directory).rglob(".pickstream-*.tmp")]
