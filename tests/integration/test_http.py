"""The HTTP side of the service: real requests, also invalid ones."""

import contextlib
import http.client
import io
import json
import re
import signal
import socket
import sqlite3
import time

import jsonschema
import numpy as np
import pytest
from live import (
    Events,
    address,
    dots,
    get,
    get_json,
    multiply,
    wait_for,
    write,
    write_failed,
    write_rejected,
)
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from scipy.ndimage import gaussian_filter
from service import PATIENCE, Service, Subscriber, refused, session
from support import ROOT

SCHEMA = json.loads((ROOT / "include/messages.schema.json").read_text())
LISTEN = "http.listen=127.0.0.1:0"
BEHIND = 10_000  # outcomes: more than the buffers of a connection take
CONNECTIONS, VIEWERS, SECONDS = (
    int(re.search(rf"{name} = (\d+)", (ROOT / "src/http/http.h").read_text())[1])
    for name in ("PS_HTTP_CONNECTIONS", "PS_HTTP_VIEWERS", "PS_HTTP_SECONDS")
)


def check(header):
    jsonschema.Draft7Validator({"$ref": f"#/definitions/{header['type']}",
                                "definitions": SCHEMA["definitions"]}).validate(header)


@pytest.fixture(scope="module")
def live():
    """A service with one micrograph of each kind, its outcomes by name, and where to ask."""
    with session(LISTEN) as (service, subscriber):
        write(service, "good.mrc")
        write_rejected(service, "flat.mrc")
        write_failed(service, "bad.mrc")
        outcomes = {outcome.name: outcome for outcome in subscriber.outcomes(3)}
        where = address(service)
        wait_for(where, 3)
        yield service, outcomes, where


# ---- what is answered ----------------------------------------------------------------------------


def test_off_by_default():
    with session() as (service, subscriber):
        write(service, "a.mrc")
        assert subscriber.outcome().status == "picked"
        assert subscriber.status()["live_view"] is None
        assert not (service.state / "previews").exists()


def test_page_and_its_parts(live):
    where = live[2]
    status, headers, page = get(where, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.decode())
    assert {"/view.js", "/view.css", "/plot.js", "/icon.svg"} <= set(parts)
    for part in parts:
        status, headers, body = get(where, part)
        assert status == 200 and body, part
        assert headers["X-Content-Type-Options"] == "nosniff"
        own = not part.startswith("/plot")
        assert not own or not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", body), part
    assert get(where, "/", method="HEAD")[::2] == (200, b"")


def test_status_is_that_of_the_message(live):
    status = get_json(live[2], "/api/status")
    check(status)
    assert status["live_view"] == "http://%s:%d/" % live[2]
    assert status["last_seq"] == 3 and status["totals"]["failed"] == 1


def test_outcomes_in_short(live):
    _, outcomes, where = live
    answer = get_json(where, "/api/micrographs")
    assert answer["last_seq"] == 3
    assert [row["seq"] for row in answer["micrographs"]] == [1, 2, 3]
    for row in answer["micrographs"]:
        header = outcomes[row["name"]].header
        for key in "status", "reason", "count", "masked", "score_median", "warnings":
            assert row[key] == header["result"][key]
        assert row["shape"] == header["micrograph"]["shape"]
        assert row["preview"] == (None if row["status"] == "failed" else {"bin": 1})
        assert row["seconds"] >= 0
    rows = get_json(where, "/api/micrographs?since=1&limit=1")["micrographs"]
    assert [row["seq"] for row in rows] == [2]
    assert get_json(where, "/api/micrographs?since=9000000")["micrographs"] == []


def test_an_outcome_is_the_published_one(live):
    _, outcomes, where = live
    for outcome in outcomes.values():
        answer = get_json(where, f"/api/micrographs/{outcome.seq}")
        assert answer["header"] == outcome.header
        np.testing.assert_allclose(np.array(answer["picks"], "f4").reshape(-1, 4), outcome.picks,
                                   rtol=1e-6)
    assert len(outcomes["good.mrc"].picks) > 10
    assert get(where, "/api/micrographs/4")[0] == 404


