"""The live view of a service under test: its address, plain requests, and micrographs to show."""

import http.client
import json
import urllib.parse

import numpy as np
from micrographs import write_mrc
from support import run

SIDE = 420


def address(service):
    """Host and port of a service with http.listen."""
    status = json.loads(run("status", "-c", service.config, "--json").stdout)
    url = urllib.parse.urlsplit(status["live_view"])
    return url.hostname, url.port


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
