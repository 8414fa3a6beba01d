"""Micrographs that end the service, or keep it busy for long.

A library in LD_PRELOAD does to the real program what a damaged file or a lack of memory does.
"""

import os
import re
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import time

import pytest
from service import PATIENCE, Service, Subscriber
from support import PROGRAM, SANITIZER, run

DEADLY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
/* Reading the pixels of a file whose name begins with "kill", "hang" or "slow" does or is that. */
ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    static ssize_t (*real)(int, void *, size_t, off_t);
    char link[64], path[4096];
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pread");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    if (size > 100000 && strstr(path, "/kill"))
        kill(getpid(), SIGKILL);
    while (size > 100000 && strstr(path, "/hang"))
        pause();
    if (size > 100000 && strstr(path, "/slow")) {
        usleep(700000);
        size = 100000;
    }
    return real(fd, buffer, size, offset);
}
ssize_t pread64(int fd, void *buffer, size_t size, off_t offset)
{
    return pread(fd, buffer, size, offset);
}
"""


@pytest.fixture(scope="module")
def deadly(tmp_path_factory):
    """The environment in which some names kill."""
    directory = tmp_path_factory.mktemp("deadly")
    (directory / "deadly.c").write_text(DEADLY)
    library = directory / "deadly.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, directory / "deadly.c", "-ldl"],
                   check=True)
    return {
        "LD_PRELOAD": str(library),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
    }


@pytest.fixture(scope="module")
def micrograph(tmp_path_factory):
    directory = tmp_path_factory.mktemp("synth")
    subprocess.run([PROGRAM, "synth", "--size", "420x420", "--diameter", "34", directory],
                   check=True, stdout=subprocess.DEVNULL)
    return directory / "synth_000001.mrc"


def put(service, micrograph, name, age):
    """A micrograph that was there before the service, by its age in seconds."""
    path = service.data / name
    shutil.copy(micrograph, path)
    os.utime(path, (1.7e9 - age, 1.7e9 - age))


def wait_status(service, condition):
    """Of this process: what an earlier one sent is not read."""
    with Subscriber(service) as subscriber:
        return subscriber.status(condition)


def is_busy(status):
    return status["queue"]["in_flight"] == 1


def rows(service, query):
    with sqlite3.connect(service.state / "journal.sqlite") as database:
        return database.execute(query).fetchall()


def states(service):
    return dict(rows(service, "SELECT name, state FROM micrographs"))


def test_a_micrograph_that_kills_is_tried_three_times(deadly, micrograph):
    """Twice in its turn, once alone when all others are done; its neighbours are picked."""
    others = [f"{index}.mrc" for index in range(6)]
    service = Service("compute.slots_per_device=3", environment=deadly)
    put(service, micrograph, "kill.mrc", 100)
    for index, name in enumerate(others):
        put(service, micrograph, name, 10 - index)
    with service:
        assert service.wait() == -signal.SIGKILL
        service.spawn()
        assert service.wait() == -signal.SIGKILL
        service.spawn()
        assert service.wait() == -signal.SIGKILL
        assert states(service) == {"kill.mrc": "seen"} | dict.fromkeys(others, "picked")
        assert rows(service, "SELECT name, deaths FROM deaths JOIN micrographs"
                             " ON id = micrograph") == [("kill.mrc", 2)]
        service.start()
        with Subscriber(service) as subscriber:
            outcomes = subscriber.connected().replay_until(
                lambda outcomes: len(outcomes) == len(others) + 1)
            assert outcomes[-1].name == "kill.mrc"
            assert outcomes[-1].status == "failed"
            assert outcomes[-1].reason == "the service ended while picking it (3 times)"
            assert subscriber.status()["queue"]["suspects"] == 0
            assert rows(service, "SELECT * FROM deaths") == []
            assert service.log_text().count("event=died_while_picking") >= 3
            assert service.stop() == 0
            # Repaired, it is a micrograph like others.
        service.environment = {}
        service.start()
        with Subscriber(service) as subscriber:
            subscriber.connected()
            run("retry", "-c", service.config)
            again = subscriber.outcome()
            assert (again.name, again.status, again.revision) == ("kill.mrc", "picked", 1)


def test_a_stop_at_once_is_no_death(deadly, micrograph):
    """drain_seconds end while a micrograph is in flight, as often as it may be."""
    service = Service("service.drain_seconds=0.1", environment=deadly)
    put(service, micrograph, "hang.mrc", 0)
    with service:
        for _ in range(3):
            wait_status(service, is_busy)
            assert service.stop() == 0
            service.start()
            assert rows(service, "SELECT * FROM deaths") == []
        wait_status(service, is_busy)
        service.kill()
        service.start()
        assert rows(service, "SELECT deaths FROM deaths") == [(1,)]


def test_a_suspect_that_lives_is_picked(deadly, micrograph):
    """The machine was at fault: in flight at two deaths, picked alone in the end."""
    service = Service("service.drain_seconds=0.1", environment=deadly)
    put(service, micrograph, "hang.mrc", 0)
    with service:
        for _ in range(2):
            wait_status(service, is_busy)
            service.kill()
            service.start()
        assert wait_status(service, is_busy)["queue"]["suspects"] == 1
        put(service, micrograph, "next.mrc", 0)
        waiting = wait_status(service, lambda status: status["queue"]["waiting"] == 1)
        assert waiting["queue"]["in_flight"] == 1  # alone
        assert service.stop() == 0
        service.environment = {}
        service.start()
        with Subscriber(service) as subscriber:
            outcomes = subscriber.replay_until(lambda outcomes: len(outcomes) == 2)
        assert [outcome.name for outcome in outcomes] == ["next.mrc", "hang.mrc"]
        assert rows(service, "SELECT * FROM deaths") == []


def test_slow_is_not_stuck(deadly, micrograph):
    """A read that takes longer than the watchdog's period, but makes progress, does not starve it."""
    period = 1.5
    service = Service(environment=deadly | {"WATCHDOG_USEC": str(int(period * 1e6))})
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        service.wait_notify("WATCHDOG=1")
        began = last = time.monotonic()
        longest = 0
        put(service, micrograph, "slow.mrc", 0)
        while subscriber.sub.poll(0) == 0 or subscriber.receive(subscriber.sub)[0] != b"picks":
            service.wait_notify("WATCHDOG=1")
            longest = max(longest, time.monotonic() - last)
            last = time.monotonic()
        assert time.monotonic() - began > 1.5 * period
        assert longest < period


