"""Clients cannot take the memory or the time of a service, a relay or a listener.

A hostile client is a plain socket that speaks ZMTP, because libzmq's would hold back what it sends.
"""

import contextlib
import json
import os
import signal
import socket
import threading
import time
import uuid

import pytest
import zmq
from fake_publisher import DEADLINE, FakePublisher, message
from service import Service, Subscriber, new_context
from test_listen import listen
from test_relay import Relay

MAX_TOPICS = 32  # as in pickstream-messages(7)
MAX_TOPIC_BYTES = 32
TOPICS = 200_000

NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type"


class Raw:
    """A subscriber, or a socket of another kind, that sends whatever it likes."""

    def __init__(self, endpoint, greeting=NULL_GREETING, kind=b"SUB"):
        host, port = endpoint.removeprefix("tcp://").split(":")
        self.socket = socket.create_connection((host, int(port)), DEADLINE)
        self.socket.sendall(greeting)
        if greeting == NULL_GREETING:
            ready = READY + len(kind).to_bytes(4, "big") + kind
            self.socket.sendall(bytes([4, len(ready)]) + ready)
            received = b""
            while b"XPUB" not in received and b"ROUTER" not in received:  # messages follow the handshake
                received += self.socket.recv(1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *bodies):
        data = b"".join(bytes([0, len(body)]) + body for body in bodies)
        with contextlib.suppress(OSError):  # disconnected
            self.socket.sendall(data)

    def wait_disconnected(self):
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(1 << 16):
                pass


def rss_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmHWM"].split()[0]) / 1024


@pytest.fixture
def service():
    with Service("publish.endpoint=tcp://127.0.0.1:*",
                 "publish.replay_endpoint=tcp://127.0.0.1:*") as service:
        log = service.log_text()
        for key, name in ("publish.endpoint", "endpoint="), ("publish.replay_endpoint", "replay="):
            service.settings[key] = log.split("event=publishing", 1)[1].split(name, 1)[1].split()[0]
        yield service


def slowest_status(subscriber, while_):
    """The longest that a status took while something was done."""
    slowest = 0
    thread = threading.Thread(target=while_)
    thread.start()
    while thread.is_alive():
        begin = time.monotonic()
        subscriber.ask(request="status")
        slowest = max(slowest, time.monotonic() - begin)
    thread.join()
    return slowest


def topics(count):
    noise = os.urandom(16 * count).hex()
    return [b"\1" + noise[32 * i:32 * i + 32].encode() for i in range(count)]


def test_subscriptions(service):
    """Many topics: the client is disconnected and named, the others notice nothing."""
    subscriber = Subscriber(service).connected()
    before = rss_mib(service.process)
    many = topics(TOPICS)
    with Raw(service.settings["publish.endpoint"]) as client:
        port = client.socket.getsockname()[1]
        slowest = slowest_status(subscriber, lambda: client.send(*many))
        client.wait_disconnected()
    assert slowest < 10, slowest
    assert rss_mib(service.process) - before < 16
    status = subscriber.status(lambda status: status["metrics"]["disconnected_clients"] == 1)
    assert f'address=127.0.0.1:{port} reason="too many subscriptions"' in service.log_text()
    subscriber.status(lambda status: status["metrics"]["subscribers"] == 2)
    assert status["metrics"]["refused_clients"] == 0


def test_as_many_subscriptions_as_allowed(service):
    subscriber = Subscriber(service)
    full = [b"\1" + b"%032d" % i for i in range(MAX_TOPICS - 1)] + [b"\1status"]
    with Raw(service.settings["publish.endpoint"]) as client:
        client.send(*full, *full)
        subscriber.status(lambda status: status["metrics"]["subscribers"] == MAX_TOPICS + 2)
        # What it does not have, it cannot end.
        client.send(b"\0other", b"\0" + b"%032d" % 0)
        subscriber.status(lambda status: status["metrics"]["subscribers"] == MAX_TOPICS + 1)
        client.send(b"\1one", b"\1two")
        client.wait_disconnected()
    subscriber.status(lambda status: status["metrics"]["subscribers"] == 2)


@pytest.mark.parametrize("key, kind", [("publish.endpoint", b"SUB"),
                                       ("publish.replay_endpoint", b"DEALER")])
def test_a_message_without_an_end(service, key, kind):
    """ZeroMQ keeps its frames, and shows none of them."""
    subscriber = Subscriber(service).connected()
    before = rss_mib(service.process)
    frames = (bytes([1, 200]) + bytes(200)) * 500  # each says that more follow
    sent = 0
    with Raw(service.settings[key], kind=kind) as client:
        client.socket.settimeout(5)
        with contextlib.suppress(OSError):  # reset, or what was in flight is not taken any more
            while sent < 500_000_000:
                client.socket.sendall(frames)
                sent += len(frames)
                time.sleep(0.001)
    assert sent < 100_000_000, sent
    assert rss_mib(service.process) - before < 300
    subscriber.status(lambda status: status["metrics"]["disconnected_clients"] == 1)
    assert 'reason="too long a message"' in service.log_text()


