"""The machine is short of something: descriptors, memory, a disk that can be written to. That is no
micrograph's fault, and what was short is used again as soon as it is there."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import socket
import sqlite3
import struct
import subprocess
import time
import urllib.request

import micrographs
import numpy as np
import pytest
from service import PATIENCE, Service, Subscriber, refused, session
from support import PROGRAM, SANITIZER, notes, run

SIDE = 420
PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A micrograph that is picked in milliseconds."""
    pixels = np.random.default_rng(3).normal(100, 10, (SIDE, SIDE)).astype(np.float32)
    return micrographs.write_mrc(tmp_path_factory.mktemp("image") / "x.mrc", pixels).read_bytes()


@contextlib.contextmanager
def few_descriptors(service, spare=0):
    """The running service can open only that many more."""
    process = service.process.pid
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
    limit = sorted(set(range(len(used) + spare + 1)) - used)[spare]
    resource.prlimit(process, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)


def write(service, content, *names):
    for name in names:
        (service.data / name).parent.mkdir(parents=True, exist_ok=True)
        (service.data / name).write_bytes(content)


# ---- micrographs -----------------------------------------------------------------------------------


def test_no_descriptors_is_no_verdict(content):
    """Nothing fails, nothing is missing, and it says what it waits for; then all are picked."""
    with session("input.settle_seconds=0.1") as (service, subscriber):
        write(service, content, "before.mrc", "sub/before.mrc")
        assert {outcome.status for outcome in subscriber.outcomes(2)} <= {"picked", "rejected"}
        with few_descriptors(service):
            write(service, content, "a.mrc", "sub/b.mrc", "c.mrc")
            status = subscriber.status(lambda status: status["queue"]["postponed"] >= 1)
            assert "Too many open files" in status["queue"]["postponed_reason"]
            assert status["metrics"]["postponed"] >= 1
            assert status["metrics"]["queue_postponed"] >= 1
            scans = status["metrics"]["rescans"]
            status = subscriber.status(lambda status: status["metrics"]["rescans"] > scans)
            assert [watch["mode"] for watch in status["watch"]] == ["inotify"]
            assert status["watch"][0]["directories"] == 2
            assert status["totals"]["failed"] == 0
        outcomes = subscriber.outcomes(3)
        assert {outcome.name for outcome in outcomes} == {"a.mrc", "sub/b.mrc", "c.mrc"}
        assert {outcome.status for outcome in outcomes} <= {"picked", "rejected"}
        status = subscriber.status(lambda status: status["queue"]["postponed"] == 0)
        assert status["queue"]["postponed_reason"] is None
        log = service.log_text()
        assert "event=directory_missing" not in log
        assert log.count("event=scan_incomplete") == 1


@pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer takes memory of its own")
def test_no_memory_is_no_verdict(content):
    """A micrograph for which there is no memory now."""
    side = 4000
    header = bytearray(content[:1024])
    struct.pack_into("<3i", header, 0, side, side, 1)
    with session("input.settle_seconds=0.1") as (service, subscriber):
        write(service, content, "small.mrc")
        subscriber.outcome()
        process = service.process.pid
        used = int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[0]) * PAGE
        before = resource.prlimit(process, resource.RLIMIT_AS)
        resource.prlimit(process, resource.RLIMIT_AS, (used + (32 << 20), before[1]))
        with (service.data / "large.tmp").open("wb") as file:
            file.write(header)
            file.truncate(1024 + 4 * side * side)
        (service.data / "large.tmp").rename(service.data / "large.mrc")
        status = subscriber.status(lambda status: status["queue"]["postponed"] == 1)
        assert "no memory: 64000000 bytes" in status["queue"]["postponed_reason"]
        assert ("postponed  1, tried again later: no memory: 64000000 bytes"
                in run("status", "-c", service.config).stdout)
        resource.prlimit(process, resource.RLIMIT_AS, before)
        outcome = subscriber.outcome()
        assert (outcome.name, outcome.status) == ("large.mrc", "rejected")


