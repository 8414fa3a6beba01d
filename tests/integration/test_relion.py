"""RELION reads our STAR files and cuts the particles out of the micrographs: the proof that our
coordinates are RELION's, in MRC and TIFF files alike."""

import json
import re
import shutil
import subprocess
import types

import mrcfile
import numpy as np
import pytest
from micrographs import PIXEL_SIZE, read_picks, write_mrc, write_tiff
from service import Service, Subscriber
from support import DATA, GOLDEN, PROGRAM, needs_data, run

pytestmark = pytest.mark.skipif(
    shutil.which("relion_preprocess") is None, reason="RELION is not installed"
)

MICROGRAPHS_STAR = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographOriginalPixelSize #3
_rlnMicrographPixelSize #4
_rlnVoltage #5
_rlnSphericalAberration #6
_rlnAmplitudeContrast #7
optics 1 {pixel_size} {pixel_size} 300 2.7 0.1

# version 30001

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
{rows}
"""


def relion(*command, cwd):
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, encoding="utf-8",
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def extract(project, names, box, suffix="_autopick.star", picks="Picks", options=()):
    """Makes RELION cut a box around each pick of project/Picks out of project/Micrographs/NAME;
    returns the stacks by name of the micrograph, and what RELION printed."""
    shutil.rmtree(project / "Particles", ignore_errors=True)
    (project / "micrographs.star").write_text(MICROGRAPHS_STAR.format(
        pixel_size=PIXEL_SIZE, rows="\n".join(f"Micrographs/{name} 1" for name in names)),
        encoding="utf-8")
    said = relion("relion_preprocess", "--i", "micrographs.star", "--coord_dir", picks,
                  "--coord_suffix", suffix, "--part_star", "particles.star", "--part_dir",
                  "Particles/", "--extract", "--extract_size", box, *options, cwd=project)
    stacks = {}
    for name in names:
        path = project / "Particles/Micrographs" / f"{name.rpartition('.')[0]}.mrcs"
        if path.exists():
            stacks[name] = mrcfile.read(path)
    return stacks, said


def count_extracted(project, names, coordinates, suffix="_autopick.star"):
    """Number of particles that RELION extracts from these micrographs (paths from the project)."""
    shutil.rmtree(project / "Particles", ignore_errors=True)
    (project / "micrographs.star").write_text(MICROGRAPHS_STAR.format(
        pixel_size=PIXEL_SIZE, rows="\n".join(f"{name} 1" for name in names)), encoding="utf-8")
    said = relion("relion_preprocess", "--i", "micrographs.star", "--coord_dir", coordinates,
                  "--coord_suffix", suffix, "--part_star", "particles.star", "--part_dir",
                  "Particles/", "--extract", "--extract_size", 64, cwd=project)
    found = re.search(r"with (\d+) particles in particles\.star", said)
    return int(found[1]) if found else 0


def boxes(image, picks, size):
    """The pixels around each pick, RELION's way: the centre is pixel size / 2, and beyond the edge
    of the image its last pixels go on."""
    image = np.pad(image, size, mode="edge")
    return np.array([image[y + size - size // 2:, x + size - size // 2:][:size, :size]
                     for x, y in picks[:, :2].astype(int)])


@pytest.fixture(scope="module")
def project(tmp_path_factory, scene):
    """A RELION project: the scene, not square and unlike its mirror images, in both formats, and a
    micrograph without picks. Modes 1 and 6 mean other things to RELION: all are float32."""
    directory = tmp_path_factory.mktemp("relion")
    (directory / "Micrographs").mkdir()
    write_mrc(directory / "Micrographs/bottom_up.mrc", scene.image, "f4")
    write_tiff(directory / "Micrographs/top_down.tif", scene.image, "f4")
    write_mrc(directory / "Micrographs/nothing.mrc", np.zeros((1024, 900), "f4"))
    run("pick", *scene.options, "-o", directory / "Picks/Micrographs", directory / "Micrographs")
    return types.SimpleNamespace(
        directory=directory, picks=read_picks(
            directory / "Picks/Micrographs/bottom_up_autopick.star"))


@pytest.mark.parametrize("name", ["bottom_up.mrc", "top_down.tif"])
@pytest.mark.parametrize("box", [64, 400], ids=["inside", "over_the_edge"])
def test_relion_cuts_out_the_pixels_around_our_picks(project, scene, name, box):
    picks = project.picks
    inside = ((picks[:, :2] >= box // 2) & (picks[:, :2] + box // 2 <= (900, 1024))).all(axis=1)
    assert inside.all() if box == 64 else inside.any() and not inside.all()
    assert np.array_equal(picks, read_picks(
        project.directory / f"Picks/Micrographs/{name.rpartition('.')[0]}_autopick.star"))
    stacks, _ = extract(project.directory, [name], box)
    expected = boxes(scene.image.astype("f4"), picks, box)
    assert stacks[name].shape == (len(picks), box, box)
    assert np.array_equal(stacks[name][inside], expected[inside])
    assert np.array_equal(stacks[name], expected)


# ---- where RELION looks --------------------------------------------------------------------------

@pytest.fixture
def tree(tmp_path, scene):
    """A project with two micrographs in each of three places: in a directory, in that of a job with
    an alias, and behind a link. RELION's own files are not there: nothing but the names tells."""
    project = tmp_path / "project"
    for directory in "Micrographs", "MotionCorr/job002/Movies/GridSquare_1", "../raw":
        (project / directory).mkdir(parents=True)
        for name in "a.mrc", "b.mrc":
            write_mrc(project / directory / name, scene.image, "f4")
    (project / "Linked").symlink_to("../raw")
    (project / "MotionCorr/alias").symlink_to("job002")
    (tmp_path / "way").symlink_to(project)
    return project


