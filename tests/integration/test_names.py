"""No two micrographs share a file of picks, whatever they are called, in any command; a name that
a format cannot hold costs its own entry; names reach a terminal without control characters.
"""

import json
import os
import shutil
import subprocess
import urllib.parse

import pytest
from fake_publisher import FakePublisher
from micrographs import read_picks, read_star, write_mrc
from service import Service, Subscriber, session
from support import PROGRAM, run
from test_listen import Process


def stars(directory):
    """Files of picks by their path below a directory, as bytes."""
    top = os.fsencode(directory)
    return sorted(os.path.relpath(os.path.join(where, name), top)
                  for where, _, names in os.walk(top) for name in names
                  if name.endswith(b"_autopick.star"))


def listed(directory):
    """autopick.star: pairs of micrograph and coordinates."""
    text = (directory / "autopick.star").read_text(encoding="utf-8")
    return dict(line.split() for line in text.splitlines() if line.endswith("_autopick.star"))


@pytest.fixture(scope="module")
def images(scene, tmp_path_factory):
    """Two micrographs with different picks."""
    directory = tmp_path_factory.mktemp("images")
    write_mrc(directory / "one.mrc", scene.image)
    write_mrc(directory / "two.mrc", scene.image[::-1, ::-1])
    return [(directory / name).read_bytes() for name in ("one.mrc", "two.mrc")]


# ---- pick ----------------------------------------------------------------------------------------

