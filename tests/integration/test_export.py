"""pickstream export: the journal of a real service as files, while it runs and when it does not."""

import json
import os
import signal
import subprocess

import numpy as np
import pytest
from micrographs import read_picks, write_mrc
from service import Service, Subscriber
from support import PROGRAM, run


def export(service, out, *options, status=0, **run_options):
    done = run("export", "-c", service.config, "-o", out, *options, status=status, **run_options)
    assert done.stdout == ""
    return done.stderr


def tree(directory):
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in directory.rglob("*")
            if path.is_file() and path.name != ".pickstream-names"}


@pytest.fixture(scope="module")
def service(scene):
    """A running service that has picked two, rejected one, and failed with one."""
    with Service("output.formats=star json", diameter=f"{scene.diameter}px") as service, \
            Subscriber(service) as subscriber:
        subscriber.connected()
        (service.data / "GridSquare_1").mkdir()
        os.link(scene.path, service.data / "GridSquare_1/a.mrc")
        os.link(scene.path, service.data / "b.mrc")
        write_mrc(service.data / "flat.mrc", np.ones((700, 600), "f4"))
        (service.data / "bad.mrc").write_bytes(b"no micrograph" * 200)
        outcomes = {outcome.name: outcome for outcome in subscriber.outcomes(4)}
        assert {name: outcome.status for name, outcome in outcomes.items()} == {
            "GridSquare_1/a.mrc": "picked", "b.mrc": "picked", "flat.mrc": "rejected",
            "bad.mrc": "failed"}
        service.outcomes = outcomes
        yield service


def test_it_writes_what_the_service_wrote(service, tmp_path):
    """The same files, byte by byte, but for what only the picker knew; and the list of them."""
    message = export(service, tmp_path, "--format", "star")
    count = len(service.outcomes["b.mrc"].picks)
    assert message == f"pickstream export: 3 micrographs, {2 * count} picks, 1 failed ones left out\n"
    files = tree(tmp_path)
    listed = files.pop("autopick.star").decode()
    written = {name: content for name, content in tree(service.picks).items()
               if name.endswith(".star")}
    assert files == written
    assert sorted(line.split() for line in listed.splitlines() if ".mrc" in line) == sorted(
        [str(service.data / name), str(tmp_path / name).replace(".mrc", "_autopick.star")]
        for name in ("GridSquare_1/a.mrc", "b.mrc", "flat.mrc"))


def test_other_formats_and_a_threshold(service, tmp_path):
    picks = service.outcomes["b.mrc"].picks
    limit = float(np.median(picks[:, 2]))
    export(service, tmp_path, "--format", "json,box,tsv", "--min-score", repr(limit))
    text = json.loads((tmp_path / "b_autopick.json").read_text())
    kept = picks[picks[:, 2] >= np.float32(limit)]
    assert 0 < len(kept) < len(picks)
    assert np.array_equal(np.array(text["picks"], "f4"), kept)
    assert text["result"]["count"] == len(kept)
    assert text["result"]["score_median"] == pytest.approx(float(np.median(kept[:, 2])), rel=1e-6)
    assert text["micrograph"]["shape"] == [1024, 900]
    assert len((tmp_path / "b.box").read_text().splitlines()) == len(kept)
    assert json.loads((tmp_path / "flat_autopick.json").read_text())["result"]["status"] \
        == "rejected"
    assert not (tmp_path / "autopick.star").exists()  # no STAR files, no list of them


def test_since(service, tmp_path):
    last = max(outcome.seq for outcome in service.outcomes.values())
    assert "0 micrographs" in export(service, tmp_path / "none", "--since", last)
    names = [name for name, outcome in service.outcomes.items()
             if outcome.seq > 2 and outcome.status != "failed"]
    export(service, tmp_path / "some", "--format", "star", "--since", 2)
    assert sorted(name for name in tree(tmp_path / "some") if name != "autopick.star") \
        == sorted(name.replace(".mrc", "_autopick.star") for name in names)


def test_the_exported_list_becomes_one_file(service, tmp_path):
    """The way to cryoSPARC: the whole journal as one STAR."""
    export(service, tmp_path)
    run("convert", tmp_path / "autopick.star", tmp_path / "all.star")
    rows = [line.split() for line in (tmp_path / "all.star").read_text().splitlines()
            if line.startswith("/")]
    assert {row[0] for row in rows} == {str(service.data / name)
                                        for name in ("GridSquare_1/a.mrc", "b.mrc")}
    mine = np.array([row[1:] for row in rows if row[0].endswith("b.mrc")], "f8")
    assert np.array_equal(mine, read_picks(service.picks / "b_autopick.star"))


def test_the_service_does_not_notice(service, scene, tmp_path):
    """The service continues to publish; its journal is only read."""
    before = {path.name: path.stat().st_ino for path in service.state.iterdir()}
    export(service, tmp_path)
    assert {path.name: path.stat().st_ino for path in service.state.iterdir()} == before
    with Subscriber(service) as subscriber:
        subscriber.connected()
        write_mrc(service.data / "later.mrc", scene.image)
        assert subscriber.outcome().name == "later.mrc"
    assert "later_autopick.star" not in tree(tmp_path)
    export(service, tmp_path, "--since", 4)
    assert (tmp_path / "later_autopick.star").exists()
    assert "b.mrc" in (tmp_path / "autopick.star").read_text()


