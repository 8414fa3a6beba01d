"""The machine is short of something: descriptors, memory, a disk that can be written to. That is no
micrograph's fault, and what was short is used again as soon as it is there."""

import contextlib
import os
import resource
import shutil

import micrographs
import numpy as np
import pytest
from service import Subscriber, session

SIDE = 420


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
