"""Shared by tests: the paths of program and data, and a function to run it.

PICKSTREAM_BUILD  directory of the build under test (default build/release)
PICKSTREAM_EMULATED  directory of the build with the emulated GPU
PICKSTREAM_DATA   directory of the sample data (default ../shared); tests that need it are skipped
                  where it is not there

P1 to P50 in the tests are the pitfalls of ../shared/reference/field-notes.md, where they cover them.
"""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / os.environ.get("PICKSTREAM_BUILD", "build/release")
SANITIZER = os.environ.get("PICKSTREAM_SANITIZER", "")
PROGRAM = str(BUILD / "pickstream")
EMULATED = ROOT / os.environ.get("PICKSTREAM_EMULATED", "build/emulated-sanitize-address-undefined")
EMULATED_PROGRAM = str(EMULATED / "pickstream")
DATA = pathlib.Path(os.environ.get("PICKSTREAM_DATA", ROOT / "../shared")).resolve()
GOLDEN = DATA / "reference/golden"

needs_emulation = pytest.mark.skipif(
    not (EMULATED / "pickstream").exists(), reason="no emulated build: make check makes it"
)
needs_data = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="no sample data: set PICKSTREAM_DATA"
)


def run(*arguments, status=0, **options):
    """Runs the program, expects its exit status, and returns what it printed."""
    options = {
        "cwd": ROOT,
        "timeout": 300,
        "encoding": "utf-8",
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    } | options
    done = subprocess.run([PROGRAM, *map(str, arguments)], check=False, **options)
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def notes(done):
    """What `pick` printed on stderr behind its first line, which states the scale."""
    scale, *lines = done.stderr.splitlines()
    assert re.fullmatch(r"pickstream: pixel size .+, diameter \S+ (px|A)( = \S+ (px|A))?", scale), scale
    return [line for line in lines if not line.startswith("pickstream: pixel size ")]