def test_micrographs_with_the_same_stem(tmp_path, scene, images):
    (tmp_path / "in").mkdir()
    names = ["a.mrc", "a.tif", "a.tif.mrc", "ts_1_-21.0.mrc", "ts_1_-21.5.mrc"]
    for number, name in enumerate(names):
        (tmp_path / "in" / name).write_bytes(images[number % 2])
    command = ["pick", *scene.options, "--format", "star,box,tsv", "--overlay", "-o", "out", "in"]
    run(*command, cwd=tmp_path)
    assert stars(tmp_path / "out") == [
        b"a.tif.mrc_autopick.star", b"a.tif_autopick.star", b"a_autopick.star",
        b"ts_1_-21.0_autopick.star", b"ts_1_-21.5_autopick.star"]
    rows = listed(tmp_path / "out")
    assert len(set(rows.values())) == len(rows) == 5
    assert rows["in/a.mrc"] == "out/a_autopick.star"
    assert rows["in/a.tif"] == "out/a.tif_autopick.star"
    assert not (read_picks(tmp_path / "out/a_autopick.star")[:5]
                == read_picks(tmp_path / "out/a.tif_autopick.star")[:5]).all()
    assert len(list((tmp_path / "out").glob("*.box"))) == 5
    assert len(list((tmp_path / "out").glob("*_overlay.png"))) == 5
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = run(*command[:-3], "--resume", *command[-3:], cwd=tmp_path)
    assert "5 done before" in done.stderr
    run(*command[:-1], "in/a.tif", "in/a.mrc", cwd=tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_runs_at_the_same_time_that_share_a_directory(tmp_path, scene, images):
    """As Snakemake starts them: one micrograph each, and every operand alone has the same name."""
    places = ["A/x.mrc", "B/x.mrc", "C/x.mrc", "A/x.tif"]
    for number, place in enumerate(places):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(images[number % 2])
    running = [subprocess.Popen([PROGRAM, "pick", *scene.options, "-o", "out", place],
                                cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for place in places]
    assert [process.wait() for process in running] == [0] * 4
    assert len(stars(tmp_path / "out")) == 4
    rows = listed(tmp_path / "out")
    assert sorted(rows) == sorted(places) and len(set(rows.values())) == 4
    for number, place in enumerate(places):
        run("pick", *scene.options, "-o", f"alone{number}", place, cwd=tmp_path)
        (alone,) = (tmp_path / f"alone{number}").glob("*_autopick.star")
        assert (tmp_path / rows[place]).read_bytes() == alone.read_bytes()


def test_a_failure_keeps_the_files_of_the_neighbour(tmp_path, scene, images):
    (tmp_path / "x.mrc").write_bytes(images[0])
    run("pick", *scene.options, "-o", tmp_path / "out", tmp_path / "x.mrc")
    (tmp_path / "x.tif").write_bytes(b"nothing that can be read " * 100)
    run("pick", *scene.options, "-o", tmp_path / "out", tmp_path / "x.tif", status=1)
    assert stars(tmp_path / "out") == [b"x_autopick.star"]


def test_long_names(tmp_path, scene, images):
    (tmp_path / "in").mkdir()
    names = ["m" * 241 + ".mrc", "m" * 250 + "1.mrc", "m" * 250 + "2.mrc"]
    for name in names:
        (tmp_path / "in" / name).write_bytes(images[0])
    run("pick", *scene.options, "--format", "star,cryosparc", "-o", "out", "in", cwd=tmp_path)
    rows = listed(tmp_path / "out")
    assert sorted(rows) == sorted(f"in/{name}" for name in names)
    assert len(set(rows.values())) == 3
    for path in rows.values():
        assert len(read_picks(tmp_path / path)) > 0


def test_names_that_formats_cannot_hold(tmp_path, scene, images):
    (tmp_path / "in").mkdir()
    odd = "b\n'_\"c\" d\t.mrc"
    for name in ("a.mrc", odd, "c d.mrc", "e'_\"wt\".mrc"):
        (tmp_path / "in" / name).write_bytes(images[0])
    done = run("pick", *scene.options, "-o", "out", "in", cwd=tmp_path, status=1)
    assert "4 picked" in done.stderr and "0 failed" in done.stderr
    shown = "in/b\\x0a'_\"c\" d\\x09.mrc"
    assert f"pickstream: out/autopick.star: {shown}: a STAR file cannot hold" in done.stderr
    assert any(line.startswith(f"{shown}: ") for line in done.stdout.splitlines())
    text = (tmp_path / "out/autopick.star").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.endswith("_autopick.star") or '"' in line] \
        == ["in/a.mrc out/a_autopick.star", '"in/c d.mrc" "out/c d_autopick.star"',
            "in/e'_\"wt\".mrc out/e'_\"wt\"_autopick.star"]
    assert len(stars(tmp_path / "out")) == 4
    # One format fails, the others are written.
    done = run("pick", *scene.options, "--format", "tsv,box,cryosparc", "-o", "more", "in",
               cwd=tmp_path, status=1)
    assert "more/b\\x0a'_\"c\" d\\x09_autopick.tsv: " in done.stderr
    assert "a tsv file cannot hold this name" in done.stderr
    assert (tmp_path / "more" / odd.replace(".mrc", ".box")).exists()
    assert len(list((tmp_path / "more").glob("*_autopick.tsv"))) == 3
    assert len(list((tmp_path / "more").glob("*.box"))) == 4


def test_no_control_characters_on_a_terminal(tmp_path, scene):
    for name in b"a\x1b]0;title\x07.mrc", b"b\x9b31m.mrc", "c\u009b31m.mrc".encode():
        (tmp_path / os.fsdecode(name)).write_bytes(b"not a micrograph at all " * 100)
    done = run("pick", *scene.options, "-o", tmp_path / "out", tmp_path, tmp_path / "\x1bmissing",
               status=1, encoding=None)
    for text in done.stdout, done.stderr:
        shown = text.decode("utf-8")
        assert not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in shown)
    assert b"/\\x1bmissing: " in done.stderr


# ---- the service and its subscribers -------------------------------------------------------------

def test_the_service_listen_and_export(tmp_path, images):
    """One arrives later than its namesake; a service that starts again; a new revision."""
    with Service("output.formats=star") as service, Subscriber(service) as subscriber:
        subscriber.connected()
        names = ["x.mrc", "x.tif", "y_-1.0.mrc", "y_-1.5.mrc"]
        for number, name in enumerate(names):
            (service.data / name).write_bytes(images[number % 2])
            assert subscriber.outcome().status == "picked"
        expected = [b"x.tif_autopick.star", b"x_autopick.star", b"y_-1.0_autopick.star",
                    b"y_-1.5_autopick.star"]
        assert stars(service.picks) == expected
        before = (service.picks / "x_autopick.star").read_bytes()
        (service.data / "x.tif").write_bytes(images[0])
        assert subscriber.outcome().revision == 2
        assert stars(service.picks) == expected
        assert (service.picks / "x.tif_autopick.star").read_bytes() == before
        run("listen", "--connect", service.endpoint, "--replay", service.replay_endpoint,
            "--since", 0, "--count", 5, "-o", tmp_path / "heard")
        run("export", "-c", service.config, "-o", tmp_path / "out")
        run("export", "-c", service.config, "-o", service.picks)
        for directory in tmp_path / "heard", tmp_path / "out", service.picks:
            assert stars(directory) == expected
            for name in expected:
                assert (directory / os.fsdecode(name)).read_bytes() \
                    == (service.picks / os.fsdecode(name)).read_bytes()
            assert len(set(listed(directory).values())) == 4
        service.stop()
        (service.data / "x.map").write_bytes(images[1])
        service.start()
        assert subscriber.outcome().name == "x.map"
        assert len(stars(service.picks)) == 5


