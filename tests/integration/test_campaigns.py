"""A short, seeded form of each campaign of tests/campaign/ (`make campaign` runs the long ones)."""

import os
import subprocess
import sys

import pytest
from support import BUILD, ROOT, SANITIZER

# Name, rounds and the seed of the short form.
CAMPAIGNS = {
    "kills": (8, 5),
    "faults": (12, 1),
    "allocations": (10, 1),
    "hostile": (30, 1),
    "sockets": (4, 1),
    "long_run": (3, 1),
}
PRELOADED = {"faults", "allocations"}


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_campaign(name):
    rounds, seed = CAMPAIGNS[name]
    if SANITIZER and name in PRELOADED:
        pytest.skip("a sanitizer wants to be loaded first")
    done = subprocess.run(
        [sys.executable, ROOT / f"tests/campaign/{name}.py", "--rounds", str(rounds),
         "--seconds", "120", "--seed", str(seed)],
        cwd=ROOT, env=os.environ | {"PICKSTREAM_BUILD": str(BUILD)}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    print(done.stdout)
    assert done.returncode == 0


def test_every_campaign_has_a_short_form():
    programs = {path.stem for path in (ROOT / "tests/campaign").glob("*.py")
                if "__main__" in path.read_text()}
    assert programs - {"campaign"} == set(CAMPAIGNS)
