"""Receives the picks that pickstream publishes: every outcome once, in order, none missed.

    from pickstream import subscribe

    for micrograph in subscribe("tcp://127.0.0.1:5590"):
        best = micrograph.picks[:100]  # fields x, y, score, area; the best first
        print(micrograph.name, micrograph.status, best["x"], best["y"])

The loop does not end. Outcomes that were missed (a slow loop, a lost connection, a service that
started again) are requested from the replay socket and come in their place. Connections are made
again by themselves. Problems are logged to the logger "pickstream"; without a configuration of
`logging`, Python prints them on stderr.

One file for Python 3.9 and later, pyzmq and numpy; it may be copied. Not for several threads at
once. pickstream-messages(7) describes the messages.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import pathlib
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt
import zmq
import zmq.utils.monitor

__all__ = ["ENDPOINT", "PICK", "Micrograph", "Picks", "Service", "Subscriber", "subscribe"]

ENDPOINT = "tcp://127.0.0.1:5590"  # where a service publishes unless it is configured otherwise

# A pick: its centre in pixels of the micrograph as stored, where the centre of the first pixel is
# (0, 0); its score, larger is better; the area of its region in square pixels. A later version may
# append fields.
PICK = np.dtype([("x", "<f4"), ("y", "<f4"), ("score", "<f4"), ("area", "<f4")])
Picks = npt.NDArray[np.void]  # of PICK, the best first

MAX_HELD = 8192  # outcomes that wait for a gap, of one stream
MAX_HELD_BYTES = 256 << 20  # of all streams
MAX_FRAME_BYTES = 64 << 20  # ZeroMQ drops the connection of a sender that exceeds it
ANSWER_SECONDS = 5.0  # without an answer of the replay socket: request again
RETRY_SECONDS = 1.0  # after an answer that did not close the gap
REPORT_SECONDS = 2.0  # how long a connection fails before that is logged
FIRST_MESSAGE_SECONDS = 10.0  # from a connection to its first message, which comes at once
MAX_WAIT_SECONDS = 0.5  # between two looks at what is due

_log = logging.getLogger("pickstream")
_PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Service:
    """The addresses of a service or relay. `replay` is by default the next port of `endpoint`.
    `curve_server`: a file with its public key, or the key (40 characters of Z85)."""

    endpoint: str = ENDPOINT
    replay: str = ""
    curve_server: Optional[_PathLike] = None

    def replay_endpoint(self) -> str:
        if self.replay:
            return self.replay
        address, separator, port = self.endpoint.rpartition(":")
        if not (separator and port.isdigit()):
            raise ValueError(f"{self.endpoint}: without a port, its replay endpoint must be given: "
                             "Service(endpoint, replay)")
        return f"{address}:{int(port) + 1}"


@dataclass(frozen=True, eq=False)
class Micrograph:
    """An outcome: what came of a micrograph. `stream` and `seq` together are its key: an outcome
    that is received again, by another subscriber or later, has the same."""

    stream: str  # UUID of the journal that numbers the outcomes
    seq: int  # 1, 2, 3 ... in this stream
    session: Optional[str]
    name: str  # path below the watched directory; os.fsencode() gives the bytes
    path: str  # as the service sees it
    revision: int  # of the content of the file, from 1
    status: str  # "picked", "rejected" or "failed"
    reason: Optional[str]  # why it was not picked
    unreliable: bool  # no more was found than in noise: do not use these picks
    pixel_size: Optional[float]  # angstrom
    shape: Optional[tuple[int, int]]  # rows, columns; None if it could not be read
    picks: Picks = field(repr=False)  # of length 0 if there are none
    header: dict[str, Any] = field(repr=False)  # all that the message says
    arrays: dict[str, npt.NDArray[Any]] = field(repr=False)  # all arrays of the message, by name


def subscribe(*services: Union[str, Service], since: Union[int, Mapping[str, int], None] = None,
              timeout: float = 30.0, curve_key: Optional[_PathLike] = None,
              curve_server: Optional[_PathLike] = None) -> Subscriber:
    """Connects to one or several services or relays, and returns an iterator over their outcomes.

    `services`: endpoints, or Service(...) where the replay endpoint is not the next port.
    `since`: None begins with the next outcome that is published, 0 with the first in the journal,
    N after outcome N; {stream: seq, ...} continues after the outcomes that the caller has of each
    stream, with all of those that are not named.
    `timeout`: seconds after which outcomes that the replay does not bring are given up and logged.
    `curve_key`: a file with the secret key of this client, as `pickstream keygen` writes it;
    `curve_server`: the key of the services that do not have their own.

    Does not wait for the services. ValueError: not an address, not a key. OSError: no such file.
    zmq.ZMQError: not an endpoint."""
    return Subscriber(services or (ENDPOINT,), since, timeout, curve_key, curve_server)


# ---- messages ------------------------------------------------------------------------------------

def _array(description: Mapping[str, Any], frame: memoryview) -> npt.NDArray[Any]:
    """The array of a frame, without a copy; its columns are fields if they have names."""
    shape = [int(length) for length in description["shape"]]
    dtype = np.dtype(description["dtype"])
    if "columns" in description and len(description["columns"]) == shape[-1]:
        dtype = np.dtype([(name, dtype) for name in description["columns"]])
        shape.pop()
    return np.frombuffer(frame, dtype).reshape(shape)


def _micrograph(header: dict[str, Any], frames: list[zmq.Frame]) -> Micrograph:
    """ValueError, KeyError, TypeError: the message cannot be read."""
    arrays = {description["name"]: _array(description, frame.buffer)
              for description, frame in zip(header["arrays"], frames)}
    file, result = header["micrograph"], header["result"]
    name, path = file["name"], file["path"]
    if file.get("encoding") == "percent":  # not UTF-8
        name, path = (os.fsdecode(urllib.parse.unquote_to_bytes(text)) for text in (name, path))
    return Micrograph(
        stream=header["stream"], seq=header["seq"], session=header["session"], name=name, path=path,
        revision=file["revision"], status=result["status"], reason=result["reason"],
        unreliable=bool(result.get("unreliable")), pixel_size=file.get("pixel_size"),
        shape=(file["shape"][0], file["shape"][1]) if file.get("shape") else None,
        picks=arrays["picks"], header=header, arrays=arrays)


def _bytes(micrograph: Optional[Micrograph]) -> int:
    return sum(array.nbytes for array in micrograph.arrays.values()) if micrograph else 0


def _read_key(key: _PathLike) -> bytes:
    """A key of Z85, or the one in a file; "# " begins a comment there."""
    text = os.fspath(key)
    if len(text) == 40 and not os.path.exists(text):
        return text.encode("ascii")
    lines = pathlib.Path(text).read_text(encoding="utf-8").splitlines()
    keys = [key for key in (re.sub(r"(^|\s)#(\s.*)?$", "", line).strip() for line in lines) if key]
    if len(keys) != 1 or len(keys[0]) != 40:
        raise ValueError(f"{text}: one key of 40 characters expected")
    return keys[0].encode("ascii")


# ---- streams -------------------------------------------------------------------------------------

class _Stream:
    """The outcomes of a journal: puts them in order, and knows which are missing."""

    def __init__(self, name: str, last: int) -> None:
        self.name = name
        self.last = last  # the last one that was delivered or given up
        self.top = last  # the last one that is known to exist
        self.held: dict[int, Optional[Micrograph]] = {}  # behind a gap; None: cannot be read
        self.peer: Optional[_Peer] = None  # from where it was heard last
        self.replay: Optional[zmq.Socket[bytes]] = None  # of the request in progress
        self.asked_last = last  # `last` at that request
        self.ask_at = 0.0  # no request before this time
        self.answered_at = 0.0
        self.progress_at = 0.0  # when the gap was found or last became smaller

    def missing(self) -> bool:
        return self.last < self.top

    def raise_top(self, seq: int, now: float) -> None:
        if seq > self.top:
            self.progress_at = self.progress_at if self.missing() else now
            self.top = seq

    def end_request(self, ask_at: float) -> None:
        if self.replay:
            self.replay.close(linger=0)
        self.replay = None
        self.ask_at = ask_at


class _Peer:
    """The sockets of a service."""

    _SILENT = "connected, but nothing is received"
    _KEYS = "handshake failed: the service has other keys, or none (curve_key, curve_server)"
    _STATES = {
        zmq.EVENT_CLOSED: "connection refused: does the service run, with this endpoint?",
        zmq.EVENT_DISCONNECTED: "connection lost, connecting again",
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: _KEYS,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: _KEYS,
        zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            "handshake failed: the service does not know our key, its publish.curve_clients must list it",
        zmq.EVENT_HANDSHAKE_SUCCEEDED: _SILENT,
    }

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], service: Service,
                 secret: Optional[bytes], server: Optional[bytes]) -> None:
        self.context = context
        self.endpoint = service.endpoint
        self.replay_endpoint = service.replay_endpoint()
        self.keys = (secret, server) if secret and server else None
        self.heard_stream = False
        self.state: Optional[str] = "still connecting: the machine does not answer"
        self.since = time.monotonic()
        self.patience = REPORT_SECONDS
        self.reported: Optional[str] = None
        self.again_at: Optional[float] = None  # ZeroMQ gives up after a refused key; we do not
        self.live = self.socket(zmq.SUB)
        for topic in "picks", "status":
            self.live.subscribe(topic)
        self.monitor = self.live.get_monitor_socket()
        self.live.connect(self.endpoint)

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        for option, value in ((zmq.LINGER, 0), (zmq.IPV6, 1), (zmq.RCVHWM, 10000),
                              (zmq.HEARTBEAT_IVL, 5000), (zmq.HEARTBEAT_TIMEOUT, 15000),
                              (zmq.RECONNECT_IVL_MAX, 2000), (zmq.MAXMSGSIZE, MAX_FRAME_BYTES)):
            socket.setsockopt(option, value)
        if self.keys:
            socket.curve_secretkey, socket.curve_serverkey = self.keys
            socket.curve_publickey = zmq.curve_public(self.keys[0])
        return socket

    def request(self, stream: _Stream) -> None:
        """Through a new socket: answers to an earlier request cannot come."""
        stream.replay = self.socket(zmq.DEALER)
        stream.replay.connect(self.replay_endpoint)
        request = {"request": "since", "seq": stream.last, "stream": stream.name}
        stream.replay.send(json.dumps(request).encode())
        stream.asked_last, stream.answered_at = stream.last, time.monotonic()

    def watch(self) -> None:
        """Takes the events of the connection."""
        while self.monitor.poll(0):
            event = zmq.utils.monitor.recv_monitor_message(self.monitor)["event"]
            if event not in self._STATES or self.state == self._STATES[event]:
                continue
            if event == zmq.EVENT_DISCONNECTED and self.state not in (None, self._SILENT):
                continue  # it was not connected
            self.state, self.since = self._STATES[event], time.monotonic()
            self.patience = REPORT_SECONDS
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.patience = FIRST_MESSAGE_SECONDS
            elif event in (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_AUTH):
                self.again_at = self.since + REPORT_SECONDS

    def heard(self) -> None:
        if self.reported:
            _log.warning("%s: receiving again", self.endpoint)
        self.state = self.reported = None

    def report(self, now: float) -> None:
        if self.state and self.state != self.reported and now >= self.since + self.patience:
            _log.warning("%s: %s", self.endpoint, self.state)
            self.reported = self.state
        if self.again_at and now >= self.again_at:
            self.again_at = None
            self.live.disconnect(self.endpoint)
            self.live.connect(self.endpoint)


class Subscriber:
    """What subscribe() returns: an iterator over outcomes, and a context manager that closes it."""

    def __init__(self, services: tuple[Union[str, Service], ...],
                 since: Union[int, Mapping[str, int], None], timeout: float,
                 curve_key: Optional[_PathLike], curve_server: Optional[_PathLike]) -> None:
        self.lost = 0  # outcomes that were given up
        self.status: dict[str, dict[str, Any]] = {}  # the last heartbeat of each stream
        self._since = since
        self._timeout = timeout
        self._ready: collections.deque[Micrograph] = collections.deque()
        self._held_bytes = 0
        self._streams: dict[str, _Stream] = {}
        self._peers: list[_Peer] = []
        secret = _read_key(curve_key) if curve_key is not None else None
        self._context = zmq.Context()
        try:
            for service in services:
                service = Service(service) if isinstance(service, str) else service
                key = service.curve_server if service.curve_server is not None else curve_server
                if (secret is None) != (key is None):
                    raise ValueError("curve_key and curve_server belong together")
                server = _read_key(key) if key is not None else None
                self._peers.append(_Peer(self._context, service, secret, server))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections. Not needed at the end of a program."""
        for peer in self._peers:
            peer.live.disable_monitor()
        self._context.destroy(linger=0)

    def __iter__(self) -> Iterator[Micrograph]:
        return self

    def __next__(self) -> Micrograph:
        micrograph = self.receive()
        assert micrograph
        return micrograph

    def receive(self, timeout: Optional[float] = None) -> Optional[Micrograph]:
        """The next outcome; None if there is none for `timeout` seconds."""
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._ready:
            left = end - time.monotonic()
            self._step(max(0.0, min(left, MAX_WAIT_SECONDS)))
            if left <= 0:
                break
        return self._ready.popleft() if self._ready else None

    @property
    def last(self) -> dict[str, int]:
        """The seq of the last outcome of each stream that was received: the `since` of a later
        subscriber."""
        waiting = collections.Counter(micrograph.stream for micrograph in self._ready)
        return {stream.name: stream.last - waiting[stream.name] for stream in self._streams.values()}

    # ---- one step --------------------------------------------------------------------------------

    def _step(self, wait: float) -> None:
        """Sends the requests that are due, waits, and reads one message of each socket. The time of
        a gap passes only while no answer waits to be read: a slow loop gives up nothing."""
        now = time.monotonic()
        poller = zmq.Poller()
        for peer in self._peers:
            poller.register(peer.live, zmq.POLLIN)
            poller.register(peer.monitor, zmq.POLLIN)
        for stream in self._streams.values():
            if stream.missing() and not stream.replay and stream.peer and now >= stream.ask_at:
                stream.peer.request(stream)
            if stream.replay:
                poller.register(stream.replay, zmq.POLLIN)
        readable = dict(poller.poll(int(wait * 1000)))
        now = time.monotonic()
        for peer in self._peers:
            if peer.monitor in readable:
                peer.watch()
            if peer.live in readable:
                peer.heard()
                self._published(peer, peer.live.recv_multipart(copy=False), now)
            peer.report(now)
        for stream in list(self._streams.values()):
            if stream.replay and stream.replay in readable:
                self._replayed(stream, stream.replay.recv_multipart(copy=False), now)
            else:
                self._pass_time(stream, now)

    def _pass_time(self, stream: _Stream, now: float) -> None:
        if not stream.missing():
            return
        if stream.peer and stream.peer.state:
            stream.progress_at = now  # not connected: it is not lost, it cannot be had now
        if now - stream.progress_at >= self._timeout:
            self._give_up(stream)
        elif stream.replay and now - stream.answered_at >= min(ANSWER_SECONDS, self._timeout / 3):
            stream.end_request(now)

    def _published(self, peer: _Peer, frames: list[zmq.Frame], now: float) -> None:
        topic = frames[0].bytes
        if topic not in (b"picks", b"status") or len(frames) < 2:
            return  # a topic that begins alike
        try:
            header = json.loads(frames[1].bytes)
            name = str(header["stream"])
            newest = int(header["seq" if topic == b"picks" else "last_seq"])
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s: a message that cannot be read: %r", peer.endpoint, error)
            return
        stream = self._streams.get(name)
        if not stream:
            stream = self._streams[name] = _Stream(name, self._begin(peer, name, topic, newest))
        stream.peer = peer
        peer.heard_stream = True
        # A heartbeat can overtake outcomes, which are then received twice.
        stream.raise_top(newest, now)
        if topic == b"status":
            self.status[name] = header
        elif micrograph := self._read(header, frames[2:]):
            self._hold(stream, newest, micrograph, now)

    def _begin(self, peer: _Peer, name: str, topic: bytes, newest: int) -> int:
        """The last outcome of a new stream that is not wanted."""
        if self._since is None:
            return newest - 1 if topic == b"picks" else newest
        if isinstance(self._since, Mapping):
            return self._since.get(name, 0)
        if peer.heard_stream:
            return 0  # another journal
        if self._since > newest:
            _log.warning("%s: its outcomes end at seq %d, before %d: receiving all of them",
                         peer.endpoint, newest, self._since)
            return 0
        return self._since

    def _replayed(self, stream: _Stream, frames: list[zmq.Frame], now: float) -> None:
        stream.answered_at = now
        try:
            header = json.loads(frames[-1 if len(frames) == 1 else 1].bytes)
            if len(frames) > 1:
                if header["stream"] == stream.name:  # not requested again if it cannot be read
                    self._hold(stream, int(header["seq"]), self._read(header, frames[2:]), now)
                return
            if header["type"] == "end":
                stream.raise_top(int(header["last_seq"]), now)
            else:
                _log.warning("%s: %s", stream.name, header.get("reason", header["type"]))
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s: an answer that cannot be read: %r", stream.name, error)
            return
        progress = stream.last > stream.asked_last
        stream.end_request(now if progress else now + RETRY_SECONDS)

    # ---- order -----------------------------------------------------------------------------------

    @staticmethod
    def _read(header: dict[str, Any], frames: list[zmq.Frame]) -> Optional[Micrograph]:
        try:
            return _micrograph(header, frames)
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("seq %s cannot be read: %r", header.get("seq"), error)
            return None

    def _hold(self, stream: _Stream, seq: int, micrograph: Optional[Micrograph],
              now: float) -> None:
        """Until it is its turn. What exceeds the limits is requested again later."""
        size = _bytes(micrograph)
        stream.raise_top(seq, now)
        if seq <= stream.last or seq > stream.last + MAX_HELD or seq in stream.held:
            return
        if seq > stream.last + 1 and self._held_bytes + size > MAX_HELD_BYTES:
            return
        stream.held[seq] = micrograph
        self._held_bytes += size
        if seq == stream.last + 1:
            stream.progress_at = now
            self._deliver(stream)

    def _deliver(self, stream: _Stream) -> None:
        while stream.last + 1 in stream.held:
            micrograph = stream.held.pop(stream.last + 1)
            self._held_bytes -= _bytes(micrograph)
            if micrograph:
                stream.last += 1
                self._ready.append(micrograph)
            else:
                self._lose(stream, stream.last + 1, "its message cannot be read")

    def _lose(self, stream: _Stream, last: int, reason: str) -> None:
        _log.error("stream %s: lost seq %d to %d: %s", stream.name, stream.last + 1, last, reason)
        self.lost += last - stream.last
        stream.last = last

    def _give_up(self, stream: _Stream) -> None:
        self._lose(stream, min(stream.held, default=stream.top + 1) - 1,
                   "the replay socket does not bring it")
        stream.progress_at = time.monotonic()
        stream.end_request(0.0)
        self._deliver(stream)
