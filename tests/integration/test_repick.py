"""pickstream repick: outcomes are made anew with the settings in force, while the service runs and
through SIGKILL; each micrograph counts once."""

import collections
import contextlib
import json
import os
import random
import signal
import sqlite3

import numpy as np
import pytest
from micrographs import write_mrc
from service import Service, Subscriber, session
from support import run

KILLS = int(os.environ.get("PICKSTREAM_KILLS", "20"))
REPICKED = 5 * KILLS


def repick(service, *options, status=0):
    return run("repick", "-c", service.config, *options, status=status).stdout.splitlines()


def numbers(service):
    return json.loads(run("status", "-c", service.config, "--json").stdout)["totals"]


def reload(service, **settings):
    """The service starts again with other settings."""
    service.settings |= {key.replace("__", "."): value for key, value in settings.items()}
    service.write_config()
    service.signal(signal.SIGHUP)
    service.wait_notify("READY=1")


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    """A session begun with 1.9 times the diameter and inverted contrast, put right while it runs."""
    made = tmp_path_factory.mktemp("made")
    run("synth", "--size", "256x256", "--diameter", "20", "--count", 5, "--contaminants", 0, made)
    settings = "picker.profile=adaptive", "picker.contrast=bright"
    with session(*settings, diameter="38px") as (service, subscriber):
        names = sorted(path.name for path in made.glob("*.mrc"))
        for name in names:
            os.link(made / name, service.data / name)
        (service.data / "bad.mrc").write_bytes(b"no micrograph" * 300)
        before = subscriber.outcomes(6)
        (service.data / names[4]).unlink()  # moved away: it cannot be picked again
        reload(service, picker__particle_diameter="20px", picker__contrast="dark")
        said = repick(service)
        # not what is published: the subscriber may not be connected again yet
        after = subscriber.replay_until(lambda outcomes: len(outcomes) >= 5, since=6)
        subscriber.status(lambda status: status["totals"]["repicks_left"] == 0)
        yield service, subscriber, before, said, after


def test_the_log_says_how_many_and_how(corrected):
    log = corrected[0].log_text()
    assert "event=settings_changed outcomes=6 " in log and "pickstream repick" in log


def test_each_is_a_new_revision(corrected):
    service, subscriber, before, said, after = corrected
    assert said == ["6 micrographs to be picked again"]
    assert [outcome.seq for outcome in after] == [7, 8, 9, 10, 11]
    earlier = {outcome.name: outcome for outcome in before}
    for outcome in after:
        assert outcome.header["replaces"] == earlier[outcome.name].seq
        assert outcome.revision == 2 and outcome.header["micrograph"]["attempt"] == 1
    assert all(outcome.header["replaces"] is None for outcome in before)
    hello = json.loads(subscriber.ask(request="hello")[-1])
    made_with = [{outcome.header["picker"]["parameters"] for outcome in part}
                 for part in (before, after)]
    assert made_with[1] == {hello["parameters"]} != made_with[0]
    assert subscriber.replay()[1] == 11
    assert json.loads(subscriber.ask(request="micrograph", name="synth_000001.mrc")[1])["seq"] > 6
    assert repick(service) == ["1 micrograph to be picked again"]  # the one that is gone


def test_what_cannot_be_picked_again_keeps_its_outcome(corrected):
    service, subscriber, before, _, after = corrected
    gone = {outcome.name for outcome in before} - {outcome.name for outcome in after}
    assert gone == {"synth_000005.mrc"}
    assert (service.picks / "synth_000005_autopick.star").exists()
    assert "event=repick_withdrawn" in service.log_text()


def test_totals_count_micrographs_once(corrected):
    service, _, before, _, after = corrected
    last = {outcome.name: outcome for outcome in before + after}.values()
    totals = numbers(service)
    count = collections.Counter(outcome.status for outcome in last)
    assert {key: totals[key] for key in ("picked", "failed", "open")} == \
        {"picked": count["picked"], "failed": 1, "open": 0}
    assert totals["picks"] == sum(len(outcome.picks) for outcome in last)
    assert totals["revisions"] == 5 and totals["retries"] == 0
    assert "0 retries, 5 revisions, 0 to be picked again" in \
        run("status", "-c", service.config).stdout


def test_export_equals_a_fresh_pick(corrected, tmp_path):
    """Byte for byte, as do the files that the service and a subscriber wrote."""
    service, subscriber, *_ = corrected
    run("pick", service.data, "-o", tmp_path / "fresh", "--set", "output.formats=star",
        "--set", "picker.profile=adaptive", "--diameter", "20px", status=1)
    run("export", "-c", service.config, "-o", tmp_path / "exported")
    count = subscriber.replay()[1]
    run("listen", "--connect", service.endpoint, "--replay", service.replay_endpoint,
        "--since", 0, "--count", count, "-o", tmp_path / "heard")
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "fresh").glob("synth*.star")}
    assert len(fresh) == 4
    for directory in service.picks, tmp_path / "exported", tmp_path / "heard":
        assert fresh == {name: (directory / name).read_bytes() for name in fresh}, directory


