"""SIGKILL at any moment, a subscriber that stops, a disk that fills: nothing is lost or repeated."""

import os
import random
import shutil
import signal
import subprocess
import threading

import pytest
from notices import Notices
from service import PATIENCE, Outcome, Service, Subscriber, session
from support import PROGRAM

KILLS = int(os.environ.get("PICKSTREAM_KILLS", "10"))


class Microscope:
    """`pickstream synth`, writing in pieces, half of the micrographs by rename."""

    def __init__(self, directory, count, rate):
        self.count = count
        self.process = subprocess.Popen(
            [PROGRAM, "synth", "--size", "420x420", "--diameter", "34", "--count", str(count),
             "--rate", str(rate), "--slow", directory],
            stdout=subprocess.DEVNULL,
        )

    def wait(self):
        assert self.process.wait(PATIENCE) == 0


def check_exactly_once(outcomes, names):
    """Every seq once with the same bytes wherever it was seen, no gap, every micrograph once."""
    by_seq = {}
    for outcome in outcomes:
        frames = by_seq.setdefault(outcome.seq, outcome.frames)
        assert frames == outcome.frames
    assert sorted(by_seq) == list(range(1, len(by_seq) + 1))
    first = {outcome.seq: outcome for outcome in outcomes}
    assert sorted(outcome.name for outcome in first.values()) == sorted(names)


def collect(service, outcomes, stop):
    """A subscriber in a thread of its own, across all lives of the service."""
    with Subscriber(service) as subscriber:
        while not stop.is_set():
            while subscriber.sub.poll(50):
                frames = subscriber.sub.recv_multipart()
                if frames[0] == b"picks":
                    outcomes.append(frames)


def test_killed_at_random_moments():
    """P33 and the promise: SIGKILL while micrographs come, again and again."""
    chance = random.Random(11)
    count = 8 * KILLS
    service = Service("input.poll_seconds=0.5", "input.settle_seconds=0.1")
    seen, stop = [], threading.Event()
    collector = threading.Thread(target=collect, args=(service, seen, stop))
    with service:
        collector.start()
        microscope = Microscope(service.data, count, rate=20)
        for _ in range(KILLS):
            # a moment is a number of outcomes from now, and a little chance after that
            with Subscriber(service) as subscriber:
                for _ in range(chance.randrange(1, 4)):
                    if subscriber.sub.poll(1000):
                        subscriber.sub.recv_multipart()
            service.kill()
            service.start()
        microscope.wait()
        with Subscriber(service) as subscriber:
            replayed = subscriber.connected().replay_until(lambda outcomes: len(outcomes) >= count)
        assert service.stop() == 0
        stop.set()
        collector.join()
        names = [f"synth_{i:06}.mrc" for i in range(1, count + 1)]
        check_exactly_once([Outcome(frames) for frames in seen] + replayed, names)
        assert len(seen) > 0


def test_a_stopped_subscriber_stalls_nobody():
    """P29, P30: others get everything meanwhile; the stopped one repairs its gap afterwards."""
    with session("publish.high_water_mark=5") as (service, subscriber):
        listener = subprocess.Popen(
            [PROGRAM, "listen", "-c", service.config, "--since", "0", "--count", "60"],
            stdout=subprocess.PIPE,
            text=True,
        )
        microscope = Microscope(service.data, 60, rate=40)
        assert listener.stdout.readline()
        listener.send_signal(signal.SIGSTOP)
        outcomes = subscriber.outcomes(60)
        assert [outcome.seq for outcome in outcomes] == list(range(1, 61))
        microscope.wait()
        listener.send_signal(signal.SIGCONT)
        output, _ = listener.communicate(timeout=PATIENCE)
        assert listener.returncode == 0
        assert len(output.splitlines()) == 59


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_disk_full():
    """P48: intake stops, nothing is half recorded, and it continues by itself when there is space."""
    service = Service("notify.interval_seconds=0")
    notices = Notices(service.home)
    service.settings |= dict([notices.setting.split("=", 1)])
    service.write_config()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", service.state],
                      stderr=subprocess.DEVNULL, check=False).returncode:
        shutil.rmtree(service.home)
        pytest.skip("mounting is not allowed here")
    try:
        with service, Subscriber(service) as subscriber:
            subscriber.connected()
            filler = service.state / "filler"
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(b"\0" * 4096)
            microscope = Microscope(service.data, 20, rate=100)
            microscope.wait()
            status = subscriber.status(lambda status: status["journal"] != "ok")
            assert status["journal"].startswith("failed")
            recorded = status["last_seq"]
            assert "cannot be written: failed: " in notices.next("disk_full")["text"]
            filler.unlink()
            status = subscriber.status(lambda status: status["last_seq"] == 20)
            outcomes, last = subscriber.replay()
            assert last == 20 > recorded
            check_exactly_once(outcomes, [f"synth_{i:06}.mrc" for i in range(1, 21)])
            assert service.stop() == 0
    finally:
        notices.close()
        subprocess.run(["umount", service.state], check=False)
        shutil.rmtree(service.home, ignore_errors=True)


def test_a_hung_worker_starves_the_watchdog(tmp_path):
    """P44: pings come while the service idles and while it works, and stop when a read hangs."""
    source = tmp_path / "hang.c"
    source.write_text(
        """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <string.h>
        #include <stdio.h>
        #include <sys/types.h>
        #include <unistd.h>
        ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
        {
            static ssize_t (*real)(int, void *, size_t, off_t);
            char link[64], path[4096];
            if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "pread");
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path - 1);
            path[length > 0 ? length : 0] = 0;
            while (size > 100000 && strstr(path, "hang.mrc"))
                pause();
            return real(fd, buffer, size, offset);
        }
        ssize_t pread64(int fd, void *buffer, size_t size, off_t offset)
        {
            return pread(fd, buffer, size, offset);
        }
        """
    )
    library = tmp_path / "hang.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    environment = {
        "LD_PRELOAD": str(library),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        "WATCHDOG_USEC": "1000000",
    }
    service = Service("service.drain_seconds=0.1", environment=environment)
    with service:
        for _ in range(3):
            service.wait_notify("WATCHDOG=1")
        subprocess.run([PROGRAM, "synth", "--size", "420x420", "--diameter", "34", tmp_path],
                       check=True, stdout=subprocess.DEVNULL)
        shutil.copy(tmp_path / "synth_000001.mrc", service.data / "hang.mrc")
        service.notify.settimeout(5)
        with pytest.raises(TimeoutError):
            for _ in range(100):
                service.wait_notify("WATCHDOG=1")
        assert service.stop() == 0  # drain_seconds are over