def test_names_that_are_not_utf8(tmp_path, images):
    """The message says how to undo what JSON needed, and both names have their files."""
    with session("output.formats=star,json") as (service, subscriber):
        names = [b"caf\xe9_1%.mrc", b"caf\xe8_1%.mrc", "caf\u00e9_1%.mrc".encode()]
        found = {}
        for number, name in enumerate(names):
            with open(os.path.join(os.fsencode(service.data), name), "wb") as stream:
                stream.write(images[number % 2])
            outcome = subscriber.outcome()
            micrograph = outcome.header["micrograph"]
            path = micrograph["path"].encode()
            if micrograph.get("encoding") == "percent":
                path = urllib.parse.unquote_to_bytes(micrograph["path"])
                assert urllib.parse.unquote_to_bytes(micrograph["name"]) == name
            assert ("encoding" in micrograph) == (number < 2)
            found[path] = outcome
            assert os.path.getsize(path) == len(images[0])
        assert len(found) == 3
        expected = sorted(name[:-4] + b"_autopick.star" for name in names)
        assert stars(service.picks) == expected
        run("listen", "--connect", service.endpoint, "--replay", service.replay_endpoint,
            "--since", 0, "--count", 3, "-o", tmp_path / "heard")
        run("export", "-c", service.config, "-o", tmp_path / "out")
        run("convert", "--from", "json", "--format", "star", service.picks, f"{tmp_path}/back/")
        for directory in tmp_path / "heard", tmp_path / "out", tmp_path / "back":
            assert stars(directory) == expected
        for encoding, name, answers in [("percent", "caf%E9_1%25.mrc", b"picks"),
                                        ("percent", "caf%zz.mrc", None)]:
            reply = subscriber.ask(request="micrograph", name=name, encoding=encoding)
            assert (reply[0] == answers) if answers else (b"error" in b"".join(reply))


def test_a_name_cannot_be_decoded_into_another_directory(tmp_path):
    with FakePublisher() as publisher:
        with Process(PROGRAM, "listen", *publisher.options, "-o", tmp_path / "below", "--count", 2) \
                as listener:
            publisher.wait_for_subscriber()
            publisher.publish(name="%2E%2E/out.mrc", micrograph__encoding="percent")
            publisher.publish(name="a%20b.mrc", micrograph__encoding="percent")
            listener.end(1)
    assert "leads out of the directory" in listener.err[0]
    assert stars(tmp_path) == [b"below/a b_autopick.star"]


def test_listen_keeps_directories_of_the_service_apart(tmp_path):
    """Names are relative to the watched directory, of which there can be several."""
    with FakePublisher() as publisher:
        with Process(PROGRAM, "listen", *publisher.options, "-o", tmp_path, "--count", 3) \
                as listener:
            publisher.wait_for_subscriber()
            publisher.publish(name="x.mrc", micrograph__path="/data/a/x.mrc", picks=1)
            publisher.publish(name="x.mrc", micrograph__path="/data/b/x.mrc", picks=2)
            publisher.publish(name="x.mrc", micrograph__path="/data/a/x.mrc", picks=3,
                              micrograph__revision=2)
            listener.end()
    assert len(read_picks(tmp_path / "x_autopick.star")) == 3
    assert len(read_picks(tmp_path / "x.mrc_autopick.star")) == 2


# ---- convert -------------------------------------------------------------------------------------