# ---- connections -----------------------------------------------------------------------------------


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


@contextlib.contextmanager
def tcp_session(program, *settings):
    """A service with TCP sockets and a limit of 1,024 descriptors, and a subscriber."""
    program.write_text(f'#!/bin/sh\nulimit -n 1024\nexec {PROGRAM} "$@"\n')
    program.chmod(0o755)
    publish, replay = free_ports(2)
    with session(f"publish.endpoint=tcp://127.0.0.1:{publish}",
                 f"publish.replay_endpoint=tcp://127.0.0.1:{replay}", "input.settle_seconds=0.1",
                 *settings, program=str(program)) as (service, subscriber):
        yield service, subscriber, {"publish": publish, "replay": replay}


@contextlib.contextmanager
def raised_descriptors():
    """Of this process, as far as it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connections(subscriber, condition):
    return subscriber.status(lambda status: condition(status["connections"]))["connections"]


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_connections_leave_descriptors_for_the_work(content, tmp_path):
    """1,200 of them: micrographs are picked, nothing runs in circles, and they are named."""
    with tcp_session(tmp_path / "pickstream") as (service, subscriber, ports):
        limits = {name: item["limit"] for name, item in subscriber.status()["connections"].items()}
        assert set(limits) == {"publish", "replay", "control"}
        assert sum(limits.values()) <= 1024 - 256
        with contextlib.ExitStack() as stack:
            stack.enter_context(raised_descriptors())
            for port in ports.values():
                for _ in range(600):
                    idle = stack.enter_context(socket.socket())
                    idle.setblocking(False)
                    idle.connect_ex(("127.0.0.1", port))
            full = connections(subscriber, lambda found: all(
                found[name]["open"] == limits[name] for name in ports))
            assert all(full[name]["open"] <= limits[name] for name in full)
            assert len(os.listdir(f"/proc/{service.process.pid}/fd")) < 1024 - 128
            log = service.log_text()
            for name in ports:
                assert f"event=connections_full socket={name} " in log
            write(service, content, "a.mrc", "b.mrc")
            assert {outcome.status for outcome in subscriber.outcomes(2)} <= {"picked", "rejected"}
            used = cpu_seconds(service.process.pid)
            subscriber.status()
            subscriber.status()
            assert cpu_seconds(service.process.pid) - used < 0.1
            with Subscriber(service) as late:
                assert late.sub.poll(300) == 0 and late.dealer.poll(0) == 0
                stack.close()
                late.connected()  # as soon as there is room
                assert late.ask(request="hello")
        assert connections(subscriber, lambda found: found["publish"]["open"] < 10)
        assert "event=connections_free socket=publish " in service.log_text()
        assert [outcome.name for outcome in subscriber.replay()[0]] == ["a.mrc", "b.mrc"]


def test_connections_to_a_socket_file_are_bounded_too(content):
    """There a connection beyond the limit is accepted and closed."""
    with session() as (service, subscriber):
        limit = subscriber.status()["connections"]["control"]["limit"]
        before = len(os.listdir(f"/proc/{service.process.pid}/fd"))
        with contextlib.ExitStack() as stack:
            stack.enter_context(raised_descriptors())
            for _ in range(limit + 100):
                idle = stack.enter_context(socket.socket(socket.AF_UNIX))
                idle.connect(str(service.state / "control.sock"))
            connections(subscriber, lambda found: found["control"]["open"] == limit)
            subscriber.status(lambda status: status["metrics"]["refused_connections"] >= 100)
            assert len(os.listdir(f"/proc/{service.process.pid}/fd")) <= before + limit + 5
            write(service, content, "a.mrc")
            assert subscriber.outcome().name == "a.mrc"
        connections(subscriber, lambda found: found["control"]["open"] == 0)


def test_no_descriptor_for_a_connection(content, tmp_path):
    """Others have taken them: the service does not try to accept without a pause."""
    with tcp_session(tmp_path / "pickstream") as (service, subscriber, ports):
        with contextlib.ExitStack() as stack:
            stack.enter_context(few_descriptors(service, spare=10))
            used = cpu_seconds(service.process.pid)
            for _ in range(100):
                idle = stack.enter_context(socket.socket())
                idle.setblocking(False)
                idle.connect_ex(("127.0.0.1", ports["replay"]))
            subscriber.status(lambda status: status["metrics"]["refused_connections"] > 0)
            assert "no descriptors are left" in service.log_text()
            for _ in range(3):
                subscriber.status()
            assert cpu_seconds(service.process.pid) - used < 0.3
        write(service, content, "a.mrc")
        assert subscriber.outcome().name == "a.mrc"


# ---- files that cannot be written ------------------------------------------------------------------

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@contextlib.contextmanager
def service_of_nobody(tmp_path, *settings):
    """A service that is not root's, not yet started."""
    program = tmp_path / "pickstream"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid={NOBODY} --clear-groups {PROGRAM} "$@"\n')
    program.chmod(0o755)
    for directory in (tmp_path, *tmp_path.parents):
        if str(directory).startswith("/tmp/"):
            directory.chmod(0o755)
    service = Service(*settings, program=str(program))
    for path in service.home, service.state, service.picks, service.data:
        os.chown(path, NOBODY, NOBODY)
    mask = os.umask(0)  # nobody writes to the socket of sd_notify
    try:
        yield service
    finally:
        os.umask(mask)
        service.end()
        shutil.rmtree(service.home)


