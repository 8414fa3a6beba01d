"""Files of picks for other programs, and pickstream convert between them.

Every format is read here as its own program reads it, on an image that is not square and unlike its
mirror images, stored as MRC and as TIFF: what is at the coordinates must be the same pixels. What
was written is converted back to the picks that it came from. (P21, P22, P23, P40)
"""

import csv
import json
import os
import shutil
import subprocess
import types

import mrcfile
import numpy as np
import pytest
import tifffile
from micrographs import read_picks, read_star, write_mrc, write_tiff
from support import PROGRAM, run
from test_relion import boxes, extract, relion

FORMATS = ["star", "cryosparc", "box", "cbox", "tsv", "csv", "json"]
SUFFIXES = {"star": "_autopick.star", "cryosparc": "_cryosparc.star", "box": ".box",
            "cbox": ".cbox", "tsv": "_autopick.tsv", "csv": "_autopick.csv",
            "json": "_autopick.json"}
NAMES = {"mrc": "m_up.mrc", "tiff": "m_down.tif"}
HEIGHT, WIDTH = 1024, 900


@pytest.fixture(scope="module")
def picked(tmp_path_factory, scene):
    """A directory with Micrographs/, the same image in both formats, and Picks/ in all formats."""
    directory = tmp_path_factory.mktemp("convert")
    (directory / "Micrographs").mkdir()
    write_mrc(directory / "Micrographs" / NAMES["mrc"], scene.image, "f4")
    write_tiff(directory / "Micrographs" / NAMES["tiff"], scene.image, "f4")
    run("pick", "--diameter", f"{scene.diameter}px", "--format", ",".join(FORMATS), "-o",
        "Picks/Micrographs", "Micrographs", cwd=directory)
    picks = read_picks(directory / "Picks/Micrographs/m_up_autopick.star")
    assert len(picks) > 50 and (picks[:, :2] != np.floor(picks[:, :2])).any(axis=1).all()
    return types.SimpleNamespace(directory=directory, picks=picks)


def path_of(picked, kind, name):
    stem = NAMES[kind].rpartition(".")[0]
    return picked.directory / "Picks/Micrographs" / (stem + SUFFIXES[name])


def convert(*arguments, status=0, **options):
    done = run("convert", *arguments, status=status, **options)
    assert done.stdout == ""
    return done.stderr


def rows_of(path):
    return np.array([line.split() for line in path.read_text().splitlines()], dtype="f8")


def read_cbox(path):
    """The table of boxes, by label."""
    labels, rows = [], []
    for line in path.read_text().split("data_cryolo\n")[1].split("data_")[0].splitlines():
        words = line.split()
        if words and words[0].startswith("_"):
            labels.append(words[0])
        elif words and words != ["loop_"]:
            rows.append(dict(zip(labels, words, strict=True)))
    return rows


# ---- conventions: the pixel that each program finds ----------------------------------------------

def images_of(picked, kind):
    """The micrograph with the row first that RELION, EMAN and crYOLO number 0; and as Topaz and
    everybody who opens a TIFF with a plain library has it."""
    path = picked.directory / "Micrographs" / NAMES[kind]
    plain = mrcfile.read(path) if kind == "mrc" else tifffile.imread(path)
    assert plain.shape == (HEIGHT, WIDTH)
    return (plain if kind == "mrc" else plain[::-1]), plain


def pixels(image, x, y):
    """Values at the nearest pixels."""
    return image[np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int)]


