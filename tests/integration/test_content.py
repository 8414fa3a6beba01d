"""Files whose content or inode changes while size and time of modification stay."""

import os
import sqlite3
import time

import micrographs
import numpy as np
import pytest
from service import PATIENCE, session


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The bytes of two micrographs of the same size, one with a particle more."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(100, 10, (420, 420))
    y, x = np.mgrid[:420, :420]
    both = []
    for count in 6, 8:
        image = pixels.copy()
        for row in range(110, 320, 40)[:count]:
            for column in range(112, 112 + 44 * (count - 3), 44):
                image -= 25 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50)
        path = micrographs.write_mrc(tmp_path_factory.mktemp("image") / "x.mrc",
                                     image.astype(np.float32))
        both.append(path.read_bytes())
    return both


def rewrite(path, content):
    """As cp -p and rsync --inplace do: the old time is there before the file is closed."""
    was = path.stat()
    with path.open("r+b", buffering=0) as file:
        file.write(content)
        os.utime(file.fileno(), ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_mtime_ns == was.st_mtime_ns


def recorded_change(service):
    with sqlite3.connect(service.state / "journal.sqlite") as database:
        return database.execute("SELECT max(ctime_ns) FROM contents").fetchone()[0]


def wait_until_looked_at(service, path):
    """The service has compared the contents, and recorded that the inode changed."""
    deadline = time.monotonic() + PATIENCE
    while recorded_change(service) != path.stat().st_ctime_ns:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("poll", ["auto", "always"])
def test_a_rewrite_that_restores_the_time_is_a_revision(contents, poll):
    with session(f"input.poll={poll}", "input.poll_seconds=0.2") as (service, subscriber):
        path = service.data / "x.mrc"
        for revision in 1, 2, 3:
            content = contents[revision % 2]
            if revision == 1:
                path.write_bytes(content)
            else:
                rewrite(path, content)
            outcome = subscriber.outcome()
            assert (outcome.status, outcome.revision) == ("picked", revision)
            assert len(outcome.picks) > 0


def test_a_rewrite_while_the_service_is_down_is_a_revision(contents):
    with session() as (service, subscriber):
        path = service.data / "x.mrc"
        path.write_bytes(contents[0])
        assert subscriber.outcome().revision == 1
        assert service.stop() == 0
        rewrite(path, contents[1])
        service.start()
        assert subscriber.status(lambda status: status["last_seq"] == 2)


def test_mode_owner_name_and_links_are_no_revision(contents):
    with session("input.poll_seconds=0.2") as (service, subscriber):
        path = service.data / "x.mrc"
        path.write_bytes(contents[0])
        assert subscriber.outcome().revision == 1
        path.chmod(0o640)
        wait_until_looked_at(service, path)
        os.chown(path, -1, os.getgid())
        wait_until_looked_at(service, path)
        os.link(path, service.home / "link")
        wait_until_looked_at(service, path)
        path.rename(service.home / "elsewhere")
        (service.home / "elsewhere").rename(path)
        wait_until_looked_at(service, path)
        rewrite(path, contents[0])  # the same bytes
        wait_until_looked_at(service, path)
        other = service.data / "y.mrc"
        other.write_bytes(contents[1])
        assert subscriber.outcome().name == "y.mrc"
        assert subscriber.status()["last_seq"] == 2
