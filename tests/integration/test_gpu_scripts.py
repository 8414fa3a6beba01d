"""The scripts that test and measure on machines with a GPU: here with the
CPU in its place, and small, because there they must work at the first attempt."""

import json
import os
import signal
import subprocess

import pytest
from support import PROGRAM, ROOT, SANITIZER


@pytest.fixture(scope="module")
def binaries(tmp_path_factory):
    """What `make bundle` packs for the checks: the program, a test that passes and one that fails."""
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
    program.chmod(0o755)
    for name, status in ("test_good", 0), ("test_bad", 3):
        test = directory / "bin" / name
        test.write_text(f"#!/bin/sh\nexit {status}\n")
        test.chmod(0o755)
    return directory / "bin"


def script(name, *arguments, **environment):
    """Exit status of a script, and what it printed."""
    process = subprocess.Popen(
        [ROOT / "tests" / name, *arguments], env={**os.environ, "SMALL": "1", **environment},
        encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=300)
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        print(process.communicate(timeout=60)[0])
        raise
    print(output)
    return process.returncode, output


def verdicts(output, verdict):
    """What passed, or FAILED."""
    return [line.split(": ", 1)[1] for line in output.splitlines()
            if line.startswith(f"{verdict}: ")]


def test_checks(binaries, tmp_path):
    """Everything that can be checked without a GPU passes, and a failing test fails the script."""
    status, output = script("parity/check_gpu.sh", binaries, tmp_path / "work", PICKSTREAM_DATA="")
    assert status == 1
    failed = verdicts(output, "FAILED")
    if SANITIZER:  # takes memory of its own
        failed = [what for what in failed if not what.startswith("no growth ")]
    assert failed == ["test_bad"]
    passed = verdicts(output, "passed")
    for what in ("test_good", "2 equal runs, adaptive", "2 equal runs, aspire", "12 outcomes",
                 "the service ended well", "none failed"):
        assert what in passed


@pytest.mark.parametrize("listed, expected, said", [
    (False, 77, "skipped: no GPU ("),
    (True, 1, "FAILED: there is a GPU, but it cannot be used"),
])
def test_no_gpu_is_skipped_and_said(tmp_path, listed, expected, said):
    """No GPU, or one that the driver lists and the program does not get."""
    for directory in "bin", "driver":
        (tmp_path / directory).mkdir()
    (tmp_path / "bin/pickstream").symlink_to(PROGRAM)
    driver = tmp_path / "driver/nvidia-smi"
    driver.write_text(f"#!/bin/sh\nexit {0 if listed else 1}\n")
    driver.chmod(0o755)
    status, output = script("parity/check_gpu.sh", tmp_path / "bin", tmp_path / "work",
                            PATH=f"{driver.parent}:{os.environ['PATH']}", CUDA_VISIBLE_DEVICES="")
    assert status == expected
    assert any(line.startswith(said) for line in output.splitlines())


def test_measurements(binaries, tmp_path):
    status, output = script("bench/gpu.sh", binaries, tmp_path / "out")
    assert status == 0
    rows = sorted((tmp_path / "out").glob("*.json"))
    assert len(rows) == 6  # three rows of one in flight, two sustained, and the CPU's
    for row in rows:
        measured = json.loads(row.read_text())
        assert measured
    assert len((tmp_path / "out/latency.txt").read_text().splitlines()) == 6
    assert "close -> published: p50 " in output