@pytest.mark.parametrize("kind", NAMES)
def test_each_format_points_at_the_same_pixels(picked, scene, kind):
    """By the convention of its own program, without our converter."""
    x, y, score = picked.picks.T
    flipped, plain = images_of(picked, kind)
    expected = pixels(scene.image, x, y)
    assert len(np.unique(expected)) > 20

    columns = read_star(path_of(picked, kind, "star"))
    assert np.array_equal(pixels(flipped, columns["_rlnCoordinateX"], columns["_rlnCoordinateY"]),
                          expected)

    box = rows_of(path_of(picked, kind, "box"))  # EMAN: low corner, whole numbers
    assert (box[:, 2:] == scene.diameter).all() and (box == np.floor(box)).all()
    centres = box[:, :2] + box[:, 2:] // 2
    assert np.array_equal(pixels(flipped, *centres.T), expected)
    assert np.abs(centres - picked.picks[:, :2]).max() <= 0.5

    cbox = read_cbox(path_of(picked, kind, "cbox"))  # crYOLO: low corner, fractions
    centres = np.array([[float(row["_CoordinateX"]) + float(row["_Width"]) / 2,
                         float(row["_CoordinateY"]) + float(row["_Height"]) / 2] for row in cbox])
    assert np.abs(centres - picked.picks[:, :2]).max() < 1e-4
    assert np.allclose([float(row["_Confidence"]) for row in cbox], score, rtol=1e-6)
    assert np.array_equal(pixels(flipped, *centres.T), expected)

    with open(path_of(picked, kind, "tsv"), encoding="ascii") as stream:  # Topaz: the file's rows
        table = list(csv.DictReader(stream, delimiter="\t"))
    assert {row["image_name"] for row in table} == {NAMES[kind].rpartition(".")[0]}
    centres = np.array([[float(row["x_coord"]), float(row["y_coord"])] for row in table])
    assert np.array_equal(pixels(plain, *centres.T), expected)
    assert np.allclose([float(row["score"]) for row in table], score, rtol=1e-6)
    if kind == "tiff":
        assert np.allclose(centres[:, 1], HEIGHT - 1 - y, atol=1e-4)

    words = [line.split() for line in path_of(picked, kind, "cryosparc").read_text().splitlines()
             if line.startswith("Micrographs/")]  # cryoSPARC takes RELION's convention
    assert {row[0] for row in words} == {f"Micrographs/{NAMES[kind]}"}
    assert np.array_equal(np.array([row[1:] for row in words], "f8"), picked.picks)

    text = json.loads(path_of(picked, kind, "json").read_text())
    assert np.allclose(np.array(text["picks"])[:, :3], picked.picks, rtol=1e-6)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", NAMES)
def test_what_was_written_is_read_back(picked, tmp_path, kind, name):
    message = convert("--micrographs", picked.directory / "Micrographs", "--from", name,
                      path_of(picked, kind, name), tmp_path / "x.csv")
    assert message == f"pickstream convert: 1 micrographs, {len(picked.picks)} picks\n"
    with open(tmp_path / "x.csv", encoding="ascii") as stream:
        rows = list(csv.DictReader(stream))
    position = np.array([[row["x"], row["y"]] for row in rows], "f4")
    expected = picked.picks.astype("f4")
    if name == "box":
        assert np.array_equal(position, np.floor(expected[:, :2] + 0.5))
    else:
        assert np.array_equal(position, expected[:, :2])
    scores = [row["score"] for row in rows]
    if name == "box":
        assert set(scores) == {""}
    else:
        assert np.array_equal(np.array(scores, "f4"), expected[:, 2])
    areas = {row["area"] == "" for row in rows}
    assert areas == {name not in ("csv", "json")}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("via", ["cryosparc", "cbox", "tsv", "json"])
def test_there_and_back_gives_the_same_file(picked, tmp_path, kind, via):
    """star -> format -> star, byte by byte."""
    options = ["--micrographs", picked.directory / "Micrographs"]
    middle = tmp_path / f"{NAMES[kind].rpartition('.')[0]}{SUFFIXES[via]}"
    box = ["--box", 40] if via == "cbox" else []
    convert(*options, *box, "--format", via, path_of(picked, kind, "star"), middle)
    convert("--format", "star", *options, middle, tmp_path / "back.star")
    assert (tmp_path / "back.star").read_bytes() == path_of(picked, kind, "star").read_bytes()


# ---- what is written by convert ------------------------------------------------------------------

def test_what_pick_writes_convert_writes_too(picked, tmp_path):
    """From JSON, which has everything, come the same files as from the picker."""
    for kind in NAMES:
        for name in FORMATS:
            out = tmp_path / path_of(picked, kind, name).name
            convert("--format", name, path_of(picked, kind, "json"), out)
            if name != "json":
                assert out.read_bytes() == path_of(picked, kind, name).read_bytes()


def test_several_micrographs_in_one_file(picked, tmp_path):
    """autopick.star with all that it lists -> one STAR -> a directory of files again."""
    shutil.copytree(picked.directory, tmp_path / "p")
    message = convert("Picks/Micrographs/autopick.star", "all.star", cwd=tmp_path / "p")
    assert message == f"pickstream convert: 2 micrographs, {2 * len(picked.picks)} picks\n"
    names = {line.split()[0] for line in (tmp_path / "p/all.star").read_text().splitlines()
             if line.startswith("Micrographs/")}
    assert names == {"Micrographs/m_up.mrc", "Micrographs/m_down.tif"}
    convert("--format", "star", "all.star", "again/", cwd=tmp_path / "p")
    for kind in NAMES:
        stem = NAMES[kind].rpartition(".")[0]
        assert (tmp_path / f"p/again/Micrographs/{stem}_autopick.star").read_bytes() \
            == path_of(picked, kind, "star").read_bytes()
    listed = (tmp_path / "p/again/autopick.star").read_text()
    assert "\nMicrographs/m_up.mrc again/Micrographs/m_up_autopick.star\n" in listed


