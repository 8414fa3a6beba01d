"""What the README says is so."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

import pytest
from support import PROGRAM, ROOT, SANITIZER, run

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("language, name", [("python", "subscriber.py"), ("c", "subscriber.c")])
def test_subscribers_are_the_tested_ones(language, name):
    """The subscribers that are printed are the ones that other tests run."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert blocks == [(ROOT / "tests/integration" / name).read_text(encoding="utf-8")]


def test_files_that_are_named_exist():
    for path in re.findall(r"`((?:tests|conf|include|src|systemd)/[^` ]+)`", README):
        assert (ROOT / path).exists(), path


def test_commands_that_are_named_exist():
    commands = set(re.findall(r"(?:`|^ +)(?:build/release/)?pickstream ([a-z]+)\b", README, re.M))
    assert {"pick", "watch", "listen", "status", "retry", "keygen"} <= commands
    for command in commands:
        assert run(command, "--help").stdout.startswith("Usage: pickstream " + command)


@pytest.fixture(scope="module")
def viewed(tmp_path_factory):
    """`make demo VIEW=1` without the building, and what it prints. It runs beside the other one,
    for both wait for the microscope most of the time; not under a sanitizer, which makes one alone
    slow enough."""
    directory = tmp_path_factory.mktemp("viewed")
    log = directory / "log"
    with log.open("w") as output:
        demo = subprocess.Popen(
            ["tests/demo.sh", PROGRAM, str(directory / "demo")], cwd=ROOT, stdout=output,
            stderr=output, env=os.environ | {"VIEW": "1"}, start_new_session=True,
        )
    yield demo, log
    if demo.poll() is None:
        os.killpg(demo.pid, signal.SIGINT)
        demo.wait(60)


def test_demo(tmp_path, request):
    """`make demo` without the building: it ends by itself, and every micrograph was picked."""
    if not SANITIZER:
        request.getfixturevalue("viewed")
    done = subprocess.run(
        ["tests/demo.sh", PROGRAM, str(tmp_path / "demo")],
        cwd=ROOT, capture_output=True, text=True, timeout=170, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 outcomes, 0 lost" in done.stdout + done.stderr
    recall = float(re.search(r"8 picked .*recall ([0-9.]+)", done.stdout).group(1))
    assert recall > 0.5
    assert (tmp_path / "demo/check/synth_000001_overlay.png").stat().st_size > 100_000
    assert len(list(pathlib.Path(tmp_path / "demo/picks").glob("*_autopick.star"))) == 8
    assert re.search(r"live view, while it runs:  http://127\.0\.0\.1:\d+/$", done.stdout, re.M)


def test_demo_with_a_view(viewed):
    """It goes on until it is interrupted, and the address that it prints has the page."""
    demo, log = viewed
    try:
        begin = time.monotonic()
        while not (url := re.search(r"^    (http://\S+)$", log.read_text(), re.M)):
            assert demo.poll() is None and time.monotonic() < begin + 170, log.read_text()
            time.sleep(0.2)  # the demo tells nobody but its terminal
        with urllib.request.urlopen(url[1], timeout=10) as page:
            assert b"pickstream" in page.read()
        with urllib.request.urlopen(url[1] + "api/micrographs", timeout=10) as answer:
            assert len(json.load(answer)["micrographs"]) >= 8
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(60) == 130
    with pytest.raises(OSError):
        urllib.request.urlopen(url[1], timeout=10)