def test_convert_keeps_dots(tmp_path):
    (tmp_path / "topaz.txt").write_text(
        "image_name\tx_coord\ty_coord\tscore\nts_1_-21.0\t10\t20\t1\nts_1_-21.5\t30\t40\t2\n"
        "s.wt\t1\t2\t3\ns.mut\t1\t2\t3\n", encoding="ascii")
    run("convert", "--format", "star", "topaz.txt", "stars/", cwd=tmp_path)
    assert stars(tmp_path / "stars") == [b"s.mut_autopick.star", b"s.wt_autopick.star",
                                         b"ts_1_-21.0_autopick.star", b"ts_1_-21.5_autopick.star"]
    run("convert", "--from", "star", "--format", "box", "--box", 20, "stars", "boxes/",
        cwd=tmp_path)
    run("convert", "--from", "box", "--format", "star", "boxes", "back/", cwd=tmp_path)
    assert stars(tmp_path / "back") == stars(tmp_path / "stars")


@pytest.mark.parametrize("form", ["star", "cryosparc", "box", "cbox", "tsv", "csv", "json"])
def test_convert_keeps_namesakes_apart(tmp_path, scene, images, form):
    """Through each format and back: what `pick` wrote for micrographs of the same name."""
    for number, place in enumerate(["A/x.mrc", "A/x.tif", "B/x.mrc"]):
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / place).write_bytes(images[number % 2])
    run("pick", *scene.options, "--format", f"star,{form}" if form != "star" else form, "-o",
        "out", "in", cwd=tmp_path)
    options = ["--micrographs", "in"] if form == "tsv" else []
    run("convert", "--from", form, "--format", "csv", *options, "out", "back/", cwd=tmp_path)
    rows = sorted(len(path.read_text().splitlines()) for path in (tmp_path / "back").rglob("*.csv"))
    expected = sorted(len(read_picks(tmp_path / "out" / os.fsdecode(star))) + 1
                      for star in stars(tmp_path / "out"))
    assert rows == expected and len(rows) == 3


def test_convert_loses_one_entry_not_the_list(tmp_path):
    def entry(name):
        return {"schema": "pickstream/1", "type": "picks",
                "micrograph": {"path": name, "name": name, "shape": [100, 100], "format": "mrc"},
                "result": {"status": "picked", "count": 1},
                "columns": ["x", "y", "score", "area"], "picks": [[10, 20, 0.5, 9]]}
    names = ["a.mrc", "b'\" c\" '\td.mrc", "c d.mrc", "B/a.mrc", "../u/a.mrc"]
    (tmp_path / "in.json").write_text("".join(json.dumps(entry(name)) + "\n" for name in names))
    for out, lost, kept in [("x.tsv", 3, ["a", "c d"]), ("x.star", 1, None), ("stars/", 1, None)]:
        done = run("convert", "--format", "tsv" if out == "x.tsv" else "star" if "/" in out
                   else "cryosparc", "in.json", out, cwd=tmp_path, status=1)
        assert done.stderr.count("left out: ") == lost and "\t" not in done.stderr
        if kept:
            rows = (tmp_path / out).read_text().splitlines()[1:]
            assert [row.split("\t")[0] for row in rows] == kept
    assert len(stars(tmp_path / "stars")) == 5
    assert len(listed_rows(tmp_path / "stars/autopick.star")) == 4
    assert len(listed_rows(tmp_path / "x.star")) == 4


def listed_rows(path):
    text = path.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if ".mrc" in line]


# ---- RELION --------------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("relion_star_printtable"), reason="no RELION")
def test_relion_reads_the_names(tmp_path, scene, images):
    """RELION 3.1 does not know quotes, so they are only where a blank leaves no choice."""
    (tmp_path / "in").mkdir()
    names = ["a#1.mrc", "b5'_\"wt\".mrc", "data_1.mrc", "ts_1_-21.0.mrc", "x.mrc", "x.tif"]
    for name in names:
        (tmp_path / "in" / name).write_bytes(images[0])
    run("pick", *scene.options, "-o", "out", "in", cwd=tmp_path)
    done = subprocess.run(
        ["relion_star_printtable", "out/autopick.star", "data_coordinate_files",
         "rlnMicrographName", "rlnMicrographCoordinates"],
        cwd=tmp_path, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    rows = [line.split() for line in done.stdout.splitlines() if line]
    assert [row[0] for row in rows] == [f"in/{name}" for name in names]
    for _, coordinates in rows:
        assert len(read_star(tmp_path / coordinates))