def test_the_list_is_found_from_anywhere(picked, tmp_path):
    """Its paths begin at RELION's project, wherever one stands."""
    message = convert(picked.directory / "Picks/Micrographs/autopick.star", "all.tsv",
                      cwd=tmp_path, status=1)
    assert "m_down.tif" in message  # a TIFF whose height cannot be known from here
    convert(picked.directory / "Picks/Micrographs/autopick.star", "all.tsv", "--micrographs",
            picked.directory, cwd=tmp_path)
    with open(tmp_path / "all.tsv", encoding="ascii") as stream:
        table = list(csv.DictReader(stream, delimiter="\t"))
    by_name = {name: np.array([row["y_coord"] for row in table if row["image_name"] == name], "f8")
               for name in ("m_up", "m_down")}
    assert np.allclose(by_name["m_down"], HEIGHT - 1 - by_name["m_up"], atol=1e-3)


def test_a_directory_of_files(picked, tmp_path):
    convert("--from", "cbox", picked.directory / "Picks", "out/", "--format", "box", cwd=tmp_path)
    for kind in NAMES:
        stem = NAMES[kind].rpartition(".")[0]
        assert (tmp_path / f"out/Micrographs/{stem}.box").read_bytes() \
            == path_of(picked, kind, "box").read_bytes()


def test_min_score_and_invert_y(picked, tmp_path):
    limit = np.median(picked.picks[:, 2])
    convert("--min-score", repr(limit), "--invert-y", "--micrographs",
            picked.directory / "Micrographs", path_of(picked, "mrc", "star"), tmp_path / "x.star")
    picks = read_picks(tmp_path / "x.star")
    expected = picked.picks[picked.picks[:, 2] >= np.float32(limit)]
    assert 0 < len(picks) < len(picked.picks)
    assert np.allclose(picks[:, 1], HEIGHT - 1 - expected[:, 1], atol=1e-3)
    assert np.array_equal(picks[:, [0, 2]], expected[:, [0, 2]])


def test_the_size_of_boxes(picked, scene, tmp_path):
    """Odd ones too come back to the same centre; it can be set where pick writes them."""
    convert("--box", 301, path_of(picked, "mrc", "star"), tmp_path / "x.box")
    box = rows_of(tmp_path / "x.box")
    assert (box[:, 2:] == 301).all() and (box[:, :2] < 0).any()
    assert np.array_equal(box[:, :2] + 150, np.floor(picked.picks[:, :2] + 0.5))
    convert(tmp_path / "x.box", tmp_path / "x.csv")
    back = np.genfromtxt(tmp_path / "x.csv", delimiter=",", names=True)
    assert np.array_equal(back["x"], box[:, 0] + 150)
    run("pick", *scene.options, "--format", "box", "--set", "output.box_size=96", "-o", tmp_path,
        scene.path)
    assert (rows_of(tmp_path / "synth_000001.box")[:, 2:] == 96).all()


def test_no_picks_are_valid_everywhere(tmp_path, scene):
    write_mrc(tmp_path / "nothing.mrc", np.zeros((HEIGHT, WIDTH), "f4"))
    run("pick", *scene.options, "--format", ",".join(FORMATS), "-o", tmp_path / "picks",
        tmp_path / "nothing.mrc")
    for name in FORMATS:
        out = tmp_path / f"{name}.json"
        message = convert("--from", name, tmp_path / f"picks/nothing{SUFFIXES[name]}", out)
        empty = name == "cryosparc"  # without rows it names no micrograph
        assert message == f"pickstream convert: {0 if empty else 1} micrographs, 0 picks\n"
        if not empty:
            assert json.loads(out.read_text())["picks"] == []


def test_names_with_blanks(tmp_path, scene):
    write_mrc(tmp_path / "a b's.mrc", scene.image)
    run("pick", *scene.options, "--format", "star,cryosparc", "-o", "out", "a b's.mrc",
        cwd=tmp_path)
    assert '\n"a b\'s.mrc" "out/a b\'s_autopick.star"\n' in \
        (tmp_path / "out/autopick.star").read_text()
    message = convert("out/autopick.star", "x.json", cwd=tmp_path)
    assert "1 micrographs" in message
    assert json.loads((tmp_path / "x.json").read_text())["micrograph"]["name"] == "a b's.mrc"


