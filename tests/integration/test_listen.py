"""pickstream listen against a publisher that drops, doubles, delays, restarts and talks nonsense.

Covers P29 (silent drops), P31 (late join), P32 (seq), P33 (another stream after a restart),
P34 (ends at once) and P36 (CURVE). Every test waits for what it expects, none for time to pass.
"""

import contextlib
import csv
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import zmq
from fake_publisher import DEADLINE, FakePublisher, message
from micrographs import read_picks
from service import session
from support import PROGRAM, ROOT, run

SUBSCRIBER = pathlib.Path(__file__).with_name("subscriber.py")


class Process:
    """A program whose lines the test waits for."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.out, self.err = [], []
        self._lines = {self.process.stdout: self.out, self.process.stderr: self.err}
        self._rest = dict.fromkeys(self._lines, b"")
        self._selector = selectors.DefaultSelector()
        for stream in self._lines:
            self._selector.register(stream, selectors.EVENT_READ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in self._lines:
            stream.close()

    def _read(self, what):
        """More output; what we wait for must come in time."""
        ready = self._selector.select(DEADLINE)
        assert ready, f"no {what}\n{self.out}\n{self.err}"
        for key, _ in ready:
            stream = key.fileobj
            data = os.read(stream.fileno(), 1 << 16)
            if not data:
                self._selector.unregister(stream)
            *lines, self._rest[stream] = (self._rest[stream] + data).split(b"\n")
            self._lines[stream] += [line.decode() for line in lines]

    def read_what_is_there(self):
        while self._selector.get_map() and self._selector.select(0):
            self._read("output")

    def close_output(self):
        """As `head` does."""
        self._selector.unregister(self.process.stdout)
        self.process.stdout.close()

    def wait_line(self, expected):
        """Until standard error has a line with `expected` in it."""
        while not any(expected in line for line in self.err):
            assert self._selector.get_map(), f"ended without {expected}: {self.err}"
            self._read(expected)

    def wait_lines(self, count):
        """Waits until `count` lines were printed."""
        while len(self.out) < count:
            assert self._selector.get_map(), f"ended early: {self.out}\n{self.err}"
            self._read(f"{count} lines")

    def end(self, status=0, send=None):
        """Until it has ended, with this exit status."""
        if send:
            self.process.send_signal(send)
        while self._selector.get_map():
            self._read("end")
        assert self.process.wait(DEADLINE) == status, self.err
        return self

    @property
    def seqs(self):
        return [int(line.split()[0]) for line in self.out]


def listen(publisher, *options):
    return Process(PROGRAM, "listen", *publisher.options, *options)


@pytest.fixture
def publisher():
    with FakePublisher() as publisher:
        yield publisher


# ---- what is printed -----------------------------------------------------------------------------

def test_a_line_for_each_outcome(publisher):
    with listen(publisher, "--count", 4) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(picks=3)
        publisher.publish(picks=0, result__score_median=None)
        publisher.publish(picks=0, status="rejected", reason="no signal",
                          name="a b/x.mrc", result__score_median=None)
        publisher.publish(picks=0, status="failed", reason="cut short", time=None,
                          result__score_median=None)
        listener.end()
    assert listener.out == [
        "1 GridSquare_1/m1.mrc picked 3 0.500 0.250",
        "2 GridSquare_1/m2.mrc picked 0 - 0.250",
        '3 "a b/x.mrc" rejected 0 - 0.250 "no signal"',
        '4 GridSquare_1/m4.mrc failed 0 - - "cut short"',
    ]
    assert listener.err == [
        "pickstream listen: 4 outcomes, 0 lost, 0 messages unreadable, last seq 4"]


def test_names_cannot_forge_lines(publisher):
    with listen(publisher, "--count", 2) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(name="x\n9 y.mrc picked 1 1 1")
        publisher.publish(name="\x1b[31mred.mrc")
        listener.end()
    assert listener.out == [
        r'1 "x\n9 y.mrc picked 1 1 1" picked 3 0.500 0.250',
        r'2 "\x1b[31mred.mrc" picked 3 0.500 0.250',
    ]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_it(publisher, name):
    with listen(publisher) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(2)
        listener.wait_lines(2)
        listener.end(send=getattr(signal, name))
    assert listener.err[-1].endswith("last seq 2")


def test_endpoints_come_from_the_configuration(publisher, tmp_path):
    config = tmp_path / "p.ini"
    config.write_text(f"[publish]\nendpoint = {publisher.endpoint}\n"
                      f"replay_endpoint = {publisher.replay_endpoint}\n")
    publisher.outcome()
    with Process(PROGRAM, "listen", "-c", config, "--since", 0, "--count", 1) as listener:
        publisher.serve()
        listener.end()
    assert listener.seqs == [1]


# ---- losses and their repair ---------------------------------------------------------------------

def test_what_was_dropped_is_asked_for(publisher):
    with listen(publisher, "--count", 6) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(5, drop={3, 4})
        assert publisher.serve() == 2
        publisher.publish()
        listener.end()
    assert listener.seqs == [1, 2, 3, 4, 5, 6]
    assert "pickstream listen: asking again for seq 3 to 4" in listener.err


def test_duplicates_are_printed_once(publisher):
    with listen(publisher, "--count", 4) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(3)
        for seq in (3, 1, 2, 3):
            publisher.send(publisher.journal[seq])
        publisher.publish()
        listener.end()
    assert listener.seqs == [1, 2, 3, 4]


def test_a_dropped_last_one_shows_in_the_heartbeat(publisher):
    with listen(publisher, "--count", 3, "--set", "publish.heartbeat_seconds=0.1") as listener:
        publisher.wait_for_subscriber()
        publisher.publish(3, drop={3})
        publisher.status()
        assert publisher.serve() == 2
        listener.end()
    assert listener.seqs == [1, 2, 3]


def test_a_late_joiner_gets_everything_once(publisher):
    """Published before, while the answer is under way, and after it."""
    for _ in range(5):
        publisher.outcome()
    with listen(publisher, "--since", 2, "--count", 6) as listener:
        publisher.wait_for_subscriber()
        client, since = publisher.request()
        assert since == 2
        publisher.publish(2)
        for seq in range(3, 7):
            publisher.answer(client, publisher.journal[seq])
        publisher.answer(client, [b'{"type":"end","last_seq":6}'])
        publisher.publish()
        listener.end()
    assert listener.seqs == [3, 4, 5, 6, 7, 8]
    assert len(listener.err) == 1  # nothing was missed, and nothing is reported as missed


def test_without_since_it_begins_now(publisher):
    for _ in range(5):
        publisher.outcome()
    with listen(publisher, "--count", 1) as listener:
        publisher.wait_for_subscriber()
        publisher.publish()
        listener.end()
    assert listener.seqs == [6]


def test_since_of_another_stream_begins_with_the_first(publisher):
    for _ in range(3):
        publisher.outcome()
    with listen(publisher, "--since", 500, "--count", 3) as listener:
        assert publisher.serve() == 500
        assert publisher.serve() == 0
        listener.end()
    assert listener.seqs == [1, 2, 3]
    assert "ends at seq 3" in listener.err[0]


def test_what_nobody_can_repair_is_named(publisher):
    with listen(publisher, "--timeout", 0.3) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(9, drop={3, 4, 7})
        listener.wait_line("lost seq 7")
        publisher.publish()
        listener.wait_lines(7)
        listener.end(1, signal.SIGTERM)
    assert listener.seqs == [1, 2, 5, 6, 8, 9, 10]
    lost = [line.split(": ")[1] for line in listener.err if "lost seq" in line]
    assert lost == ["lost seq 3 to 4", "lost seq 7"]
    assert "3 lost" in listener.err[-1]


def test_an_answer_with_a_gap_is_not_believed_for_ever(publisher):
    with listen(publisher, "--timeout", 0.3, "--count", 3) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(4, drop={2, 3})
        publisher.serve(leave_out={2})
        listener.end(1)
    assert listener.seqs == [1, 3, 4]
    assert any("lost seq 2" in line for line in listener.err)


def test_an_answer_that_stops_is_asked_for_again(publisher):
    for _ in range(20):
        publisher.outcome()
    with listen(publisher, "--since", 0, "--timeout", 3, "--count", 20) as listener:
        publisher.serve(leave_out=range(8, 21), end=False)
        while publisher.serve() != 7:  # the first may come before what we sent
            pass
        listener.end()
    assert listener.seqs == list(range(1, 21))


def test_a_refusal_is_told(publisher):
    publisher.outcome()
    with listen(publisher, "--since", 0, "--timeout", 1, "--count", 1) as listener:
        client, _ = publisher.request()
        publisher.answer(client, [b'{"type":"error","reason":"too \\u001b many"}'])
        listener.wait_line("refuses to replay: too \\x1b many")
        publisher.serve()
        listener.end()
    assert listener.seqs == [1]


def test_a_stopped_subscriber_repairs_its_gap():
    """SIGSTOP until the publisher has dropped much of 40 MB; SIGCONT."""
    count, big = 800, np.ones((3000, 4), "<f4")
    with FakePublisher(high_water_mark=10) as publisher, \
            listen(publisher, "--count", count + 1) as listener:
        publisher.wait_for_subscriber()
        publisher.publish()
        listener.wait_lines(1)
        listener.process.send_signal(signal.SIGSTOP)
        publisher.publish(count, picks=big)
        listener.process.send_signal(signal.SIGCONT)
        publisher.replay.setsockopt(zmq.ROUTER_MANDATORY, 1)
        while listener.process.poll() is None and len(listener.out) <= count:
            publisher.status()
            if publisher.replay.poll(10):
                publisher.serve()
            listener.read_what_is_there()
        listener.end()
    assert listener.seqs == list(range(1, count + 2))
    assert any("asking again" in line for line in listener.err)


# ---- restarts ------------------------------------------------------------------------------------

def restarted(publisher, **options):
    publisher.close()
    return FakePublisher(endpoint=publisher.endpoint, replay_endpoint=publisher.replay_endpoint,
                         **options)


def test_a_restart_loses_nothing(publisher):
    """The service is back before us, and has published meanwhile."""
    with listen(publisher, "--count", 5) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(2)
        listener.wait_lines(2)
        with restarted(publisher, stream=publisher.stream) as again:
            again.journal = {seq: message(again.stream, seq) for seq in range(1, 5)}
            again.wait_for_subscriber()
            again.publish()
            assert again.serve() == 2
            listener.end()
    assert listener.seqs == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("since", [False, True])
def test_another_stream_begins_anew(publisher, since):
    options = ["--since", 0] if since else []
    with listen(publisher, "--count", 6 if since else 4, *options) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(2)
        if since:
            publisher.serve()
        listener.wait_lines(2)
        with restarted(publisher) as other:
            other.journal = {seq: message(other.stream, seq) for seq in (1, 2)}
            other.wait_for_subscriber()
            other.publish(2)
            if since:
                assert other.serve() == 0
            listener.end()
    assert listener.seqs == ([1, 2, 1, 2, 3, 4] if since else [1, 2, 3, 4])
    assert f"another stream begins, at seq {1 if since else 3}" in "\n".join(listener.err)


def test_a_service_that_is_not_there_is_noticed(publisher, tmp_path):
    """Silence is reported once; the listener waits, and begins when the service does."""
    with restarted(publisher) as there:
        endpoints = there.endpoint, there.replay_endpoint
    with Process(PROGRAM, "listen", "--connect", endpoints[0], "--replay", endpoints[1],
                 "--count", 1, "--set", "publish.heartbeat_seconds=0.1") as listener:
        listener.wait_line(f"nothing heard from {endpoints[0]}")
        with FakePublisher(endpoint=endpoints[0], replay_endpoint=endpoints[1]) as late:
            late.wait_for_subscriber()
            late.publish()
            listener.end()
    assert listener.seqs == [1]


# ---- nonsense ------------------------------------------------------------------------------------

def test_nonsense_is_counted_and_harms_nothing(publisher):
    stream = publisher.stream
    nonsense = [
        [b"picks"],
        [b"picks", b""],
        [b"picks", b"\xff\xfe{"],
        [b"picks", b"[" * 100000],
        [b"picks", b"{}" + bytes(1 << 21)],
        [b"picks", b'{"schema":"pickstream/1","type":"picks"}'],
        [b"picks", *[b"x"] * 30],
        [b"status", b'{"type":"status","last_seq":-1}'],
        message(stream, 7, stream="../../etc/passwd"),
        message(stream, 7, seq=-7),
        message(stream, 7, schema="pickstream/2"),
    ]
    ignored = [[b"picks2", b"{}"], [b"status/more", b"{}"]]
    with listen(publisher, "--count", 2) as listener:
        publisher.wait_for_subscriber()
        publisher.publish()
        for frames in nonsense + ignored:
            publisher.send(frames)
        publisher.publish()
        listener.end()
    assert listener.seqs == [1, 2]
    assert len(listener.err) == len(nonsense) + 1
    assert listener.err[-1].endswith(f"0 lost, {len(nonsense)} messages unreadable, last seq 2")


DAMAGES = {
    "dtype": {"arrays__0__dtype": "<f8"},
    "count": {"result__count": 2**62},
    "shape": {"result__count": 2**60, "arrays__0__shape": [2**60, 4]},
    "columns": {"arrays__0__columns": ["x", "y"]},
    "name": {"micrograph__name": None},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_outcome_is_had_again(publisher, damage):
    with listen(publisher, "--count", 3) as listener:
        publisher.wait_for_subscriber()
        publisher.publish()
        publisher.outcome()
        publisher.send(message(publisher.stream, 2, **damage))
        assert publisher.serve() == 1
        publisher.publish()
        listener.end()
    assert listener.seqs == [1, 2, 3]
    assert "cannot be read" in listener.err[0]


def test_an_outcome_that_stays_damaged_is_lost_at_once(publisher):
    """No waiting for the timeout: it will not get better."""
    start = time.monotonic()
    with listen(publisher, "--count", 2, "--timeout", 3600) as listener:
        publisher.wait_for_subscriber()
        publisher.publish()
        publisher.publish(**DAMAGES["dtype"])
        publisher.publish()
        publisher.serve()
        listener.end(1)
    assert listener.seqs == [1, 3]
    assert "pickstream listen: lost seq 2: its message cannot be read" in listener.err
    assert time.monotonic() - start < DEADLINE


# ---- files ---------------------------------------------------------------------------------------

def test_files_of_picks(publisher, tmp_path):
    with listen(publisher, "-o", tmp_path, "--format", "star,csv,json", "--count", 4) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(picks=5)
        publisher.publish(picks=0)
        publisher.publish(picks=0, status="rejected", reason="no signal")
        publisher.publish(picks=0, status="failed", reason="cut\nshort")
        listener.end()
    assert listener.out == []
    assert listener.err[0] == \
        "pickstream listen: seq 4: GridSquare_1/m4.mrc: failed: cut\\x0ashort"
    square = tmp_path / "GridSquare_1"
    assert sorted(path.name for path in square.glob("[!.]*")) == [
        f"m{seq}_autopick.{ending}" for seq in (1, 2, 3) for ending in ("csv", "json", "star")]
    expected = np.arange(20, dtype="f4").reshape(5, 4) + 1
    assert np.array_equal(read_picks(square / "m1_autopick.star"), expected[:, :3])
    with open(square / "m1_autopick.csv", encoding="ascii") as stream:
        assert np.array_equal(np.array(list(csv.reader(stream))[1:], "f4"), expected)
    text = json.loads((square / "m1_autopick.json").read_text())
    assert text["picks"] == expected.tolist()
    assert text["micrograph"]["name"] == "GridSquare_1/m1.mrc"
    assert text["micrograph"]["shape"] == [4092, 5760]
    assert text["micrograph"]["bytes"] == 94280704
    assert text["coordinates"]["unpicked_margin"] == [1, 2, 3, 4]
    assert abs(text["picker"]["diameter_px"] - 180 / 0.83) < 1e-3
    assert len(read_picks(square / "m2_autopick.star")) == 0
    assert json.loads((square / "m3_autopick.json").read_text())["result"]["reason"] == "no signal"


def test_a_revision_that_fails_leaves_no_files_of_the_one_before(publisher, tmp_path):
    with listen(publisher, "-o", tmp_path, "--format", "star,csv", "--count", 4) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(name="a/x.mrc", picks=5)
        publisher.publish(name="a/y.mrc", picks=5)
        publisher.publish(name="a/y.tif", picks=0, status="failed", reason="cut short")
        publisher.publish(name="a/x.mrc", picks=0, status="failed", reason="cut short",
                          micrograph__revision=2)
        listener.end()
    assert sorted(path.name for path in (tmp_path / "a").glob("[!.]*")) == [
        "y_autopick.csv", "y_autopick.star"]
    assert (tmp_path / "autopick.star").read_text().splitlines()[-2] \
        == f"/data/a/y.mrc {tmp_path}/a/y_autopick.star"


@pytest.mark.parametrize("name", ["../out.mrc", "/tmp/out.mrc", "a/../../out.mrc", "a//../x.mrc"])
def test_names_do_not_lead_out_of_the_directory(publisher, tmp_path, name):
    below = tmp_path / "below"
    with listen(publisher, "-o", below, "--count", 2) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(name=name)
        publisher.publish()
        listener.end(1)
    assert "leads out of the directory" in listener.err[0]
    assert sorted(path for path in tmp_path.rglob("[!.]*") if path.is_file()) == \
        [below / "GridSquare_1/m2_autopick.star", below / "autopick.star"]


def test_what_cannot_be_written_is_a_failure(publisher, tmp_path):
    (tmp_path / "GridSquare_1").write_text("in the way")
    with listen(publisher, "-o", tmp_path, "--count", 2) as listener:
        publisher.wait_for_subscriber()
        publisher.publish()
        publisher.publish(name="other/x.mrc")
        listener.end(1)
    assert "GridSquare_1" in listener.err[0]
    assert (tmp_path / "other/x_autopick.star").exists()


def test_what_could_not_be_written_is_tried_again(publisher, tmp_path):
    """And a later outcome of the same micrograph takes the place of one that waits."""
    square = tmp_path / "GridSquare_1"
    square.write_text("in the way")
    with listen(publisher, "-o", tmp_path) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(picks=3)
        publisher.publish(name="GridSquare_1/m1.mrc", picks=5, micrograph__revision=2)
        listener.wait_line("seq 2: GridSquare_1/m1.mrc: ")
        assert all(line.endswith("; it is tried again") for line in listener.err)
        square.unlink()
        listener.wait_line("seq 2: GridSquare_1/m1.mrc: its files are written now")
        listener.end(send=signal.SIGTERM)
    assert not any("seq 1: GridSquare_1/m1.mrc: its" in line for line in listener.err)
    assert len(read_picks(square / "m1_autopick.star")) == 5
    assert "m1_autopick.star" in (tmp_path / "autopick.star").read_text()


def test_the_list_for_relion_grows_while_it_listens(publisher, tmp_path):
    """It is saved before the end, and one that listened before is added to."""
    listed = tmp_path / "autopick.star"
    deadline = time.monotonic() + DEADLINE
    with listen(publisher, "-o", tmp_path) as listener:
        publisher.wait_for_subscriber()
        publisher.publish(2)
        while not listed.exists() or "m2.mrc" not in listed.read_text():
            assert time.monotonic() < deadline
            publisher.status()
            publisher.live.poll(50)
        listener.end(send=signal.SIGTERM)
    publisher.outcome()
    with listen(publisher, "-o", tmp_path, "--since", 2, "--count", 1) as listener:
        assert publisher.serve() == 2
        listener.end()
    names = {line.split()[0] for line in listed.read_text().splitlines() if ".mrc" in line}
    assert names == {f"/data/GridSquare_1/m{seq}.mrc" for seq in (1, 2, 3)}


def test_output_that_nobody_reads_ends_it(publisher):
    with listen(publisher) as listener:
        publisher.wait_for_subscriber()
        listener.close_output()
        publisher.publish()
        listener.end(1)
    assert "standard output" in listener.err[-1]


# ---- CURVE ---------------------------------------------------------------------------------------

def key_files(directory, client, server):
    for name, key in ("client", client), ("server", server):
        (directory / name).write_bytes(key + b"\n")
    return ["--curve-key", directory / "client", "--curve-server", directory / "server"]


def test_curve(tmp_path):
    server_public, server_secret = zmq.curve_keypair()
    _, client_secret = zmq.curve_keypair()
    options = key_files(tmp_path, client_secret, server_public)
    with FakePublisher(curve=(server_secret, server_public)) as publisher:
        publisher.outcome()
        with listen(publisher, "--since", 0, "--count", 2, *options) as listener:
            publisher.wait_for_subscriber()
            publisher.serve()
            publisher.publish()
            listener.end()
    assert listener.seqs == [1, 2]


def test_a_wrong_server_key_shows(tmp_path):
    server_public, server_secret = zmq.curve_keypair()
    other_public, other_secret = zmq.curve_keypair()
    options = key_files(tmp_path, other_secret, other_public)
    with FakePublisher(curve=(server_secret, server_public)) as publisher, \
            listen(publisher, "--set", "publish.heartbeat_seconds=0.1", *options) as listener:
        listener.wait_line(f"nothing heard from {publisher.endpoint}: handshake failed: "
                           "--curve-server is not the key of this service, or it uses no keys")
        listener.end(send=signal.SIGTERM)
    assert listener.out == []


# ---- what a listener that hears nothing waits for ------------------------------------------------

def test_a_missing_key_shows():
    public, secret = zmq.curve_keypair()
    with FakePublisher(curve=(secret, public)) as publisher, listen(publisher) as listener:
        listener.wait_line(f"nothing heard from {publisher.endpoint}: handshake failed: the "
                           "service needs keys: --curve-key and --curve-server")


def test_a_key_for_a_service_without_keys_shows(publisher, tmp_path):
    public, secret = zmq.curve_keypair()
    with listen(publisher, *key_files(tmp_path, secret, public)) as listener:
        listener.wait_line("handshake failed: --curve-server is not the key of this service, or it "
                           "uses no keys")


def test_an_unknown_key_shows_and_is_tried_again(scene):
    """The service learns it later: the listener needs no new start."""
    with session() as (service, _):
        run("keygen", service.home / "server")
        run("keygen", service.home / "client")
        run("keygen", service.home / "stranger")
        clients = service.home / "clients"
        clients.write_bytes((service.home / "stranger/curve.pub").read_bytes())
        service.settings |= {
            "publish.curve_secret_key": str(service.home / "server/curve.key"),
            "publish.curve_clients": str(clients),
        }
        service.write_config()
        service.signal(signal.SIGHUP)
        service.wait_notify("READY=1")
        with Process(PROGRAM, "listen", "--connect", service.endpoint, "--replay",
                     service.replay_endpoint, "--since", 0, "--count", 1,
                     "--curve-key", service.home / "client/curve.key",
                     "--curve-server", service.home / "server/curve.pub") as listener:
            listener.wait_line("handshake failed: the service does not know our key")
            clients.write_bytes((service.home / "client/curve.pub").read_bytes())
            service.signal(signal.SIGHUP)
            service.wait_notify("READY=1")
            shutil.copy(scene.path, service.data / "x.mrc")
            listener.end()
    assert listener.seqs == [1]


def test_a_refused_connection_and_its_end_show(publisher):
    """Once for each state; a service that ends is noticed too."""
    with restarted(publisher) as there:
        endpoints = there.endpoint, there.replay_endpoint
        listener = Process(PROGRAM, "listen", "--connect", endpoints[0], "--replay", endpoints[1],
                           "--count", 2)
        with listener:
            there.wait_for_subscriber()
            there.publish()
            listener.wait_lines(1)
            there.close()
            listener.wait_line(f"nothing heard from {endpoints[0]}: connection refused: does the "
                               "service run, with this endpoint?")
            with FakePublisher(endpoint=endpoints[0], replay_endpoint=endpoints[1]) as late:
                late.wait_for_subscriber()
                late.publish()
                listener.end()
    assert sum("connection refused" in line for line in listener.err) == 1


def test_an_unknown_machine_shows():
    with Process(PROGRAM, "listen", "--connect", "tcp://no-such-machine.invalid:1", "--replay",
                 "tcp://no-such-machine.invalid:2") as listener:
        listener.wait_line("still connecting: the name of the machine is unknown")


def test_a_port_that_is_no_service_shows():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with Process(PROGRAM, "listen", "--connect", f"tcp://127.0.0.1:{port}", "--replay",
                     "tcp://127.0.0.1:1") as listener:
            listener.wait_line("connected, but it does not answer as a service does")


def test_a_quiet_service_shows(publisher):
    """Connected, and no heartbeat; the first message ends the wait without more words."""
    with listen(publisher, "--count", 1) as listener:
        publisher.wait_for_subscriber()
        listener.wait_line(f"nothing heard from {publisher.endpoint}: connected, waiting for the "
                           "first message")
        publisher.publish()
        listener.end()
    assert not any(" heard from " in line for line in listener.err[1:])


# ---- the command line ----------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, expected", [
    (["--count", 0], "--count"),
    (["--since", -1], "--since"),
    (["--timeout", 0], "--timeout"),
    (["--connect", "nowhere"], "nowhere"),
    (["--replay", "tcp://127.0.0.1"], "tcp://127.0.0.1"),
    (["--curve-key", "x"], "--curve-server"),
    (["--curve-key", "/nonexistent", "--curve-server", "/nonexistent"], "/nonexistent"),
    (["--format", "xml", "-o", "x"], "xml"),
    (["--format", "csv"], "--format has no effect without --output"),
    (["--diameter", "64px"], "--diameter has no effect here"),
    (["file"], "file"),
], ids=str)
def test_usage(arguments, expected):
    done = run("listen", *arguments, status=2)
    assert expected in done.stderr and not done.stdout


# ---- the subscribers of the README ---------------------------------------------------------------

@contextlib.contextmanager
def python_subscriber(endpoint, replay_endpoint, directory):
    """The script of the README, with these addresses instead of the default one."""
    service = f"pickstream.Service({endpoint!r}, {replay_endpoint!r})"
    script = directory / "subscriber.py"
    script.write_text("import pickstream\n" + SUBSCRIBER.read_text().replace(
        '"tcp://127.0.0.1:5590"', service))
    shutil.copy(ROOT / "include/pickstream.py", directory)
    with Process(sys.executable, script) as subscriber:
        yield subscriber


@pytest.fixture
def subscriber_in_python(publisher, tmp_path):
    with python_subscriber(publisher.endpoint, publisher.replay_endpoint, tmp_path) as subscriber:
        yield subscriber


def test_the_subscriber_in_python(publisher, subscriber_in_python):
    publisher.wait_for_subscriber("picks")
    for _ in range(3):
        publisher.outcome()
    publisher.publish(6, drop={6, 7})
    assert publisher.serve() == 5
    publisher.publish(2)
    publisher.send(publisher.journal[10])
    publisher.publish(picks=0, status="failed", reason="cut short")
    subscriber_in_python.wait_lines(9)
    assert subscriber_in_python.seqs == list(range(4, 13))
    assert subscriber_in_python.out[0] == "4 GridSquare_1/m4.mrc picked 3"
    assert subscriber_in_python.out[-1] == "12 GridSquare_1/m12.mrc failed 0"


def test_the_subscriber_in_python_takes_another_stream(publisher, subscriber_in_python):
    publisher.wait_for_subscriber("picks")
    publisher.publish(3)
    subscriber_in_python.wait_lines(3)
    with restarted(publisher) as other:
        other.wait_for_subscriber("picks")
        other.publish(1)
        subscriber_in_python.wait_lines(4)
    assert subscriber_in_python.seqs == [1, 2, 3, 1]


@pytest.fixture(scope="module")
def subscriber_in_c(tmp_path_factory):
    """Compiled by the very line that the README has."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    directory = tmp_path_factory.mktemp("subscriber")
    shutil.copy(ROOT / "tests/integration/subscriber.c", directory)
    command, = re.findall(r"^ +(cc .* subscriber\.c .*)$", readme, re.M)
    done = subprocess.run(
        f"{command} -Wall -Wextra -Werror", shell=True, cwd=directory, capture_output=True,
        text=True, env=os.environ | {"CPATH": str(ROOT / "include")}, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return directory / "subscriber"


def test_the_subscriber_in_c(publisher, subscriber_in_c):
    with Process(subscriber_in_c, publisher.endpoint) as subscriber:
        publisher.wait_for_subscriber("picks")
        for _ in range(3):
            publisher.publish()
        publisher.status()
        publisher.publish(2, drop={4})
        publisher.publish(picks=0, status="failed", reason="cut short")
        seq = publisher.outcome()
        publisher.send([*publisher.journal[seq], b"an array of a later version", b"and another"])
        publisher.publish()
        subscriber.wait_lines(8)
        subscriber.process.terminate()
    assert subscriber.out[0] == "1 GridSquare_1/m1.mrc picked 3, the best at 1.0, 2.0"
    assert subscriber.out[3] == "missed: 1 outcomes"
    assert [line.split()[0] for line in subscriber.out[4:]] == ["5", "6", "7", "8"]
    assert subscriber.out[5] == "6 GridSquare_1/m6.mrc failed 0"


def test_the_subscriber_in_c_hears_a_real_service(subscriber_in_c, scene):
    with session(f"picker.particle_diameter={scene.diameter}px") as (service, observer):
        with Process(subscriber_in_c, service.endpoint) as subscriber:
            observer.status(lambda status: status["metrics"]["subscribers"] >= 3)
            shutil.copy(scene.path, service.data / "real.mrc")
            outcome = observer.outcome()
            subscriber.wait_lines(1)
            subscriber.process.terminate()
    best = outcome.picks[0]
    assert subscriber.out == [f"1 real.mrc picked {len(outcome.picks)}, "
                              f"the best at {best[0]:.1f}, {best[1]:.1f}"]