@pytest.mark.parametrize("bodies, reason", [
    ([b"\1" + b"x" * (MAX_TOPIC_BYTES + 1)], "too long a topic"),
    ([b"\1a", b"\0a"] * 600, "too many messages"),
    ([b"nonsense"] * 1200, "too many messages"),
])
def test_other_limits(service, bodies, reason):
    with Raw(service.settings["publish.endpoint"]) as client:
        client.send(*bodies)
        client.wait_disconnected()
    assert f'reason="{reason}"' in service.log_text()


def test_all_clients_together(service):
    """No number of clients that keep their limits takes much memory."""
    subscriber = Subscriber(service).connected()
    before = rss_mib(service.process)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(Raw(service.settings["publish.endpoint"]))
            client.send(*(b"\1" + os.urandom(16).hex().encode() for _ in range(MAX_TOPICS)))
        subscriber.status(lambda status: status["metrics"]["disconnected_clients"] > 30)
        assert rss_mib(service.process) - before < 32
        assert "too many subscriptions of all clients, of which it has the most" in service.log_text()
    # When they have gone, there is room again.
    subscriber.status(lambda status: status["metrics"]["subscribers"] == 2)
    late = Subscriber(service)
    late.connected()


@pytest.mark.parametrize("greeting", [
    b"\x01\x00" + b"\0\x04\0\1a",  # ZMTP 1.0
    b"\xff" + bytes(8) + b"\x7f\x01\x02" + b"\0\0",  # ZMTP 2.0
])
def test_old_protocols_are_refused(service, greeting):
    """Their messages would not tell who sent them."""
    with Raw(service.settings["publish.endpoint"], greeting) as client:
        client.wait_disconnected()


def test_local_sockets_and_processes():
    """The process is named where there is no address."""
    with Service() as service:
        context = new_context()
        sub = context.socket(zmq.SUB)
        for topic in topics(1000):
            sub.subscribe(topic[1:])
        sub.connect(service.endpoint)
        deadline = time.monotonic() + DEADLINE
        while f'address=process:{os.getpid()} reason="too many' not in service.log_text():
            assert time.monotonic() < deadline, service.log_text()
            time.sleep(0.05)
        context.destroy(linger=0)


def test_a_relay_keeps_its_subscriptions():
    """A client of a relay can neither pass on its topics nor end those of others."""
    with FakePublisher() as publisher, Relay([publisher]) as relay:
        relay.know([publisher])
        with listen(relay, "--count", 1) as listener:
            publisher.wait_for_subscriber("picks")
            context = new_context()
            hostile = context.socket(zmq.XSUB)
            hostile.connect(relay.endpoint)
            for topic in (b"\0picks", b"\1other", b"\1preview"):
                hostile.send(topic)
            publisher.wait_for_subscriber("preview")
            assert publisher.topics == {"status", "picks", "preview"}
            for topic in topics(300):
                hostile.send(topic)
            relay.wait_line("event=client_disconnected")
            publisher.publish()
            listener.end()
            context.destroy(linger=0)
        assert len(listener.out) == 1


def test_streams_behind_a_relay():
    """A service that announces a new stream with each message: the memory of a listener and the log
    of a relay are bounded."""
    with FakePublisher() as publisher, Relay([publisher]) as relay:
        relay.know([publisher])
        with listen(relay) as listener:
            publisher.wait_for_subscriber("picks")
            first, header, picks = message(publisher.stream, 1)
            for number in range(5000):
                stream = str(uuid.UUID(int=number, version=4))
                publisher.send([first, header.replace(publisher.stream.encode(), stream.encode()),
                                picks])
            relay.wait_line("event=many_streams")
            listener.wait_line("has more than 256 streams")
            listener.wait_lines(200)
            assert rss_mib(listener.process) < 100
            assert rss_mib(relay.process) < 60
            listener.end(send=signal.SIGTERM)
        relay.end(send=signal.SIGTERM)
        assert sum("stream" in line for line in relay.err) < 100


def test_requests(service):
    """Long requests and many: others are answered in time."""
    subscriber = Subscriber(service).connected()
    before = rss_mib(service.process)
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(new_context())
        clients = [stack.enter_context(context.socket(zmq.DEALER)) for _ in range(10)]
        big = json.dumps({"request": "micrograph", "name": "x" * 900_000}).encode()
        for client in clients:
            client.linger = 0
            client.sndhwm = 0
            client.connect(service.settings["publish.replay_endpoint"])

        def flood():
            for _ in range(50):
                for client in clients:
                    client.send(big)

        slowest = slowest_status(subscriber, flood)
        grown = rss_mib(service.process) - before
        assert slowest < 10 and grown < 130, (slowest, grown)
