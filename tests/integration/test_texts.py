"""Names and texts from outside are data: no control character reaches a terminal, and no line end a
line of output; an odd name does not remove a list."""

import os
import pty
import shutil
import subprocess
import uuid

import pytest
from fake_publisher import FakePublisher
from live import dots
from micrographs import write_mrc
from support import PROGRAM, run
from test_listen import listen

# ESC, a line end, DEL, C1 as UTF-8 and as a byte, and a right-to-left override.
ODD = b"a\x1b[31m\nx\x7f\xc2\x9b\xe2\x80\xae.mrc"
LATIN = b"b\x9b31m.mrc"
SHOWN = b"a\\x1b[31m\\x0ax\\x7f\\xc2\\x9b\\xe2\\x80\\xae.mrc"
FORBIDDEN = [bytes([i]) for i in range(32) if i not in (10, 13)] + \
    [b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae", b"\x9b"]


def terminal(*arguments, cwd=None):
    """What a command prints on a terminal, without the program's own control of it, and its status."""
    master, slave = pty.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=slave,
                               stderr=slave, cwd=cwd)
    os.close(slave)
    text = b""
    while True:
        try:
            data = os.read(master, 1 << 16)
        except OSError:  # EIO: the other end is closed
            break
        if not data:
            break
        text += data
    os.close(master)
    return text.replace(b"\r\x1b[K", b"").replace(b"\r\n", b"\n"), process.wait(60)


def check(text):
    found = [bad for bad in FORBIDDEN if bad in text]
    assert not found, text


@pytest.fixture(scope="module")
def micrographs(tmp_path_factory):
    """A micrograph of each odd name, a damaged one, and one that is left out."""
    directory = tmp_path_factory.mktemp("texts") / "in"
    directory.mkdir()
    good = write_mrc(directory / "good.mrc", dots())
    for name in ODD, LATIN:
        shutil.copy(good, os.fsencode(directory) + b"/" + name)
    (directory / "bad\x1b[1m.mrc").write_bytes(b"no micrograph" * 100)
    shutil.copy(good, directory / "fft\x1b_ctf.mrc")
    return directory


OPTIONS = ["--pixel-size", "1", "--diameter", "24px", "--profile", "aspire"]


def test_pick_on_a_terminal(micrographs, tmp_path):
    text, status = terminal("pick", *OPTIONS, "-o", str(tmp_path), str(micrographs))
    assert status == 1, text
    check(text)
    assert b"bad\\x1b[1m.mrc" in text


def test_list(micrographs):
    for verbose in [], ["-v"]:
        text, _ = terminal("pick", "--list", *verbose, str(micrographs))
        check(text)
        assert SHOWN in text
    options = {"encoding": None}
    lines = run("pick", "--list", micrographs, **options).stdout.splitlines()
    assert [line.rsplit(b"/", 1)[1] for line in lines if b"\\" in line and b"bad" not in line
            and b"fft" not in line] == [SHOWN, b"b\\x9b31m.mrc"]
    paths = run("pick", "--list", "-0", micrographs, **options).stdout.split(b"\0")
    assert paths.pop() == b""
    assert len(paths) == len(lines) and all(os.path.exists(path) for path in paths)
    run("pick", "-0", micrographs, status=2)


def test_lists_of_files(micrographs, tmp_path):
    """autopick.star, and convert into one file: the name that does not fit is left out."""
    done = run("pick", *OPTIONS, "-o", tmp_path, "--format", "star,json", micrographs, status=1,
               encoding=None)
    check(done.stdout + done.stderr)
    listed = (tmp_path / "autopick.star").read_bytes()
    assert LATIN in listed and b"good.mrc" in listed and b"\nx" not in listed
    for name in "all.tsv", "all.star":
        text, status = terminal("convert", "--from", "json", str(tmp_path), str(tmp_path / name),
                                "--format", "tsv" if name.endswith("tsv") else "cryosparc")
        check(text)
        assert status == 1 and b"cannot hold this name" in text
        table = (tmp_path / name).read_bytes()
        assert b"good" in table and b"\nx" not in table


def test_usage_errors():
    for arguments in (["\x1bcommand"], ["pick", "--\x1boption"], ["convert", "in\x1b", "out\x1b"],
                      ["check", "-c", "\x1bfile\n"], ["watch", "--set", "input.\x1b=1"],
                      ["status", "--set", "service.state_directory=/\x1b\n"],
                      ["retry", "--set", "service.state_directory=/\x1b\n"],
                      ["export", "-o", "x", "--set", "service.state_directory=/\x1b\n"],
                      ["relay", "--connect", "tcp://\x1b", "--replay", "tcp://\x1b"],
                      ["check", "--print", "--set", "publish.session=a\x1b[1m"]):
        text, _ = terminal(*arguments)
        check(text)
        assert text


def test_listen(tmp_path):
    with FakePublisher() as publisher:
        name = ODD.decode()
        with listen(publisher, "--count", 3) as listener:
            publisher.wait_for_subscriber()
            publisher.publish(name=name)
            publisher.publish(picks=0, status="rejected", reason="x\x1b\n\x9b\u202e")
            publisher.send([b"picks", b'{"\x1b'])
            publisher.publish()
            listener.end()
        text = "\n".join(listener.out + listener.err).encode()
        check(text)
        assert SHOWN.replace(b"\\x0a", b"\\n").decode() in listener.out[0]


def test_streams_do_not_flood_the_terminal():
    """A service that begins a stream with each message."""
    with FakePublisher() as publisher, listen(publisher) as listener:
        publisher.wait_for_subscriber()
        for _ in range(1000):
            publisher.stream = str(uuid.uuid4())
            publisher.journal.clear()
            publisher.publish()
        listener.wait_lines(900)
        listener.end(send=15)
        assert len(listener.err) < 120, len(listener.err)
