"""The scripts for machines with a GPU, which say what is proven and measured there: here with the
CPU in its place, and small, so that they are known to work where nobody can mend them."""

import json
import os
import subprocess

import pytest
from support import PROGRAM, ROOT


@pytest.fixture(scope="module")
def binaries(tmp_path_factory):
    """What `make bundle` packs for the checks: the program, and a test that passes."""
    directory = tmp_path_factory.mktemp("gpu")
    (directory / "bin").mkdir()
    program = directory / "bin/pickstream"
    program.write_text(f"""#!/bin/bash
for argument; do
    [ "$before" = --backend ] && argument=cpu
    arguments+=("$argument")
    before=$argument
done
exec {PROGRAM} "${{arguments[@]}}"
""")
    test = directory / "bin/test_nothing"
    test.write_text("#!/bin/sh\nexit ${TEST_STATUS:-0}\n")
    program.chmod(0o755)
    test.chmod(0o755)
    return directory / "bin"


def script(name, *arguments, **environment):
    done = subprocess.run(
        [ROOT / "tests" / name, *arguments], env={**os.environ, "SMALL": "1", **environment},
        check=False, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=300)
    print(done.stdout)
    return done


def verdicts(done):
    return [line.split(": ", 1) for line in done.stdout.splitlines()
            if line.startswith(("passed: ", "FAILED: "))]


def test_checks(binaries, tmp_path):
    """All that can be told without a GPU passes, and a test that fails is no small matter."""
    done = script("parity/check_gpu.sh", binaries, tmp_path / "work", TEST_STATUS="3",
                  PICKSTREAM_DATA="")
    assert done.returncode == 1
    failed = [what for verdict, what in verdicts(done) if verdict == "FAILED"]
    assert failed == ["test_nothing"]
    passed = [what for verdict, what in verdicts(done) if verdict == "passed"]
    for what in ("2 equal runs, adaptive", "2 equal runs, aspire", "12 outcomes",
                 "the service ended well", "none failed"):
        assert what in passed


def test_no_gpu_is_skipped_and_said(tmp_path):
    (tmp_path / "pickstream").symlink_to(PROGRAM)
    done = script("parity/check_gpu.sh", tmp_path, tmp_path / "work")
    assert done.returncode == 77
    assert done.stdout.startswith("skipped: no GPU (")


def test_measurements(binaries, tmp_path):
    done = script("bench/gpu.sh", binaries, tmp_path / "out")
    assert done.returncode == 0
    rows = sorted((tmp_path / "out").glob("*.json"))
    assert len(rows) == 6  # three rows of one in flight, two sustained, and the CPU's
    for row in rows:
        measured = json.loads(row.read_text())
        assert measured
    assert len((tmp_path / "out/latency.txt").read_text().splitlines()) == 6
    assert "close -> published: p50 " in done.stdout