# ---- programs of others --------------------------------------------------------------------------

needs_relion = pytest.mark.skipif(shutil.which("relion_preprocess") is None,
                                  reason="RELION is not installed")


@needs_relion
@pytest.mark.parametrize("kind", NAMES)
def test_relion_cuts_out_our_boxes(picked, scene, kind):
    stacks, _ = extract(picked.directory, [NAMES[kind]], 64, suffix=".box")
    rounded = np.floor(picked.picks[:, :2] + 0.5)
    assert np.array_equal(stacks[NAMES[kind]], boxes(scene.image.astype("f4"), rounded, 64))


@needs_relion
def test_relion_reads_our_tables(picked):
    """As its own programs read them."""
    printed = relion("relion_star_printtable", "Picks/Micrographs/m_up_cryosparc.star",
                     "data_particles", "rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY",
                     "rlnAutopickFigureOfMerit", cwd=picked.directory)
    rows = [line.split() for line in printed.splitlines()]
    assert {row[0] for row in rows} == {"Micrographs/m_up.mrc"}
    assert np.array_equal(np.array([row[1:] for row in rows], "f8"), picked.picks)


# ---- what is wrong -------------------------------------------------------------------------------

BAD = {
    "x.star": [
        ("nonsense\n", "x.star:1: expected data_, loop_ or a label"),
        ("data_\nloop_\n_rlnCoordinateX\n1\n", "expected a loop with _rlnCoordinateX"),
        ("data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3\n",
         "x.star:6: expected 2 words"),
        ("data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3 up\n",
         "x.star:6: _rlnCoordinateY: expected a number, not up"),
        ("data_\nloop_\n1 2\n", "x.star:3: expected a label behind loop_"),
        ("data_\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\nx.mrc none.star\n",
         "none.star: No such file"),
        ("data_\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\n'x.mrc none.star\n",
         "x.star:5: expected the other '"),
        ("data_\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\nx.mrc x.star\n",
         "x.star:5: expected coordinates, not another list"),
    ],
    "x.box": [
        ("1 2 3\n", "x.box:1: expected the corner of a box, its width and height"),
        ("1 2 3 4\n\n1 2 3 four\n", "x.box:3: expected the corner of a box"),
        ("1 2 0 0\n", "x.box:1: expected a box that is wider"),
    ],
    "x.cbox": [
        ("data_cryolo\nloop_\n_CoordinateX\n1\n", "expected a loop with _CoordinateX"),
        ("data_cryolo\nloop_\n_CoordinateX\n_CoordinateY\n_Width\n_Height\n1 2 <NA> 4\n",
         "x.cbox:7: _Width: expected a number, not <NA>"),
    ],
    "x.tsv": [
        ("image_name\tx_coord\n", "x.tsv:1: expected a line of names, with image_name, x_coord and"),
        ("image_name\tx_coord\ty_coord\na\t1\t\n", "x.tsv:2: y_coord: expected a number"),
        ("image_name\tx_coord\ty_coord\na\t1\t2\t3\n", "x.tsv:2: expected 3 cells"),
        ("", "x.tsv:1: expected a line of names"),
    ],
    "x.csv": [
        ("1,2,3,4\n", "x.csv:1: expected a line of names, with x and y"),
        ("x,y\n1,nan\n", "x.csv:2: y: expected a number, not nan"),
    ],
    "x.json": [
        ("[1]\n", "x.json:1: expected a JSON object a line"),
        ("{}\n", "x.json:1: micrograph: expected"),
        ('{"micrograph":{"path":"a","name":"a"},"result":{"status":"picked","count":1},'
         '"columns":["x","y","score","area"],"picks":[[1,"2",3,4]]}', "expected rows of numbers"),
        ('{"micrograph":{"path":"a","name":"a"},"result":{"status":"picked","count":2},'
         '"columns":["x","y","score","area"],"picks":[]}', "as many rows as result.count"),
    ],
}


@pytest.mark.parametrize("name, content, expected", [
    (name, content, expected) for name, cases in BAD.items() for content, expected in cases])
def test_bad_input_is_named_with_its_line(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    message = convert(name, "out.csv", cwd=tmp_path, status=1)
    assert expected in message and message.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["x.star", "x.box", "x.cbox", "x.tsv", "x.csv", "x.json"])
