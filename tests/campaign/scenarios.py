"""Every command, run with something failing in it, and what must come of it.

A scenario runs its command in a directory of its own and returns what came out: standard output and
files, without what differs from run to run. Run once undisturbed it says what is right; disturbed, it
must give the same with exit status 0, or end with another status, a line on stderr, and nothing
wrong among its files.
"""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

import campaign as c
from service import Outcome, Service, Subscriber
from support import PROGRAM, ROOT

VOLATILE = "milliseconds", "time", "stream", "seq", "session", "uptime_seconds", "device"
DEADLINE = 40  # seconds; each takes one or two undisturbed


class Result:
    """`outputs` by name; `problems` that the scenario itself found."""

    def __init__(self, done, outputs=None, problems=()):
        self.done = done
        self.outputs = outputs or {}
        self.problems = list(problems)


class Lab:
    """What the commands work on: micrographs, their picks, a journal, a running service."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "pool").mkdir()
        self.pool = c.synthesise(directory / "pool", 3)
        (directory / "good").mkdir()
        self.service = Service("output.formats=star,json", directory=directory / "good")
        for path in self.pool:
            shutil.copy(path, self.service.data)
        (self.service.data / "bad.mrc").write_bytes(b"junk" * 1000)
        self.service.start()
        with Subscriber(self.service) as subscriber:
            self.outcomes = subscriber.connected().replay_until(lambda found: len(found) >= 4)
        self.headers = {o.name: header_of(o) for o in self.outcomes}
        self.arrays = {o.name: o.picks.tobytes() for o in self.outcomes if o.status == "picked"}
        self.star = self.service.picks / "synth_000001_autopick.star"

    def copy_journal(self, directory):
        """A whole copy of the journal of the running service."""
        source = sqlite3.connect(f"file:{self.service.state}/journal.sqlite?mode=ro", uri=True)
        target = sqlite3.connect(directory / "journal.sqlite")
        source.backup(target)
        source.close()
        target.close()

    def end(self):
        self.service.end()


# ---- what is compared ----------------------------------------------------------------------------

def stable(value):
    """A JSON value without what differs from run to run."""
    if isinstance(value, dict):
        return {key: stable(item) for key, item in value.items() if key not in VOLATILE}
    return [stable(item) for item in value] if isinstance(value, list) else value


def header_of(outcome):
    """A header that two services give alike for the same content. It may say that a file of picks
    could not be written, which is looked at by itself."""
    header = stable(outcome.header)
    header["micrograph"]["path"] = None
    header["result"]["warnings"] = [warning for warning in header["result"]["warnings"]
                                    if not warning.startswith("file of picks not written")]
    return header


def normal(name, content, where):
    content = content.replace(str(where).encode(), b"WHERE")
    if name.endswith(".json"):
        return b"".join(json.dumps(stable(json.loads(line))).encode() + b"\n"
                        for line in content.splitlines())
    if name == "autopick.star":  # one that could not be written at first comes last
        return b"\n".join(sorted(content.splitlines()))
    return content


def files_of(directory):
    """The files below a directory, hidden ones too, but no temporaries."""
    files = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        if path.is_file() and not path.name.startswith(".pickstream-"):
            name = str(path.relative_to(directory))
            try:
                files[f"file {name}"] = normal(name, path.read_bytes(), directory)
            except ValueError:
                files[f"file {name}"] = path.read_bytes()
    return files


def without_times(text):
    return re.sub(rb"\d+(\.\d+)? m?s\b", b"T", text)


def nulls(value, path=""):
    """The paths of all values, and whether each is null or has the type it should have."""
    if isinstance(value, dict):
        return {key: kind for name, item in value.items()
                for key, kind in nulls(item, f"{path}.{name}").items()}
    return {path: type(value).__name__.replace("int", "float")}


# ---- commands that end ---------------------------------------------------------------------------

class Command:
    """A command with arguments; its files are those in the directory."""

    def __init__(self, name, *arguments, keep_out=True, prepare=None):
        self.name, self.arguments = name, arguments
        self.keep_out, self.prepare = keep_out, prepare

    def run(self, where, environment):
        if self.prepare:
            self.prepare(where)
        arguments = [str(a).replace("WHERE", str(where)) for a in self.arguments]
        done = c.execute(*arguments, seconds=DEADLINE, env=environment)
        outputs = files_of(where)
        if self.keep_out:
            # Lines in any order: what the machine had no memory for is picked again at the end.
            lines = without_times(normal("stdout", done.out, where)).splitlines(keepends=True)
            outputs["stdout"] = b"".join(sorted(lines))
        return Result(done, outputs)


class Status(Command):
    """Of a running service: numbers differ, but not which values are there."""

    def run(self, where, environment):
        done = c.execute(*self.arguments, seconds=DEADLINE, env=environment)
        outputs = {}
        if done.status == 0:
            try:
                kinds = nulls(json.loads(done.out))
            except ValueError:
                return Result(done, {"status": done.out})
            outputs["status"] = json.dumps({key: kind for key, kind in kinds.items()
                                            if "micrograph" not in key}).encode()
        return Result(done, outputs)


class Keygen(Command):
    """Other keys each time."""

    def run(self, where, environment):
        result = super().run(where, environment)
        result.outputs = {key: re.sub(rb"(?m)^\S{40}$", b"KEY", value)
                          for key, value in result.outputs.items() if key != "stdout"}
        return result


class Retry(Command):
    """Also repick. On a copy of a journal with a failed micrograph, which must be seen again then,
    and not otherwise."""

    def run(self, where, environment):
        result = super().run(where, environment)
        journal = sqlite3.connect(where / "journal.sqlite")
        (state,) = journal.execute("SELECT state FROM micrographs WHERE name = 'bad.mrc'"
                                   " ORDER BY revision DESC").fetchone()
        (whole,) = journal.execute("PRAGMA integrity_check").fetchone()
        journal.close()
        result.outputs = {"stdout": result.outputs["stdout"], "journal": whole.encode()}
        if result.done.status == 0:
            result.outputs["state"] = state.encode()
        return result


# ---- those that stay -----------------------------------------------------------------------------

class Relay:
    """Between a service and a listener without faults: it serves all, or ends."""

    name = "relay"

    def __init__(self, lab):
        self.lab = lab

    def run(self, where, environment):
        publish, replay = f"ipc://{where}/pub", f"ipc://{where}/replay"
        service = self.lab.service
        with open(where / "err", "wb") as err:
            relay = subprocess.Popen(
                [PROGRAM, "relay", "--connect", service.endpoint, "--replay",
                 service.replay_endpoint, "--publish", publish, "--publish-replay", replay],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        listener = subprocess.Popen(
            [PROGRAM, "listen", "--connect", publish, "--replay", replay, "--since", "0", "--count",
             str(len(self.lab.outcomes))], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            over = lambda: relay.poll() is not None or listener.poll() is not None
            problems = [] if c.wait_for(over, DEADLINE) else ["the listener hears nothing"]
            if listener.poll() is None:
                listener.kill()
            out = listener.communicate()[0]
            if relay.poll() is None:
                relay.terminate()
            try:
                status = relay.wait(10)
            except subprocess.TimeoutExpired:
                status = None
        finally:
            relay.kill()
            relay.wait()
        done = c.Done(status, out, (where / "err").read_bytes())
        return Result(done, {"stdout": out} if status == 0 else {}, problems)


class Watch:
    """A service that picks two micrographs which are there and one that comes. Where it ends early,
    the next one without faults must give what is missing."""

    name = "watch"

    def __init__(self, lab):
        self.lab = lab

    def run(self, where, environment):
        service = Service("output.formats=star,json", "compute.threads=2", directory=where)
        for path in self.lab.pool[:2]:
            shutil.copy(path, service.data)
        plain, service.environment = os.environ, environment
        service.spawn()
        (service.home / "late.mrc").write_bytes(self.lab.pool[2].read_bytes())
        (service.home / "late.mrc").rename(service.data / self.lab.pool[2].name)
        try:
            return self.follow(service, plain)
        finally:
            service.end()

    def follow(self, service, plain):
        over = lambda: service.process.poll() is not None or self.count(service) >= 3
        problems = [] if c.wait_for(over, DEADLINE) else [
            f"it runs, but only {self.count(service)} of 3 outcomes come"]
        if service.process.poll() is None:
            service.process.terminate()
            try:
                service.process.wait(15)
            except subprocess.TimeoutExpired:
                problems.append("it does not end after SIGTERM")
                service.process.kill()
                service.process.wait()
        done = c.Done(service.process.returncode, b"", service.log.read_bytes())
        service.environment = {key: plain.get(key, "") for key in service.environment
                               if key.startswith(("PS_FAULT", "LD_PRELOAD"))}
        service.start()
        with Subscriber(service) as subscriber:
            enough = c.wait_for(lambda: self.count(service) >= 3, DEADLINE)
            c.wait_for(lambda: self.count(service, "unwritten") == 0, DEADLINE)  # repaired
            outcomes = subscriber.connected().replay()[0]
        if not enough:
            problems.append(f"only {len(outcomes)} outcomes, even without faults")
        service.stop()
        self.check(service, outcomes, problems)
        return Result(done, {}, problems)

    def count(self, service, table="outcomes"):
        """Rows in the journal."""
        path = service.state / "journal.sqlite"
        if not path.exists():
            return 0
        try:
            journal = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                return journal.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            finally:
                journal.close()
        except sqlite3.Error:
            return 0  # not created yet

    def check(self, service, outcomes, problems):
        if sorted(o.name for o in outcomes) != [path.name for path in self.lab.pool]:
            problems.append(f"outcomes of {sorted(o.name for o in outcomes)}")
        for outcome in outcomes:
            if outcome.status != "picked":
                problems.append(f"{outcome.name} is {outcome.status}: {outcome.reason}")
            elif outcome.picks.tobytes() != self.lab.arrays[outcome.name]:
                problems.append(f"{outcome.name}: wrong picks")
            elif header_of(outcome) != self.lab.headers[outcome.name]:
                problems.append(f"{outcome.name}: header: {self.difference(outcome)}")
        good = files_of(self.lab.service.picks)
        found = files_of(service.picks)
        for name in sorted(good.keys() | found.keys()):
            if "synth" in name and ".star" in name and good.get(name) != found.get(name):
                problems.append(f"{name}: {'wrong' if name in found else 'missing'}")

    def difference(self, outcome):
        good, found = nulls(self.lab.headers[outcome.name]), nulls(header_of(outcome))
        changed = [key for key in good.keys() | found.keys() if good.get(key) != found.get(key)]
        return changed or [outcome.header["result"]]


# ---- all of them ---------------------------------------------------------------------------------

def all_of(lab):
    config = lab.service.config
    first, second, third = lab.pool
    service = ["--connect", lab.service.endpoint, "--replay", lab.service.replay_endpoint]
    return [
        Command("pick", "pick", "--threads", 2, "--diameter", "24px", "--format", "star,json", "-o",
                "WHERE", first),
        Command("pick_aspire", "pick", "--profile", "aspire", "--diameter", "24px", "--format",
                "star,box,json", "--extract", "-o", "WHERE", second, third),
        Command("pick_list", "pick", "--list", lab.service.data),
        Watch(lab),
        Relay(lab),
        Command("listen", "listen", *service, "--since", 0, "--count", len(lab.outcomes)),
        Command("listen_files", "listen", *service, "--since", 0, "--count", len(lab.outcomes),
                "--format", "star,csv", "-o", "WHERE"),
        Command("convert_box", "convert", "--box", 40, lab.star, "WHERE/out.box"),
        Command("convert_json", "convert", lab.star, "WHERE/out.json"),
        Command("convert_all", "convert", "--format", "csv", lab.service.picks, "WHERE/"),
        Command("export", "export", "-c", config, "--format", "star,tsv,json", "-o", "WHERE"),
        Command("export_extract", "export", "-c", config, "--extract", "-o", "WHERE"),
        Command("check", "check", "-c", config, "--print"),
        Status("status", "status", "-c", config, "--json"),
        Retry("retry", "retry", "--set", "service.state_directory=WHERE", prepare=lab.copy_journal),
        Retry("repick", "repick", "bad.mrc", "--set", "service.state_directory=WHERE",
              prepare=lab.copy_journal),
        Keygen("keygen", "keygen", "WHERE/keys"),
        Command("synth", "synth", "--size", "128x128", "--count", 2, "WHERE"),
    ]


def problems_of(scenario, result, good, may_refuse=False):
    """What is wrong with the result of a disturbed run, as texts. `may_refuse`: exit status 2 is
    right too."""
    done, problems = result.done, list(result.problems)
    crash = done.crashed()
    if crash:
        return [crash] + problems
    if done.status == 2 and not may_refuse:
        problems.append("status 2, as if the user were wrong")
    if done.status != good.done.status and not done.err.strip():
        problems.append(f"status {done.status} without a word")
    for name in sorted(good.outputs.keys() | result.outputs.keys()):
        found, right = result.outputs.get(name), good.outputs.get(name)
        if found == right:
            continue
        if done.status == good.done.status:
            problems.append(f"status {done.status}, but {name} is "
                            f"{'missing' if found is None else 'wrong'}")
        elif found is not None and name.startswith("file ") and "autopick.star" != name[5:]:
            problems.append(f"status {done.status}, and {name} is wrong")
    return problems
