"""pickstream pick, run as a user runs it: which files are picked, what is written where, and what
is said while it happens. tests/integration/test_bad_input.py has what cannot be picked,
test_same_picks.py what must not change the picks."""

import csv
import itertools
import json
import os
import pty
import re
import shutil
import zlib

import numpy as np
import pytest
from micrographs import read_picks, write_mrc
from PIL import Image
from support import notes, run


def below(directory):
    """Files of picks; test_convert.py looks at the list of them, autopick.star."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*")
                  if path.is_file() and path.name not in ("autopick.star", ".pickstream-names"))


@pytest.fixture(scope="module")
def other(scene):
    """Another image of the same size: the scene turned by half a turn."""
    return scene.image[::-1, ::-1]


@pytest.fixture
def tree(tmp_path, scene, other):
    """Two grid squares whose micrographs have the same name."""
    for square, image in ("GridSquare_1", scene.image), ("GridSquare_2", other):
        (tmp_path / "tree" / square / "Data").mkdir(parents=True)
        write_mrc(tmp_path / "tree" / square / "Data/x.mrc", image)
    return tmp_path / "tree"


# ---- where files of picks go ---------------------------------------------------------------------

MIRRORED = ["GridSquare_1/Data/x_autopick.star", "GridSquare_2/Data/x_autopick.star"]


@pytest.mark.parametrize("operands", [
    ["tree"],
    ["tree/"],
    ["tree/GridSquare_1", "tree/GridSquare_2"],
    ["tree/GridSquare_2/", "./tree/../tree/GridSquare_1"],
    ["tree/GridSquare_?"],
    ["tree/*/Data/x.mrc"],
    ["tree/GridSquare_1/Data/x.mrc", "tree/GridSquare_2"],
    ["tree", "tree/GridSquare_1/Data/x.mrc"],
], ids=" ".join)
def test_output_mirrors_the_input(tmp_path, tree, scene, operands):
    """Same basenames do not collide, whatever way the files are named."""
    done = run("pick", *scene.options, "-o", "out", *operands, cwd=tmp_path)
    assert below(tmp_path / "out") == MIRRORED
    first, second = (read_picks(tmp_path / "out" / name) for name in MIRRORED)
    assert len(first) > 20 and len(second) > 20
    assert not np.array_equal(first, second)
    assert [line.split(":")[0].endswith("/Data/x.mrc") for line in done.stdout.splitlines()] \
        == [True, True]


def test_one_file_goes_directly_below_the_output_directory(tmp_path, tree, scene):
    run("pick", *scene.options, "-o", tmp_path / "out", tree / "GridSquare_1/Data/x.mrc")
    assert below(tmp_path / "out") == ["x_autopick.star"]


def test_output_goes_to_the_working_directory_by_default(tmp_path, scene):
    run("pick", *scene.options, scene.path, cwd=tmp_path)
    assert below(tmp_path) == ["synth_000001_autopick.star"]


def test_a_second_run_replaces_the_files_of_the_first(tmp_path, scene):
    run("pick", *scene.options, "-o", tmp_path, scene.path)
    first = len(read_picks(tmp_path / "synth_000001_autopick.star"))
    run("pick", *scene.options, "--set", "picker.max_picks=5", "-o", tmp_path, scene.path)
    assert first > 5
    assert len(read_picks(tmp_path / "synth_000001_autopick.star")) == 5
    assert below(tmp_path) == ["synth_000001_autopick.star"]


def test_a_failed_run_leaves_no_files_of_the_one_before(tmp_path, scene):
    """They would read as its result. Other formats and other micrographs are not its business; one
    that is rejected has its files, without picks."""
    micrographs, out = tmp_path / "micrographs", tmp_path / "out"
    micrographs.mkdir()
    for name in "cut.mrc", "constant.mrc", "good.mrc":
        write_mrc(micrographs / name, scene.image)
    run("pick", *scene.options, "-o", out, "--format", "star,csv,json", "--overlay", micrographs)
    assert len(read_picks(out / "constant_autopick.star")) > 0
    with open(micrographs / "cut.mrc", "r+b") as file:
        file.truncate(100_000)
    write_mrc(micrographs / "constant.mrc", np.full_like(scene.image, 7))
    done = run("pick", *scene.options, "-o", out, "--format", "star,csv", "--overlay", micrographs,
               status=1)
    assert notes(done)[0].startswith(f"pickstream: {micrographs}/cut.mrc: truncated: ")
    assert [name for name in below(out) if name.startswith("cut")] == ["cut_autopick.json"]
    assert len(read_picks(out / "constant_autopick.star")) == 0
    assert len(read_picks(out / "good_autopick.star")) > 0


def test_names_that_differ_only_in_the_extension(tmp_path, scene, other):
    write_mrc(tmp_path / "x.map", scene.image)
    write_mrc(tmp_path / "x.mrc", other)
    write_mrc(tmp_path / "x.y.mrc", other)
    done = run("pick", *scene.options, "-o", tmp_path / "out", tmp_path)
    assert notes(done)[0] == (
        f"pickstream: {tmp_path}/x.mrc: its picks go to {tmp_path}/out/x.mrc_..., "
        "another micrograph has the shorter name")
    assert below(tmp_path / "out") == ["x.mrc_autopick.star", "x.y_autopick.star",
                                       "x_autopick.star"]
    run("pick", *scene.options, "-o", tmp_path / "alone", tmp_path / "x.map")
    assert (tmp_path / "out/x_autopick.star").read_bytes() \
        == (tmp_path / "alone/x_autopick.star").read_bytes()


# ---- which files are picked ----------------------------------------------------------------------

def test_directories_are_searched_by_name(tmp_path, scene):
    wanted = ["a.mrc", "B.MRC", "c.tif.mrc", "sub/deeper/d.map", "folder.mrc/e.mrcs"]
    left_out = [".hidden.mrc", ".cache/f.mrc", "gain.mrc", "my-gain-ref.mrc", "x_fractions.tiff",
                "notes.txt", "g.mrc.tmp", "h.mrc.part", "i_autopick.mrc"]
    for name in wanted + left_out:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(scene.path, tmp_path / "in" / name)
    os.symlink(scene.path, tmp_path / "in/linked.mrc")
    run("pick", *scene.options, "-o", tmp_path / "out", tmp_path / "in")
    assert below(tmp_path / "out") == sorted(
        f"{name.rpartition('.')[0]}_autopick.star" for name in wanted + ["linked.mrc"])
    run("pick", *scene.options, "--set", "input.recursive=no", "-o", tmp_path / "flat",
        tmp_path / "in")
    assert below(tmp_path / "flat") == sorted(
        f"{name.rpartition('.')[0]}_autopick.star" for name in wanted + ["linked.mrc"]
        if "/" not in name)


def test_a_file_that_is_named_needs_no_match(tmp_path, scene):
    os.link(scene.path, tmp_path / "gain.dat")
    run("pick", *scene.options, "-o", tmp_path / "out", tmp_path / "gain.dat")
    assert below(tmp_path / "out") == ["gain_autopick.star"]


def test_a_directory_without_micrographs_is_a_mistake(tmp_path, scene):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "x.mrc").mkdir()
    done = run("pick", *scene.options, "-o", tmp_path / "out", tmp_path, status=1)
    assert done.stderr == f"pickstream: {tmp_path}: no micrographs in it (input.include)\n"


def test_shards_are_a_partition(tmp_path, scene):
    names = [f"x{number}" for number in range(7)]
    for name in names:
        os.link(scene.path, tmp_path / f"{name}.mrc")
    parts = []
    for shard in "1/3", "2/3", "3/3":
        out = tmp_path / shard.replace("/", "_of_")
        run("pick", *scene.options, "--shard", shard, "-o", out, tmp_path)
        parts.append(below(out) if out.exists() else [])
    # As the manual page says: anybody can tell which part a micrograph is in.
    assert parts == [[f"{name}_autopick.star" for name in names
                      if zlib.crc32(f"{name}.mrc".encode()) % 1000003 % 3 == part] for part in range(3)]
    assert sum(map(len, parts)) == 7


def test_a_list_of_what_would_be_picked(tmp_path, scene):
    """It needs no diameter, picks nothing, and shards and what is wrong show in it."""
    for name in "a.mrc", "b.mrc", "b.tif", "sub/c.mrc", "notes.txt":
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(scene.path, tmp_path / "in" / name)
    done = run("pick", "--list", "in", "in/missing.mrc", cwd=tmp_path, status=1)
    assert done.stdout.splitlines() == ["in/a.mrc", "in/b.mrc", "in/b.tif", "in/sub/c.mrc"]
    assert done.stderr == "pickstream: in/missing.mrc: No such file or directory\n"
    (tmp_path / "in/b.tif").unlink()
    parts = [run("pick", "--list", "--shard", f"{part}/4", "in", cwd=tmp_path).stdout.splitlines()
             for part in range(1, 5)]
    assert sorted(itertools.chain(*parts)) == ["in/a.mrc", "in/b.mrc", "in/sub/c.mrc"]
    assert below(tmp_path) == ["in/a.mrc", "in/b.mrc", "in/notes.txt", "in/sub/c.mrc"]


# ---- going on where a run was interrupted --------------------------------------------------------

@pytest.fixture
def half_done(tmp_path, scene):
    """Four micrographs, three of them picked; the fourth is broken."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        write_mrc(tmp_path / "in" / f"{name}.mrc", scene.image)
    (tmp_path / "in/broken.mrc").write_bytes(b"no micrograph")
    run("pick", *scene.options, "-o", tmp_path / "out", tmp_path / "in", status=1)
    assert below(tmp_path / "out") == [f"{name}_autopick.star" for name in "abc"]
    return tmp_path