MICROGRAPHS = ["Micrographs/a.mrc", "Micrographs/b.mrc"]
MOVIES = ["MotionCorr/job002/Movies/GridSquare_1/a.mrc",
          "MotionCorr/job002/Movies/GridSquare_1/b.mrc"]
LINKED = ["Linked/a.mrc", "Linked/b.mrc"]

LAYOUTS = {
    "plain": (".", "AutoPick/ps", "Micrographs", MICROGRAPHS),
    "slashes": (".", "./AutoPick//ps/", "./Micrographs/", MICROGRAPHS),
    "file": (".", "AutoPick/ps", "Micrographs/a.mrc", MICROGRAPHS[:1]),
    "absolute": ("/", "{project}/AutoPick/ps", "{project}/Micrographs", MICROGRAPHS),
    "from inside": ("Micrographs", "../AutoPick/ps", ".", MICROGRAPHS),
    "another way": (".", "AutoPick/ps", "../way/Micrographs", MICROGRAPHS),
    "all another way": ("..", "way/AutoPick/ps", "way/Micrographs", MICROGRAPHS),
    "job": (".", "AutoPick/ps", "MotionCorr/job002", MOVIES),
    "in a job": (".", "AutoPick/ps", "MotionCorr/job002/Movies/GridSquare_1", MOVIES),
    "above a job": (".", "AutoPick/ps", "MotionCorr", MOVIES),
    "alias": (".", "AutoPick/ps", "MotionCorr/alias/Movies", MOVIES),
    "link": (".", "AutoPick/ps", "Linked", LINKED),
    "behind the link": (".", "AutoPick/ps", "../raw", LINKED),
    "job of its own": (".", "External/job007", "Micrographs", MICROGRAPHS),
    "everything": (".", "AutoPick/ps", ".", MICROGRAPHS + MOVIES + LINKED),
}


def check_list(project, directory, names, count):
    """autopick.star as RELION 4 and 5 read it: the same names, and files with all picks."""
    words = [line.split() for line in (project / directory / "autopick.star").read_text()
             .splitlines() if ".mrc" in line]
    assert sorted(name for name, _ in words) == sorted(names)
    assert sum(len(read_picks(project / path)) for _, path in words) == count


@pytest.mark.parametrize("name", LAYOUTS)
def test_relion_finds_every_particle(tree, scene, name):
    where, out, operand, names = LAYOUTS[name]
    out, operand = (text.format(project=tree) for text in (out, operand))
    done = run("pick", *scene.options, "-o", out, operand, cwd=tree / where)
    picks = sum(map(int, re.findall(r": (\d+) picks in", done.stdout)))
    directory = "External/job007" if "External" in out else "AutoPick/ps"
    assert picks > 20 * len(names)
    assert count_extracted(tree, names, f"{directory}/") == picks
    check_list(tree, directory, names, picks)


