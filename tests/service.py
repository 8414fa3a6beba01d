"""A real service for a test, and a real subscriber to it.

Nothing here sleeps: READY comes by NOTIFY_SOCKET, everything else by messages.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import numpy as np
import zmq
from support import PROGRAM, ROOT

PATIENCE = 120  # seconds until a test that waits for an event gives up


class Service:
    """`pickstream watch` in a directory of its own: data/, picks/, state/ and sockets."""

    def __init__(self, *settings, diameter="24px", environment=None, directory=None,
                 program=PROGRAM, limit=None):
        self.home = pathlib.Path(directory or tempfile.mkdtemp(prefix="ps-", dir="/tmp"))
        self.owned = directory is None
        self.data = self.home / "data"
        self.picks = self.home / "picks"
        self.state = self.home / "state"
        for path in self.data, self.picks, self.state:
            path.mkdir(exist_ok=True)
        self.log = self.home / "log"
        self.endpoint = f"ipc://{self.home}/pub.sock"
        self.replay_endpoint = f"ipc://{self.home}/replay.sock"
        self.config = self.home / "pickstream.ini"
        self.settings = {
            "picker.profile": "aspire",
            "picker.particle_diameter": diameter,
            "input.settle_seconds": "0.3",
            "input.poll_seconds": "1",
            "publish.endpoint": self.endpoint,
            "publish.replay_endpoint": self.replay_endpoint,
            "publish.heartbeat_seconds": "0.5",
            "service.state_directory": str(self.state),
            "output.directory": str(self.picks),
            "input.directories": str(self.data),
        } | dict(setting.split("=", 1) for setting in settings)
        self.write_config()
        self.environment = environment or {}
        self.program = program
        self.limit = limit  # called in the child before the program
        self.process = None
        self.notify = None

    def write_config(self):
        sections = {}
        for key, value in self.settings.items():
            section, name = key.split(".")
            sections.setdefault(section, []).append(f"{name} = {value}\n")
        self.config.write_text(
            "".join(f"[{name}]\n{''.join(lines)}" for name, lines in sections.items())
        )

    def spawn(self):
        """Starts the process without waiting for anything."""
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = self.home / f"notify-{time.monotonic_ns()}.sock"
        self.notify.bind(str(address))
        self.notify.settimeout(PATIENCE)
        environment = os.environ | {"NOTIFY_SOCKET": str(address)} | self.environment
        self.process = subprocess.Popen(
            [self.program, "watch", "-c", self.config],
            cwd=ROOT,
            env=environment,
            preexec_fn=self.limit,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("a"),
        )
        return self

    def wait_notify(self, text):
        """Waits for a notification that contains a line."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            message = self.notify.recv(65536).decode()
            if text in message.splitlines():
                return message
        raise AssertionError(f"no {text} in time")

    def start(self):
        self.spawn()
        self.wait_notify("READY=1")
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def log_text(self):
        return self.log.read_text(errors="replace")

    def end(self):
        """No process is left."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.end()
        if kind:
            print(self.log_text())
        elif self.owned:
            shutil.rmtree(self.home, ignore_errors=True)


class Outcome:
    """A `picks` message."""

    def __init__(self, frames):
        self.frames = frames
        assert frames[0] == b"picks"
        self.header = json.loads(frames[1])
        self.seq = self.header["seq"]
        self.name = self.header["micrograph"]["name"]
        self.revision = self.header["micrograph"]["revision"]
        self.status = self.header["result"]["status"]
        self.reason = self.header["result"]["reason"]
        self.picks = None
        for description, data in zip(self.header["arrays"], frames[2:], strict=True):
            array = np.frombuffer(data, description["dtype"]).reshape(description["shape"])
            if description["name"] == "picks":
                self.picks = array


def new_context():
    """A context whose sockets do not wait, when they are closed, for messages to be delivered: after
    a failed test there may be no one to receive them."""
    context = zmq.Context()
    context.linger = 0
    return context


class Subscriber:
    """SUB and DEALER sockets that have really reached the service."""

    def __init__(self, service, topics=(b"picks", b"status")):
        self.context = new_context()
        self.sub = self.context.socket(zmq.SUB)
        self.sub.set_hwm(0)
        for topic in topics:
            self.sub.subscribe(topic)
        self.sub.connect(service.settings["publish.endpoint"])
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.set_hwm(0)
        self.dealer.connect(service.settings["publish.replay_endpoint"])
        self.last_status = None

    def receive(self, socket_, seconds=PATIENCE):
        assert socket_.poll(int(seconds * 1000)), "no message in time"
        return socket_.recv_multipart()

    def connected(self):
        """Waits for a heartbeat: from then on nothing that is published is missed."""
        while self.receive(self.sub)[0] != b"status":
            pass
        return self

    def outcome(self):
        """The next outcome that is published."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            frames = self.receive(self.sub)
            if frames[0] == b"status":
                self.last_status = json.loads(frames[1])
            else:
                return Outcome(frames)
        raise AssertionError("no outcome in time")

    def outcomes(self, count):
        return [self.outcome() for _ in range(count)]

    def status(self, condition=lambda status: True):
        """The next status that meets the condition; outcomes are dropped."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            frames = self.receive(self.sub)
            if frames[0] == b"status" and condition(json.loads(frames[1])):
                return json.loads(frames[1])
        raise AssertionError("no such status in time")

    def ask(self, **request):
        self.dealer.send_json(request)
        return self.receive(self.dealer)

    def replay(self, since=0):
        """Every outcome after `since`, and the number that the service says was the last."""
        self.dealer.send_json({"request": "since", "seq": since})
        outcomes = []
        while True:
            frames = self.receive(self.dealer)
            if frames[0] == b"picks":
                outcomes.append(Outcome(frames))
                continue
            end = json.loads(frames[-1])
            assert end["type"] == "end"
            return outcomes, end["last_seq"]

    def replay_until(self, condition, since=0):
        """Every outcome after `since` as soon as they meet the condition; looks again with every
        status, so what is published meanwhile is dropped."""
        deadline = time.monotonic() + PATIENCE
        while not condition(outcomes := self.replay(since)[0]):
            assert time.monotonic() < deadline, f"{len(outcomes)} outcomes, and no others in time"
            self.status()
        return outcomes

    def close(self):
        self.context.destroy(linger=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def refused(*settings, **options):
    """Exit status and log of a service that is expected to end by itself instead of to start."""
    service = Service(*settings, **options)
    before = len(service.log_text()) if service.log.exists() else 0
    try:
        return service.spawn().wait(), service.log_text()[before:]
    finally:
        service.end()
        if service.owned:
            shutil.rmtree(service.home, ignore_errors=True)


@contextlib.contextmanager
def session(*settings, **options):
    """A running service and a connected subscriber."""
    with Service(*settings, **options) as service, Subscriber(service) as subscriber:
        yield service, subscriber.connected()