def changed(directory, action):
    """The files of picks that a run wrote, again or for the first time."""
    def state():
        return {path.relative_to(directory).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino)
                for path in directory.rglob("*_*")}
    before = state()
    done = action()
    return sorted(name for name, value in state().items() if before.get(name) != value), done


def resume(half_done, scene, *options, status):
    return changed(half_done / "out", lambda: run(
        "pick", "--resume", *scene.options, *options, "-o", half_done / "out", half_done / "in",
        status=status))


def test_resume_picks_what_has_no_picks_yet(half_done, scene):
    (half_done / "out/b_autopick.star").unlink()
    write_mrc(half_done / "in/new.mrc", scene.image)
    written, done = resume(half_done, scene, status=1)
    assert written == ["b_autopick.star", "new_autopick.star"]
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] \
        == [str(half_done / "in/b.mrc"), str(half_done / "in/new.mrc")]
    problem, summary = notes(done)
    assert problem.startswith(f"pickstream: {half_done}/in/broken.mrc: ")  # tried again
    assert re.fullmatch(r"pickstream: 2 picked \(\d+ picks\), 0 rejected, 1 failed, 2 done before, "
                        r"on (cpu|cuda:\d+) .+",
                        summary)
    # Mended, it is picked; then there is nothing left.
    write_mrc(half_done / "in/broken.mrc", scene.image)
    assert resume(half_done, scene, status=0)[0] == ["broken_autopick.star"]
    written, done = resume(half_done, scene, status=0)
    assert written == [] and done.stdout == ""
    assert done.stderr.startswith("pickstream: 0 picked (0 picks), 0 rejected, 0 failed, "
                                  "5 done before, on ")


