"""Files of picks that cannot be written: an old one never stands for the new result, the missing
ones are written when that is possible again, and killed processes leave no temporary files."""

import os
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from micrographs import write_mrc
from service import PATIENCE, Service, Subscriber
from support import PROGRAM, run

STAR = "synth_000001_autopick.star"
HEARTBEAT = "publish.heartbeat_seconds=0.2"


def small_disk():
    """A limit on the size of files stands for the disk: the names and autopick.star fit."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))


def rewrite(path, image):
    """The micrograph with other content."""
    write_mrc(path, np.ascontiguousarray(image[::-1]))


# ---- pick ----------------------------------------------------------------------------------------

def test_pick_removes_what_was_made_of_another_content(tmp_path, scene):
    micrograph = tmp_path / "synth_000001.mrc"
    picks = tmp_path / "picks"
    shutil.copy(scene.path, micrograph)
    command = ["pick", *scene.options, "--format", "star,csv", "--overlay", "-o", picks, micrograph]
    run(*command)
    assert STAR in (picks / "autopick.star").read_text()
    rewrite(micrograph, scene.image)
    done = run(*command, status=1, preexec_fn=small_disk)
    assert f"{STAR}: cannot write: File too large; the earlier file is removed" in done.stderr
    assert sorted(path.name for path in picks.iterdir() if not path.name.startswith(".")) == [
        "autopick.star"]
    assert STAR not in (picks / "autopick.star").read_text()
    run(*command, "--resume")
    assert (picks / STAR).exists() and STAR in (picks / "autopick.star").read_text()


def test_an_earlier_file_that_cannot_be_removed_is_named(tmp_path, scene):
    """A directory of its name stands for it: root removes everything else."""
    picks = tmp_path / "picks"
    (picks / STAR / "full").mkdir(parents=True)
    done = run("pick", *scene.options, "-o", picks, scene.path, status=1)
    assert f"{STAR}: cannot rename a temporary file to this name: Is a directory" in done.stderr
    assert "; the earlier file cannot be removed: Is a directory" in done.stderr


# ---- service -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """The environment of a program whose writes do what the file says: "full", "hang" or nothing.
    Temporary files alone are affected, when they are synced."""
    directory = tmp_path_factory.mktemp("faults")
    source, library, order = (directory / name for name in ("fault.c", "fault.so", "order"))
    source.write_text(
        """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int fsync(int fd)
        {
            char link[64], path[4096], order[16] = "";
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path - 1);
            path[length > 0 ? length : 0] = 0;
            FILE *file = strstr(path, "/.pickstream-") ? fopen(getenv("FAULT"), "r") : NULL;
            if (file) {
                (void)!fgets(order, sizeof order, file);
                fclose(file);
            }
            while (strcmp(order, "hang") == 0)
                pause();
            if (strcmp(order, "full") == 0)
                return errno = ENOSPC, -1;
            return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
        }
        """
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)

    class Faults:
        environment = {
            "LD_PRELOAD": str(library),
            "FAULT": str(order),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }

        @staticmethod
        def set(text):
            order.write_text(text)

    Faults.set("")
    yield Faults
    Faults.set("")


def missing(count):
    return lambda status: status["output"]["files_missing"] == count


def test_missing_files_are_written_when_there_is_room(faults, scene):
    """The old file is gone before the outcome is published, and its new one comes by itself."""
    with Service(HEARTBEAT, "output.formats=star,json", diameter=f"{scene.diameter}px",
                 environment=faults.environment) as service, Subscriber(service) as subscriber:
        subscriber.connected()
        micrograph = service.data / "synth_000001.mrc"
        star, json_file = service.picks / STAR, service.picks / "synth_000001_autopick.json"
        shutil.copy(scene.path, micrograph)
        assert subscriber.outcome().revision == 1
        old = star.read_bytes()
        assert subscriber.status()["output"] == {"files_missing": 0, "reason": None}
        faults.set("full")
        rewrite(micrograph, scene.image)
        outcome = subscriber.outcome()
        assert outcome.revision == 2 and not star.exists() and not json_file.exists()
        assert any("file of picks not written" in warning
                   for warning in outcome.header["result"]["warnings"])
        status = subscriber.status(
            lambda status: missing(1)(status) and status["output"]["reason"])
        assert "No space left on device" in status["output"]["reason"]
        assert status["metrics"]["files_missing"] == 1
        assert "files of picks missing: 1" in run("status", "-c", service.config).stdout
        faults.set("")
        subscriber.status(missing(0))
        assert star.read_bytes() != old and len(star.read_text().splitlines()) > 6
        assert "not written" not in json_file.read_text()
        assert "event=output_repaired count=1" in service.log_text()
        exported = service.home / "exported"
        run("export", "-c", service.config, "--format", "star,json", "-o", exported)
        for path in star, json_file:
            assert (exported / path.name).read_bytes() == path.read_bytes()
        assert service.stop() == 0


def test_a_restart_writes_missing_files_and_no_others(faults, scene):
    """After SIGKILL too; a file that was removed on purpose stays away."""
    with Service(HEARTBEAT, diameter=f"{scene.diameter}px", environment=faults.environment) as service:
        with Subscriber(service) as subscriber:
            subscriber.connected()
            shutil.copy(scene.path, service.data / "good.mrc")
            subscriber.outcome()
            faults.set("full")
            shutil.copy(scene.path, service.data / "lost.mrc")
            subscriber.outcome()
            subscriber.status(missing(1))
        service.kill()
        good, lost = (service.picks / f"{name}_autopick.star" for name in ("good", "lost"))
        assert good.exists() and not lost.exists()
        content = good.read_bytes()
        good.unlink()
        faults.set("")
        service.start()
        with Subscriber(service) as subscriber:
            subscriber.status(missing(0))
        assert lost.read_bytes() == content and not good.exists()
        assert service.stop() == 0


def test_a_failed_revision_whose_old_file_cannot_be_removed(scene):
    """It is removed as soon as that is possible. A directory of its name stands for the file."""
    with Service(HEARTBEAT, diameter=f"{scene.diameter}px") as service, Subscriber(service) as subscriber:
        subscriber.connected()
        micrograph, star = service.data / "synth_000001.mrc", service.picks / STAR
        shutil.copy(scene.path, micrograph)
        subscriber.outcome()
        star.unlink()
        star.mkdir()
        damaged = bytearray(scene.path.read_bytes())
        damaged[12:16] = b"\x63\0\0\0"  # the mode
        micrograph.write_bytes(damaged)
        assert subscriber.outcome().status == "failed"
        subscriber.status(missing(1))
        star.rmdir()
        star.write_text("old")
        subscriber.status(missing(0))
        assert not star.exists()
        assert service.stop() == 0


# ---- temporary files -----------------------------------------------------------------------------

def temporaries(directory):
    return sorted(path.name for path in directory.glob(".pickstream-*.tmp"))


def wait_for_temporaries(directory, count):
    deadline = time.monotonic() + PATIENCE
    while len(temporaries(directory)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # no message tells when
    return temporaries(directory)


def test_temporary_files_of_dead_processes_are_removed(faults, tmp_path, scene):
    """Those of living ones are not, nor those of another machine before a day has passed."""
    command = [PROGRAM, "pick", *scene.options, "-o", tmp_path, scene.path]
    faults.set("hang")
    environment = os.environ | faults.environment
    processes = []
    for count in 1, 2:
        processes.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        names = wait_for_temporaries(tmp_path, count)
    killed, living = processes
    try:
        killed.kill()
        killed.wait()
        of_living = [name for name in names if f"-{living.pid:x}-" in name]
        elsewhere, older = ".pickstream-00000000-1-00000000-00000001.tmp", \
            ".pickstream-0123456789abcdef.tmp"
        for name in elsewhere, older:
            (tmp_path / name).touch()
        os.utime(tmp_path / older, (time.time() - 90000,) * 2)
        run(*command[1:])
        assert len(of_living) == 1 and temporaries(tmp_path) == sorted([elsewhere, *of_living])
        assert (tmp_path / STAR).exists()
    finally:
        living.kill()
        living.wait()


def test_a_service_removes_what_its_killed_run_left(faults, scene):
    with Service(HEARTBEAT, diameter=f"{scene.diameter}px",
                 environment=faults.environment) as service:
        faults.set("hang")
        shutil.copy(scene.path, service.data)
        wait_for_temporaries(service.picks, 1)
        service.kill()
        assert len(temporaries(service.picks)) == 1
        faults.set("")
        service.start()
        with Subscriber(service) as subscriber:
            subscriber.status(lambda status: status["last_seq"] == 1)
        assert not temporaries(service.picks) and (service.picks / STAR).exists()
        assert service.stop() == 0
