#!/usr/bin/python3
"""Floods on every socket of a running service while micrographs come: half-open connections,
garbage, slow requests, subscriptions, requests of all kinds, replays that nobody reads, messages that
are too large, viewers that do not read.

Violations: a micrograph without its outcome, a status that takes longer than 2 s, memory or
descriptors beyond their bounds or not given back afterwards, a service that ends or does not stop.
"""

import contextlib
import json
import os
import shutil
import socket
import time

import campaign as c
import zmq
from process import Process
from service import Service, Subscriber

MAX_CONNECTIONS = 300  # of one flood
MAX_TOPICS = 20000
MAX_MEGABYTES = 400 * c.MEMORY  # resident
MAX_DESCRIPTORS = 900
STATUS_SECONDS = 2
OUTCOME_SECONDS = 30
REQUESTS = [b"", b"{", b"[]", b"\xff" * 100, b'{"request":"since","seq":0}', b'{"request":"hello"}',
            b'{"request":"status"}', b'{"request":"retry"}', b'{"request":"since","seq":-1}',
            b'{"request":"micrograph","name":"m000001.mrc"}', b"[" * 100000, b'{"a":' * 5000,
            b'{"request":"' + b"x" * 50000 + b'"}']
HTTP = [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/outcomes?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /" + b"a" * 70000,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", b"\0" * 100,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000, b"GET /metrics HTTP/1.1\r\nHost: evil\r\n\r\n",
        b"PUT /%00%ff/../.. HTTP/9.9\r\n\r\n", b"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: x\r\n\r\n"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sockets:
    """The service, a subscriber that behaves, and the floods."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.random = campaign.random
        home = campaign.directory
        (home / "pool").mkdir()
        self.pool = c.synthesise(home / "pool", 3)
        self.ports = {name: free_port() for name in ("publish", "replay", "http")}
        address = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        self.service = Service(
            f"publish.endpoint=tcp://{address['publish']}", f"http.listen={address['http']}",
            f"publish.replay_endpoint=tcp://{address['replay']}", "publish.heartbeat_seconds=0.5",
            "publish.preview=yes", directory=home)
        self.number = 0
        self.seqs = []

    def start(self):
        self.service.start()
        self.subscriber = Subscriber(self.service, topics=(b"picks", b"status")).connected()
        self.context = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, 4096)
        self.control = self.socket(zmq.DEALER, f"ipc://{self.service.state}/control.sock")
        self.process = Process(self.service.process.pid)
        for _ in range(5):
            self.submit()
        for _ in range(5):
            self.receive()
        self.rest = self.process.megabytes(), self.process.descriptors()

    def end(self):
        self.context.destroy(linger=0)
        self.subscriber.close()
        self.service.end()

    def socket(self, kind, endpoint):
        made = self.context.socket(kind)
        made.set(zmq.LINGER, 0)
        made.connect(endpoint)
        return made

    def endpoint(self, name):
        return f"tcp://127.0.0.1:{self.ports[name]}"

    # ---- floods: each keeps what it opened in the stack -------------------------------------------

    def connections(self, stack, count):
        """TCP connections to one of the sockets, until it accepts no more."""
        port = self.random.choice(list(self.ports.values()))
        for _ in range(count):
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=0.5)
            except OSError:
                return
            stack.callback(connection.close)
            connection.setblocking(False)
            yield connection

    def half_open(self, stack):
        list(self.connections(stack, self.random.randrange(20, MAX_CONNECTIONS)))

    def garbage(self, stack):
        for connection in self.connections(stack, self.random.randrange(10, 100)):
            with contextlib.suppress(OSError):
                greeting = bytes.fromhex("ff00000000000000017f03") if self.random.random() < 0.5 else b""
                connection.send(greeting + self.random.randbytes(self.random.randrange(1, 50000)))

    def slow(self, stack):
        opened = list(self.connections(stack, 50))
        for byte in b"GET / HTTP/1.1\r\nHost: ":
            for connection in opened:
                with contextlib.suppress(OSError):
                    connection.send(bytes([byte]))

    def http(self, stack):
        for _ in range(self.random.randrange(10, 100)):
            with contextlib.suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", self.ports["http"]), timeout=1)
                stack.callback(connection.close)
                connection.setblocking(False)
                connection.send(self.random.choice(HTTP))

    def subscriptions(self, stack):
        topics = self.socket(zmq.SUB, self.endpoint("publish"))
        stack.callback(topics.close)
        for number in range(self.random.randrange(10, MAX_TOPICS)):
            topics.subscribe(f"{number:x}" * self.random.randrange(1, 9))

    def wrong_kind(self, stack):
        """Sockets of every type at every endpoint, with messages."""
        for _ in range(30):
            kind = self.random.choice([zmq.DEALER, zmq.REQ, zmq.XSUB, zmq.PUSH, zmq.PAIR, zmq.ROUTER])
            made = self.socket(kind, self.endpoint(self.random.choice(["publish", "replay"])))
            stack.callback(made.close)
            with contextlib.suppress(zmq.ZMQError):
                made.send_multipart([b"\1picks", b"x" * self.random.randrange(1, 100000)], zmq.NOBLOCK)

    def requests(self, stack):
        for _ in range(10):
            client = self.socket(zmq.DEALER, self.endpoint("replay"))
            stack.callback(client.close)
            for _ in range(self.random.randrange(1, 100)):
                with contextlib.suppress(zmq.ZMQError):
                    frames = [b""] * self.random.randrange(2) + [self.random.choice(REQUESTS)]
                    client.send_multipart(frames * self.random.choice([1, 1, 1, 20]), zmq.NOBLOCK)

    def endless(self, stack):
        """Messages without an end, of raw connections: libzmq's client can abort if it is closed
        just after the service has disconnected it within a message."""
        for connection in self.connections(stack, self.random.randrange(1, 10)):
            with contextlib.suppress(OSError):
                connection.setblocking(True)
                connection.settimeout(0.5)
                kind = self.random.choice([b"DEALER", b"SUB"])
                ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
                connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0")
                                   + bytes(32) + bytes([4, len(ready)]) + ready)
                size = self.random.choice([0, 10, 200])
                frames = (bytes([1, size]) + bytes(size)) * 20000
                for _ in range(self.random.randrange(1, 30)):
                    connection.sendall(frames)

    def replays(self, stack):
        """Many at once, and none of them reads."""
        for _ in range(self.random.randrange(10, 100)):
            client = self.socket(zmq.DEALER, self.endpoint("replay"))
            client.set(zmq.RCVHWM, 1)
            stack.callback(client.close)
            for _ in range(5):
                with contextlib.suppress(zmq.ZMQError):
                    client.send(REQUESTS[4], zmq.NOBLOCK)

    def oversize(self, stack):
        client = self.socket(zmq.DEALER, self.endpoint("replay"))
        stack.callback(client.close)
        with contextlib.suppress(zmq.ZMQError):
            client.send(b"x" * (self.random.randrange(1, 64) << 20), zmq.NOBLOCK)

    def viewers(self, stack):
        """Of the live view, that read nothing."""
        for _ in range(self.random.randrange(5, 60)):
            with contextlib.suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", self.ports["http"]), timeout=1)
                stack.callback(connection.close)
                connection.send(HTTP[1])

    # ---- what must continue ----------------------------------------------------------------------

    def submit(self):
        self.number += 1
        hidden = self.service.home / "next"
        shutil.copy(self.random.choice(self.pool), hidden)
        os.rename(hidden, self.service.data / f"m{self.number:06}.mrc")
        self.submitted = time.monotonic()

    def receive(self):
        """The next outcome, within its time."""
        while time.monotonic() < self.submitted + OUTCOME_SECONDS:
            if self.subscriber.sub.poll(200):
                frames = self.subscriber.sub.recv_multipart()
                if frames[0] == b"picks":
                    self.seqs.append(json.loads(frames[1])["seq"])
                    self.campaign.largest("outcome s", round(time.monotonic() - self.submitted, 2))
                    return
            if self.service.process.poll() is not None:
                raise c.Violation(f"the service ended with {self.service.process.returncode}")
        raise c.Violation(f"no outcome of m{self.number:06}.mrc in {OUTCOME_SECONDS} s")

    def ask_status(self, flood):
        began = time.monotonic()
        self.control.send_json({"request": "status"})
        answered = self.control.poll(OUTCOME_SECONDS * 1000)
        seconds = time.monotonic() - began
        if answered:
            self.control.recv_multipart()
        self.campaign.largest("status s", round(seconds, 2))
        self.campaign.require(answered and seconds < STATUS_SECONDS,
                              f"{flood}: status took {seconds:.1f} s")

    def measure(self, flood):
        megabytes, descriptors = self.process.megabytes(), self.process.descriptors()
        self.campaign.largest("MB", round(megabytes))
        self.campaign.largest("descriptors", descriptors)
        self.campaign.require(megabytes < MAX_MEGABYTES, f"{flood}: {megabytes:.0f} MB")
        self.campaign.require(descriptors < MAX_DESCRIPTORS, f"{flood}: {descriptors} descriptors")

    def round(self):
        floods = [self.half_open, self.garbage, self.slow, self.http, self.subscriptions,
                  self.wrong_kind, self.requests, self.endless, self.replays, self.oversize,
                  self.viewers]
        chosen = self.random.sample(floods, self.random.choice([1, 1, 2, 3]))
        names = ", ".join(flood.__name__ for flood in chosen)
        with contextlib.ExitStack() as stack:
            for flood in chosen:
                flood(stack)
                self.campaign.count("floods")
            self.submit()
            self.ask_status(names)
            self.measure(names)
            self.receive()
            self.ask_status(names)
            self.measure(names)

    def check(self):
        """All outcomes are there, and what the floods took is given back."""
        with Subscriber(self.service) as late:
            replayed = [outcome.seq for outcome in late.connected().replay()[0]]
        self.campaign.require(replayed == self.seqs == list(range(1, self.number + 1)),
                              f"outcomes {len(self.seqs)} live, {len(replayed)} replayed, of {self.number}")
        megabytes, descriptors = self.rest
        c.wait_for(lambda: self.process.descriptors() <= descriptors + 5, 30, 0.2)
        left = self.process.descriptors()
        self.campaign.require(left <= descriptors + 5, f"{left} descriptors remain, {descriptors} before")
        self.campaign.count("outcomes", len(replayed))
        self.campaign.worst["MB at rest"] = round(self.process.megabytes())
        self.campaign.worst["MB before"] = round(megabytes)
        self.campaign.require(self.service.stop() == 0, "watch: not 0 after SIGTERM")


def work(campaign):
    sockets = Sockets(campaign)
    sockets.start()
    try:
        while campaign.goes_on():
            sockets.round()
        sockets.check()
    finally:
        sockets.end()


if __name__ == "__main__":
    c.main(work)