def limited(gigabytes):
    """For the child: a limit of its address space, as the memory of a small machine."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (gigabytes * 10**9,) * 2)
    return limit


def write_huge(path):
    """16000 x 16000 px of 8 bits, on the disk only where they are not 0."""
    header = bytearray(1024)
    header[:16] = struct.pack("<4i", 16000, 16000, 1, 0)
    header[28:52] = struct.pack("<3i3f", 16000, 16000, 1, 16000.0, 16000.0, 1.0)
    header[208:216] = b"MAP \x44\x44\0\0"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(1024 + 16000**2)
        file.seek(-1, 2)
        file.write(b"\1")


REFUSED = r"needs about 2\d\.\d GB of memory, 4\.0 GB are there"


@pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer needs address space")
def test_what_cannot_fit_is_refused_by_pick(micrograph, tmp_path):
    write_huge(tmp_path / "huge.mrc")
    shutil.copy(micrograph, tmp_path / "small.mrc")
    done = subprocess.run(
        [PROGRAM, "pick", "--backend", "cpu", "--diameter", "30px", "-o", tmp_path / "out", tmp_path],
        preexec_fn=limited(4), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert re.search(f"{tmp_path}/huge.mrc: {REFUSED}", done.stderr)
    assert (tmp_path / "out/small_autopick.star").exists()


@pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer needs address space")
def test_what_cannot_fit_is_refused_by_the_service(micrograph):
    service = Service("picker.profile=adaptive", "compute.backend=cpu", diameter="30px",
                      limit=limited(4))
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        write_huge(service.data / "huge.mrc")
        outcome = subscriber.outcome()
        assert outcome.status == "failed"
        assert re.fullmatch(REFUSED, outcome.reason)
        shutil.copy(micrograph, service.data / "small.mrc")
        assert subscriber.outcome().status == "picked"