@needs_root
def test_a_journal_that_is_not_its_own_ends_the_start(content, tmp_path):
    """Restored as root, say. It does not run with a journal that it cannot write."""
    with service_of_nobody(tmp_path) as service:
        service.start()
        assert service.stop() == 0
        journal = service.state / "journal.sqlite"
        os.chown(journal, 0, 0)
        journal.chmod(0o644)
        assert service.spawn().wait() == 1
        assert (f"{journal}: cannot be written: it belongs to root and has mode 0644, and this "
                f"process runs as nobody") in service.log_text()


def is_shown(subscriber, *names):
    """Whether the live view lists these micrographs, a moment after they are published."""
    url = subscriber.status()["live_view"]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}api/micrographs", timeout=60) as answer:
            if [row["name"] for row in json.load(answer)["micrographs"]] == list(names):
                return True
        time.sleep(0.05)
    return False


@needs_root
def test_a_journal_that_was_mended_is_used_again(content, tmp_path):
    """Its file was replaced by a copy that the service could not write, then by a good one."""
    with service_of_nobody(tmp_path, "input.settle_seconds=0.1",
                           "http.listen=127.0.0.1:0") as service:
        service.start()
        with Subscriber(service) as subscriber:
            subscriber.connected()
            write(service, content, "a.mrc")
            assert subscriber.outcome().seq == 1
            assert is_shown(subscriber, "a.mrc")
            journal = service.state / "journal.sqlite"
            copy = service.state / "copy"
            with sqlite3.connect(journal) as database:  # all of it is in the file
                database.execute(f"VACUUM INTO '{copy}'")
            database.close()
            for name in "journal.sqlite-wal", "journal.sqlite-shm":
                (service.state / name).unlink(missing_ok=True)
            copy.chmod(0o644)
            copy.rename(journal)
            write(service, content, "b.mrc")
            status = subscriber.status(
                lambda status: "belongs to root and has mode 0644" in status["journal"])
            assert status["last_seq"] == 1
            os.chown(journal, NOBODY, NOBODY)
            outcome = subscriber.outcome()
            assert (outcome.seq, outcome.name) == (2, "b.mrc")
            assert subscriber.status(lambda status: status["journal"] == "ok")
            assert [outcome.seq for outcome in subscriber.replay()[0]] == [1, 2]
            assert is_shown(subscriber, "a.mrc", "b.mrc")


