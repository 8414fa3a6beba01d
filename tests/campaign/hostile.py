#!/usr/bin/python3
"""Hostile files: damaged micrographs, files of picks, configurations and journals, through pick,
convert, check, export, watch.

Violations: an end by a signal, a hang, more memory than a sound file of this size could need, an exit
status other than 0, 1 or 2, a file refused without a line that names it, control characters on
stderr, a service that ends or has no outcome for a file.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import time

import campaign as c
from process import Process
from service import Service, Subscriber
from support import PROGRAM, ROOT

sys.path.insert(0, str(ROOT / "tests/fuzz"))

import make_corpus  # noqa: E402
import make_picks_corpus  # noqa: E402
import make_text_corpora  # noqa: E402

DEADLINE = 30  # seconds
MAX_MEGABYTES = 400 * c.MEMORY  # resident; picking SIDE x SIDE px takes about 60
BATCH = 20  # damaged micrographs that a service gets at once
PICKS = ["star", "cryosparc", "box", "cbox", "tsv", "csv", "json"]  # as make_picks_corpus counts
SUFFIXES = dict(zip(PICKS, [".star", "_cryosparc.star", ".box", ".cbox", ".tsv", ".csv", ".json"]))
VALUES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]
WORDS = [b"nan", b"-inf", b"1e999", b"-1", b"99999999999999999999", b"\0", b"\x1b[31m", b"\r\n", b"'",
         b'"', b"%s%n", b"../", b"\xff\xfe", b"_rlnCoordinateX", b"loop_", b"data_", b"{", b"]", b","]


class Mutator:
    """Damages bytes, as the random numbers say."""

    def __init__(self, random):
        self.random = random

    def position(self, data):
        """Heads more often than the rest."""
        end = len(data) if self.random.random() < 0.5 else min(len(data), 256)
        return self.random.randrange(end + 1)

    def flip(self, data, _):
        if data:
            at = min(self.position(data), len(data) - 1)
            data[at] ^= 1 << self.random.randrange(8)

    def number(self, data, _):
        """An integer of 1, 2 or 4 bytes, either way round."""
        code = self.random.choice(["<B", "<H", ">H", "<I", ">I"])
        size = struct.calcsize(code)
        at = self.position(data) // size * size
        if at + size <= len(data):
            struct.pack_into(code, data, at, self.random.choice(VALUES) & (256**size - 1))

    def cut(self, data, _):
        del data[self.position(data):]

    def remove(self, data, _):
        at = self.position(data)
        del data[at:at + self.random.randrange(1, 65)]

    def repeat(self, data, _):
        at = self.position(data)
        data[at:at] = data[at:at + self.random.randrange(1, 257)] * self.random.randrange(1, 40)

    def word(self, data, _):
        at = self.position(data)
        data[at:at] = self.random.choice(WORDS)

    def splice(self, data, other):
        at = self.position(data)
        data[at:] = other[min(at, len(other)):]

    def mutated(self, content, others):
        data = bytearray(content)
        ways = [self.flip, self.number, self.number, self.cut, self.remove, self.repeat, self.word,
                self.splice]
        for _ in range(self.random.choice([1, 1, 2, 3, 8])):
            self.random.choice(ways)(data, self.random.choice(others))
        return bytes(data)


def measured(*arguments):
    """Runs the program; how it ended, and its largest resident memory in MB, which is not less than
    that of this program, because it begins as a copy of it."""
    with subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        os.set_blocking(process.stdout.fileno(), False)
        out, status, usage = b"", None, None
        deadline = time.monotonic() + DEADLINE
        while status is None:
            out += process.stdout.read() or b""
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                status = os.waitstatus_to_exitcode(code)
            elif time.monotonic() > deadline:
                process.kill()
                os.wait4(process.pid, 0)
                break
            else:
                time.sleep(0.002)
        out += process.stdout.read() or b""
        process.returncode = status or 0
    return c.Done(status, b"", out), usage.ru_maxrss / 1024


class Hostile:
    """The sound files that are damaged, and what is done with them."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.random = campaign.random
        self.mutator = Mutator(self.random)
        self.home = campaign.directory
        self.number = 0
        (self.home / "pool").mkdir()
        pool = [path.read_bytes() for path in c.synthesise(self.home / "pool", 2)]
        whole = self.home / "tiff"
        c.execute("synth", "--size", "420x420", "--diameter", "34", "--mode", "1", "--format", "tiff", whole)
        self.images = {
            ".mrc": pool + [data for _, data in make_corpus.mrc_files()],
            ".tif": [path.read_bytes() for path in whole.glob("*.tif*")]
            + [data for _, data in make_corpus.tiff_files()]}
        self.picks = [(PICKS[number], text.encode()) for _, number, text in make_picks_corpus.files()]
        self.configs = [text if isinstance(text, bytes) else text.encode()
                        for _, text in make_text_corpora.config()]
        self.journal = None

    def start(self):
        self.service = Service("input.include=*.mrc,*.tif", directory=self.home)
        for path in sorted((self.home / "pool").glob("*.mrc")):
            shutil.copy(path, self.service.data)
        (self.service.data / "junk.mrc").write_bytes(b"junk" * 999)
        self.service.start()
        self.subscriber = Subscriber(self.service).connected()
        self.subscriber.replay_until(lambda outcomes: len(outcomes) == 3)
        copy = self.home / "journal"
        copy.mkdir()
        self.service.stop()
        for path in self.service.state.glob("journal.sqlite*"):
            shutil.copy(path, copy)
        self.journal = (copy / "journal.sqlite").read_bytes()
        self.service.start()
        self.subscriber.close()
        self.subscriber = Subscriber(self.service).connected()

    def end(self):
        self.subscriber.close()
        self.service.end()

    def new(self, suffix):
        self.number += 1
        path = self.home / f"h{self.number:06}{suffix}"
        return path

    def judge(self, path, done, megabytes, statuses=(0, 1)):
        """Reports what is wrong with an end, and keeps the file then."""
        self.campaign.count("files")
        self.campaign.count("refused", done.status != 0)
        self.campaign.largest("most MB", round(megabytes))
        problems = []
        if done.crashed():
            problems.append(done.crashed())
        elif done.status not in statuses:
            problems.append(f"exit status {done.status}")
        elif done.status != 0 and path.name.encode() not in done.err:
            problems.append("refused without its name")
        if megabytes > MAX_MEGABYTES:
            problems.append(f"{megabytes:.0f} MB")
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", done.err):
            problems.append("control characters in what is printed")
        for problem in problems:
            self.campaign.violated(f"{path}: {problem}: {done.err[-300:]!r}")
        if not problems and path.is_dir():
            shutil.rmtree(path)
        elif not problems:
            path.unlink()

    # ---- what is done ----------------------------------------------------------------------------

    def image(self):
        suffix = self.random.choice(list(self.images))
        sound = self.images[suffix]
        path = self.new(suffix)
        path.write_bytes(self.mutator.mutated(self.random.choice(sound), sound))
        return path

    def pick(self):
        path = self.image()
        profile = self.random.choice(["aspire", "aspire", "adaptive"])
        movies = self.random.choice(["skip", "sum"])
        self.judge(path, *measured("pick", "--diameter", "24px", "--profile", profile, "--set",
                                   f"input.movies={movies}", "-o", self.home / "out", path))

    def convert(self):
        name, sound = self.random.choice(self.picks)
        path = self.new(SUFFIXES[name])
        path.write_bytes(self.mutator.mutated(sound, [data for _, data in self.picks]))
        out = self.home / f"converted{SUFFIXES[self.random.choice(PICKS)]}"
        done, megabytes = measured("convert", "--box", 40, "--from", name, path, out)
        if out.name.encode() in done.err or b"rlnMicrographCoordinates" in path.read_bytes():
            done.err += path.name.encode()  # read; the other format, or a file that it lists, is wrong
        self.judge(path, done, megabytes)

    def check(self):
        path = self.new(".ini")
        path.write_bytes(self.mutator.mutated(self.random.choice(self.configs), self.configs))
        done, megabytes = measured("check", "-c", path)
        if b"picker.particle_diameter" in done.err or b"pickstream check:" in done.err:
            done.err += path.name.encode()  # read, but its values do not go together
        self.judge(path, done, megabytes, (0, 2))

    def state(self):
        """A state directory with a damaged journal."""
        path = self.new("")
        path.mkdir()
        (path / "journal.sqlite").write_bytes(self.mutator.mutated(self.journal, [self.journal]))
        return path

    def export(self):
        path = self.state()
        done, megabytes = measured("export", "--set", f"service.state_directory={path}", "--format",
                                   "star,json", "-o", path / "out")
        if b"seq " in done.err:
            done.err += path.name.encode()  # an outcome is named, by its number
        self.judge(path, done, megabytes)

    def restart(self):
        """A service on a damaged journal: it refuses to start, or runs until it is stopped."""
        path = self.state()
        service = Service(f"service.state_directory={path}", f"publish.endpoint=ipc://{path}/pub",
                          f"publish.replay_endpoint=ipc://{path}/replay", directory=path)
        service.spawn()
        try:
            over = lambda: service.process.poll() is not None or "event=started" in service.log_text()
            if not c.wait_for(over, DEADLINE):
                self.campaign.violated(f"{path}: neither started nor ended")
            if service.process.poll() is None:
                service.process.terminate()
            status = service.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            service.end()
        self.judge(path, c.Done(status, b"", service.log.read_bytes().replace(b"\x1b", b"?")), 0)

    def watch(self):
        """Many at once through the running service: each has its outcome; the service continues."""
        names = {}
        for _ in range(BATCH):
            path = self.image()
            names[path.name] = path
            path.rename(self.service.data / path.name)
        missing = set(names)
        deadline = time.monotonic() + 120
        while missing and time.monotonic() < deadline and self.service.process.poll() is None:
            if self.subscriber.sub.poll(1000):
                frames = self.subscriber.sub.recv_multipart()
                missing = {name for name in missing if name.encode() not in frames[1]}
        status = self.service.process.poll()
        self.campaign.require(status is None, f"watch ended with {status}: {sorted(names)}")
        for name in sorted(missing):
            self.campaign.violated(f"watch: no outcome of {name}")
        kept = self.home / "kept"
        for name in names:
            path = self.service.data / name
            if name in missing or status is not None:
                kept.mkdir(exist_ok=True)
                shutil.copy(path, kept)
            path.unlink()
        if status is not None:
            raise c.Violation("no service any more")
        self.campaign.count("files", BATCH)
        megabytes = Process(self.service.process.pid).megabytes()
        self.campaign.largest("service MB", round(megabytes))
        self.campaign.require(megabytes < MAX_MEGABYTES, f"watch: {megabytes:.0f} MB")

    def round(self):
        actions = {self.pick: 20, self.convert: 30, self.check: 20, self.export: 6, self.restart: 3,
                   self.watch: 4}
        self.random.choices(list(actions), list(actions.values()))[0]()


def work(campaign):
    hostile = Hostile(campaign)
    hostile.start()
    try:
        while campaign.goes_on():
            hostile.round()
        campaign.require(hostile.service.stop() == 0, "watch: not 0 after SIGTERM")
    finally:
        hostile.end()


if __name__ == "__main__":
    c.main(work)
