"""RELION reads our STAR files and cuts the particles out of the micrographs: the proof that our
coordinates are RELION's, in MRC and TIFF files alike."""

import re
import shutil
import subprocess
import types

import mrcfile
import numpy as np
import pytest
from micrographs import PIXEL_SIZE, read_picks, write_mrc, write_tiff
from service import Service, Subscriber
from support import DATA, GOLDEN, needs_data, run

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