def test_an_older_copy_of_the_journal_is_refused(content):
    """What was published since would be published again with other content."""
    with session("input.settle_seconds=0.1") as (service, subscriber):
        write(service, content, "a.mrc")
        subscriber.outcome()
        journal, copy = service.state / "journal.sqlite", service.state / "copy"
        with sqlite3.connect(journal) as database:
            database.execute(f"VACUUM INTO '{copy}'")
        database.close()
        write(service, content, "b.mrc")
        subscriber.outcome()
        kept = service.state / "kept"
        journal.rename(kept)
        copy.rename(journal)
        write(service, content, "c.mrc")
        subscriber.status(
            lambda status: "a copy with 1 outcomes is in its place, 2 were published"
            in status["journal"])
        kept.rename(journal)
        assert subscriber.outcome().seq == 3


def test_a_deleted_lock_is_made_again():
    with session() as (service, subscriber):
        (service.state / "lock").unlink()
        for _ in range(2):
            subscriber.status()
        assert (service.state / "lock").read_text().strip() == str(service.process.pid)
        status, log = refused(f"service.state_directory={service.state}")
        assert status == 1
        assert f"in use by another pickstream, process {service.process.pid}" in log


def test_deleted_directories_are_made_again(content):
    """Of files of picks and of pictures, while it runs."""
    with session("input.settle_seconds=0.1", "http.listen=127.0.0.1:0") as (service, subscriber):
        write(service, content, "a.mrc")
        subscriber.outcome()
        shutil.rmtree(service.picks)
        for previews in service.state.glob("previews*"):
            shutil.rmtree(previews)
        write(service, content, "b.mrc")
        outcome = subscriber.outcome()
        assert outcome.header["result"]["warnings"] == []
        assert (service.picks / "b_autopick.star").exists()
        url = subscriber.status()["live_view"]
        with urllib.request.urlopen(f"{url}preview/{outcome.seq}.png") as answer:
            assert answer.read().startswith(b"\x89PNG")


# ---- batches ---------------------------------------------------------------------------------------


def test_a_batch_without_descriptors_ends_and_is_resumed(content, tmp_path):
    """No micrograph has failed."""
    data, picks = tmp_path / "data", tmp_path / "picks"
    data.mkdir()
    for name in "abc":
        (data / f"{name}.mrc").write_bytes(content)
    settings = ["--diameter", "24px", "--profile", "aspire", "-o", picks]
    run("pick", *settings, data / "a.mrc", data / "b.mrc")
    (data / "a.mrc").write_bytes(content)  # its picks are older now

    def limited():
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))

    done = run("pick", "--resume", *settings, data, status=1, preexec_fn=limited)
    assert done.stdout == ""
    assert notes(done)[-1] == (
        "pickstream: ended, as the machine is short of something: 1 of 3 picked; the same command "
        "with --resume continues")
    assert "Too many open files" in done.stderr and " 0 failed" in done.stderr
    done = run("pick", "--resume", *settings, data)
    assert "2 picked" in done.stderr and "1 done before" in done.stderr


# ---- starting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["watch", "relay", "check", "export"])
def test_a_shortage_at_the_start_is_no_mistake_of_the_user(tmp_path, command):
    """Exit status 2 tells systemd not to try again."""
    config = tmp_path / "pickstream.ini"
    config.write_text(f"""
[input]
directories = {tmp_path}
[picker]
particle_diameter = 24px
[publish]
endpoint = ipc://{tmp_path}/a
replay_endpoint = ipc://{tmp_path}/b
[http]
listen = 127.0.0.1:0
[output]
directory = {tmp_path}/picks
[service]
state_directory = {tmp_path}/state
""")
    options = {
        "relay": ["--connect", f"ipc://{tmp_path}/c", "--replay", f"ipc://{tmp_path}/d"],
        "export": ["-o", tmp_path / "export"],
    }
    for limit in range(4, 36, 3):
        with subprocess.Popen(
            [PROGRAM, command, "-c", config, *options.get(command, [])], stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL, encoding="utf-8",
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                               (limit, limit)),
        ) as process:
            for line in process.stderr:
                if "event=started" in line or "event=relaying" in line:
                    process.terminate()
            assert process.wait() in (0, 1), (limit, line)
