#!/usr/bin/python3
"""A long run: micrographs come without an end, subscribers and viewers of the live view come and go.

Violations: memory or descriptors of the last quarter above those of the second, an outcome that is
lost, an event stream with a gap, a service that does not stop.
"""

import http.client
import json
import os
import random
import sqlite3
import statistics
import threading
import time

import campaign as c
import zmq
from process import Process
from service import Service, Subscriber
from sockets import free_port

RATE = 20  # micrographs a second at most; a slower machine gets what it can pick
MAX_WAITING = 20  # of them at once
KEPT = 200  # files that stay; older ones are deleted
GROWTH_MEGABYTES = 8 * c.MEMORY  # from the second quarter to the last; caches fill in the first
GROWTH_DESCRIPTORS = 5  # between connections that come and go
MIN_SAMPLES = 8  # fewer say nothing about growth


class Guest(threading.Thread):
    """A client that comes, reads for a while, checks that nothing is missing, and goes; again and
    again."""

    def __init__(self, run, seed):
        super().__init__(name=type(self).__name__)
        self.campaign_run = run
        self.seed = seed
        self.visits = self.outcomes = 0

    def run(self):
        chance = random.Random(self.seed)
        while not self.campaign_run.stopping.is_set():
            try:
                self.visit(chance.expovariate(1.0))
                self.visits += 1
            except (OSError, http.client.HTTPException, AssertionError) as problem:
                if not self.campaign_run.stopping.is_set():
                    self.campaign_run.campaign.violated(f"{self.name}: {problem!r}")

    def check(self, seqs):
        self.outcomes += len(seqs)
        if seqs:
            expected = list(range(seqs[0], seqs[0] + len(seqs)))
            self.campaign_run.campaign.require(seqs == expected, f"{self.name}: {seqs} has a gap")


class Viewer(Guest):
    """Of the live view: an event stream, and requests beside it."""

    def visit(self, seconds):
        where = ("127.0.0.1", self.campaign_run.port)
        events = http.client.HTTPConnection(*where, timeout=30)
        events.request("GET", "/events?since=0" if seconds > 2 else "/events")
        answer = events.getresponse()
        assert answer.status == 200, answer.status
        deadline, seqs = time.monotonic() + seconds, []
        while time.monotonic() < deadline and not self.campaign_run.stopping.is_set():
            line = answer.readline()
            assert line, "the event stream ended"
            if line.startswith(b"id: "):
                seqs.append(int(line[4:]))
        events.close()
        self.check(seqs)
        for path in "/", "/api/status", "/metrics", "/api/outcomes?limit=20":
            other = http.client.HTTPConnection(*where, timeout=30)
            other.request("GET", path)
            assert other.getresponse().read(), path
            other.close()


class Listener(Guest):
    """A subscriber that stays a while, and asks for the last outcomes first."""

    def visit(self, seconds):
        service = self.campaign_run.service
        context = zmq.Context()
        try:
            sub = context.socket(zmq.SUB)
            sub.subscribe(b"picks")
            sub.connect(service.endpoint)
            dealer = context.socket(zmq.DEALER)
            dealer.connect(service.replay_endpoint)
            dealer.send_json({"request": "since", "seq": max(0, self.campaign_run.last_seq() - 10)})
            replayed, live = [], []
            while True:
                assert dealer.poll(30000), "no answer to a request"
                frames = dealer.recv_multipart()
                if frames[0] != b"picks":
                    break
                replayed.append(json.loads(frames[1])["seq"])
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if sub.poll(50):
                    live.append(json.loads(sub.recv_multipart()[1])["seq"])
            self.check(replayed)
            self.check(live)
        finally:
            context.destroy(linger=0)


