"""Files of picks for other programs, and pickstream convert between them.

Every format is read here as its own program reads it, on an image that is not square and unlike its
mirror images, stored as MRC and as TIFF: what is at the coordinates must be the same pixels. What
was written is converted back to the picks that it came from. (P21, P22, P23, P40)
"""

import csv
import json
import os
import re
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


def test_the_format_comes_from_the_input(picked, tmp_path):
    """For a directory that of any file, for a name without extension that of a STAR file; names of
    micrographs stay, however many there are."""
    listed = picked.directory / "Picks/Micrographs/autopick.star"
    stars = sorted(path.name for path in listed.parent.glob("*_autopick.star"))
    assert len(stars) > 1

    def written(directory):
        return sorted(path.name for path in (tmp_path / directory).rglob("*_autopick.*"))

    convert(listed, f"{tmp_path}/all", cwd=picked.directory)
    assert "_rlnMicrographName" in (tmp_path / "all").read_text()
    (tmp_path / "all").rename(tmp_path / "all.star")
    convert("all.star", "stars/", cwd=tmp_path)
    assert written("stars") == stars
    convert("all.star", "all.json", cwd=tmp_path)
    convert("all.json", "json/", cwd=tmp_path)
    assert written("json") == [name.replace(".star", ".json") for name in stars]

    lines = listed.read_text().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if stars[0] in line)
    (listed.parent / "one.star").write_text(
        "".join(line for line in lines[: first + 1]))
    convert(listed.parent / "one.star", tmp_path / "one.star", cwd=picked.directory)
    assert "_rlnMicrographName" in (tmp_path / "one.star").read_text()
    convert(listed.parent / stars[0], tmp_path / "bare.star", cwd=picked.directory)
    assert "_rlnMicrographName" not in (tmp_path / "bare.star").read_text()


def test_min_score_and_invert_y(picked, tmp_path):
    limit = np.median(picked.picks[:, 2])
    convert("--min-score", repr(limit), "--invert-y", "--micrographs",
            picked.directory / "Micrographs", path_of(picked, "mrc", "star"), tmp_path / "x.star")
    picks = read_picks(tmp_path / "x.star")
    expected = picked.picks[picked.picks[:, 2].astype("f4") >= np.float32(limit)]
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


# ---- what others write ---------------------------------------------------------------------------

XYS = "_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnAutopickFigureOfMerit #3\n"
LOOP = f"data_\n\nloop_\n{XYS}"
OPTICS = "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnVoltage #2\n1 300\n\n\n"
BLOCK = f"data_particles\n\nloop_\n{XYS}"
PAIRS = "data_\n\n_rlnCoordinateX 1.5\n_rlnCoordinateY 2\n_rlnAutopickFigureOfMerit 0.5\n"
CBOX = "data_cryolo\nloop_\n_CoordinateX\n_CoordinateY\n_Width\n_Height\n"
TWO = [(1.5, 2, 0.5), (3, 4, 0.25)]

