"""Many services for one subscriber: listen with several endpoints, and through pickstream relay.

`stream` tells them apart: each has its own order, its own gaps, its own replay. The services are
fake publishers that drop on demand, and real ones at the end.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import sys
import tempfile

import pytest
import zmq
from fake_publisher import DEADLINE, FakePublisher, message
from micrographs import read_picks
from service import Service
from support import PROGRAM, run
from test_listen import Process, key_files, python_subscriber

OTHER = "00000000-0000-4000-8000-000000000000"


@contextlib.contextmanager
def publishers(count, **options):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(FakePublisher(**options)) for _ in range(count)]


def options_of(services):
    return [option for service in services for option in service.options]


class Relay(Process):
    """`pickstream relay` in front of services, when it has bound its endpoints."""

    def __init__(self, services, *options):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="psr-", dir="/tmp"))
        self.endpoint = f"ipc://{self.home}/pub"
        self.replay_endpoint = f"ipc://{self.home}/replay"
        super().__init__(PROGRAM, "relay", *options_of(services), "--publish", self.endpoint,
                         "--publish-replay", self.replay_endpoint, *options)
        self.wait_line("event=relaying")

    @property
    def options(self):
        return ["--connect", self.endpoint, "--replay", self.replay_endpoint]

    def know(self, services):
        """Waits until the relay knows which stream is behind which endpoint."""
        for service in services:
            service.wait_for_subscriber("status")
            service.status()
            self.wait_line(service.stream)

    def stop(self, name="SIGTERM"):
        self.end(send=getattr(signal, name))
        assert "event=stopped" in self.err[-1]


def listen(services, *options):
    return Process(PROGRAM, "listen", *options_of(services), *options)


def by_stream(listener):
    """The seqs that were printed, by stream."""
    seqs = {}
    for line in listener.out:
        stream, seq, *_ = line.split()
        seqs.setdefault(stream, []).append(int(seq))
    return seqs


# ---- many endpoints ------------------------------------------------------------------------------

def test_several_services_at_once():
    with publishers(3) as services, listen(services, "--count", 12) as listener:
        for service in services:
            service.wait_for_subscriber()
        for _ in range(4):
            for service in services:
                service.publish()
        listener.end()
    assert by_stream(listener) == {service.stream: [1, 2, 3, 4] for service in services}
    assert listener.out[0].split()[1:] == ["1", "GridSquare_1/m1.mrc", "picked", "3", "0.500",
                                           "0.250"]
    assert sorted(listener.err[:3]) == sorted(
        f"pickstream listen: {service.stream}: last seq 4" for service in services)
    assert listener.err[3:] == ["pickstream listen: 12 outcomes, 0 lost, 0 messages unreadable"]


def test_each_service_has_its_own_gaps():
    """What one dropped is asked of that one; the others are not disturbed."""
    with publishers(3) as (first, second, third), \
            listen([first, second, third], "--count", 14) as listener:
        for service in first, second, third:
            service.wait_for_subscriber()
        first.publish(5, drop={2, 3})
        second.publish(4)
        third.publish(5, drop={4})
        assert first.serve() == 1
        assert third.serve() == 3
        listener.end()
        assert not second.replay.poll(0)
    assert by_stream(listener) == {first.stream: [1, 2, 3, 4, 5], second.stream: [1, 2, 3, 4],
                                   third.stream: [1, 2, 3, 4, 5]}
    assert f"pickstream listen: {first.stream}: asking again for seq 2 to 3" in listener.err
    assert f"pickstream listen: {third.stream}: asking again for seq 4" in listener.err


def test_a_loss_of_one_service_is_named():
    with publishers(2) as (first, second), \
            listen([first, second], "--count", 5, "--timeout", 0.3) as listener:
        for service in first, second:
            service.wait_for_subscriber()
        second.publish(2)
        first.publish(4, drop={2})
        listener.end(1)
    assert f"pickstream listen: {first.stream}: lost seq 2: the replay socket does not bring it" \
        in listener.err
    assert by_stream(listener)[first.stream] == [1, 3, 4]


def test_all_of_several_services(tmp_path):
    """--since 0, into files: micrographs of the same name stay apart."""
    with publishers(2) as services:
        for number, service in enumerate(services):
            service.outcome(name="GridSquare_1/x.mrc", picks=3 + number)
        with listen(services, "--since", 0, "--count", 2, "-o", tmp_path) as listener:
            for service in services:
                assert service.serve() == 0
            listener.end()
        streams = [service.stream for service in services]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*streams, "autopick.star"])
    for number, stream in enumerate(streams):
        assert len(read_picks(tmp_path / stream / "GridSquare_1/x_autopick.star")) == 3 + number
    assert listener.out == []


def test_one_that_is_not_there_does_not_keep_the_others(tmp_path):
    with publishers(1) as (there,):
        nowhere = [f"ipc://{tmp_path}/pub", f"ipc://{tmp_path}/replay"]
        with Process(PROGRAM, "listen", "--connect", nowhere[0], "--replay", nowhere[1],
                     *there.options, "--count", 2, "--set",
                     "publish.heartbeat_seconds=0.1") as listener:
            there.wait_for_subscriber()
            there.publish()
            listener.wait_line(f"nothing heard from {nowhere[0]}")
            there.publish()
            listener.end()
    assert by_stream(listener) == {there.stream: [1, 2]}


# ---- the relay -----------------------------------------------------------------------------------

def test_the_relay_passes_everything_on_as_it_is():
    """Identical frames, of every topic with a subscriber, and of no other."""
    with publishers(2) as services, Relay(services) as relay:
        relay.know(services)
        context = zmq.Context()
        subscriber = context.socket(zmq.SUB)
        for topic in b"picks", b"preview", b"particles", b"relay":
            subscriber.subscribe(topic)
        subscriber.connect(relay.endpoint)
        for service in services:
            service.wait_for_subscriber("status", "picks", "preview", "particles")
            service.publish(2)
            service.send([b"preview", b"{}", b"\x89PNG" + bytes(100000), b"more", b"and more"])
            service.send([b"particles", b"{}", bytes(100000)])
            service.send([b"other", b"{}"])
            service.publish()
        assert subscriber.recv_multipart() == [b"relay"]
        heard = []
        for _ in range(10):
            assert subscriber.poll(DEADLINE * 1000)
            heard.append(subscriber.recv_multipart())
        for service in services:
            journal = [service.journal[seq] for seq in (1, 2, 3)]
            mine = [frames for frames in heard if frames in journal]
            assert mine == journal
        assert [frames[0] for frames in heard].count(b"preview") == 2
        assert heard.count([b"particles", b"{}", bytes(100000)]) == 2
        assert [len(frames) for frames in heard if frames[0] == b"preview"] == [5, 5]
        subscriber.close()
        for service in services:  # pictures have no subscriber any more; the relay has status
            while "preview" in service.topics or "picks" in service.topics:
                assert service.live.poll(DEADLINE * 1000)
                event = service.live.recv()
                (service.topics.add if event[0] else service.topics.discard)(event[1:].decode())
            assert "status" in service.topics
        context.destroy(linger=0)
        relay.stop()


def test_pictures_that_nobody_reads_are_dropped_but_no_picks():
    """What waits for a subscriber that has stopped is bounded in bytes, as the service's own is."""
    pictures, picture = 300, b"\x89PNG" + bytes(1 << 20)
    with publishers(1) as services, Relay(services) as relay:
        relay.know(services)
        context = zmq.Context()
        subscriber, other = context.socket(zmq.SUB), context.socket(zmq.SUB)
        subscriber.rcvhwm = 2
        subscriber.subscribe(b"preview")
        for socket in subscriber, other:
            socket.subscribe(b"picks")
            socket.connect(relay.endpoint)
        service, = services
        service.wait_for_subscriber("status", "picks", "preview")
        for _ in range(pictures):
            service.send([b"preview", b"{}", picture])
        service.publish()
        assert other.poll(DEADLINE * 1000)  # the relay has passed everything on
        heard = []
        while not heard or heard[-1] != b"picks":
            assert subscriber.poll(DEADLINE * 1000)
            heard.append(subscriber.recv_multipart()[0])
        assert 100 < heard.count(b"preview") < 200
        service.send([b"preview", b"{}", picture])
        assert subscriber.poll(DEADLINE * 1000)
        assert subscriber.recv_multipart() == [b"preview", b"{}", picture]
        context.destroy(linger=0)
        relay.stop()