def assert_shows(png, image):
    """The picture is the image, the right way round."""
    picture = np.asarray(Image.open(io.BytesIO(png)), float)
    bin_ = round(image.shape[0] / picture.shape[0])
    rows, columns = (size // bin_ for size in image.shape)
    binned = image[: rows * bin_, : columns * bin_].reshape(rows, bin_, columns, bin_).mean((1, 3))
    smooth = gaussian_filter(binned, 3).ravel()
    likeness = [np.corrcoef(smooth, gaussian_filter(turned[:rows, :columns], 3).ravel())[0, 1]
                for turned in (picture, picture[::-1], picture[:, ::-1])]
    assert likeness[0] > 0.9 and max(likeness[1:]) < 0.6, likeness


def test_pictures(live):
    _, outcomes, where = live
    stream = outcomes["good.mrc"].header["stream"]
    seq = outcomes["good.mrc"].seq
    status, headers, png = get(where, f"/preview/{seq}.png")
    assert status == 200 and headers["Content-Type"] == "image/png"
    assert headers["Cache-Control"] == "no-cache"  # that seq of another journal is another one
    assert "immutable" in get(where, f"/preview/{seq}.png?stream={stream}")[1]["Cache-Control"]
    assert "no-cache" in get(where, f"/preview/{seq}.png?stream=other")[1]["Cache-Control"]
    assert Image.open(io.BytesIO(png)).mode == "L"
    assert_shows(png, dots())
    assert max(Image.open(io.BytesIO(get(where, f"/thumbnail/{seq}.png")[2])).size) <= 160
    assert get(where, f"/preview/{outcomes['flat.mrc'].seq}.png")[0] == 200
    assert get(where, f"/preview/{outcomes['bad.mrc'].seq}.png")[0] == 404


def test_metrics_are_what_prometheus_reads(live):
    status, headers, text = get(live[2], "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    value = {name: family.samples[0].value for name, family in families.items()}
    assert (value["pickstream_seen"], value["pickstream_picked"]) == (3, 1)
    assert (value["pickstream_rejected"], value["pickstream_failed"]) == (1, 1)
    assert families["pickstream_seen"].type == "counter"
    assert families["pickstream_queue_waiting"].type == "gauge"
    assert value["pickstream_queue_waiting"] == 0
    assert all(family.documentation for family in families.values())
    for histogram in "latency", "picking", "commit":
        samples = families[f"pickstream_{histogram}_seconds"].samples
        buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        counts = [count for _, count in buckets]
        assert counts == sorted(counts)
        [count] = [s.value for s in samples if s.name.endswith("_count")]
        assert counts[-1] == count > 0
    keys = set(re.findall(r"X\([A-Z_]+, (\w+),", (ROOT / "src/base/metrics.h").read_text()))
    keys.remove("name")  # of the description of the table
    assert len(keys) > 15 and {f"pickstream_{key}" for key in keys} <= set(families)


# ---- events --------------------------------------------------------------------------------------


def test_events_tell_of_every_outcome(live):
    service, outcomes, where = live
    early = Events(where, "?since=1")
    late = Events(where)
    again = Events(where, "?since=0", {"Last-Event-ID": "2"})  # the id goes before the URL
    rows = get_json(where, "/api/micrographs")["micrographs"]
    assert [early.outcome() for _ in range(2)] == [(2, rows[1]), (3, rows[2])]
    assert again.outcome()[0] == 3
    write(service, "later.mrc", dots(4))
    for events in early, late, again:
        seq, row = events.outcome()
        assert (seq, row["seq"], row["name"]) == (4, 4, "later.mrc")
        # an announced outcome can be requested
        assert row["preview"] and get(where, f"/preview/{seq}.png")[0] == 200
        assert json.loads(events.next()["data"])["last_seq"] == 4
    assert "pickstream_viewers 3" in get(where, "/metrics")[2].decode()


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading(live, method):
    for path in "/", "/api/micrographs/1", "/events":
        status, headers, _ = get(live[2], path, method=method, body=b"{}")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_no_body(live):
    assert get(live[2], "/", body=b"x" * 100)[0] == 413
    assert get(live[2], "/", headers={"Transfer-Encoding": "chunked"}, body=b"")[0] == 413


def raw(where, request, limit=65536):
    """What comes back for these bytes until the connection is closed."""
    with socket.create_connection(where, timeout=30) as client:
        answer = b""
        with contextlib.suppress(OSError):  # it may have had enough
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while len(answer) < limit and (part := client.recv(65536)):
                answer += part
        return answer


@pytest.mark.parametrize("path", [
    "/preview/../journal.sqlite", "/preview/%2e%2e/journal.sqlite", "/preview/..%2fjournal.sqlite",
    "/../../../../etc/passwd", "//etc/passwd", "/preview/1.png/", "/preview/1%00.png",
    "/preview/-1.png", "/preview/0.png", "/preview/1e0.png", "/preview/ 1.png", "/preview/.png",
    "/preview/row-1.png", "/preview/stream", "/preview/1.small.png", "/preview/",
    "/preview/99999999999999999999999999.png", "/api/micrographs/", "/api/micrographs/0",
    "/api/micrographs/1/2", "/api/micrographs/x", "/api", "/view.css/", "/favicon.ico", "/VIEW.JS",
])
def test_nothing_else_is_there(live, path):
    answer = raw(live[2], f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert re.match(rb"HTTP/1.1 40[04] ", answer), answer
    assert b"SQLite" not in answer and b"root:" not in answer


@pytest.mark.parametrize("query", ["since=x", "since=-1", "since=", "limit=0", "limit=1001",
                                   "since=99999999999999999999"])
def test_bad_parameters(live, query):
    status, _, body = get(live[2], f"/api/micrographs?{query}")
    assert status == 400
    check(json.loads(body))


@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("LOCALHOST:5592", 200), ("127.0.0.1:1", 200), ("[::1]:80", 200),
    ("[::1]", 200), ("evil.example", 421), ("evil.example:5592", 421), ("10.0.0.1", 421),
    ("127.0.0.1.evil.example", 421), ("localhost.evil.example:80", 421), ("[::2]", 421),
])
def test_only_who_means_this_machine(live, host, status):
    """A page elsewhere whose name was pointed at the loopback reads nothing."""
    assert get(live[2], "/api/status", headers={"Host": host})[0] == status


@pytest.mark.parametrize("request_", [
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200_000 + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    b"\x00" * 100_000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
], ids=["line", "header", "headers", "tls", "zeros", "short", "version"])
def test_requests_that_are_none(live, request_):
    answer = raw(live[2], request_)
    assert not answer.startswith(b"HTTP/1.1 200")
    assert get(live[2], "/healthz")[::2] == (200, b"ok\n")


# ---- limits --------------------------------------------------------------------------------------


def test_too_many_connections():
    """A client that holds all connections blocks others until it is disconnected; picking continues."""
    with session(LISTEN) as (service, subscriber), contextlib.ExitStack() as stack:
        where = address(service)
        for _ in range(CONNECTIONS):
            client = stack.enter_context(socket.create_connection(where, timeout=30))
            client.sendall(b"GET /healthz HTTP/1.1\r\n")
        with pytest.raises((OSError, http.client.HTTPException)):
            for _ in range(10):
                connection = http.client.HTTPConnection(*where, timeout=1)
                stack.callback(connection.close)
                connection.request("GET", "/healthz")
                connection.getresponse()
        write(service, "a.mrc")
        assert subscriber.outcome().status == "picked"
        stack.close()
        assert get(where, "/healthz")[0] == 200


def test_too_many_viewers(live):
    where = live[2]
    viewers = [Events(where) for _ in range(VIEWERS - 3)]
    with contextlib.ExitStack() as stack:
        for viewer in viewers:
            stack.callback(viewer.connection.close)
        with pytest.raises(AssertionError, match="too many viewers"):
            for _ in range(5):  # other tests may have left some
                stack.callback(Events(where).connection.close)
        assert get(where, "/healthz")[0] == 200


def test_slow_clients_are_shown_out():
    """One sends nothing, one a byte every half second: both are disconnected."""
    with session(LISTEN) as (service, subscriber):
        where = address(service)
        begin = time.monotonic()
        with socket.create_connection(where) as silent, socket.create_connection(where) as slow:
            silent.sendall(b"GET / HT")
            slow.sendall(b"GET / HTTP/1.1\r\nX: ")
            slow.settimeout(0.5)  # the pace
            closed = None
            while closed is None and time.monotonic() < begin + SECONDS + 10:
                try:
                    if slow.recv(4096) == b"":
                        closed = time.monotonic() - begin
                except TimeoutError:
                    with contextlib.suppress(ConnectionError):
                        slow.sendall(b"a")
                except ConnectionError:
                    closed = time.monotonic() - begin
            assert closed is not None and closed > SECONDS - 2
            silent.settimeout(1)
            assert silent.recv(4096) == b""
        write(service, "a.mrc")
        assert subscriber.outcome().status == "picked"


def test_who_reads_nothing_holds_up_nobody():
    """Neither a client that requests much and reads nothing, nor such a viewer, which is
    disconnected, delays others."""
    with session(LISTEN) as (service, subscriber):
        multiply(service, subscriber, BEHIND)
        where = address(service)
        with socket.create_connection(where) as deaf, socket.socket() as viewer:
            deaf.sendall(b"GET /plot.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)  # 26 MB
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            viewer.connect(where)
            viewer.sendall(b"GET /events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for index in range(10):
                write(service, f"{index}.mrc")
            subscriber.outcomes(10)
            events = Events(where, f"?since={BEHIND}")
            assert [events.outcome()[0] for _ in range(10)] == list(range(BEHIND + 1, BEHIND + 11))
            subscriber.status(lambda status: status["metrics"]["viewers"] == 2)
            subscriber.status(lambda status: status["metrics"]["viewers"] == 1)  # it was stuck


def test_health_says_that_the_journal_cannot_be_written():
    """Requests that only read are still answered."""
    with session(LISTEN) as (service, subscriber):
        write(service, "a.mrc")
        subscriber.outcome()
        where = address(service)
        wait_for(where, 1)
        other = sqlite3.connect(service.state / "journal.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        write(service, "b.mrc")
        slowest, journal = 0, "ok"
        while journal == "ok":  # requests do not wait while the watcher does
            begin = time.monotonic()
            journal = get_json(where, "/api/status")["journal"]
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 2
        subscriber.status(lambda status: status["journal"] != "ok")
        status, _, body = get(where, "/healthz")
        assert status == 503 and b"another program has it locked" in body
        begin = time.monotonic()
        assert len(get_json(where, "/api/micrographs")["micrographs"]) == 1
        assert get(where, "/preview/1.png")[0] == 200
        assert time.monotonic() - begin < 2
        other.execute("ROLLBACK")
        other.close()
        assert subscriber.outcome().name == "b.mrc"
        subscriber.status(lambda status: status["journal"] == "ok")
        assert get(where, "/healthz")[0] == 200


def test_an_outcome_that_cannot_be_read_costs_its_viewers_nothing_else():
    """They get a status as often as others, and continue where the journal can be read."""
    with session(LISTEN) as (service, subscriber):
        write(service, "a.mrc")
        subscriber.outcome()
        where = address(service)
        wait_for(where, 1)
        with contextlib.closing(
                sqlite3.connect(service.state / "journal.sqlite", isolation_level=None)) as journal:
            frames, = journal.execute("SELECT frames FROM outcomes").fetchone()
            journal.execute("UPDATE outcomes SET frames = ?", (bytes(len(frames)),))
            events = Events(where, "?since=0")
            assert events.next()["event"] == "status"
            begin = time.monotonic()
            assert events.next()["event"] == "status"
            assert time.monotonic() - begin > 1
            journal.execute("UPDATE outcomes SET frames = ?", (frames,))
        assert events.outcome()[0] == 1


# ---- where it listens ----------------------------------------------------------------------------


@pytest.mark.parametrize("listen, code, reason", [
    ("0.0.0.0:0", 2, "needs http.insecure_bind = yes"), ("*:0", 2, "http.insecure_bind"),
    ("[::]:0", 2, "http.insecure_bind"), ("5592", 2, "expected ADDRESS:PORT"),
    ("localhost", 2, "expected ADDRESS:PORT"), ("example.org:80", 2, "expected ADDRESS:PORT"),
    ("127.0.0.1:99999", 2, "expected ADDRESS:PORT"),
])
def test_addresses_that_are_refused(listen, code, reason):
    status, log = refused(f"http.listen={listen}")
    assert status == code
    assert f"http.listen = {listen}: " in log and reason in log


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, log = refused(f"http.listen=127.0.0.1:{taken.getsockname()[1]}")
        assert status == 1
        assert "cannot bind: Address already in use" in log


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "*:0"])
def test_beyond_this_machine(listen):
    with session(f"http.listen={listen}", "http.insecure_bind=yes") as (service, _):
        port = address(service)[1]
        assert get(("127.0.0.1", port), "/healthz", headers={"Host": "wall.example"})[0] == 200
        assert "event=insecure_bind" in service.log_text()


def test_another_configuration_without_a_restart():
    with session(LISTEN) as (service, subscriber):
        write(service, "a.mrc")
        subscriber.outcome()
        before = address(service)
        wait_for(before, 1)
        service.settings["http.previews"] = "7"
        service.settings["http.listen"] = "%s:%d" % before  # its own old connections are there yet
        service.write_config()
        service.signal(signal.SIGHUP)
        service.wait_notify("READY=1")
        assert get_json(before, "/api/micrographs")["last_seq"] == 1
        assert get(before, "/preview/1.png")[0] == 200
        del service.settings["http.listen"]
        service.write_config()
        service.signal(signal.SIGHUP)
        service.wait_notify("READY=1")
        with pytest.raises(ConnectionError):
            get(before, "/")


# ---- pictures that are kept, and published -------------------------------------------------------


def kept(service):
    return sorted(path.name for path in (service.state / "previews").glob("*.png"))


def both(*seqs):
    return sorted(f"{seq}{ending}" for seq in seqs for ending in (".png", ".small.png"))


def test_pictures_are_bounded_and_outlive_the_service():
    with session(LISTEN, "http.previews=3") as (service, subscriber):
        for index in range(5):
            write(service, f"{index}.mrc")
            subscriber.outcome()
        wait_for(address(service), 5)
        assert kept(service) == both(3, 4, 5)
        (service.state / "previews/row-77.png").touch()  # of one that was killed
        service.stop()
        service.start()
        assert kept(service) == both(3, 4, 5)
        where = address(service)
        assert get(where, "/preview/3.png")[0] == 200 and get(where, "/preview/2.png")[0] == 404
        rows = get_json(where, "/api/micrographs")["micrographs"]
        assert [row["preview"] is not None for row in rows] == [False, False, True, True, True]
        service.stop()
        for path in service.state.glob("journal.sqlite*"):
            path.unlink()
        service.settings["input.directories"] = str(service.home / "other")
        (service.home / "other").mkdir()
        service.write_config()
        service.start()
        assert kept(service) == []  # seqs begin at 1 again: these would be the wrong pictures


def test_previews_are_published():
    with Service("publish.preview=yes") as service, \
            Subscriber(service, (b"picks", b"status", b"preview")) as subscriber:
        subscriber.connected()
        rng = np.random.default_rng(1)
        large = np.kron(dots(), np.ones((3, 3), np.float32))
        large += rng.normal(0, 5, large.shape).astype(np.float32)
        write(service, "good.mrc", large)
        write_rejected(service, "flat.mrc")
        write_failed(service, "bad.mrc")
        write(service, "end.mrc")
        outcomes, previews, order = {}, {}, []
        deadline = time.monotonic() + PATIENCE
        while len(outcomes) < 4 or len(previews) < 3:
            assert time.monotonic() < deadline, order
            topic, text, *arrays = subscriber.receive(subscriber.sub)
            header = json.loads(text)
            check(header)
            if topic == b"picks":
                outcomes[header["micrograph"]["name"]] = header
            elif topic == b"preview":
                previews[header["micrograph"]["name"]] = header, arrays[0]
            order.append((header.get("seq"), topic))
        assert set(previews) == {"good.mrc", "flat.mrc", "end.mrc"}
        for name, (header, png) in previews.items():
            assert order.index((header["seq"], b"picks")) < order.index((header["seq"], b"preview"))
            assert header["seq"] == outcomes[name]["seq"]
            assert header["micrograph"]["shape"] == outcomes[name]["micrograph"]["shape"]
            picture = Image.open(io.BytesIO(png))
            assert picture.format == "PNG" and picture.mode == "L"
            assert list(picture.size[::-1]) == header["image"]["shape"]
            assert header["arrays"][0]["shape"] == [len(png)]
        header, png = previews["good.mrc"]
        assert header["image"] == {"bin": 2, "shape": [690, 630]}
        assert_shows(png, large)
        assert not (service.state / "previews").exists()
        # Who asks again gets outcomes, and no pictures.
        assert [outcome.seq for outcome in subscriber.replay()[0]] == [1, 2, 3, 4]
