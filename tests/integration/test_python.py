"""pickstream.py, against a publisher that drops and doubles, and against a real service."""

import os
import queue
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from fake_publisher import DEADLINE, FakePublisher
from service import Service, session
from support import BUILD, ROOT, run

sys.path.insert(0, str(ROOT / "include"))
import pickstream  # noqa: E402

EXAMPLES = ROOT / "conf/examples"
MODULES = [ROOT / "include/pickstream.py", *sorted(EXAMPLES.glob("*.py"))]


class Reader:
    """A loop over subscribe() in a thread, because the publisher acts in the test's."""

    def __init__(self, *services, **options):
        self.subscriber = pickstream.subscribe(*services, **options)
        self.received = queue.Queue()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        while not self.ending.is_set():
            if micrograph := self.subscriber.receive(0.05):
                self.received.put(micrograph)

    def take(self, count):
        return [self.received.get(timeout=DEADLINE) for _ in range(count)]

    def seqs(self, count):
        return [micrograph.seq for micrograph in self.take(count)]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(DEADLINE)
        self.subscriber.close()


def service_of(publisher, **options):
    return pickstream.Service(publisher.endpoint, publisher.replay_endpoint, **options)


@pytest.fixture
def publisher():
    with FakePublisher() as publisher:
        yield publisher