def test_listen_through_a_relay():
    """All services behind one address: order, gaps and replay of each."""
    with publishers(3) as (first, second, third), Relay([first, second, third]) as relay, \
            listen([relay], "--count", 13) as listener:
        for service in first, second, third:
            service.wait_for_subscriber()
        first.publish(5, drop={2, 3})
        second.publish(4)
        third.publish(4, drop={3})
        assert first.serve() == 1
        assert third.serve() == 2
        listener.end()
        assert not second.replay.poll(0)
        relay.stop("SIGINT")
    assert by_stream(listener) == {first.stream: [1, 2, 3, 4, 5], second.stream: [1, 2, 3, 4],
                                   third.stream: [1, 2, 3, 4]}
    assert listener.err[-1] == "pickstream listen: 13 outcomes, 0 lost, 0 messages unreadable"


def test_everything_there_was_through_a_relay():
    """--since 0, of services that say nothing but their heartbeat."""
    with publishers(2) as services:
        for service in services:
            for _ in range(300):
                service.outcome()
        with Relay(services) as relay, listen([relay], "--since", 0, "--count", 600) as listener:
            for service in services:
                service.wait_for_subscriber()
            while any(not service.replay.poll(0) for service in services):
                for service in services:
                    service.status()
                listener.read_what_is_there()
            for service in services:
                assert service.serve() == 0
            listener.end()
    assert by_stream(listener) == {service.stream: list(range(1, 301)) for service in services}