def test_new_micrographs_go_first(corrected):
    """And of those to be picked again the newest."""
    service, subscriber, *_ = corrected
    with Subscriber(service) as other:
        other.connected()
        assert service.stop() == 0
        for index, path in enumerate(sorted(service.data.glob("synth*.mrc"))):
            os.utime(path, ns=(10**18, 10**18 + index))
        assert repick(service, "--all") == \
            ["6 micrographs to be picked again when the service starts"]
        pixels = np.random.default_rng(1).normal(size=(256, 256)).astype("f4")
        write_mrc(service.data / "a.mrc", pixels)
        os.utime(service.data / "a.mrc", ns=(1, 1))
        service.start()
        outcomes = other.replay_until(lambda outcomes: len(outcomes) >= 6, since=11)
    names = [outcome.name for outcome in outcomes]
    assert sorted(names) == sorted(["a.mrc", "bad.mrc"] + [f"synth_{i:06}.mrc" for i in range(1, 5)])


def test_usage(corrected):
    service = corrected[0]
    assert repick(service, "no.mrc") == ["0 micrographs to be picked again"]
    assert "one of" in run("repick", "-c", service.config, "--all", "a.mrc", status=2).stderr
    for request in ({"since": -1}, {"all": False}, {"paths": {}}, {"all": True, "since": 3}):
        with Subscriber(service) as subscriber:
            answer = json.loads(subscriber.ask(request="repick", **request)[-1])
            assert answer["type"] == "error"  # also because this is not the control socket


def test_since_and_paths(tmp_path):
    """With the service stopped; a second call finds nothing more."""
    service = Service(directory=tmp_path)
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        for name in "a.mrc", "b.mrc", "c.mrc":
            (service.data / name).write_bytes(b"junk" * 1000)
            subscriber.outcome()
        assert service.stop() == 0
    later = "to be picked again when the service starts"
    assert repick(service, "--since", "2") == [f"1 micrograph {later}"]
    assert repick(service, "--since", "2") == [f"0 micrographs {later}"]
    assert repick(service, "a.mrc", service.data / "b.mrc", "c.mrc") == [f"2 micrographs {later}"]
    assert repick(service) == [f"0 micrographs {later}"]


def test_a_journal_of_an_earlier_version(tmp_path):
    """Its totals count a micrograph once, and what is in it can be picked again."""
    service = Service(directory=tmp_path)
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        for content in b"junk", b"other junk":
            (service.data / "a.mrc").write_bytes(content * 1000)
            subscriber.outcome()
        run("retry", "-c", service.config)
        subscriber.outcome()
        totals = numbers(service)
        assert (totals["failed"], totals["revisions"], totals["retries"]) == (1, 1, 1)
        assert service.stop() == 0
        with contextlib.closing(sqlite3.connect(service.state / "journal.sqlite")) as journal:
            journal.execute("DROP TRIGGER outcomes_replace")
            for table in "repicks", "replaced", "made_with":
                journal.execute(f"DROP TABLE {table}")
            journal.commit()
        service.start()
        assert numbers(service) == totals
        assert repick(service, "--all") == ["1 micrograph to be picked again"]
        assert subscriber.replay_until(lambda outcomes: len(outcomes) >= 4)[-1].revision == 3


def test_killed_at_any_moment():
    """SIGKILL at 20 moments of a repick: every one has its new revision once, without a gap."""
    chance = random.Random(7)
    rng = np.random.default_rng(2)
    service = Service("input.poll_seconds=60", diameter="20px")
    image = rng.normal(size=(256, 256)).astype("f4")
    for index in range(REPICKED):
        write_mrc(service.data / f"m{index:03}.mrc", image + index)
    with service, Subscriber(service) as subscriber:
        subscriber.replay_until(lambda outcomes: len(outcomes) >= REPICKED)
        before = subscriber.replay()[0]
        reload(service, picker__particle_diameter="21px")
        assert repick(service) == [f"{REPICKED} micrographs to be picked again"]
        for _ in range(KILLS):
            with Subscriber(service) as watcher:
                for _ in range(chance.randrange(1, 8)):
                    if watcher.sub.poll(200):
                        watcher.sub.recv_multipart()
            service.kill()
            service.start()
        outcomes = subscriber.replay_until(lambda outcomes: len(outcomes) >= 2 * REPICKED)
        assert [outcome.seq for outcome in outcomes] == list(range(1, 2 * REPICKED + 1))
        assert outcomes[:REPICKED] and [outcome.frames for outcome in outcomes[:REPICKED]] == \
            [outcome.frames for outcome in before]
        first = {outcome.name: outcome.seq for outcome in before}
        again = outcomes[REPICKED:]
        assert sorted(outcome.name for outcome in again) == sorted(first)
        for outcome in again:
            assert (outcome.revision, outcome.header["replaces"]) == (2, first[outcome.name])
        totals = numbers(service)
        statuses = collections.Counter(outcome.status for outcome in again)
        assert {key: totals[key] for key in ("picked", "rejected", "failed")} == \
            {key: statuses[key] for key in ("picked", "rejected", "failed")}
        assert (totals["revisions"], totals["repicks_left"], totals["open"]) == (REPICKED, 0, 0)
        assert statuses["failed"] == 0
        assert service.stop() == 0
