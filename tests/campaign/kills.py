#!/usr/bin/python3
"""SIGKILL of the service, relay, listen -o, retry and export at random moments, under a writer that
creates, rewrites, renames, deletes, truncates and hard-links micrographs.

Violations: a seq that is missing, comes twice or changes; a content of a path with no outcome or
several; picks that belong to none of the contents; a listener that gets an outcome not at all, twice
or out of order; a journal that fails its integrity check; a file of picks that is half written, or
not that of the last outcome at the end.
"""

import hashlib
import pathlib
import signal
import sqlite3
import subprocess
import threading
import time

import campaign as c
from service import Outcome, Service, Subscriber
from support import PROGRAM
from writer import Writer

CONTENTS = 6
PATIENCE = 90  # seconds to settle at the end
FORMATS = {"star": "_autopick.star", "box": ".box"}


class Truth:
    """The picks of each content: arrays of messages, and bytes of files of picks."""

    def __init__(self, arrays, files, digests):
        self.arrays, self.files, self.digests = arrays, files, digests

    def index(self, path):
        """Which content a micrograph has; None: another one."""
        return self.digests.get(digest(path.read_bytes()))


def digest(data):
    return hashlib.sha256(data).digest()


def learn(service, paths):
    """Picks every content once, undisturbed."""
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        for index, path in enumerate(paths):
            (service.data / f"truth{index}.mrc").write_bytes(path.read_bytes())
        outcomes = sorted(subscriber.outcomes(len(paths)), key=lambda outcome: outcome.name)
        service.stop()
    files = {suffix: [(service.picks / f"truth{i}{suffix}").read_bytes() for i in range(len(paths))]
             for suffix in FORMATS.values()}
    return Truth([outcome.picks.tobytes() for outcome in outcomes], files,
                 {digest(path.read_bytes()): i for i, path in enumerate(paths)})


class Collector(threading.Thread):
    """Hears all lives of the service, and remembers the digest of every message."""

    def __init__(self, service):
        super().__init__(name="collector")
        self.service = service
        self.messages = {}
        self.differing = set()
        self.stopping = threading.Event()

    def run(self):
        with Subscriber(self.service, topics=(b"picks",)) as subscriber:
            while not self.stopping.is_set():
                while subscriber.sub.poll(50):
                    outcome = Outcome(subscriber.sub.recv_multipart())
                    self.take(outcome)

    def take(self, outcome):
        if self.messages.setdefault(outcome.seq, message(outcome)) != message(outcome):
            self.differing.add(outcome.seq)

    def stop(self):
        self.stopping.set()
        self.join()


def message(outcome):
    return digest(b"\0".join(outcome.frames))