def test_a_directory_of_another_name_in_a_project(tree, scene):
    """RELION's file in the project says what it is; outside one, nothing changes."""
    options = ["pick", *scene.options, "-o", "Picks", "Micrographs"]
    run(*options, cwd=tree)
    assert (tree / "Picks/a_autopick.star").exists()
    shutil.rmtree(tree / "Picks")
    (tree / "default_pipeline.star").touch()
    run(*options, cwd=tree)
    picks = len(read_picks(tree / "Picks/Micrographs/a_autopick.star"))
    assert count_extracted(tree, MICROGRAPHS, "Picks/") == 2 * picks
    check_list(tree, "Picks", MICROGRAPHS, 2 * picks)


def test_the_same_micrograph_in_two_jobs(tree, scene):
    """RELION has one place for both. Nothing is overwritten, and RELION 4 and 5 find both."""
    shutil.copytree(tree / "MotionCorr/job002", tree / "MotionCorr/job003")
    run("pick", *scene.options, "-o", "AutoPick/ps", "MotionCorr/job002", "MotionCorr/job003",
        cwd=tree)
    names = MOVIES + [name.replace("job002", "job003") for name in MOVIES]
    files = sorted((tree / "AutoPick/ps").rglob("*_autopick.star"))
    assert len(files) == 4
    check_list(tree, "AutoPick/ps", names, sum(len(read_picks(path)) for path in files))


def test_resume_finds_what_was_written(tree, scene):
    options = ["pick", *scene.options, "-o", "AutoPick/ps", "MotionCorr/job002", "--resume"]
    run(*options, cwd=tree)
    assert "2 done before" in run(*options, cwd=tree).stderr


@pytest.mark.parametrize("directory", ["MotionCorr/job002/Movies", "MotionCorr"])
def test_a_service_in_a_project(tree, scene, directory):
    """What `watch` writes, `export` and `listen` write too, with the list."""
    watched = tree / directory
    with Service(f"input.directories={watched}", f"output.directory={tree}/AutoPick/ps",
                 diameter=f"{scene.diameter}px") as service, Subscriber(service) as subscriber:
        outcomes = subscriber.outcomes(2)
        for outcome in outcomes:
            assert "GridSquare_1/" in outcome.name
        picks = sum(len(outcome.picks) for outcome in outcomes)
        assert picks > 40
        assert count_extracted(tree, MOVIES, "AutoPick/ps/") == picks
        run("export", "-c", service.config, "-o", tree / "AutoPick/exported")
        run("listen", "-c", service.config, "-o", tree / "AutoPick/heard", "--since", 0, "-n", 2)
    for directory in "AutoPick/exported", "AutoPick/heard":
        assert count_extracted(tree, MOVIES, f"{directory}/") == picks
        check_list(tree, directory, MOVIES, picks)


def test_converted_picks_in_a_project(tree, scene):
    """One STAR file of all particles becomes files that RELION finds."""
    run("pick", *scene.options, "-o", "AutoPick/ps", "MotionCorr/job002", cwd=tree)
    run("convert", "AutoPick/ps/autopick.star", "all.star", cwd=tree)
    run("convert", "--format", "star", "all.star", "AutoPick/again/", cwd=tree)
    picks = count_extracted(tree, MOVIES, "AutoPick/ps/")
    assert picks > 40
    assert count_extracted(tree, MOVIES, "AutoPick/again/") == picks
    check_list(tree, "AutoPick/again", MOVIES, picks)


# ---- RELION's list of micrographs ----------------------------------------------------------------

