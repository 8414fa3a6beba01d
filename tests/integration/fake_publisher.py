"""A publisher that misbehaves on demand: XPUB and ROUTER speaking pickstream/1, without a picker.

Everything happens when the test calls for it, in the test's own thread: an outcome is recorded
(outcome), published or not (publish), a heartbeat sent (status), a request waited for (request)
and answered in whatever way (serve, answer). Nothing sleeps; waits have a deadline.
"""

import json
import time
import uuid

import numpy as np
import zmq
from service import new_context

DEADLINE = 60  # seconds; only a failing test waits so long
COLUMNS = ["x", "y", "score", "area"]


def message(stream, seq, /, picks=3, status="picked", reason=None, name=None, **changes):
    """The frames of an outcome. `picks` is how many, or an array; result__count=7 changes one
    value of the header."""
    rows = picks if isinstance(picks, np.ndarray) else \
        np.arange(4 * picks, dtype="<f4").reshape(picks, 4) + np.float32(seq)
    shape = None if status == "failed" else [4092, 5760]
    name = name or f"GridSquare_1/m{seq}.mrc"
    header = {
        "schema": "pickstream/1", "type": "picks", "stream": stream, "seq": seq, "session": "s1",
        "time": {"closed": "2026-05-01T23:59:59.900000Z", "detected": "2026-05-01T23:59:59.950000Z",
                 "published": "2026-05-02T00:00:00.150000Z"},
        "micrograph": {"path": f"/data/{name}", "name": name, "revision": 1, "bytes": 94280704,
                       "format": "mrc", "mode": 12, "shape": shape, "frames": 1,
                       "pixel_size": 0.83, "pixel_size_source": "header"},
        "coordinates": {"unit": "px", "unpicked_margin": [1, 2, 3, 4]},
        "picker": {"version": "fake", "profile": "aspire", "diameter": 180.0, "device": "cpu"},
        "result": {"status": status, "reason": reason, "count": len(rows), "truncated": False,
                   "score_median": 0.5, "warnings": []},
        "milliseconds": {"read": 1.0, "total": 2.0},
        "arrays": [{"name": "picks", "dtype": "<f4", "shape": list(rows.shape),
                    "columns": COLUMNS}],
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        at = header
        for parent in parents:
            at = at[int(parent)] if isinstance(at, list) else at[parent]
        at[key] = value
    return [b"picks", json.dumps(header).encode(), rows.tobytes()]


class FakePublisher:
    def __init__(self, stream=None, endpoint="tcp://127.0.0.1:*", replay_endpoint=None,
                 high_water_mark=0, replay_high_water_mark=0, curve=None):
        """`curve`: secret and public key of the service, Z85 bytes. An endpoint of another one
        that was closed takes its place."""
        self.stream = stream or str(uuid.uuid4())
        self.journal = {}
        self.context = new_context()
        self.live = self._socket(zmq.XPUB, high_water_mark, curve)
        self.replay = self._socket(zmq.ROUTER, replay_high_water_mark, curve)
        self.endpoint = self._bind(self.live, endpoint)
        self.replay_endpoint = self._bind(self.replay, replay_endpoint or "tcp://127.0.0.1:*")
        self.topics = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.context.destroy(linger=2000)

    def _socket(self, kind, high_water_mark, curve):
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.SNDHWM, high_water_mark)
        if curve:
            socket.curve_secretkey, socket.curve_publickey = curve
            socket.curve_server = True
        return socket

    @staticmethod
    def _bind(socket, endpoint):
        """A port is free again only a moment after the context of the one before is gone."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                socket.bind(endpoint)
                return socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE or time.monotonic() > end:
                    raise

    @property
    def options(self):
        return ["--connect", self.endpoint, "--replay", self.replay_endpoint]

    @property
    def last_seq(self):
        return max(self.journal, default=0)

    # ---- publishing ------------------------------------------------------------------------------

    def wait_for_subscriber(self, *topics):
        """Until someone subscribed to these topics: what is published from now on arrives."""
        wanted = set(topics or ("picks", "status"))
        while not wanted <= self.topics:
            assert self.live.poll(DEADLINE * 1000), "no subscription"
            event = self.live.recv()
            change = self.topics.add if event[0] else self.topics.discard
            change(event[1:].decode())

    def outcome(self, seq=None, **options):
        """Records an outcome, the next one, without publishing it. Returns its seq."""
        seq = seq or self.last_seq + 1
        self.journal[seq] = message(self.stream, seq, **options)
        return seq

    def publish(self, count=1, drop=(), **options):
        """Records the next outcomes and publishes them but for those to drop."""
        for _ in range(count):
            seq = self.outcome(**options)
            if seq not in drop:
                self.send(self.journal[seq])

    def send(self, frames):
        self.live.send_multipart(frames)

    def status(self, last_seq=None):
        self.send([b"status", json.dumps({
            "schema": "pickstream/1", "type": "status", "stream": self.stream,
            "last_seq": self.last_seq if last_seq is None else last_seq}).encode()])

    # ---- replay ----------------------------------------------------------------------------------

    def request(self):
        """The next request: who asks, and the seq since which."""
        assert self.replay.poll(DEADLINE * 1000), "nobody asks"
        client, *rest, request = self.replay.recv_multipart()
        assert rest in ([], [b""])
        request = json.loads(request)
        assert request["request"] == "since"
        return client, request["seq"]

    def answer(self, client, frames):
        self.replay.send_multipart([client, *frames])

    def serve(self, leave_out=(), end=True):
        """Answers the next request, and returns the seq since which it asked."""
        client, since = self.request()
        for seq in sorted(self.journal):
            if seq > since and seq not in leave_out:
                self.answer(client, self.journal[seq])
        if end:
            self.answer(client, [json.dumps({"type": "end", "last_seq": self.last_seq}).encode()])
        return since