def test_a_replay_does_not_overtake_the_announcement_of_a_relay():
    """Its answer tells what the first message on the other socket would: lines have the stream."""
    with publishers(1) as (relay,), listen([relay], "--since", 0, "--count", 3) as listener:
        relay.wait_for_subscriber("picks", "status", "relay")
        for _ in range(3):
            relay.outcome()
        client, _ = relay.request()
        relay.answer(client, [json.dumps({"schema": "pickstream/1", "type": "relay",
                                          "streams": []}).encode()])
        while not relay.replay.poll(100):
            relay.status()
        assert relay.serve() == 0
        listener.end()
    assert by_stream(listener) == {relay.stream: [1, 2, 3]}


def test_one_service_behind_a_relay_is_as_without(tmp_path):
    """A client that knows nothing of relays sees no difference."""
    with publishers(1) as services, Relay(services) as relay:
        (service,) = services
        with python_subscriber(relay.endpoint, relay.replay_endpoint, tmp_path) as subscriber:
            service.wait_for_subscriber("picks", "status")
            service.publish(6, drop={3, 4})
            assert service.serve() == 2
            subscriber.wait_lines(6)
            subscriber.process.terminate()
        assert subscriber.seqs == [1, 2, 3, 4, 5, 6]


def test_the_subscriber_in_python_behind_a_relay(tmp_path):
    """It goes by stream too."""
    with publishers(2) as services, Relay(services) as relay:
        relay.know(services)
        with python_subscriber(relay.endpoint, relay.replay_endpoint, tmp_path) as subscriber:
            for service in services:
                service.wait_for_subscriber("picks", "status")
            first, second = services
            first.publish(2)
            second.publish(3)
            subscriber.wait_lines(5)
            first.publish(3, drop={3, 4})
            assert first.serve() == 2
            second.publish()
            subscriber.wait_lines(9)
            subscriber.process.terminate()
        assert sorted(subscriber.seqs) == [1, 1, 2, 2, 3, 3, 4, 4, 5]