def write_list(path, names, pixel_sizes=(PIXEL_SIZE,)):
    """A micrographs STAR file; each micrograph in turn belongs to the next optics group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = MICROGRAPHS_STAR.format(pixel_size=0, rows="\n".join(
        f'"{name}" {index % len(pixel_sizes) + 1}' for index, name in enumerate(names)))
    groups = [f"optics {number} {size} {size} 300 2.7 0.1"
              for number, size in enumerate(pixel_sizes, 1)]
    path.write_text(text.replace("optics 1 0 0 300 2.7 0.1", "\n".join(groups)), encoding="utf-8")
    return path


def json_of(path):
    return json.loads(path.read_text())["micrograph"]


def test_a_list_of_micrographs(tree, scene):
    """Names stay as they are, from any working directory; each has the pixel size of its group."""
    names = [f"./{MOVIES[0]}", "Micrographs//b.mrc", "MotionCorr/job002/Movies/no.mrc"]
    listed = write_list(tree / "CtfFind/job003/micrographs_ctf.star", names, (PIXEL_SIZE, 2.8))
    formats = ["--format", "star,cryosparc,json"]
    done = run("pick", *scene.options, *formats, "-o", "AutoPick/ps", "CtfFind/job003/micrographs_ctf.star",
               cwd=tree, status=1)
    assert f"{names[2]}: No such file or directory" in done.stderr
    assert "pixel size 1.4 A (STAR file)" in done.stderr and "pixel size 2.8 A (STAR file)" in done.stderr
    below = tree / "AutoPick/ps/Movies/GridSquare_1", tree / "AutoPick/ps/Micrographs"
    picks = sum(len(read_picks(path)) for path in (below[0] / "a_autopick.star", below[1] / "b_autopick.star"))
    check_list(tree, "AutoPick/ps", names[:2], picks)
    assert names[0] in (below[0] / "a_cryosparc.star").read_text()
    first, second = json_of(below[0] / "a_autopick.json"), json_of(below[1] / "b_autopick.json")
    assert (first["path"], first["pixel_size"], first["pixel_size_source"]) == (names[0], 1.4, "star")
    assert (second["path"], second["pixel_size"]) == (names[1], 2.8)

    # From elsewhere, and with a pixel size that is said.
    before = (tree / "AutoPick/ps/autopick.star").read_bytes()
    again = run("pick", *scene.options, *formats, "--resume", "-o", tree / "AutoPick/ps", listed, status=1)
    assert "2 done before" in again.stderr
    assert (tree / "AutoPick/ps/autopick.star").read_bytes() == before
    run("pick", *scene.options, *formats, "--pixel-size", "3", "-o", tree.parent / "out", listed, status=1)
    outside = json_of(tree.parent / "out/MotionCorr/job002/Movies/GridSquare_1/a_autopick.json")
    assert (outside["path"], outside["pixel_size"], outside["pixel_size_source"]) == (names[0], 3, "configuration")
    assert names[0] in (tree.parent / "out/autopick.star").read_text()


def test_a_list_of_version_3_0(tree, scene):
    listed = tree / "micrographs.star"
    listed.write_text("\ndata_\n\nloop_\n_rlnMicrographName #1\n_rlnMagnification #2\n"
                      f"_rlnDetectorPixelSize #3\n{MICROGRAPHS[0]} 10000.000000 2.5\n")
    done = run("pick", *scene.options, "-o", "out", listed, cwd=tree)
    assert "pixel size 2.5 A (STAR file)" in done.stderr


@pytest.mark.parametrize("rows, expected", [
    ("_rlnCoordinateX #1\n1\n", "expected RELION's list of micrographs, a table with _rlnMicrographName"),
    ("_rlnMicrographName #1\n", "no micrographs in this list"),
    ("_rlnMicrographName #1\n_rlnMicrographPixelSize #2\na.mrc wide\n",
     "_rlnMicrographPixelSize: expected a number from 0 to 1000, not wide"),
])
def test_lists_that_are_refused(tmp_path, rows, expected):
    path = tmp_path / "x.star"
    path.write_text(f"data_\n\nloop_\n{rows}")
    assert expected in run("pick", "--diameter", "40px", "-o", tmp_path, path, status=1).stderr


# ---- an External job -----------------------------------------------------------------------------

JOB = """
data_job

_rlnJobType 99
_rlnJobIsContinue 0

data_joboptions_values