def test_after_a_crash_and_after_the_end(scene, tmp_path):
    """Outcomes that are still in the write-ahead log are there too; nothing is recovered twice."""
    with Service(diameter=f"{scene.diameter}px") as service:
        with Subscriber(service) as subscriber:
            subscriber.connected()
            os.link(scene.path, service.data / "a.mrc")
            subscriber.outcome()
        service.kill()
        assert "1 micrographs" in export(service, tmp_path / "crashed")
        service.start()
        assert "1 micrographs" in export(service, tmp_path / "again")
        assert service.stop() == 0
        assert "1 micrographs" in export(service, tmp_path / "ended")
        assert (tmp_path / "crashed/a_autopick.star").read_bytes() \
            == (tmp_path / "ended/a_autopick.star").read_bytes()
        service.start()
        assert service.stop() == 0


def test_a_rewritten_micrograph_has_its_last_picks(scene, tmp_path):
    with Service(diameter=f"{scene.diameter}px") as service, Subscriber(service) as subscriber:
        subscriber.connected()
        write_mrc(service.data / "a.mrc", scene.image)
        first = subscriber.outcome()
        write_mrc(tmp_path / "other.mrc", scene.image[::-1, ::-1])
        os.replace(tmp_path / "other.mrc", service.data / "a.mrc")
        second = subscriber.outcome()
        assert (first.revision, second.revision) == (1, 2)
        export(service, tmp_path / "out")
    picks = read_picks(tmp_path / "out/a_autopick.star")
    assert np.array_equal(picks.astype("f4"), second.picks[:, :3])
    assert (tmp_path / "out/autopick.star").read_text().count("a.mrc") == 1


def test_a_micrograph_that_fails_when_it_is_rewritten_has_none(scene, tmp_path):
    """As the service has it: the files that an earlier export made go, and so does their line."""
    with Service(diameter=f"{scene.diameter}px") as service, Subscriber(service) as subscriber:
        subscriber.connected()
        for name in "a.mrc", "b.mrc":
            os.link(scene.path, service.data / name)
            subscriber.outcome()
        export(service, tmp_path / "out")
        assert "a.mrc" in (tmp_path / "out/autopick.star").read_text()
        (tmp_path / "bad.mrc").write_bytes(b"no micrograph" * 200)
        os.replace(tmp_path / "bad.mrc", service.data / "a.mrc")
        outcome = subscriber.outcome()
        assert (outcome.revision, outcome.status) == (2, "failed")
        export(service, tmp_path / "out")
        assert sorted(tree(tmp_path / "out")) == ["autopick.star", *sorted(tree(service.picks))]
        listed = (tmp_path / "out/autopick.star").read_text()
        assert "b.mrc" in listed and "a.mrc" not in listed


def test_two_directories_stay_apart(scene, tmp_path):
    """As the service keeps them."""
    for name in "one", "two":
        (tmp_path / name).mkdir()
    with Service(f"input.directories={tmp_path}/one {tmp_path}/two",
                 diameter=f"{scene.diameter}px") as service, Subscriber(service) as subscriber:
        subscriber.connected()
        for name in "one", "two":
            os.link(scene.path, tmp_path / name / "x.mrc")
        subscriber.outcomes(2)
        export(service, tmp_path / "out")
        assert sorted(tree(tmp_path / "out")) == ["autopick.star", *sorted(tree(service.picks))]
        assert len(tree(service.picks)) == 2


# ---- what is wrong -------------------------------------------------------------------------------

def test_usage(tmp_path):
    assert "give -o DIR" in run("export", status=2).stderr
    assert "--min-score" in run("export", "-o", tmp_path, "--min-score", "high", status=2).stderr
    assert "xml" in run("export", "-o", tmp_path, "--format", "xml", status=2).stderr


def test_no_journal(tmp_path):
    """Nothing is made where there is none."""
    done = run("export", "--set", f"service.state_directory={tmp_path}", "-o", tmp_path / "out",
               status=1)
    assert f"{tmp_path}/journal.sqlite: cannot open the journal: No such file" in done.stderr
    (tmp_path / "journal.sqlite").write_bytes(b"no database" * 1000)
    done = run("export", "--set", f"service.state_directory={tmp_path}", "-o", tmp_path / "out",
               status=1)
    assert "not a database" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["journal.sqlite"]


def test_what_cannot_be_written_is_named(service, tmp_path):
    (tmp_path / "GridSquare_1").write_text("in the way")
    message = export(service, tmp_path, status=1)
    assert "GridSquare_1" in message and "pickstream export: seq " in message
    assert (tmp_path / "b_autopick.star").exists()


def test_a_reader_that_is_killed_harms_nothing(service, tmp_path):
    process = subprocess.Popen([PROGRAM, "export", "-c", service.config, "-o", tmp_path],
                               stderr=subprocess.DEVNULL)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not [name for name in tree(tmp_path) if name.endswith(".star") and not
                tree(tmp_path)[name].endswith(b"\n")]
    export(service, tmp_path)