class Client:
    """A DEALER at a relay."""

    def __init__(self, relay):
        self.context = zmq.Context()
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.RCVHWM, 10)
        self.dealer.connect(relay.replay_endpoint)

    def ask(self, **request):
        self.dealer.send_json(request)
        return self.answer()

    def answer(self):
        assert self.dealer.poll(DEADLINE * 1000), "no answer"
        return self.dealer.recv_multipart()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)


def test_requests_go_to_the_service_that_they_name():
    with publishers(2) as services, Relay(services) as relay, Client(relay) as client:
        relay.know(services)
        for service in services:
            service.outcome()
        answer = json.loads(client.ask(request="hello")[0])
        assert answer["type"] == "relay"
        assert {(row["stream"], row["endpoint"]) for row in answer["streams"]} \
            == {(service.stream, service.endpoint) for service in services}
        assert json.loads(client.ask(request="since", seq=0)[0]) == answer
        for request, reason in [({"request": "status"}, "\"stream\" is missing"),
                                ({"request": "since", "seq": 0, "stream": OTHER}, "none of those"),
                                ({"request": "since", "seq": 0, "stream": 7}, "none of those")]:
            answer = json.loads(client.ask(**request)[0])
            assert answer["type"] == "error" and reason in answer["reason"]
        client.dealer.send(b"nonsense")
        assert json.loads(client.answer()[0])["type"] == "error"
        for service in services:
            client.dealer.send_json({"request": "since", "seq": 0, "stream": service.stream})
            assert service.serve() == 0
            assert client.answer() == service.journal[1]
            assert json.loads(client.answer()[0])["type"] == "end"
        client.dealer.send_multipart(  # as a REQ socket does it
            [b"", json.dumps({"request": "since", "seq": 0,
                              "stream": services[0].stream}).encode()])
        services[0].serve()
        assert client.answer() == [b"", *services[0].journal[1]]


def test_a_client_that_expects_streams_is_told_that_it_is_a_relay():
    with publishers(1) as services, Relay(services) as relay, Client(relay) as client:
        relay.know(services)
        answer = json.loads(client.ask(request="since", seq=0, streams=True)[0])
        assert answer["type"] == "relay"
        assert [row["stream"] for row in answer["streams"]] == [services[0].stream]
        services[0].outcome()
        client.dealer.send_json({"request": "since", "seq": 0, "streams": True,
                                 "stream": services[0].stream})
        services[0].serve()
        assert client.answer() == services[0].journal[1]


def test_clients_do_not_disturb_each_other():
    """Two replays of the same service at once, each whole."""
    with publishers(1) as (service,), Relay([service]) as relay, Client(relay) as first, \
            Client(relay) as second:
        relay.know([service])
        for _ in range(20):
            service.outcome()
        first.dealer.send_json({"request": "since", "seq": 0})
        second.dealer.send_json({"request": "since", "seq": 10})
        asked = dict(service.request()[::-1] for _ in range(2))
        assert set(asked) == {0, 10} and asked[0] != asked[10]
        for seq in range(1, 21):
            for since, who in asked.items():
                if seq > since:
                    service.answer(who, service.journal[seq])
        for since, client in (0, first), (10, second):
            assert [client.answer() for _ in range(20 - since)] \
                == [service.journal[seq] for seq in range(since + 1, 21)]