loop_
_rlnJobOptionVariable #1
_rlnJobOptionValue #2
fn_exe "{program} relion"
in_mic {micrographs}
param1_label diameter
param1_value {diameter}
param2_label profile
param2_value aspire
nr_threads 2
do_queue No
"""


@pytest.fixture
def job_project(tree):
    (tree / "default_pipeline.star").write_text(
        "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 4\n\n")
    write_list(tree / "CtfFind/job003/micrographs_ctf.star", MOVIES)
    return tree


@pytest.mark.skipif(shutil.which("relion_pipeliner") is None, reason="relion_pipeliner is not installed")
def test_an_external_job(job_project, scene):
    """In RELION's pipeline, with a broken micrograph: RELION extracts every particle."""
    (job_project / MOVIES[1]).write_bytes(b"no micrograph" * 100)
    (job_project / "job.star").write_text(JOB.format(
        program=PROGRAM, micrographs="CtfFind/job003/micrographs_ctf.star", diameter=f"{scene.diameter}px"))
    relion("relion_pipeliner", "--addJobFromStar", "job.star", cwd=job_project)
    relion("relion_pipeliner", "--RunJobs", "External/job004/", "--sec_wait_after", 0, cwd=job_project)
    job = job_project / "External/job004"
    assert (job / "RELION_JOB_EXIT_SUCCESS").exists(), (job / "run.err").read_text()
    picks = len(read_picks(job / "Movies/GridSquare_1/a_autopick.star"))
    assert picks > 20
    nodes = (job / "RELION_OUTPUT_NODES.star").read_text()
    assert re.search(r"_rlnPipeLineNodeType #2\nExternal/job004/coords_suffix_autopick\.star 2$", nodes, re.M)
    assert (job / "coords_suffix_autopick.star").read_text() == "CtfFind/job003/micrographs_ctf.star\n"
    assert count_extracted(job_project, MOVIES, "External/job004/") == picks
    check_list(job_project, "External/job004", MOVIES[:1], picks)


def test_an_external_job_by_hand(job_project, scene):
    """Aborted and continued; of RELION 4, whose pipeline has labels."""
    (job_project / "default_pipeline.star").write_text("loop_\n_rlnPipeLineProcessTypeLabel #3 \n")
    job = job_project / "External/job007"
    job.mkdir(parents=True)
    options = ["relion", "--o", "External/job007/", "--in_mics", "CtfFind/job003/micrographs_ctf.star",
               *scene.options, "--j", 1]

    def markers():
        return [path.name for path in job.glob("RELION_JOB_*")]

    (job / "RELION_JOB_ABORT_NOW").touch()
    done = run(*options, cwd=job_project, status=130)
    assert markers() == ["RELION_JOB_EXIT_ABORTED"] and "interrupted: 0 of 2 picked" in done.stderr
    run(*options, cwd=job_project)
    assert markers() == ["RELION_JOB_EXIT_SUCCESS"]
    assert "2 done before" in run(*options, cwd=job_project).stderr
    nodes = (job / "RELION_OUTPUT_NODES.star").read_text()
    assert "_rlnPipeLineNodeTypeLabel #2\nExternal/job007/autopick.star MicrographsCoords.star.relion.autopick" in nodes
    for wrong in ["--nonsense", "1"], ["--in_mics", "none.star"]:
        run(*options, *wrong, cwd=job_project, status=2 if "--nonsense" in wrong else 1)
        assert markers() == ["RELION_JOB_EXIT_FAILURE"]


def darkness(particles, diameter):
    """How much darker the average particle is than what surrounds it, and the standard error."""
    side = particles.shape[1]
    y, x = np.mgrid[:side, :side] - side // 2
    distance = np.hypot(x, y)
    average = particles.mean(axis=0)
    middle = average[distance < diameter / 4]
    rim = average[(distance > 0.7 * diameter) & (distance < side / 2)]
    return rim.mean() - middle.mean(), rim.std() / np.sqrt(middle.size)


def test_relion_cuts_out_particles(project, scene):
    stacks, _ = extract(project.directory, ["top_down.tif"], 80)
    difference, error = darkness(stacks["top_down.tif"], scene.diameter)
    assert difference > 20 * error


def test_no_picks_do_not_stop_relion(project):
    assert len(read_picks(project.directory / "Picks/Micrographs/nothing_autopick.star")) == 0
    names = ["bottom_up.mrc", "nothing.mrc", "top_down.tif"]
    stacks, said = extract(project.directory, names, 64)
    assert [len(stacks[name]) for name in names if name in stacks] == [len(project.picks)] * 2
    assert "no particles on micrograph: Micrographs/nothing.mrc" in said
    assert f"with {2 * len(project.picks)} particles in particles.star" in said


