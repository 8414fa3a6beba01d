"""The statements of the README, the guide and the hand-written manual pages are true."""

import errno
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
GUIDE = (ROOT / "src/README.md").read_text(encoding="utf-8")
PAGES = {
    path.name: path.read_text(encoding="utf-8").replace("\\-", "-")
    for path in sorted((ROOT / "src/man").iterdir())
}
SYMPTOMS = PAGES["pickstream-troubleshooting.7"]


def test_the_readme_is_short():
    assert README.count("\n") <= 200
    assert GUIDE.count("\n") <= 300


def test_subscribers_are_the_tested_ones():
    """The subscribers that are printed or linked are the ones that other tests run."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks == [(ROOT / "tests/integration/subscriber.py").read_text(encoding="utf-8")]
    assert "```c\n" not in README and "`tests/integration/subscriber.c`" in README


def test_files_that_are_named_exist():
    paths = re.findall(r"`((?:tests|conf|include|src|systemd)/[^` ]+)`", README)
    paths += re.findall(r"`((?:tests|conf|include|src|systemd|kernels)/[^` ]+)`", GUIDE)
    paths += re.findall(r"\]\(([^):]+)\)", README)
    assert len(paths) > 20
    for path in paths:
        assert (ROOT / path).exists(), path


def test_files_that_the_guide_names_exist():
    """Without `src/`: names of folders and files below it."""
    names = re.findall(r"`((?:[a-z]+/)+[A-Za-z_.]*)`", GUIDE)
    assert len(names) > 30
    for name in names:
        assert (ROOT / "src" / name).exists() or (ROOT / name).exists(), name


def test_the_guide_has_every_layer_in_its_order():
    """As tests/check_layers.py has them: each folder after those that it includes."""
    script = (ROOT / "tests/check_layers.py").read_text(encoding="utf-8")
    layers = dict(re.findall(r"^    ([a-z/]+):((?: +[a-z/]+|\n {18}[a-z/]+)*)", script, re.M))
    table = GUIDE[GUIDE.index("| folder | holds |"):GUIDE.index("The library `libpickstream`")]
    folders = [name.strip("/") for row in re.findall(r"^\| (`.*?) \|", table, re.M)
               for name in re.findall(r"`([a-z/]+)`", row)]
    assert sorted(folders) == sorted(layers)
    for place, folder in enumerate(folders):
        assert set(layers[folder].split()) <= set(folders[:place]), folder


def test_commands_that_are_named_exist():
    pattern = r"(?:`|^ +)(?:sudo )?(?:build/release/)?pickstream ([a-z]+)\b"
    commands = set(re.findall(pattern, README, re.M))
    assert {"pick", "watch", "listen", "status", "retry", "keygen"} <= commands
    for page in PAGES.values():
        commands |= set(re.findall(r"^(?:\.BR? \"?)?(?:sudo )?pickstream ([a-z]+)\b", page, re.M))
    assert {"check", "bench", "export", "convert"} <= commands
    for command in commands:
        assert run(command, "--help").stdout.startswith("Usage: pickstream " + command)


def test_pages_that_are_named_exist():
    """Each manual page names the others, and the README all of them."""
    names = {"pickstream.conf.5", *PAGES}
    for text in README, PAGES["pickstream.1"]:
        named = {".".join(page) for page in re.findall(r"`(pickstream[a-z.-]*)\((\d)\)`", text)}
        named |= {".".join(page) for page in re.findall(r"^\.BR (pickstream\S*) \((\d)\)", text, re.M)}
        assert names - {"pickstream.1"} <= named <= names


def test_symptoms_are_those_of_the_program():
    """Messages and events that the page of symptoms names are in the source."""
    paths = [path for path in (ROOT / "src").rglob("*.[ch]")]
    source = "".join(path.read_text(encoding="utf-8") for path in paths)
    joined = re.sub(r'"\s*"', "", source)
    messages = re.findall(r"\\\(lq(.+?)\\\(rq", SYMPTOMS.replace("\n", " "))
    assert len(messages) > 15
    for message in messages:
        if message in map(os.strerror, errno.errorcode):  # of the system
            continue
        for part in re.split(r"\\fI.*?\\fR", message):
            assert part in joined, message
    events = set(re.findall(r"event=([a-z_]+)", SYMPTOMS))
    assert len(events) > 5
    for event in events:
        assert f'"{event}"' in source, event


@pytest.fixture(scope="module")
def viewed(tmp_path_factory):
    """`make demo VIEW=1` without the building, and what it prints. It runs beside the other one:
    both wait for the microscope most of the time; not under a sanitizer, which makes one alone
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
    """It runs until it is interrupted, and the address that it prints has the page."""
    demo, log = viewed
    try:
        begin = time.monotonic()
        while not (url := re.search(r"^    (http://\S+)$", log.read_text(), re.M)):
            assert demo.poll() is None and time.monotonic() < begin + 170, log.read_text()
            time.sleep(0.2)  # the demo prints the address only
        with urllib.request.urlopen(url[1], timeout=10) as page:
            assert b"pickstream" in page.read()
        with urllib.request.urlopen(url[1] + "api/micrographs", timeout=10) as answer:
            assert len(json.load(answer)["micrographs"]) >= 8
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(60) == 130
    with pytest.raises(OSError):
        urllib.request.urlopen(url[1], timeout=10)