def test_a_client_that_does_not_read_is_waited_for():
    """40 MB for one who sleeps: the relay holds a little, the rest stays where it is; others are
    served meanwhile."""
    with publishers(1, replay_high_water_mark=10) as (service,), Relay([service]) as relay, \
            Client(relay) as sleeper, Client(relay) as reader:
        relay.know([service])
        service.replay.setsockopt(zmq.ROUTER_MANDATORY, 1)
        service.replay.setsockopt(zmq.SNDTIMEO, 3000)
        frames = message(service.stream, 1, picks=3)
        frames[2] = bytes(200_000)
        sleeper.dealer.send_json({"request": "since", "seq": 0})
        who, _ = service.request()
        sent = 0
        with contextlib.suppress(zmq.Again):
            while sent < 20_000:
                service.answer(who, frames)
                sent += 1
        assert sent < 20_000, "everything was taken, for one who reads nothing"
        reader.dealer.send_json({"request": "since", "seq": 0})
        other, _ = service.request()
        service.answer(other, frames)
        assert reader.answer() == frames
        for _ in range(sent):
            assert sleeper.answer() == frames


def test_a_service_with_a_new_journal():
    with publishers(2) as (first, second), Relay([first, second]) as relay, \
            listen([relay], "--count", 6) as listener:
        for service in first, second:
            service.wait_for_subscriber()
        first.publish(2)
        second.publish(2)
        listener.wait_lines(4)
        first.close()
        with FakePublisher(endpoint=first.endpoint,
                           replay_endpoint=first.replay_endpoint) as again:
            again.wait_for_subscriber()
            again.publish(3, drop={2})
            assert again.serve() == 1
            listener.end()
        first.context = zmq.Context()
    seqs = by_stream(listener)
    assert seqs[first.stream] == seqs[second.stream] == [1, 2]
    assert seqs[again.stream][0] == 1 and len(seqs[again.stream]) >= 2


def test_a_relay_behind_a_relay():
    with publishers(3) as (first, second, third), Relay([first, second]) as inner, \
            Relay([inner, third]) as outer, listen([outer], "--count", 9) as listener:
        for service in first, second, third:
            service.wait_for_subscriber()
        first.publish(3, drop={2})
        second.publish(3, drop={2})
        third.publish(3)
        assert first.serve() == 1
        assert second.serve() == 1
        listener.end()
    assert by_stream(listener) == {service.stream: [1, 2, 3] for service in (first, second, third)}


# ---- CURVE ---------------------------------------------------------------------------------------

def test_curve_on_both_sides(tmp_path):
    """The relay is a client of the services, with one key, and a service to its own clients."""
    servers = [zmq.curve_keypair() for _ in range(2)]
    relay_public, relay_secret = zmq.curve_keypair()
    client_public, client_secret = zmq.curve_keypair()
    (tmp_path / "relay.key").write_bytes(relay_secret + b"\n")
    (tmp_path / "clients").write_bytes(client_public + b"\n")
    towards = ["--curve-key", tmp_path / "relay.key"]
    for number, (public, _) in enumerate(servers):
        (tmp_path / f"server{number}").write_bytes(public + b"\n")
        towards += ["--curve-server", tmp_path / f"server{number}"]
    own = ["--set", f"publish.curve_secret_key={tmp_path}/relay.key", "--set",
           f"publish.curve_clients={tmp_path}/clients"]
    with contextlib.ExitStack() as stack:
        services = [stack.enter_context(FakePublisher(curve=(secret, public)))
                    for public, secret in servers]
        relay = stack.enter_context(Relay(services, *towards, *own))
        with Process(PROGRAM, "listen", *relay.options, "--count", 4,
                     *key_files(tmp_path, client_secret, relay_public)) as listener:
            for service in services:
                service.wait_for_subscriber()
                service.publish(2, drop={1})
            listener.wait_lines(2)
            for service in services:
                service.publish()
            listener.end()
        with Process(PROGRAM, "listen", *relay.options, "--set",
                     "publish.heartbeat_seconds=0.1") as stranger:
            stranger.wait_line("nothing heard")
            relay.wait_line("event=client_refused")
            stranger.end(send=signal.SIGTERM)
    assert {stream: seqs for stream, seqs in by_stream(listener).items()} \
        == {service.stream: [2, 3] for service in services}


# ---- the command lines ---------------------------------------------------------------------------