# What it is, its content, and the picks in it: x, y, score.
READABLE_STAR = {
    "plain": (f"{LOOP}1.5 2 0.5\n3 4 0.25\n\n", TWO),
    "no newline at the end": (f"{LOOP}1.5 2 0.5\n3 4 0.25", TWO),
    "labels without numbers": (re.sub(" #.", "", LOOP) + "1.5 2 0.5\n", TWO[:1]),
    "labels with other numbers": (LOOP.replace("#1", "#7") + "1.5 2 0.5\n", TWO[:1]),
    "tabs and blanks": (f"{LOOP}  1.5\t2 \t 0.5  \n3 4 0.25\n", TWO),
    "no rows": (LOOP, []),
    "other columns": ("data_\nloop_\n_rlnAutopickFigureOfMerit #1\n_rlnOther #2\n"
                      "_rlnCoordinateY #3\n_rlnCoordinateX #4\n0.5 x 2 1.5\n", TWO[:1]),
    "a column twice": (f"{LOOP}_rlnCoordinateX #4\n9 2 0.5 1.5\n", TWO[:1]),
    "text before the block": (f"written by hand\n{LOOP}1.5 2 0.5\n", TWO[:1]),
    "a comment behind a row": (f"# version 30001\n{LOOP}1.5 2 0.5 # good\n3 4 0.25\n", TWO),
    "optics first": (f"{OPTICS}{BLOCK}1.5 2 0.5\n3 4 0.25\n", TWO),
    "optics last": (f"{BLOCK}1.5 2 0.5\n3 4 0.25\n\n{OPTICS}", TWO),
    "no blank line between blocks": (f"{BLOCK}1.5 2 0.5\n{OPTICS}", TWO[:1]),
    "an exponent": (f"{LOOP}15e-1 +2 5E-1\n", TWO[:1]),
    "Z of 0": (f"{LOOP}_rlnCoordinateZ #4\n1.5 2 0.5 0.000000\n", TWO[:1]),
}
# What relion_star_printtable, a script, cannot print, though RELION's own programs read it, or what
# Windows and other programs write.
READABLE_TOO = {
    "one row": (PAIRS, TWO[:1]),
    "one row, indented, with comments": (f"# one\n{PAIRS}".replace("\n_", "\n\n  _")
                                         .replace("2\n", "2 # y\n"), TWO[:1]),
    "one row after optics": (f"{OPTICS}{PAIRS}", TWO[:1]),
    "one row before optics": (f"{PAIRS}{OPTICS}", TWO[:1]),
    "one row and a loop": (f"{PAIRS}\nloop_\n{XYS}3 4 0.25\n", TWO),
    "quotes": (f"{LOOP}'1.5' \"2\" 0.5\n", TWO[:1]),
    "comments": (LOOP.replace("#1\n", "#1\n# one\n")
                 + "# two\n1.5 2 0.5\n# three\n3 4 0.25\n", TWO),
    "a byte-order mark": (f"\ufeff{LOOP}1.5 2 0.5\n", TWO[:1]),
    "carriage returns": (f"{LOOP}1.5 2 0.5\n3 4 0.25\n\n".replace("\n", "\r\n"), TWO),
    "all of it": (f"\ufeff{PAIRS}".replace("\n", "\r\n"), TWO[:1]),
    "a blank line among the rows": (f"{LOOP}1.5 2 0.5\n\n3 4 0.25\n", TWO),
}
# What RELION finds no table in, or stops at.
UNREADABLE_STAR = {
    "empty": "",
    "text": "no table\nat all\n",
    "no block": LOOP.replace("data_\n", "") + "1.5 2 0.5\n",
    "another keyword": LOOP.replace("loop_", "LOOP_") + "1.5 2 0.5\n",
    "other case": LOOP.replace("data_", "DATA_") + "1.5 2 0.5\n",
    "no labels": "data_\nloop_\n1.5 2 0.5\n",
    "labels beside loop_": "data_\nloop_ _rlnCoordinateX _rlnCoordinateY\n1.5 2\n",
    "other labels": LOOP.replace("Coordinate", "coordinate") + "1.5 2 0.5\n",
    "a label that runs into its number": LOOP.replace(" #1", "#1") + "1.5 2 0.5\n",
    "a row over several lines": f"{LOOP}1.5\n2\n0.5\n",
    "a word for a number": f"{LOOP}1.5 two 0.5\n",
    "half a number": f"{LOOP}1.5x 2 0.5\n",
    "no number": f"{LOOP}nan 2 0.5\n",
    "a row too short": f"{LOOP}1.5 2\n",
}


def picks_in(path):
    """x, y and score of each row of a CSV; NaN for an empty cell."""
    with open(path, encoding="ascii") as stream:
        return [tuple(float(row[name] or "nan") for name in ("x", "y", "score"))
                for row in csv.DictReader(stream)]


@pytest.mark.parametrize("name", READABLE_STAR | READABLE_TOO)
def test_star_files_of_others(tmp_path, name):
    content, expected = (READABLE_STAR | READABLE_TOO)[name]
    (tmp_path / "x.star").write_text(content, encoding="utf-8", newline="")
    message = convert("x.star", "x.csv", cwd=tmp_path)
    assert message == f"pickstream convert: 1 micrographs, {len(expected)} picks\n"
    assert picks_in(tmp_path / "x.csv") == expected


@pytest.mark.parametrize("name", UNREADABLE_STAR)
def test_what_is_not_star(tmp_path, name):
    (tmp_path / "x.star").write_text(UNREADABLE_STAR[name], encoding="utf-8")
    message = convert("x.star", "x.csv", cwd=tmp_path, status=1)
    assert message.startswith("pickstream convert: x.star:") and "expected" in message
    assert not (tmp_path / "x.csv").exists()