class Kills:
    """The processes of the campaign."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.random = campaign.random
        self.home = campaign.directory
        (self.home / "pool").mkdir()
        pool = c.synthesise(self.home / "pool", CONTENTS, seed=campaign.random.randrange(1, 1000))
        settings = ["input.settle_seconds=0.2", "input.poll_seconds=0.5",
                    f"output.formats={','.join(FORMATS)}"]
        (self.home / "truth").mkdir()
        self.truth = learn(Service(*settings, directory=self.home / "truth"), pool)
        self.service = Service(*settings, directory=self.home)
        self.relayed = f"ipc://{self.home}/relay.sock", f"ipc://{self.home}/relayed.sock"
        self.writer = Writer(self.service.data, [path.read_bytes() for path in pool],
                             campaign.random.random())
        self.collector = Collector(self.service)
        self.relay = self.saver = None
        self.ready = True  # the service has notified it
        self.listeners = []

    # ---- processes -------------------------------------------------------------------------------

    def spawn(self, *arguments, out="/dev/null", log="commands.log"):
        with open(self.home / log, "ab") as err, open(out, "ab") as stdout:
            return subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                    stdout=stdout, stderr=err)

    def start_relay(self):
        publish, replay = self.relayed
        self.relay = self.spawn(
            "relay", "--connect", self.service.endpoint, "--replay", self.service.replay_endpoint,
            "--publish", publish, "--publish-replay", replay, log="relay.log")

    def start_saver(self):
        self.saver = self.spawn("listen", "-c", self.service.config, "--since", 0,
                                "-o", self.home / "saved", log="saver.log")

    def start_listener(self, name, publish, replay):
        """One that is not killed and hears all: directly, or through the relay."""
        self.listeners.append((name, self.spawn(
            "listen", "--connect", publish, "--replay", replay, "--since", 0, "--timeout", 300,
            out=self.home / f"{name}.out", log=f"{name}.log")))

    def start(self):
        self.service.start()
        self.collector.start()
        self.start_relay()
        self.start_saver()
        self.start_listener("direct", self.service.endpoint, self.service.replay_endpoint)
        self.start_listener("relayed", *self.relayed)
        self.writer.start()

    def end(self):
        """No process is left."""
        for process in [self.relay, self.saver] + [process for _, process in self.listeners]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.service.end()
        if self.collector.is_alive():
            self.collector.stop()

    # ---- kills -----------------------------------------------------------------------------------

    def must_run(self, process, what):
        """A process that ended by itself is a violation: it was not asked to."""
        status = process.poll()
        self.campaign.require(status is None, f"{what} ended by itself with {status}")

    def kill(self, process, what):
        self.must_run(process, what)
        process.kill()
        process.wait()
        self.campaign.count("kills")

    def start_service(self):
        """Without waiting for it: it may be killed while it starts."""
        self.service.notify.close()
        self.service.spawn()
        self.ready = False

    def kill_service(self):
        self.must_run(self.service.process, "watch")
        self.service.kill()
        self.campaign.count("kills")
        self.start_service()

    def wait_ready(self):
        try:
            self.service.wait_notify("READY=1")
        except (TimeoutError, AssertionError):
            raise c.Violation("the service does not become ready") from None
        self.ready = True

    def reload(self):
        """SIGHUP, and sometimes a stop as systemd asks for it."""
        if not self.ready:
            self.wait_ready()
        self.service.signal(signal.SIGHUP)
        self.wait_ready()
        self.campaign.count("reloads")
        if self.random.random() < 0.5:
            self.campaign.require(self.service.stop() == 0, "watch: not 0 after SIGTERM")
            self.start_service()

    def kill_relay(self):
        self.kill(self.relay, "relay")
        self.start_relay()

    def kill_saver(self):
        self.kill(self.saver, "listen -o")
        self.start_saver()

    def kill_command(self, *arguments):
        process = self.spawn(*arguments)
        time.sleep(self.random.random() * 0.1)
        if process.poll() is None:
            self.campaign.count("kills")
        process.kill()
        process.wait()

    def kill_retry(self):
        self.kill_command("retry", "-c", self.service.config)

    def kill_export(self):
        self.kill_command("export", "-c", self.service.config, "-o", self.home / "exported")

    def round(self):
        actions = {self.kill_service: 10, self.reload: 2, self.kill_relay: 3, self.kill_saver: 4,
                   self.kill_retry: 3, self.kill_export: 3}
        time.sleep(self.random.expovariate(2))
        self.random.choices(list(actions), list(actions.values()))[0]()
        self.check_whole("picks", "saved", "exported")

    # ---- invariants ------------------------------------------------------------------------------

    def check_whole(self, *folders):
        """No file of picks is half written: each is that of one of the contents."""
        for folder in folders:
            for suffix, known in self.truth.files.items():
                for path in (self.home / folder).rglob(f"m*{suffix}"):
                    self.check_known(path, known)

    def check_known(self, path, known):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return  # removed meanwhile
        self.campaign.require(content in known, f"{path}: not the picks of any content")

    def missing(self):
        """Files whose present content has no outcome."""
        journal = sqlite3.connect(f"file:{self.service.state}/journal.sqlite?mode=ro", uri=True)
        try:
            rows = {path: row for path, *row in journal.execute(
                "SELECT path, size, mtime_ns, state, max(revision) FROM micrographs GROUP BY path")}
        finally:
            journal.close()
        missing = []
        for path in self.writer.files():
            size, mtime, state, _ = rows.get(str(path), (None,) * 4)
            status = path.stat()
            if (size, mtime) != (status.st_size, status.st_mtime_ns) or state == "seen":
                missing.append(f"{path}: {state}")
        return missing

    def settle(self):
        """Waits until the service has caught up with the writer."""
        if not c.wait_for(lambda: not self.missing(), PATIENCE, 0.2):
            for path in self.missing():
                self.campaign.violated(f"{path}: no outcome of its content")

    def check_journal(self):
        journal = sqlite3.connect(self.service.state / "journal.sqlite")
        require = self.campaign.require
        (result,) = journal.execute("PRAGMA integrity_check").fetchone()
        require(result == "ok", f"journal: {result}")
        (number, last) = journal.execute("SELECT count(*), max(seq) FROM outcomes").fetchone()
        require(number == last, f"journal: {number} outcomes, the last is {last}")
        for path, revision in journal.execute(
                "SELECT path, revision FROM micrographs m WHERE state != 'seen' AND"
                " (SELECT count(*) FROM outcomes o WHERE o.micrograph = m.id) != attempt"):
            self.campaign.violated(f"{path}, revision {revision}: not one outcome for each attempt")
        for path, revision in journal.execute(
                "SELECT a.path, a.revision FROM micrographs a, micrographs b WHERE a.path = b.path"
                " AND b.revision = a.revision + 1 AND a.size = b.size AND a.mtime_ns = b.mtime_ns"):
            self.campaign.violated(f"{path}, revision {revision}: the same content picked twice")
        journal.close()

    def check_outcomes(self, outcomes, last):
        seqs = [outcome.seq for outcome in outcomes]
        self.campaign.require(seqs == list(range(1, last + 1)), "replay: not 1, 2, 3 and so on")
        for outcome in outcomes:
            self.collector.take(outcome)
            if outcome.status == "picked":
                self.campaign.require(outcome.picks.tobytes() in self.truth.arrays,
                                      f"seq {outcome.seq}: not the picks of any content")
        for seq in sorted(self.collector.differing):
            self.campaign.violated(f"seq {seq}: its message changed")

    def check_contents(self, outcomes):
        """The last outcome of each file that is there is that of its content."""
        last = {outcome.header["micrograph"]["path"]: outcome for outcome in outcomes}
        for path in self.writer.files():
            outcome, index = last.get(str(path)), self.truth.index(path)
            if not outcome:
                continue  # settle() has reported it
            if index is None:
                self.campaign.require(outcome.status == "failed", f"{path}: cut short, but picked")
            elif self.campaign.require(outcome.status == "picked",
                                       f"{path}: {outcome.status}: {outcome.reason}"):
                self.campaign.require(outcome.picks.tobytes() == self.truth.arrays[index],
                                      f"{path}: the picks of another content")

    def check_files(self, folder, outcomes):
        """The files of picks of what is there are those of the last outcome."""
        for outcome in {outcome.name: outcome for outcome in outcomes}.values():
            if not pathlib.Path(outcome.header["micrograph"]["path"]).exists():
                continue
            for suffix, known in self.truth.files.items():
                path = (self.home / folder / outcome.name).with_suffix("")
                path = path.with_name(path.name + suffix)
                expected = None
                if outcome.status == "picked":
                    expected = known[self.truth.arrays.index(outcome.picks.tobytes())]
                found = path.read_bytes() if path.exists() else None
                self.campaign.require(found == expected, f"{path}: not that of seq {outcome.seq}")

    def printed(self, name):
        """The seqs that a listener printed; behind a relay the stream stands before them."""
        lines = (self.home / f"{name}.out").read_text().splitlines()
        return [int(line.split()[name == "relayed"]) for line in lines]

    def check_listeners(self, last):
        for name, process in self.listeners:
            c.wait_for(lambda: process.poll() is not None or len(self.printed(name)) >= last,
                       PATIENCE, 0.2)
            self.must_run(process, f"listen ({name})")
            process.send_signal(signal.SIGINT)
            status = process.wait(PATIENCE)
            self.campaign.require(status == 0, f"listen ({name}): {status} at its end")
            self.campaign.require(self.printed(name) == list(range(1, last + 1)),
                                  f"listen ({name}): not every outcome once and in order")

    def check_listed(self, last):
        """Whole runs of listen -o and export into the directories of killed ones."""
        for arguments in (["listen", "-o", self.home / "saved", "--since", 0, "--count", last],
                          ["export", "-o", self.home / "exported"]):
            done = c.execute(*arguments, "-c", self.service.config, seconds=PATIENCE + last)
            if done.status != 0:  # and its files say nothing
                raise c.Violation(f"{arguments[0]}: {done.status}: {done.err[-500:]}")

    def check(self):
        self.settle()
        with Subscriber(self.service) as subscriber:
            outcomes, last = subscriber.connected().replay()
        self.kill(self.saver, "listen -o")
        self.check_listeners(last)
        self.check_listed(last)
        self.campaign.require(self.service.stop() == 0, "watch: not 0 after SIGTERM")
        self.collector.stop()
        self.check_outcomes(outcomes, last)
        self.check_journal()
        self.check_contents(outcomes)
        self.check_whole("picks", "saved", "exported")
        for folder in "picks", "saved", "exported":
            self.check_files(folder, outcomes)
        self.campaign.count("outcomes", last)
        self.campaign.count("failed of cut files", sum(o.status == "failed" for o in outcomes))
        self.campaign.count("operations of the writer", self.writer.operations)
        self.campaign.count("temporaries left", len(c.temporaries(self.home)))


def work(campaign):
    kills = Kills(campaign)
    try:
        kills.start()
        while campaign.goes_on():
            kills.round()
        kills.writer.stop()
        kills.check()
    finally:
        kills.writer.stopping.set()
        kills.end()


if __name__ == "__main__":
    c.main(work)