@pytest.mark.parametrize("command, arguments, expected", [
    ("relay", [], "--connect URL --replay URL"),
    ("relay", ["--connect", "ipc:///tmp/a"], "as many --replay as --connect"),
    ("relay", ["--connect", "nowhere", "--replay", "ipc:///tmp/b"], "nowhere"),
    ("relay", ["--connect", "ipc:///tmp/a", "--replay", "ipc:///tmp/b", "--publish", "tcp://*:1"],
     "needs publish.curve_secret_key"),
    ("relay", ["--connect", "ipc:///tmp/a", "--replay", "ipc:///tmp/b", "x"], "unexpected argument"),
    ("listen", ["--connect", "ipc:///tmp/a", "--connect", "ipc:///tmp/b"], "as many --replay"),
    ("listen", ["--connect", "ipc:///tmp/a", "--connect", "ipc:///tmp/b", "--replay",
                "ipc:///tmp/c"], "as many --replay as --connect, in the same order: 2, not 1"),
    ("listen", ["--curve-key", "x"], "belong together"),
    ("listen", ["--connect", "ipc:///tmp/a"] * 65 + ["--replay", "ipc:///tmp/b"] * 65,
     "more than 64 times"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_usage(command, arguments, expected):
    done = run(command, *arguments, status=2)
    assert expected in done.stderr and not done.stdout


def test_an_endpoint_in_use(tmp_path):
    with publishers(1) as services, Relay(services) as relay:
        done = run("relay", *options_of(services), "--publish", relay.endpoint,
                   "--publish-replay", f"ipc://{tmp_path}/other", status=1)
        assert "another process has it" in done.stderr


def test_the_service_manager_is_told(tmp_path):
    """READY and STOPPING, as a unit of Type=notify needs them."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(DEADLINE)
        os.environ["NOTIFY_SOCKET"] = address
        try:
            with publishers(1) as services, Relay(services) as relay:
                assert b"READY=1" in notify.recv(4096)
                relay.stop()
                while b"STOPPING=1" not in notify.recv(4096):
                    pass
        finally:
            del os.environ["NOTIFY_SOCKET"]


# ---- real services -------------------------------------------------------------------------------

def test_two_real_services_through_a_relay(scene):
    """Micrographs of two microscopes reach one subscriber, those before it came too."""
    with Service() as first, Service() as second:
        addresses = []
        for service in first, second:
            addresses += ["--connect", service.endpoint, "--replay", service.replay_endpoint]
            os.link(scene.path, service.data / "before.mrc")
        home = first.home
        with Process(PROGRAM, "relay", *addresses, "--publish", f"ipc://{home}/relay",
                     "--publish-replay", f"ipc://{home}/relay-replay") as relay:
            relay.wait_line("event=relaying")
            with Process(PROGRAM, "listen", "--connect", f"ipc://{home}/relay", "--replay",
                         f"ipc://{home}/relay-replay", "--since", 0, "--count", 4) as listener:
                listener.wait_lines(2)
                for service in first, second:
                    os.link(scene.path, service.data / "after.mrc")
                listener.end()
            relay.end(send=signal.SIGTERM)
    assert sorted(by_stream(listener).values()) == [[1, 2], [1, 2]]
    assert sorted(line.split()[2] for line in listener.out) \
        == ["after.mrc", "after.mrc", "before.mrc", "before.mrc"]


def test_a_service_refuses_requests_for_another_stream():
    with Service() as service:
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        dealer.connect(service.replay_endpoint)
        for stream in OTHER, 5:
            dealer.send_json({"request": "since", "seq": 0, "stream": stream})
            assert dealer.poll(DEADLINE * 1000)
            answer = json.loads(dealer.recv())
            assert answer["type"] == "error" and "not the stream of this service" in answer["reason"]
        dealer.send_json({"request": "hello"})
        stream = json.loads(dealer.recv())["stream"]
        dealer.send_json({"request": "since", "seq": 0, "stream": stream})
        assert json.loads(dealer.recv())["type"] == "end"
        context.destroy(linger=0)