def printed_by_relion(path):
    """The rows of the table that has coordinates, as RELION's script prints them; None if they are
    not rows of three numbers."""
    block = "data_particles" if "data_particles" in path.read_text(encoding="utf-8") else "data_"
    printed = relion("relion_star_printtable", path, block, "rlnCoordinateX", "rlnCoordinateY",
                     "rlnAutopickFigureOfMerit", cwd=path.parent)
    try:
        rows = [tuple(map(float, line.split())) for line in printed.splitlines()]
    except ValueError:
        return None
    return rows if all(len(row) == 3 and np.isfinite(row).all() for row in rows) else None


@needs_relion
@pytest.mark.parametrize("name", READABLE_STAR | UNREADABLE_STAR)
def test_relion_agrees_on_what_is_readable(tmp_path, name):
    path = tmp_path / "x.star"
    if name in READABLE_STAR:
        path.write_text(READABLE_STAR[name][0], encoding="utf-8")
        assert printed_by_relion(path) == READABLE_STAR[name][1]
    else:
        path.write_text(UNREADABLE_STAR[name], encoding="utf-8")
        assert not printed_by_relion(path)


@pytest.mark.parametrize("missing", ["<NA>", "nan", "NaN", "-999", "-999.00000", "None", "null",
                                     "N/A", "?", "."])
def test_a_missing_score_keeps_its_pick(tmp_path, missing):
    """In its place among the others, and in each format as that has it."""
    rows = [("1.5", "2", "0.5"), ("7", "8", missing), ("3", "4", "0.25")]
    tables = {
        "x.star": LOOP + "".join(" ".join(row) + "\n" for row in rows),
        "x.csv": "x,y,score\n" + "".join(",".join(row) + "\n" for row in rows),
        "x.tsv": "image_name\tx_coord\ty_coord\tscore\n"
                 + "".join("\t".join(("x", *row)) + "\n" for row in rows),
        "x.cbox": CBOX + "_Confidence\n" + "".join(
            f"{float(x) - 5} {float(y) - 5} 10 10 {score}\n" for x, y, score in rows),
    }
    for name, content in tables.items():
        (tmp_path / name).write_text(content)
        convert(name, "out.csv", cwd=tmp_path)
        assert np.array_equal(picks_in(tmp_path / "out.csv"), [TWO[0], (7, 8, np.nan), TWO[1]],
                              equal_nan=True)
    for name, row in [("out.star", "7 8 -999"), ("out.tsv", "x 7 8"),
                      ("out.cbox", "2 3 <NA> 10 10 <NA> 10 10 1 <NA> <NA>"),
                      ("out.box", "2 3 10 10")]:
        convert("x.cbox", name, cwd=tmp_path)
        rows = [line.split() for line in (tmp_path / name).read_text().splitlines()]
        assert row.split() in rows
    convert("x.star", "out.json", cwd=tmp_path)
    assert json.loads((tmp_path / "out.json").read_text())["picks"][1][:3] == [7, 8, None]
    convert("--min-score", 0, "x.star", "out.csv", cwd=tmp_path)
    assert picks_in(tmp_path / "out.csv") == TWO


TABLES = {
    "csv": ("x.csv", "x,y,score\n1.5,2,0.5\n3,4,0.25\n"),
    "csv, other columns": ("x.csv", "Score, Y, other, X\n0.5, 2, a, 1.5\n0.25, 4, b, 3\n"),
    "csv, quotes": ("x.csv", '"x","y","note","score"\n"1.5","2","a, ""b""","0.5"\n3,4,,0.25\n'),
    "csv, z of 0": ("x.csv", "x,y,z,score\n1.5,2,0,0.5\n3,4,,0.25\n"),
    "tsv": ("x.tsv", "image_name\tx_coord\ty_coord\tscore\nx\t1.5\t2\t0.5\nx\t3\t4\t0.25\n"),
    "tsv, other columns": ("x.tsv", "score\tdiameter\ty_coord\tx_coord\timage_name\n"
                                    "0.5\t9\t2\t1.5\tx\n0.25\t9\t4\t3\tx\n"),
    "box": ("x.box", "-3 -3 9 10\n1\t1\t4\t6\t-3\n"),
    "cbox": ("x.cbox", "data_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n"
                       "_Confidence #1\n_Height #2\n_Width #3\n_CoordinateY #4\n_CoordinateX #5\n"
                       "_filamentid #6\n0.5 10 10 -3 -3.5 <NA>\n0.25 10 10 -1 -2 <NA>\n\n"
                       "data_cryolo_include\n\nloop_\n_slice_index #1\n\n"),
}


