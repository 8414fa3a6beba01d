"""The service: real files, written the ways that programs write them, to a real subscriber.

P-numbers are those of the pitfalls that the project keeps a list of.
"""

import json
import os
import shutil
import signal
import subprocess

import micrographs
import numpy as np
import pytest
from service import Service, Subscriber, refused, session
from support import PROGRAM, run

SIDE = 420


@pytest.fixture(scope="module")
def image():
    """A micrograph with some contrast, small enough to be picked in milliseconds."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(100, 10, (SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    for row in range(110, 320, 40):
        for column in range(112, 320, 44):
            pixels -= 25 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50)
    return pixels.astype(np.float32)


@pytest.fixture(scope="module")
def content(image, tmp_path_factory):
    """The bytes of its file."""
    path = micrographs.write_mrc(tmp_path_factory.mktemp("image") / "x.mrc", image)
    return path.read_bytes()


def star_rows(path):
    rows = [line.split() for line in path.read_text().splitlines()]
    return np.array([[float(v) for v in row] for row in rows if row and row[0][0].isdigit()])


# ---- how files appear ------------------------------------------------------------------------------


def in_place(path, content):
    path.write_bytes(content)


def in_pieces(path, content):
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), 100_000):
            file.write(content[start : start + 100_000])


def renamed(path, content):
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.rename(path)


def like_rsync(path, content):
    temporary = path.parent / f".{path.name}.Ab3Xy9"
    temporary.write_bytes(content)
    temporary.rename(path)


def moved_in(path, content):
    outside = path.parent.parent / f"outside-{path.name}"
    outside.write_bytes(content)
    outside.rename(path)


def preallocated(path, content):  # P7
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, len(content))
        file.write(content)


def appended(path, content):
    """Closed in between, when its header promises more: no outcome before it is all there."""
    with path.open("wb") as file:
        file.write(content[:5000])
    with path.open("ab") as file:
        file.write(content[5000:])


def linked(path, content):  # P12
    outside = path.parent.parent / f"target-{path.name}"
    outside.write_bytes(content)
    path.symlink_to(outside)


WAYS = [in_place, in_pieces, renamed, like_rsync, moved_in, preallocated, appended, linked]


def test_every_way_of_writing_gives_one_outcome(content):
    """P6, P7, P10, P12, P32: each file one `picks` message, seq without a gap, a STAR file."""
    with session() as (service, subscriber):
        for way in WAYS:
            way(service.data / f"{way.__name__}.mrc", content)
        outcomes = subscriber.outcomes(len(WAYS))
        assert [outcome.seq for outcome in outcomes] == list(range(1, len(WAYS) + 1))
        assert {o.name for o in outcomes} == {f"{way.__name__}.mrc" for way in WAYS}
        for outcome in outcomes:
            assert (outcome.status, outcome.revision) == ("picked", 1)
            assert outcome.header["result"]["count"] == len(outcome.picks) > 10
            star = service.picks / outcome.name.replace(".mrc", "_autopick.star")
            np.testing.assert_array_equal(
                star_rows(star).astype(np.float32), outcome.picks[:, :3]
            )
        assert service.stop() == 0


def test_picks_are_those_of_the_command(content, tmp_path):
    """The service and `pick` give the same picks."""
    (tmp_path / "x.mrc").write_bytes(content)
    run("pick", "--profile", "aspire", "--diameter", "24px", "-o", tmp_path, tmp_path / "x.mrc")
    with session() as (service, subscriber):
        in_place(service.data / "x.mrc", content)
        assert subscriber.outcome().status == "picked"
        expected = (tmp_path / "x_autopick.star").read_text()
        assert (service.picks / "x_autopick.star").read_text() == expected


def test_files_in_new_directories(content):
    """P3, P8: directories made with their files in one go; equal names in two of them."""
    with session() as (service, subscriber):
        for square in "GridSquare_1", "GridSquare_2":
            outside = service.home / square / "Data"
            outside.mkdir(parents=True)
            (outside / "x.mrc").write_bytes(content)
            (service.home / square).rename(service.data / square)
        deep = service.data / "a" / "b" / "c"
        deep.mkdir(parents=True)
        (deep / "y.mrc").write_bytes(content)
        names = {outcome.name for outcome in subscriber.outcomes(3)}
        assert names == {"GridSquare_1/Data/x.mrc", "GridSquare_2/Data/x.mrc", "a/b/c/y.mrc"}
        assert (service.picks / "GridSquare_2/Data/x_autopick.star").exists()


def test_what_is_there_at_the_start(content):
    """A backlog is picked, by time, without an event for any of it."""
    service = Service("input.order=oldest")
    for index in range(5):
        path = service.data / f"{index}.mrc"
        path.write_bytes(content)
        os.utime(path, (1_700_000_000 - index, 1_700_000_000 - index))
    with service, Subscriber(service) as subscriber:
        outcomes = subscriber.connected().replay_until(lambda outcomes: len(outcomes) >= 5)
        assert [o.name for o in outcomes] == [f"{i}.mrc" for i in range(4, -1, -1)]


def test_companions_are_left_alone(content):
    """P10: the only outcome is that of the micrograph."""
    with session() as (service, subscriber):
        for name in ".x.mrc", "x.mrc.tmp", "gain.mrc", "x.xml", "x_autopick.star", "x.jpg":
            (service.data / name).write_bytes(content)
        (service.data / ".hidden").mkdir()
        (service.data / ".hidden" / "x.mrc").write_bytes(content)
        (service.data / "y.mrc").write_bytes(content)
        assert subscriber.outcome().name == "y.mrc"
        status = subscriber.status(lambda s: s["metrics"]["rescans"] >= 2)
        assert status["last_seq"] == 1


def test_a_network_share_is_scanned(content):
    """P1: with poll = always no event is needed."""
    with session("input.poll=always", "input.poll_seconds=0.2") as (service, subscriber):
        in_pieces(service.data / "x.mrc", content)
        assert subscriber.outcome().name == "x.mrc"
        assert subscriber.status()["watch"][0]["mode"] == "poll"


# ---- files that are bad, change, or vanish -----------------------------------------------------------


def test_a_bad_file_is_an_outcome(content):
    """Failed, with its reason; the next one is picked; rewritten, it is a new revision (P9)."""
    with session() as (service, subscriber):
        (service.data / "bad.mrc").write_bytes(b"this is no micrograph" * 100)
        bad = subscriber.outcome()
        assert (bad.status, bad.name, len(bad.picks)) == ("failed", "bad.mrc", 0)
        assert bad.reason == "neither MRC nor TIFF: it is text"
        in_place(service.data / "good.mrc", content)
        assert subscriber.outcome().status == "picked"
        in_place(service.data / "bad.mrc", content)
        again = subscriber.outcome()
        assert (again.name, again.status, again.revision) == ("bad.mrc", "picked", 2)


def test_a_stack_with_one_directory_is_a_movie(image):
    """Its first frame is never taken for a micrograph; a doubtful surplus is a warning."""
    with session() as (service, subscriber):
        micrographs.write_imagej_stack(service.data / "stack.tif", image, 3)
        movie = subscriber.outcome()
        assert (movie.status, movie.name) == ("failed", "stack.tif")
        assert movie.reason.startswith("movie of 3 frames, 1 of them in its directories")
        path = micrographs.write_tiff(service.home / "surplus.tif", image)
        with path.open("ab") as file:
            file.write(bytes(image.nbytes * 3 // 2))
        path.rename(service.data / "surplus.tif")
        surplus = subscriber.outcome()
        assert (surplus.status, surplus.name) == ("picked", "surplus.tif")
        assert "are outside its directories: perhaps frames of a movie" \
            in surplus.header["result"]["warnings"][0]


def test_a_revision_that_fails_leaves_no_files_of_the_one_before(content):
    """Nor does it touch those of a neighbour with the same name but for the extension."""
    with session("output.formats=star,csv") as (service, subscriber):
        star, csv = (service.picks / f"x_autopick.{ending}" for ending in ("star", "csv"))
        in_place(service.data / "x.mrc", content)
        assert subscriber.outcome().status == "picked"
        in_place(service.data / "x.tif", b"this is no micrograph" * 100)
        assert subscriber.outcome().status == "failed"
        assert star.exists() and csv.exists()
        in_place(service.data / "x.mrc", b"this is no micrograph" * 100)
        outcome = subscriber.outcome()
        assert (outcome.name, outcome.status, outcome.revision) == ("x.mrc", "failed", 2)
        assert list(service.picks.glob("[!.]*")) == []
        in_place(service.data / "x.mrc", content)
        assert subscriber.outcome().status == "picked"
        assert star.exists() and csv.exists()


def test_rejected_and_empty(image):
    """A constant image is rejected; noise alone may have no picks: both are outcomes (P40)."""
    with session() as (service, subscriber):
        micrographs.write_mrc(service.data / "constant.mrc", np.full_like(image, 7))
        outcome = subscriber.outcome()
        assert (outcome.status, outcome.reason) == (
            "rejected",
            "constant image: every pixel is 7",
        )
        assert len(outcome.picks) == 0
        assert (service.picks / "constant_autopick.star").exists()


def test_a_cut_file_fails_in_the_end(content):
    """Its writer died: it is quiet, and shorter than its header says."""
    with session("input.settle_seconds=0.1") as (service, subscriber):
        (service.data / "cut.mrc").write_bytes(content[:-1000])
        outcome = subscriber.outcome()
        assert outcome.status == "failed"
        assert outcome.reason.startswith("truncated: ")


def test_retry(content):
    """The share forgot who may read it; put right, `retry` puts its micrographs back."""
    with session() as (service, subscriber):
        target = service.home / "later.mrc"
        (service.data / "x.mrc").write_bytes(b"junk" * 1000)
        assert subscriber.outcome().status == "failed"
        target.write_bytes(content)
        done = run("retry", "-c", service.config)
        assert "1" in done.stdout
        again = subscriber.outcome()
        assert (again.name, again.status, again.revision) == ("x.mrc", "failed", 1)
        assert again.header["micrograph"].get("attempt", 2) == 2
        assert service.stop() == 0
        assert "1" in run("retry", "-c", service.config).stdout  # without the service
        service.start()
        with Subscriber(service) as late:
            outcomes = late.connected().replay_until(lambda outcomes: len(outcomes) >= 3)
            assert [o.seq for o in outcomes] == [1, 2, 3]


def test_vanished_before_it_was_read(content):
    """Seen, then gone while the service was down: that is an outcome too."""
    service = Service()
    for index in range(40):
        in_place(service.data / f"{index:02}.mrc", content)
    with service, Subscriber(service) as subscriber:
        subscriber.outcome()
        service.kill()
        for path in service.data.iterdir():
            path.unlink()
        service.start()
        with Subscriber(service) as late:
            outcomes = late.connected().replay_until(
                lambda outcomes: any(outcome.status == "failed" for outcome in outcomes))
            assert {o.reason for o in outcomes} == {None, "vanished before it was read"}
            assert len({o.name for o in outcomes}) == len(outcomes)


def test_a_root_that_vanishes_and_returns(content):
    """P46, P47: reported, and taken up again."""
    service = Service("input.poll_seconds=0.2")
    service.data.rmdir()
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        assert subscriber.status()["watch"][0]["mode"] == "missing"
        service.data.mkdir()
        in_place(service.data / "x.mrc", content)
        assert subscriber.outcome().name == "x.mrc"
        elsewhere = service.home / "elsewhere"
        service.data.rename(elsewhere)
        subscriber.status(lambda s: s["watch"][0]["mode"] == "missing")
        in_place(elsewhere / "y.mrc", content)
        elsewhere.rename(service.data)
        assert subscriber.outcome().name == "y.mrc"
        assert subscriber.status()["last_seq"] == 2


def test_a_share_that_vanishes_with_its_micrographs_queued(content):
    """P47: they are not taken for deleted; back again, each is picked, once."""
    service = Service("input.poll_seconds=0.2")
    for index in range(60):
        in_place(service.data / f"{index:02}.mrc", content)
    with service, Subscriber(service) as subscriber:
        subscriber.outcome()
        elsewhere = service.home / "elsewhere"
        service.data.rename(elsewhere)
        subscriber.status(lambda s: s["watch"][0]["mode"] == "missing")
        subscriber.status(lambda s: s["queue"]["waiting"] == s["queue"]["in_flight"] == 0)
        elsewhere.rename(service.data)
        subscriber.status(lambda s: s["last_seq"] >= 60)
        outcomes, last = subscriber.replay()
        assert {outcome.status for outcome in outcomes} == {"picked"}
        assert sorted(o.name for o in outcomes) == [f"{index:02}.mrc" for index in range(60)]
        assert last == 60


# ---- start, stop, reload -----------------------------------------------------------------------------


def test_stop_and_start_again(content):
    """SIGTERM: exit 0. After a restart nothing is repeated, seq continues, the stream is the same."""
    with session() as (service, subscriber):
        in_place(service.data / "x.mrc", content)
        first = subscriber.outcome()
        assert service.stop() == 0
        in_place(service.data / "y.mrc", content)
        service.start()
        with Subscriber(service) as second:
            outcomes = second.connected().replay_until(lambda outcomes: len(outcomes) >= 2)
            assert [(o.seq, o.name) for o in outcomes] == [(1, "x.mrc"), (2, "y.mrc")]
            assert outcomes[0].frames == first.frames
            assert outcomes[1].header["stream"] == first.header["stream"]


def test_one_service_a_state_directory():
    """P35: the second one says who has it, and leaves the first alone."""
    with session() as (service, subscriber):
        status, log = refused(directory=service.home)
        assert status == 1
        assert f"in use by another pickstream, process {service.process.pid}" in log
        assert subscriber.status()["type"] == "status"


def test_reload():
    """P45: SIGHUP takes a good configuration and refuses a bad one."""
    with session("publish.session=one") as (service, subscriber):
        assert subscriber.status()["session"] == "one"
        service.settings["publish.session"] = "two"
        service.write_config()
        service.signal(signal.SIGHUP)
        service.wait_notify("READY=1")
        subscriber.status(lambda status: status["session"] == "two")
        service.config.write_text("[picker]\nparticle_diameter = many\n")
        service.signal(signal.SIGHUP)
        uptime = subscriber.status()["uptime_seconds"]
        subscriber.status(lambda status: status["uptime_seconds"] > uptime + 1)
        assert f"{service.config}:2:" in service.log_text()
        assert service.stop() == 0


def test_status_command(content):
    with session() as (service, subscriber):
        in_place(service.data / "x.mrc", content)
        subscriber.outcome()
        text = run("status", "-c", service.config).stdout
        assert str(service.data) in text
        assert "inotify" in text
        assert "1 picked" in text
        status = json.loads(run("status", "-c", service.config, "--json").stdout)
        assert status["last_seq"] == 1
        assert status["watch"][0]["path"] == str(service.data)
        assert status["devices"][0]["device"].startswith("cpu")
        service.stop()
        assert "not running" in run("status", "-c", service.config, status=3).stdout


def test_status_has_no_latency_of_what_lay_there(content):
    """The time of its closing is unknown; a time of 0 s would be wrong."""
    service = Service()
    in_place(service.data / "lay_there.mrc", content)
    with service, Subscriber(service) as subscriber:
        subscriber.status(lambda status: status["last_seq"] == status["totals"]["picked"] == 1)
        assert "latency    none measured yet\n" in run("status", "-c", service.config).stdout
        in_place(service.data / "new.mrc", content)
        assert subscriber.outcome().name == "new.mrc"
        assert "close to published: median" in run("status", "-c", service.config).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_status_says_that_it_may_not_ask():
    """The control socket is its service's user's."""
    with Service() as service:
        service.home.chmod(0o755)
        program = shutil.copy(PROGRAM, service.home)
        for command in "status", "retry":
            done = subprocess.run(
                [program, command, "-c", service.config], user=65534, group=65534, cwd=service.home,
                extra_groups=[], capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1
            assert "control.sock: Permission denied: run this as root" in done.stderr


def test_open_to_others_only_with_keys():
    """P36, P37."""
    status, log = refused("publish.endpoint=tcp://*:5599")
    assert status == 2
    assert "curve" in log


def test_newest_first(content):
    """With a backlog, what is written now does not wait behind it."""
    service = Service("input.order=newest")
    for index in range(60):
        path = service.data / f"old{index:02}.mrc"
        path.write_bytes(content)
        os.utime(path, (1_600_000_000 + index, 1_600_000_000 + index))
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        first = subscriber.outcome()
        assert first.name.startswith("old")
        in_place(service.data / "new.mrc", content)
        names = []
        while "new.mrc" not in names:
            names.append(subscriber.outcome().name)
        assert len(names) < 30