def test_relion_keeps_our_figure_of_merit(project):
    extract(project.directory, ["bottom_up.mrc"], 64)
    printed = relion("relion_star_printtable", "particles.star", "data_particles",
                     "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit",
                     cwd=project.directory)
    table = np.array([line.split() for line in printed.splitlines()], dtype="f8")
    assert np.allclose(table, project.picks, atol=1e-6)


def test_relion_prints_our_table(project):
    printed = relion("relion_star_printtable", "Picks/Micrographs/bottom_up_autopick.star", "data_",
                     "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit",
                     cwd=project.directory)
    table = np.array([line.split() for line in printed.splitlines()], dtype="f8")
    assert np.array_equal(table, project.picks)


@needs_data
def test_particles_of_a_reference_micrograph(tmp_path):
    """RELION and we read the file of mode 0 alike, and the picks are dark particles."""
    (tmp_path / "Micrographs").mkdir()
    micrograph = tmp_path / "Micrographs/sim2k.mrc"
    shutil.copy(GOLDEN / "sim2k.mrc", micrograph)
    run("pick", "--diameter", "78px", "-o", tmp_path / "Picks/Micrographs", micrograph)
    picks = read_picks(tmp_path / "Picks/Micrographs/sim2k_autopick.star")
    stacks, said = extract(tmp_path, ["sim2k.mrc"], 128)
    particles = stacks["sim2k.mrc"]
    assert re.search(rf"with {len(picks)} particles in particles\.star", said)
    expected = boxes(mrcfile.read(micrograph).astype("f4"), picks, 128)
    assert np.array_equal(particles, expected)
    difference, error = darkness(particles, 78)
    assert difference > 20 * error


def radial_profile(particles):
    """Of the average particle, against its rim, by distance from the middle in px."""
    average = particles.mean(axis=0)
    side = len(average)
    y, x = np.mgrid[:side, :side] - side // 2
    distance = np.hypot(x, y).astype(int)
    inside = distance < side // 2
    sums = np.bincount(distance[inside], average[inside])
    profile = sums / np.bincount(distance[inside])
    return profile - profile[-side // 8:].mean()


@needs_data
def test_the_average_of_what_relion_extracts_is_the_particle(tmp_path):
    """Apoferritin: our picks and the annotated centres give the same particle; picks in the wrong
    place do not. RELION takes mode 6 for signed, so it gets float32."""
    names = []
    for directory in "Micrographs", "Truth/Micrographs", "Mirrored/Micrographs":
        (tmp_path / directory).mkdir(parents=True)
    for path in sorted((DATA / "data/apoferritin").glob("*.mrc")):
        write_mrc(tmp_path / "Micrographs" / path.name, mrcfile.read(path), "f4")
        names.append(path.name)
    assert len(names) == 6
    run("pick", "--diameter", "64px", "-o", tmp_path / "Picks/Micrographs",
        tmp_path / "Micrographs")
    for name in names:
        stem = name.removesuffix(".mrc")
        truth = np.loadtxt(DATA / f"data/apoferritin/{stem}_truth.txt")
        picks = read_picks(tmp_path / f"Picks/Micrographs/{stem}_autopick.star")
        height = len(mrcfile.read(tmp_path / "Micrographs" / name))
        for directory, centres in ("Truth", truth[:, :2]), \
                ("Mirrored", picks[:, :2] * (1, -1) + (0, height - 1)):
            rows = "\n".join(f"{x} {y}" for x, y in centres)
            (tmp_path / directory / f"Micrographs/{stem}_autopick.star").write_text(
                f"\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n{rows}\n\n")
    profiles = {}
    for directory in "Picks", "Truth", "Mirrored":
        stacks, _ = extract(tmp_path, names, 96, picks=directory)
        assert list(stacks) == names
        profiles[directory] = radial_profile(np.concatenate(list(stacks.values())))
    correlation = np.corrcoef(profiles["Picks"], profiles["Truth"])[0, 1]
    print(f"correlation of the radial profiles: {correlation:.4f}")
    assert correlation >= 0.9
    # Annotated centres are some pixels off, which blurs their average; ours is no less clear.
    assert profiles["Picks"].std() > 0.8 * profiles["Truth"].std()
    assert profiles["Mirrored"].std() < 0.3 * profiles["Truth"].std()