@pytest.mark.parametrize("written", [
    lambda text: text,
    lambda text: "\ufeff" + text,
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "# by hand\n\n" + text.replace("\n", "\n# more\n"),
    lambda text: text.replace("\n", "\n\n"),
    lambda text: text.rstrip("\n"),
], ids=["plain", "mark", "crlf", "comments", "blank lines", "no newline"])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_others(tmp_path, kind, written):
    name, content = TABLES[kind]
    (tmp_path / name).write_text(written(content), encoding="utf-8", newline="")
    convert(name, "out.csv", cwd=tmp_path)
    if kind == "box":
        assert [row[:2] for row in picks_in(tmp_path / "out.csv")] == [(1, 2), (3, 4)]
    else:
        assert picks_in(tmp_path / "out.csv") == TWO


def test_relions_older_particles(tmp_path):
    """Of version 3.0: no optics table, many columns, paths of jobs."""
    labels = ["Voltage", "DefocusU", "CoordinateX", "CoordinateY", "ImageName", "MicrographName",
              "AutopickFigureOfMerit"]
    (tmp_path / "x.star").write_text(
        "\ndata_\n\nloop_ \n" + "".join(f"_rln{name} #{i + 1} \n" for i, name in enumerate(labels))
        + "  300.000000 10000.0 1.5 2 000001@Extract/job007/Movies/a.mrcs "
          "MotionCorr/job002/Movies/a.mrc 0.5 \n"
          "  300.000000 10000.0 3 4 000001@Extract/job007/Movies/b.mrcs "
          "MotionCorr/job002/Movies/b.mrc -999.00000 \n \n")
    convert("x.star", "x.json", cwd=tmp_path)
    objects = list(map(json.loads, (tmp_path / "x.json").read_text().splitlines()))
    assert [item["micrograph"]["name"] for item in objects] == [
        f"MotionCorr/job002/Movies/{name}.mrc" for name in "ab"]
    assert [item["picks"][0][:3] for item in objects] == [[1.5, 2, 0.5], [3, 4, None]]


def test_rows_in_any_order(tmp_path):
    """Particles of many micrographs, not one after the other: each gets its own, in their order."""
    head = f"data_particles\n\nloop_\n_rlnMicrographName\n{XYS}"
    (tmp_path / "x.star").write_text(
        head + "".join(f"mics/{i % 1000}.mrc {i} {i // 1000} 0.5\n" for i in range(3000)))
    message = convert("x.star", "x.json", cwd=tmp_path)
    assert message == "pickstream convert: 1000 micrographs, 3000 picks\n"
    for number, line in enumerate((tmp_path / "x.json").read_text().splitlines()):
        item = json.loads(line)
        assert item["micrograph"]["name"] == f"mics/{number}.mrc"
        assert [row[:2] for row in item["picks"]] == [[number + 1000 * k, k] for k in range(3)]


# ---- what would be lost --------------------------------------------------------------------------

