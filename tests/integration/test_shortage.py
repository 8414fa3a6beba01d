"""The machine is short of something: descriptors, memory, a disk that can be written to. That is no
micrograph's fault, and what was short is used again as soon as it is there."""

import contextlib
import os
import pathlib
import resource
import socket
import struct
import time

import micrographs
import numpy as np
import pytest
from service import Subscriber, session
from support import PROGRAM, SANITIZER

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
            status = subscriber.status(lambda status: status["metrics"]["rescans"] >= scans + 2)
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
            time.sleep(1)  # what it does while it is full
            assert cpu_seconds(service.process.pid) - used < 0.1
            with Subscriber(service) as late:
                assert late.dealer.poll(300) == 0 and late.sub.poll(300) == 0
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
            for _ in range(100):
                idle = stack.enter_context(socket.socket())
                idle.setblocking(False)
                idle.connect_ex(("127.0.0.1", ports["replay"]))
            subscriber.status(lambda status: status["metrics"]["refused_connections"] > 0)
            assert "no descriptors are left" in service.log_text()
            used = cpu_seconds(service.process.pid)
            write(service, content, "a.mrc")
            subscriber.status(lambda status: status["queue"]["postponed"] == 1)
            assert cpu_seconds(service.process.pid) - used < 0.3
        assert subscriber.outcome().name == "a.mrc"