@pytest.mark.skipif(not shutil.which("mypy"), reason="mypy is not installed")
def test_types():
    done = subprocess.run(
        ["mypy", "--strict", f"--cache-dir={BUILD}/mypy", "--python-executable=/usr/bin/python3", *MODULES],
        env=os.environ | {"MYPYPATH": str(ROOT / "include")}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- what a micrograph says ----------------------------------------------------------------------

def test_what_an_outcome_has(publisher):
    picks = np.array([[10, 20, 0.9, 300], [11, 21, 0.5, 301]], "<f4")
    with Reader(service_of(publisher)) as reader:
        publisher.wait_for_subscriber("picks")
        publisher.publish(picks=picks)
        publisher.publish(picks=0, status="failed", reason="cut short", result__unreliable=False,
                          micrograph__name="a%25%FF.mrc", micrograph__encoding="percent",
                          micrograph__pixel_size=None)
        publisher.publish(picks=np.zeros((1, 5), "<f4"),
                          arrays__0__columns=["x", "y", "score", "area", "class"])
        picked, failed, later = reader.take(3)
        assert reader.subscriber.last == {publisher.stream: 3}
    assert (picked.stream, picked.seq, picked.session) == (publisher.stream, 1, "s1")
    assert (picked.name, picked.path) == ("GridSquare_1/m1.mrc", "/data/GridSquare_1/m1.mrc")
    assert (picked.shape, picked.pixel_size, picked.status, picked.reason, picked.unreliable) \
        == ((4092, 5760), 0.83, "picked", None, False)
    assert picked.picks.dtype == pickstream.PICK
    assert np.array_equal(picked.picks.view("<f4").reshape(-1, 4), picks)
    assert os.fsencode(failed.name) == b"a%\xff.mrc"
    assert (failed.status, failed.reason, failed.shape, failed.pixel_size) \
        == ("failed", "cut short", None, None)
    assert failed.picks.dtype == pickstream.PICK and len(failed.picks) == 0
    assert later.picks.dtype.names == (*pickstream.PICK.names, "class")


# ---- gaps ----------------------------------------------------------------------------------------

def test_gaps_are_closed(publisher):
    """Missed, doubled, announced by a heartbeat alone, and recorded before it began."""
    for _ in range(3):
        publisher.outcome()
    with Reader(service_of(publisher), since=1) as reader:
        publisher.wait_for_subscriber()
        publisher.status()
        assert publisher.serve() == 1
        assert reader.seqs(2) == [2, 3]
        publisher.publish(3, drop={4, 5})
        assert publisher.serve() == 3
        publisher.send(publisher.journal[5])
        publisher.publish()
        publisher.outcome()
        publisher.status()
        assert publisher.serve() == 7
        assert reader.seqs(5) == [4, 5, 6, 7, 8]
        assert reader.subscriber.status[publisher.stream]["last_seq"] == 8
        assert reader.received.empty() and reader.subscriber.lost == 0


def test_what_cannot_be_had_is_given_up(publisher, caplog):
    with Reader(service_of(publisher), timeout=1.5) as reader:
        publisher.wait_for_subscriber()
        publisher.publish(4, drop={2})
        publisher.serve(leave_out={2})
        assert reader.seqs(3) == [1, 3, 4]
        publisher.outcome(arrays__0__shape=[1, 9])
        publisher.publish(drop={6})
        while publisher.replay.poll(0):  # of the first gap, again
            publisher.request()
        publisher.publish()
        publisher.serve()
        assert reader.seqs(2) == [6, 7]
        assert reader.subscriber.lost == 2
    assert f"stream {publisher.stream}: lost seq 2 to 2: the replay socket does not bring it" in caplog.text
    assert "lost seq 5 to 5: its message cannot be read" in caplog.text


def test_two_services_and_continuing(publisher):
    with FakePublisher() as other:
        for service in publisher, other:
            for _ in range(3):
                service.outcome()
        with Reader(service_of(publisher), service_of(other), since={publisher.stream: 2}) as reader:
            for service, since in (publisher, 2), (other, 0):
                service.wait_for_subscriber()
                service.status()
                assert service.serve() == since
            received = reader.take(4)
            assert reader.subscriber.last == {publisher.stream: 3, other.stream: 3}
    assert [m.seq for m in received if m.stream == publisher.stream] == [3]
    assert [m.seq for m in received if m.stream == other.stream] == [1, 2, 3]


def test_a_new_journal_begins_with_its_first(publisher, caplog):
    for _ in range(2):
        publisher.outcome()
    with Reader(service_of(publisher), since=5) as reader:
        publisher.wait_for_subscriber()
        publisher.status()
        assert publisher.serve() == 0
        assert reader.seqs(2) == [1, 2]
    assert "its outcomes end at seq 2, before 5: receiving all of them" in caplog.text


# ---- connections ---------------------------------------------------------------------------------

def keys_in(tmp_path, name):
    run("keygen", tmp_path / name)
    return tmp_path / name / "curve.key", tmp_path / name / "curve.pub"


def test_keys(tmp_path, caplog):
    """CURVE with a real service; the wrong key is named."""
    secret, public = keys_in(tmp_path, "service")
    ours, ours_public = keys_in(tmp_path, "ours")
    stranger, _ = keys_in(tmp_path, "stranger")
    clients = tmp_path / "clients"
    clients.mkdir()
    shutil.copy(ours_public, clients)
    with pytest.raises(ValueError, match="curve_key and curve_server belong together"):
        pickstream.subscribe(curve_key=ours)
    with pytest.raises(ValueError, match="one key of 40 characters expected"):
        pickstream.subscribe(curve_key=os.devnull, curve_server=public)
    with pytest.raises(ValueError, match="its replay endpoint must be given"):
        pickstream.subscribe("ipc:///nowhere")

    with Service(f"publish.curve_secret_key={secret}", f"publish.curve_clients={clients}") as service:
        address = pickstream.Service(service.endpoint, service.replay_endpoint)
        with pickstream.subscribe(address, since=0, curve_key=ours, curve_server=public) as known, \
                Reader(address, curve_key=stranger, curve_server=public) as unknown:
            (service.data / "bad.mrc").write_bytes(b"no micrograph" * 400)
            micrograph = next(known)
            assert (micrograph.name, micrograph.status) == ("bad.mrc", "failed")
            while "does not know our key" not in caplog.text:
                known.receive(0.1)
            assert unknown.received.empty()


def check_dataset(service, scene):
    """As cryoSPARC imports it: fields by their names, fractions, y from the other end."""
    target = service.home / "session.cs"
    outcome = next(pickstream.subscribe(
        pickstream.Service(service.endpoint, service.replay_endpoint), since=0))
    done = subprocess.run(
        [sys.executable, EXAMPLES / "cryosparc_dataset.py", target, service.endpoint, service.replay_endpoint],
        env=os.environ | {"PYTHONPATH": str(ROOT / "include")}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(outcome.picks)} picks of 1 micrographs\n"
    table = np.load(target)
    assert len(set(table["uid"])) == len(table) == len(outcome.picks)
    rows, columns = scene.image.shape
    assert np.allclose(table["location/center_x_frac"] * columns, outcome.picks["x"], atol=1e-3)
    assert np.allclose((1 - table["location/center_y_frac"]) * rows, outcome.picks["y"], atol=1e-3)
    assert set(table["location/micrograph_path"]) == {outcome.path.encode()}
    assert f"num_items: {len(table)}" in target.with_suffix(".csg").read_text()


def test_a_service_that_is_killed(scene, caplog):
    """Its picks are those of the journal, and outcomes from while nobody listened come as well."""
    with session(f"picker.particle_diameter={scene.diameter}px") as (service, observer):
        address = pickstream.Service(service.endpoint, service.replay_endpoint)
        with Reader(address, since=0) as reader:
            shutil.copy(scene.path, service.data / "1.mrc")
            outcome, [micrograph] = observer.outcome(), reader.take(1)
            assert np.array_equal(micrograph.picks.view("<f4").reshape(-1, 4), outcome.picks)
            assert micrograph.header == outcome.header
            service.kill()
            for name in "2.mrc", "3.mrc":
                (service.data / name).write_bytes(b"no micrograph" * 400)
            service.start()
            names = [micrograph.name for micrograph in reader.take(2)]
            assert sorted(names) == ["2.mrc", "3.mrc"] and reader.subscriber.lost == 0
        check_dataset(service, scene)


# ---- examples ------------------------------------------------------------------------------------

def test_the_table(publisher, capfd):
    script = (EXAMPLES / "table.py").read_text().replace("*sys.argv[1:]", "SERVICE")
    done = {"SERVICE": service_of(publisher)}
    thread = threading.Thread(target=lambda: exec(script, done), daemon=True)
    thread.start()
    publisher.wait_for_subscriber()
    publisher.publish(picks=np.full((4, 4), 0.25, "<f4"))
    publisher.publish(picks=0, status="failed", reason="cut short")
    text = ""
    while text.count("\n") < 3:
        text += capfd.readouterr().out
    first, second = [line.split() for line in text.splitlines()[1:]]
    assert first == [publisher.stream[:8], "1", "GridSquare_1/m1.mrc", "picked", "4", "0.25", "1", "4"]
    assert second[1:] == ["2", "GridSquare_1/m2.mrc", "failed", "0", "-", "1", "4"]