def test_resume_picks_what_has_changed_since(half_done, scene):
    star = half_done / "out/a_autopick.star"
    later = star.stat().st_mtime_ns + 1
    os.utime(half_done / "in/a.mrc", ns=(later, later))
    assert resume(half_done, scene, status=1)[0] == ["a_autopick.star"]
    assert resume(half_done, scene, status=1)[0] == []
    earlier = (half_done / "in/c.mrc").stat().st_mtime_ns - 10**12  # an older file in its place
    os.utime(half_done / "in/c.mrc", ns=(earlier, earlier))
    assert resume(half_done, scene, status=1)[0] == ["c_autopick.star"]
    copied = half_done / "copied"  # restored with its times
    shutil.copytree(half_done / "in", copied)
    shutil.rmtree(half_done / "in")
    copied.rename(half_done / "in")
    assert resume(half_done, scene, status=1)[0] == []


def test_resume_picks_what_was_rewritten_with_its_old_time(half_done, scene):
    micrograph = half_done / "in/a.mrc"
    was = micrograph.stat()
    micrograph.chmod(0o600)
    (half_done / "link.mrc").hardlink_to(micrograph)
    assert resume(half_done, scene, status=1)[0] == []
    content = micrograph.read_bytes()
    micrograph.write_bytes(content[:1024] + content[:1023:-1])
    os.utime(micrograph, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert resume(half_done, scene, status=1)[0] == ["a_autopick.star"]
    assert resume(half_done, scene, status=1)[0] == []


def test_resume_without_records_compares_times(half_done, scene):
    """Files of picks of another program, or on a file system without attributes."""
    star = half_done / "out/a_autopick.star"
    os.removexattr(star, "user.pickstream.micrograph")
    same = star.stat().st_mtime_ns
    os.utime(half_done / "in/a.mrc", ns=(same, same))
    assert resume(half_done, scene, status=1)[0] == []
    os.utime(half_done / "in/a.mrc", ns=(same + 1, same + 1))
    assert resume(half_done, scene, status=1)[0] == ["a_autopick.star"]


def test_resume_looks_for_every_file_that_is_wanted(half_done, scene):
    (half_done / "in/broken.mrc").unlink()
    both = "--format", "star,csv"
    (half_done / "out/a_autopick.csv").mkdir()  # no file of picks
    written, done = resume(half_done, scene, *both, status=1)
    assert [name for name in written if not name.startswith("a")] \
        == [f"{name}_autopick.{end}" for name in "bc" for end in ("csv", "star")]
    (half_done / "out/a_autopick.csv").rmdir()
    assert resume(half_done, scene, *both, status=0)[0] == ["a_autopick.csv", "a_autopick.star"]
    assert resume(half_done, scene, *both, status=0)[0] == []
    written, done = resume(half_done, scene, "--overlay", status=0)
    assert [name for name in written if "overlay" in name] == [f"{n}_overlay.png" for n in "abc"]
    assert resume(half_done, scene, "--overlay", status=0)[0] == []
    # A list of what is left.
    (half_done / "out/b_autopick.star").unlink()
    done = run("pick", "--resume", "--list", "-o", half_done / "out", half_done / "in")
    assert done.stdout == f"{half_done}/in/b.mrc\n"


def test_resume_lists_for_relion_what_was_done_before(half_done, scene):
    """A run that was killed may not have come to the list."""
    (half_done / "out/autopick.star").unlink()
    assert resume(half_done, scene, status=1)[0] == []
    rows = (half_done / "out/autopick.star").read_text(encoding="utf-8").split("\n")
    assert [row.split()[0] for row in rows if row.endswith("_autopick.star")] \
        == [f"{half_done}/in/{name}.mrc" for name in "abc"]


def test_resume_does_not_take_the_picks_of_another_micrograph(half_done, scene):
    """a.tif has the name of a.mrc, whose picks are not its own."""
    os.link(half_done / "in/a.mrc", half_done / "in/a.tif")
    before = (half_done / "out/a_autopick.star").read_bytes()
    assert resume(half_done, scene, status=1)[1].stderr.count("another micrograph has") == 1
    assert (half_done / "out/a_autopick.star").read_bytes() == before
    assert (half_done / "out/a.tif_autopick.star").exists()


# ---- what the files say --------------------------------------------------------------------------

def test_formats_agree_with_each_other(tmp_path, scene):
    run("pick", *scene.options, "--format", "star,csv,json", "-o", tmp_path, scene.path)
    assert below(tmp_path) == [f"synth_000001_autopick.{end}" for end in ("csv", "json", "star")]
    star = read_picks(tmp_path / "synth_000001_autopick.star")
    with open(tmp_path / "synth_000001_autopick.csv", encoding="utf-8", newline="") as stream:
        table = list(csv.reader(stream))
    assert table[0] == ["x", "y", "score", "area"]
    rows = np.array(table[1:], dtype="f8")
    with open(tmp_path / "synth_000001_autopick.json", encoding="utf-8") as stream:
        message = json.load(stream)
    assert len(star) > 20
    assert np.array_equal(rows[:, :3], star)
    assert message["columns"] == ["x", "y", "score", "area"]
    assert np.array_equal(np.float32(message["picks"]), np.float32(rows))
    assert (np.diff(star[:, 2]) <= 0).all()  # best first

    assert message["schema"] == "pickstream/1" and message["type"] == "picks"
    micrograph = message["micrograph"]
    assert micrograph["path"] == str(scene.path) and micrograph["name"] == scene.path.name
    assert micrograph["shape"] == [1024, 900] and micrograph["bytes"] == scene.path.stat().st_size
    assert (micrograph["format"], micrograph["mode"], micrograph["frames"]) == ("mrc", 1, 1)
    assert micrograph["pixel_size"] == pytest.approx(1.4)
    assert micrograph["pixel_size_source"] == "header"
    assert message["picker"]["diameter_px"] == scene.diameter
    assert message["picker"]["diameter"] == pytest.approx(1.4 * scene.diameter)
    result = message["result"]
    assert (result["status"], result["reason"], result["count"]) == ("picked", None, len(star))
    assert result["truncated"] is False and result["warnings"] == []
    assert result["score_median"] == pytest.approx(np.median(star[:, 2]))
    left, right, top, bottom = message["coordinates"]["unpicked_margin"]
    assert left <= star[:, 0].min() and star[:, 0].max() <= 899 - right
    assert top <= star[:, 1].min() and star[:, 1].max() <= 1023 - bottom
    assert message["milliseconds"]["total"] == pytest.approx(
        sum(value for name, value in message["milliseconds"].items() if name != "total"))


def test_picks_lie_on_the_particles(tmp_path, scene):
    run("pick", *scene.options, "-o", tmp_path, scene.path)
    picks = read_picks(tmp_path / "synth_000001_autopick.star")[:, :2]
    for mirror in itertools.product((False, True), repeat=2):
        x, y = (np.where(flip, side - 1 - picks[:, axis], picks[:, axis])
                for axis, (flip, side) in enumerate(zip(mirror, (900, 1024))))
        distances = [np.hypot(*(scene.truth - xy).T).min() for xy in np.column_stack((x, y))]
        right = np.mean(np.array(distances) < scene.diameter / 2)
        assert right > 0.8 if mirror == (False, False) else right < 0.6


def test_picks_beyond_a_limit(tmp_path, scene):
    run("pick", *scene.options, "-o", tmp_path / "all", scene.path)
    everything = read_picks(tmp_path / "all/synth_000001_autopick.star")
    done = run("pick", *scene.options, "--set", "picker.max_picks=7", "--format", "star json",
               "-o", tmp_path / "some", scene.path)
    assert "7 picks in " in done.stdout and done.stdout.endswith(" (the best of more)\n")
    assert np.array_equal(read_picks(tmp_path / "some/synth_000001_autopick.star"), everything[:7])
    with open(tmp_path / "some/synth_000001_autopick.json", encoding="utf-8") as stream:
        assert json.load(stream)["result"]["truncated"] is True
    limit = everything[10, 2]
    run("pick", *scene.options, "--set", f"picker.min_score={limit}", "-o", tmp_path / "good",
        scene.path)
    assert np.array_equal(read_picks(tmp_path / "good/synth_000001_autopick.star"),
                          everything[everything[:, 2] >= limit])


def test_overlay_shows_each_pick_at_its_place(tmp_path, scene):
    """The row that comes first is drawn at the top; a pick is a circle of the diameter."""
    run("pick", *scene.options, "--overlay", "-o", tmp_path, scene.path)
    picks = read_picks(tmp_path / "synth_000001_autopick.star")
    picture = np.asarray(Image.open(tmp_path / "synth_000001_overlay.png")).astype(int)
    assert picture.shape == (1024, 900, 3)
    coloured = np.ptp(picture, axis=2) > 40
    radius = scene.diameter // 2
    for x, y in picks[:, :2].astype(int):
        for dx, dy in (radius, 0), (-radius, 0), (0, radius), (0, -radius):
            assert coloured[y + dy - 2:y + dy + 3, x + dx - 2:x + dx + 3].any()
    y, x = np.nonzero(coloured)
    distance = np.min([abs(np.hypot(x - px, y - py) - radius) for px, py in picks[:, :2]], axis=0)
    assert distance.max() < 4  # nothing else is coloured
    grey = picture[..., 0][~coloured]
    assert 90 < grey.mean() < 165 and grey.std() > 20


@pytest.mark.parametrize("classifier", ["svm", "naive_bayes", "mixture"])
def test_classifiers(tmp_path, scene, classifier):
    run("pick", *scene.options, "--set", f"picker.classifier={classifier}", "-o", tmp_path,
        scene.path)
    picks = read_picks(tmp_path / "synth_000001_autopick.star")
    distances = np.array([np.hypot(*(scene.truth - xy).T).min() for xy in picks[:, :2]])
    assert len(picks) > 20
    assert np.mean(distances < scene.diameter / 2) > 0.7


# ---- the truth -----------------------------------------------------------------------------------

def test_precision_and_recall(tmp_path, scene):
    """A truth made of picks: 12 of them, one of these moved by more than the tolerance, and 4 true
    centres that nobody picked."""
    run("pick", *scene.options, "-o", tmp_path, scene.path)
    picks = read_picks(tmp_path / "synth_000001_autopick.star")
    truth = [*picks[:11, :2], picks[11, :2] + (6, 0), (1, 1), (2, 60), (3, 120), (4, 180)]
    (tmp_path / "synth_000001_truth.txt").write_text(
        "".join(f"{x} {y}\n" for x, y in truth), encoding="utf-8")
    for tolerance, matched in ("5", 11), ("6.5", 12):
        done = run("pick", *scene.options, "-o", tmp_path, "--truth", tmp_path, "--tolerance",
                   tolerance, scene.path)
        precision, recall = matched / len(picks), matched / 16
        f1 = 2 * matched / (len(picks) + 16)
        assert done.stdout.endswith(
            f", precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}\n")


def test_truth_of_synth(tmp_path, scene):
    """The files of synth serve as they are, and several micrographs are summed up."""
    run("synth", "--size", "700x700", "--diameter", "56", "--count", 2, tmp_path / "in")
    done = run("pick", *scene.options, "-o", tmp_path, "--truth", tmp_path / "in",
               tmp_path / "in")
    numbers = re.compile(r"precision (\d\.\d{3}), recall (\d\.\d{3}), F1 (\d\.\d{3})")
    lines = [numbers.search(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2 and all(lines)
    total = [float(text) for text in numbers.search(done.stderr).groups()]
    for i, value in enumerate(total):
        values = [float(line.groups()[i]) for line in lines]
        assert min(values) - 0.001 <= value <= max(values) + 0.001
    assert total[0] > 0.7


def test_missing_truth_is_named(tmp_path, scene):
    done = run("pick", *scene.options, "-o", tmp_path, "--truth", tmp_path, scene.path, status=1)
    assert notes(done)[0] \
        == f"pickstream: no {tmp_path}/synth_000001_truth.star or .txt"


# ---- messages ------------------------------------------------------------------------------------

def on_terminal(*arguments, **options):
    """Runs the program with its standard error, and what else `options` say, on a terminal; returns
    what it printed, and what appeared on the terminal."""
    ours, theirs = pty.openpty()
    try:
        streams = {name: theirs for name in ("stderr", *options.pop("streams", ()))}
        done = run(*arguments, **streams, **options)
        os.close(theirs)
        theirs = -1
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # how a terminal ends
            pass
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    return done, shown.decode().replace("\r\n", "\n")


def test_bar_with_rate_and_time_left_on_a_terminal(tmp_path, tree, scene):
    (tree / "empty.mrc").touch()
    _, shown = on_terminal("pick", *scene.options, "-o", tmp_path / "out", tree, status=1,
                           streams=["stdout"])
    drawn = [text for text in shown.split("\r\033[K") if text.startswith("[")]
    assert re.fullmatch(r"\[\.{30}\] 0/3", drawn[0])
    for done in 1, 2, 3:
        bar = "#" * (10 * done) + "." * (30 - 10 * done)
        assert any(re.fullmatch(rf"\[{re.escape(bar)}\] {done}/3  \d+\.\d\d/s  ETA 0:00:\d\d", text)
                   for text in drawn)
    # No line for a file that went well, one for the other, and nothing of the bar is left.
    left = [text for text in shown.split("\r\033[K") if not text.startswith("[")]
    assert "x.mrc" not in shown
    assert f"pickstream: {tree}/empty.mrc: an empty file, a micrograph expected\n" in left
    assert left[-1].startswith("pickstream: 2 picked (")


def test_lines_for_a_program_and_the_bar_for_its_user(tmp_path, tree, scene):
    done, shown = on_terminal("pick", *scene.options, "-o", tmp_path / "out", tree)
    assert [re.sub(r"\d+ picks in \d+\.\d\d s", "", line) for line in done.stdout.splitlines()] \
        == [f"{tree}/GridSquare_{n}/Data/x.mrc: " for n in (1, 2)]
    assert "2/2" in shown and "x.mrc" not in shown


def test_a_line_a_file_without_a_terminal(tmp_path, tree, scene):
    done = run("pick", *scene.options, "-o", tmp_path / "out", tree)
    lines = [re.fullmatch(r"(.*): (\d+) picks in \d+\.\d\d s", line)
             for line in done.stdout.splitlines()]
    assert [line[1] for line in lines] == [f"{tree}/GridSquare_{n}/Data/x.mrc" for n in (1, 2)]
    counts = [len(read_picks(tmp_path / "out" / name)) for name in MIRRORED]
    assert [int(line[2]) for line in lines] == counts
    summary = f"pickstream: 2 picked ({sum(counts)} picks), 0 rejected, 0 failed, on "
    assert len(notes(done)) == 1 and notes(done)[0].startswith(summary)
    assert "\r" not in done.stderr and "\033" not in done.stdout + done.stderr


# ---- configuration -------------------------------------------------------------------------------

def test_command_line_wins_over_the_file(tmp_path, scene):
    file = tmp_path / "pickstream.ini"
    file.write_text(f"[picker]\nparticle_diameter = 50 px\nmax_picks = 3\n[output]\n"
                    f"formats = json\ndirectory = {tmp_path}/out\n", encoding="utf-8")

    def diameter(*options):
        run("pick", "-c", file, *options, scene.path)
        assert below(tmp_path / "out") == ["synth_000001_autopick.json"]
        with open(tmp_path / "out/synth_000001_autopick.json", encoding="utf-8") as stream:
            message = json.load(stream)
        assert len(message["picks"]) == 3
        return message["picker"]["diameter_px"]

    assert diameter() == 50
    assert diameter("--set", "picker.particle_diameter=42px") == 42
    assert diameter("--diameter", "63") == pytest.approx(45)
    assert diameter("--diameter", "63", "--pixel-size", "1.5") == pytest.approx(42)


@pytest.mark.parametrize("arguments, message", [
    (["--diameter", "40px"], "no micrographs given"),
    (["x.mrc"], "picker.particle_diameter is not set"),
    (["--diameter", "40 km", "x.mrc"], "--diameter: picker.particle_diameter = 40 km: "),
    (["--diameter", "40px", "--format", "star,doc", "x.mrc"],
     "--format: output.formats = star,doc"),
    (["--diameter", "40px", "--profile", "best", "x.mrc"], "--profile: picker.profile = best"),
    (["--diameter", "40px", "--overlay=yes", "x.mrc"], "option --overlay takes no argument"),
    (["--diameter", "40px", "--resume", "--truth", "t", "x.mrc"],
     "--truth with --resume would leave out what was done before"),
    (["--diameter", "40px", "--tolerance", "near", "x.mrc"],
     "--tolerance near: expected a number, 0 to 1e+06"),
    (["--diameter", "40px", "--shrad", "1/2", "x.mrc"],
     "unknown option --shrad: did you mean --shard?"),
    *[(["--diameter", "40px", "--shard", shard, "x.mrc"],
       f"--shard {shard}: I/N expected, I from 1 to N")
      for shard in ("0/3", "4/3", "-1/3", "1/-1", "1", "1/3x", "a/b", "/", "", "1//3",
                    "99999999999999999999/99999999999999999999")],
])
def test_usage_errors(tmp_path, arguments, message):
    done = run("pick", "-o", tmp_path / "out", *arguments, status=2)
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"pickstream pick: {message}")
    assert second == "Try `pickstream pick --help`."
    assert not (tmp_path / "out").exists()