TUBE = f"{LOOP}_rlnHelicalTubeID #4\n1.5 2 0.5 1\n3 4 0.25 1\n"
REFUSED = {
    "RELION 5": ("x.star", "data_particles\nloop_\n_rlnTomoName\n_rlnCenteredCoordinateXAngst\n"
                           "_rlnCenteredCoordinateYAngst\n_rlnCenteredCoordinateZAngst\nt 1 2 3\n",
                 "_rlnTomoName: particles of a tomogram"),
    "RELION 4": ("x.star", f"{BLOCK}_rlnTomoName\n1.5 2 0.5 t\n", "_rlnTomoName: particles of a"),
    "RELION 3": ("x.star", f"{LOOP}_rlnCoordinateZ\n1 2 3 0\n1 2 3 17.5\n",
                 "x.star:9: _rlnCoordinateZ is 17.5: particles of a tomogram"),
    "one row": ("x.star", f"{PAIRS}_rlnCoordinateZ 3\n", "_rlnCoordinateZ is 3"),
    "crYOLO's tomogram": ("x.cbox", f"{CBOX}_CoordinateZ\n1 2 9 9 3\n", "_CoordinateZ is 3"),
    "Topaz's tomogram": ("x.tsv", "image_name\tx_coord\ty_coord\tz_coord\na\t1\t2\t3\n",
                         "z_coord is 3: particles of a tomogram"),
    "a table with z": ("x.csv", "x,y,z\n1,2,3\n", "z is 3: particles of a tomogram"),
    "RELION's helix": ("x.star", TUBE, "_rlnHelicalTubeID: filaments are not supported"),
    "crYOLO's ends": ("STAR_START_END/x.star", f"{LOOP}1.5 2 0.5\n3 4 0.25\n",
                      "the ends of filaments are not supported"),
    "crYOLO's boxes of ends": ("EMAN_START_END/x.box", "1 2 9 9\n", "the ends of filaments"),
    "crYOLO's filament": ("x.cbox", f"{CBOX}_filamentid\n1 2 9 9 0\n",
                          "_filamentid is 0: filaments are not supported"),
    "EMAN's helix": ("x.box", "1 2 9 9 -1\n30 40 9 9 -2\n", "x.box:2: a helix of EMAN"),
    "EMAN2's helix": ("x.box", "#micrograph: a.mrc\n#segment length: 9\n#helix: (1, 2),(3, 4),9\n"
                               "1 2 9 9\n", "x.box:3: a helix of EMAN"),
    "EMAN2's info": ("x_info.json", '{"boxes": [[1, 2, "manual"]]}',
                     "EMAN2's info files are not supported: export .box"),
    "EMAN2's info of another name": ("x.json", '{"boxes": [[1, 2, "manual"]]}',
                                     "EMAN2's info files are not supported"),
    "cryoSPARC": ("x.cs", "\x93NUMPY", "cryoSPARC's .cs files are not supported: export a STAR"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_lose_something_is_refused(tmp_path, kind):
    name, content, expected = REFUSED[kind]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, encoding="latin-1")
    message = convert(name, "out.csv", cwd=tmp_path, status=1)
    assert expected in message and name in message and message.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("how", ["list", "directory"])
def test_a_broken_file_of_several(tmp_path, how):
    """It is named, nothing of it is converted, and the others are."""
    (tmp_path / "d").mkdir()
    for name in "abc":
        (tmp_path / f"d/{name}_autopick.star").write_text(f"{LOOP}1.5 2 0.5\n3 4 0.25\n")
    (tmp_path / "d/b_autopick.star").write_text(f"{LOOP}1.5 2 0.5\n3 four 0.25\n")
    (tmp_path / "autopick.star").write_text(
        "data_coordinate_files\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\n"
        + "".join(f"{name} d/{name}_autopick.star\n" for name in "abcd"))
    operand = "autopick.star" if how == "list" else "d"
    lines = convert(operand, "x.json", cwd=tmp_path, status=1).splitlines()
    missing = ["pickstream convert: d/d_autopick.star: No such file or directory"]
    assert lines == [
        "pickstream convert: d/b_autopick.star:8: _rlnCoordinateY: expected a number, not four",
        *(missing if how == "list" else []),
        f"pickstream convert: 2 micrographs, 4 picks, {2 if how == 'list' else 1} files left out"]
    objects = list(map(json.loads, (tmp_path / "x.json").read_text().splitlines()))
    assert [item["micrograph"]["name"] for item in objects] == ["a", "c"]
    convert("--format", "box", "--box", 9, operand, "boxes/", cwd=tmp_path, status=1)
    assert sorted(path.name for path in (tmp_path / "boxes").iterdir()) == ["a.box", "c.box"]


def test_nothing_is_written_when_all_are_broken(tmp_path):
    (tmp_path / "d").mkdir()
    for name in "ab":
        (tmp_path / f"d/{name}_autopick.star").write_text("nonsense\n")
    message = convert("d", "x.json", cwd=tmp_path, status=1)
    assert "a_autopick.star:1" in message and "b_autopick.star:1" in message
    assert not (tmp_path / "x.json").exists()


# ---- what is wrong -------------------------------------------------------------------------------

BAD = {
    "x.star": [
        ("nonsense\n", "x.star:1: expected data_, then loop_ or a label"),
        ("data_\nloop_\n_rlnCoordinateX\n1\n", "expected a table with _rlnCoordinateX"),
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
        ("data_cryolo\nloop_\n_CoordinateX\n1\n", "expected a table with _CoordinateX"),
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
    (["a/", "b/"], "give --format"),
    (["a.tsv", "b"], "give --format"),
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
    for name in "ba":
        run("pick", *scene.options, "-o", "out", f"{name}.mrc", cwd=tmp_path)
    listed = (tmp_path / "out/autopick.star").read_text().splitlines()
    assert listed[-3:-1] == ["a.mrc out/a_autopick.star", "b.mrc out/b_autopick.star"]
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
        == "MotionCorr/m.mrc External/job001/MotionCorr/m_autopick.star"


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