class LongRun:
    """The service, its guests, and what is measured."""

    def __init__(self, campaign):
        self.campaign = campaign
        home = campaign.directory
        (home / "pool").mkdir()
        self.pool = [path.read_bytes() for path in c.synthesise(home / "pool", 6)]
        self.port = free_port()
        self.service = Service(f"http.listen=127.0.0.1:{self.port}", "publish.preview=yes",
                               "input.settle_seconds=0.1", directory=home)
        self.stopping = threading.Event()
        self.guests = [Viewer(self, campaign.seed), Viewer(self, campaign.seed + 1),
                       Listener(self, campaign.seed + 2), Listener(self, campaign.seed + 3)]
        self.number = 0
        self.samples = []  # seconds, MB, descriptors

    def start(self):
        self.service.start()
        self.process = Process(self.service.process.pid)
        with Subscriber(self.service) as subscriber:
            subscriber.connected()
            self.submit()
            subscriber.outcome()
        for guest in self.guests:
            guest.start()

    def end(self):
        self.stopping.set()
        for guest in self.guests:
            if guest.is_alive():
                guest.join()
        self.service.end()

    def last_seq(self):
        journal = sqlite3.connect(f"file:{self.service.state}/journal.sqlite?mode=ro", uri=True)
        try:
            return journal.execute("SELECT coalesce(max(seq), 0) FROM outcomes").fetchone()[0]
        finally:
            journal.close()

    def submit(self):
        self.number += 1
        hidden = self.service.home / "next"
        hidden.write_bytes(self.pool[self.number % len(self.pool)])
        os.rename(hidden, self.service.data / f"m{self.number:07}.mrc")
        old = self.number - KEPT
        if old > 0:
            (self.service.data / f"m{old:07}.mrc").unlink()

    def round(self):
        """A second of the microscope, and a sample at its end."""
        for _ in range(RATE):
            self.submit()
            time.sleep(1 / RATE)
        if not c.wait_for(lambda: self.number - self.last_seq() < MAX_WAITING, 60):
            raise c.Violation(f"{self.last_seq()} outcomes of {self.number}, and no more in 60 s")
        status = self.service.process.poll()
        if status is not None:
            raise c.Violation(f"the service ended with {status}")
        self.samples.append((self.process.megabytes(), self.process.descriptors()))

    def check_growth(self):
        quarter = len(self.samples) // 4
        self.campaign.largest("MB", round(max(sample[0] for sample in self.samples)))
        self.campaign.largest("descriptors", max(sample[1] for sample in self.samples))
        if len(self.samples) < MIN_SAMPLES:
            return
        for index, name, most in ((0, "MB", GROWTH_MEGABYTES), (1, "descriptors", GROWTH_DESCRIPTORS)):
            values = [sample[index] for sample in self.samples]
            before = statistics.median(values[quarter:2 * quarter])
            after = statistics.median(values[-quarter:])
            self.campaign.worst[f"growth of {name}"] = round(after - before, 1)
            self.campaign.require(after - before <= most, f"{name}: {before:.1f}, then {after:.1f}")

    def check(self):
        if not c.wait_for(lambda: self.last_seq() >= self.number, 60):
            self.campaign.violated(f"{self.last_seq()} outcomes of {self.number}")
        self.stopping.set()
        for guest in self.guests:
            guest.join()
        self.check_growth()
        with Subscriber(self.service) as late:
            seqs = [outcome.seq for outcome in late.connected().replay()[0]]
        self.campaign.require(seqs == list(range(1, self.number + 1)),
                              f"replayed {len(seqs)} of {self.number}")
        self.campaign.require(self.service.stop() == 0, "watch: not 0 after SIGTERM")
        self.campaign.count("outcomes", len(seqs))
        self.campaign.count("visits", sum(guest.visits for guest in self.guests))
        self.campaign.count("outcomes at guests", sum(guest.outcomes for guest in self.guests))


def work(campaign):
    run = LongRun(campaign)
    run.start()
    try:
        while campaign.goes_on():
            run.round()
        run.check()
    finally:
        run.end()


if __name__ == "__main__":
    c.main(work)