def test_a_micrograph_is_no_table(tmp_path, scene, name):
    os.link(scene.path, tmp_path / name)
    message = convert(name, "out.csv", cwd=tmp_path, status=1)
    assert "expected" in message and name in message


@pytest.mark.parametrize("arguments, expected", [
    ([], "IN and OUT"),
    (["a.star"], "IN and OUT"),
    (["a.star", "b.xml"], "b.xml: its name does not tell a format"),
    (["a.star", "b/"], "give --format"),
    (["--format", "xml", "a.star", "b.xml"], "expected star, cryosparc, box"),
    (["--from", "eman", "a.star", "b.box"], "--from eman"),
    (["--box", "0", "a.star", "b.box"], "--box"),
], ids=str)
def test_usage(arguments, expected):
    assert expected in convert(*arguments, status=2)


def test_what_a_format_cannot_hold(picked, tmp_path):
    """Named, and nothing written."""
    every = picked.directory / "Picks/Micrographs/autopick.star"
    micrographs = ["--micrographs", picked.directory]
    for out, expected in [("x.box", "holds one micrograph, and there are 2"),
                          ("x.csv", "holds one micrograph")]:
        assert expected in convert(every, out, cwd=tmp_path, status=1)
    assert "give --box" in convert(path_of(picked, "mrc", "star"), "x.box", cwd=tmp_path, status=1)
    for square in "a", "b":
        (tmp_path / square).mkdir()
        shutil.copy(path_of(picked, "mrc", "star"), tmp_path / square)
    assert "left out: b/m_up: a tsv file cannot hold two micrographs of the name m_up" \
        in convert(".", "x.tsv", cwd=tmp_path, status=1)
    (tmp_path / "x.tsv").unlink()
    assert "no micrograph m_up in" in convert(
        "--micrographs", tmp_path, path_of(picked, "mrc", "star"), "x.csv", cwd=tmp_path, status=1)
    assert not list(tmp_path.glob("x.*"))
    convert(*micrographs, every, "x.json", cwd=tmp_path)


def test_the_list_is_added_to_and_nobody_elses_is_overwritten(tmp_path, scene):
    """One output directory for several runs; and one that RELION made."""
    for name in "abc":
        os.link(scene.path, tmp_path / f"{name}.mrc")
    for name in "ab":
        run("pick", *scene.options, "-o", "out", f"{name}.mrc", cwd=tmp_path)
    listed = (tmp_path / "out/autopick.star").read_text().splitlines()
    assert listed[-3:-1] == ["b.mrc out/b_autopick.star", "a.mrc out/a_autopick.star"]
    (tmp_path / "out/a_autopick.star").unlink()
    run("pick", *scene.options, "-o", "out", "b.mrc", cwd=tmp_path)
    listed = (tmp_path / "out/autopick.star").read_text().splitlines()
    assert [line for line in listed if ".mrc" in line] == ["b.mrc out/b_autopick.star"]
    (tmp_path / "out/autopick.star").write_text("data_\nloop_\n_rlnSomething #1\n1\n")
    done = run("pick", *scene.options, "-o", "out", "c.mrc", cwd=tmp_path, status=1)
    assert "not overwritten" in done.stderr
    assert "_rlnSomething" in (tmp_path / "out/autopick.star").read_text()


def test_paths_from_the_project(tmp_path, scene):
    """A service with absolute paths serves a RELION project."""
    project = tmp_path / "project"
    (project / "MotionCorr").mkdir(parents=True)
    os.link(scene.path, project / "MotionCorr/m.mrc")
    run("pick", *scene.options, "--set", f"output.relion_project={project}/", "-o",
        project / "External/job001", project / "MotionCorr")
    assert (project / "External/job001/autopick.star").read_text().splitlines()[-2] \
        == "MotionCorr/m.mrc External/job001/m_autopick.star"


def test_shards_share_a_list(tmp_path, scene):
    """At the same time, in one output directory."""
    for number in range(4):
        os.link(scene.path, tmp_path / f"x{number}.mrc")
    runs = [subprocess.Popen([PROGRAM, "pick", *scene.options, "--shard", f"{i}/2", "-o", "out",
                              "."], cwd=tmp_path, stdout=subprocess.DEVNULL) for i in (1, 2)]
    assert [process.wait(300) for process in runs] == [0, 0]
    listed = (tmp_path / "out/autopick.star").read_text()
    assert sorted(line.split()[0] for line in listed.splitlines() if ".mrc" in line) \
        == [f"./x{number}.mrc" for number in range(4)]
