"""Micrographs that end the service, or keep it busy for long.

A library in LD_PRELOAD does to the real program what a damaged file or a lack of memory does.
"""

import os
import shutil
import signal
import sqlite3
import subprocess

import pytest
from service import Service, Subscriber
from support import PROGRAM, run

DEADLY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
/* Reading the pixels of a file whose name begins with "kill" or "hang" does that. */
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
    service = Service(environment=deadly)
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
        service.signal(signal.SIGTERM)
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        service.environment = {}
        service.start()
        with Subscriber(service) as subscriber:
            outcomes = subscriber.replay_until(lambda outcomes: len(outcomes) == 2)
        assert [outcome.name for outcome in outcomes] == ["next.mrc", "hang.mrc"]
        assert rows(service, "SELECT * FROM deaths") == []
