"""The live view of a service under test: its address, plain requests, and micrographs to show."""

import contextlib
import http.client
import json
import sqlite3
import urllib.parse

import numpy as np
from micrographs import write_mrc
from support import run

SIDE = 420


def url(service):
    """Where the live view of a service with http.listen is."""
    return json.loads(run("status", "-c", service.config, "--json").stdout)["live_view"]


def address(service):
    """Its host and port."""
    parts = urllib.parse.urlsplit(url(service))
    return parts.hostname, parts.port


def get(where, path, method="GET", headers=None, body=None):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection(*where, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def get_json(where, path):
    status, headers, body = get(where, path)
    assert status == 200 and headers["Content-Type"] == "application/json", body
    return json.loads(body)


class Events:
    """A client of /events."""

    def __init__(self, where, query="", headers=None):
        self.connection = http.client.HTTPConnection(*where, timeout=60)
        self.connection.request("GET", f"/events{query}", headers=headers or {})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.headers["Content-Type"] == "text/event-stream"

    def next(self):
        """Event and data, skipping none."""
        fields = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            key, _, value = line.partition(": ")
            fields[key] = value
        assert fields, "the stream has ended"
        return fields

    def outcome(self):
        while (fields := self.next())["event"] != "outcome":
            assert json.loads(fields["data"])["type"] == "status"
        return int(fields["id"]), json.loads(fields["data"])


def wait_for(where, seq):
    """Waits until the live view has an outcome: it hears of one just after subscribers do."""
    events = Events(where, f"?since={seq - 1}")
    assert events.outcome()[0] == seq
    events.connection.close()


def dots(seed=3, rows=range(110, 320, 40)):
    """A micrograph of dark dots, higher than wide, with its brightest corner at small x and y."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIDE + 40, :SIDE]
    pixels = rng.normal(100, 10, y.shape) + 30 * np.exp(-(x**2 + y**2) / 5000)
    for row in rows:
        for column in range(112, 320, 44):
            pixels -= 25 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50)
    return pixels.astype(np.float32)


def write(service, name, image=None):
    return write_mrc(service.data / name, dots() if image is None else image)


def write_rejected(service, name):
    """Nothing is in it."""
    return write_mrc(service.data / name, np.full((SIDE, SIDE), 7, np.float32))


def write_failed(service, name):
    path = service.data / name
    path.write_bytes(b"no micrograph" * 400)
    return path


def multiply(service, subscriber, count):
    """A service that has `count` outcomes: one, and copies of it that were put into its journal as
    if it had been picked so often. It was started again."""
    path = write(service, "x.mrc")
    subscriber.outcome()
    service.stop()
    path.unlink()
    database = service.state / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as journal:
        columns = "device, inode, size, mtime_ns, closed_ns, detected_ns"
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        journal.execute("BEGIN")
        journal.execute(
            f"{numbers} INSERT INTO micrographs (id, path, name, revision, attempt, state, {columns})"
            f" SELECT id + i, path || i, name || i, 1, 1, state, {columns} FROM n, micrographs"
            " WHERE id = (SELECT min(id) FROM micrographs)")
        journal.execute(
            f"{numbers} INSERT INTO outcomes (seq, micrograph, attempt, status, reason, picks, frames)"
            " SELECT i, micrograph + i, attempt, status, reason, picks, frames FROM n, outcomes"
            " WHERE seq = 1")
        journal.execute("COMMIT")
    service.start()
    subscriber.status(lambda status: status["last_seq"] == count)
