"""conf/Snakefile, run by Snakemake: many micrographs in shards, killed and resumed, one of them
broken; on a batch system; on several GPUs."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
from micrographs import read_picks
from support import PROGRAM, ROOT, run

SNAKEMAKE = "/usr/bin/snakemake"
pytestmark = pytest.mark.skipif(not os.path.exists(SNAKEMAKE), reason="snakemake is not installed")

PATIENCE = 300  # seconds


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Small micrographs that are picked in a moment."""
    directory = tmp_path_factory.mktemp("images")
    run("synth", "--count", 3, "--size", "400x360", "--diameter", 40, directory)
    return sorted(directory.glob("*.mrc"))


class Project:
    """A directory in which snakemake is run on the micrographs of in/."""

    def __init__(self, directory, images, names):
        self.directory = directory
        self.images = images
        (directory / "in").mkdir()
        for index, name in enumerate(names):
            path = directory / "in" / name
            path.parent.mkdir(exist_ok=True)
            shutil.copy(images[index % len(images)], path)

    def command(self, *options, **config):
        config = {"micrographs": "in", "diameter": 40, "shards": 4, "pickstream": PROGRAM} | config
        return [SNAKEMAKE, "-s", str(ROOT / "conf/Snakefile"), "--cores", "2", *options,
                "--config", *(f"{key}={value}" for key, value in config.items())]

    def start(self, *options, environment=None, **config):
        """Runs it in a process group of its own, its output in a file."""
        with open(self.directory / "log", "wb") as log:
            return subprocess.Popen(self.command(*options, **config), cwd=self.directory,
                                    env=os.environ | (environment or {}), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, start_new_session=True)

    def log(self):
        return (self.directory / "log").read_text(encoding="utf-8")

    def run(self, *options, status=0, **arguments):
        process = self.start(*options, **arguments)
        try:
            assert process.wait(timeout=PATIENCE) == status, self.log()
        finally:
            kill(process)
        return self.log()

    def picked(self):
        """When each file of picks was written, and as which file."""
        return {path.relative_to(self.directory / "picks").as_posix():
                (path.stat().st_mtime_ns, path.stat().st_ino)
                for path in (self.directory / "picks").rglob("*_autopick.*")}

    def read(self, name):
        return (self.directory / "picks" / name).read_text(encoding="utf-8")

    def counts(self):
        """The figures of the report that are whole numbers."""
        figures = self.read("report.txt").split("\n\n")[0].splitlines()
        lines = [line.rsplit(None, 1) for line in figures]
        return {key: int(value) for key, value in lines if value.isdigit()}


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read_merged(path):
    """Rows of the one table of all picks: name, x, y, score."""
    header, rows = path.read_text(encoding="utf-8").split("_rlnMicrographName #1\n")
    assert header.split("\n")[1:] == ["", "data_", "", "loop_", ""]
    labels, lines = rows.splitlines()[:3], rows.splitlines()[3:]
    assert labels == ["_rlnCoordinateX #2", "_rlnCoordinateY #3", "_rlnAutopickFigureOfMerit #4"]
    return [(name, *map(float, numbers)) for name, *numbers in map(str.split, filter(None, lines))]


def stars(names):
    return sorted(f"{pathlib.PurePath(name).with_suffix('')}_autopick.{end}"
                  for name in names for end in ("star", "json"))


def test_killed_and_resumed(tmp_path, images):
    """40 micrographs, one of them broken."""
    names = [f"GridSquare_{number % 2}/x{number:02}.mrc" for number in range(39)]
    project = Project(tmp_path, images, names)
    broken = tmp_path / "in/GridSquare_1/broken.mrc"
    broken.write_bytes(images[0].read_bytes()[:5000])

    process = project.start()
    deadline = time.monotonic() + PATIENCE
    while not tmp_path.joinpath("picks").exists() or len(project.picked()) < 12:
        assert time.monotonic() < deadline
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
    kill(process)
    before = project.picked()
    assert 12 <= len(before) < 2 * 39
    assert not (tmp_path / "picks/report.txt").exists()

    # As the Snakefile describes: it is locked, and continues after --unlock.
    assert "--unlock" in project.run(status=1)
    project.run("--unlock")
    log = project.run("--rerun-incomplete", status=1)
    assert "micrographs failed, see picks/failed.txt" in log
    after = project.picked()
    assert sorted(after) == stars(names)
    # One that was killed between its two files is done again, in each of the two jobs at once.
    redone = {name for name in before if after[name] != before[name]}
    assert len(redone) <= 2
    for name in redone:
        assert pathlib.PurePath(name).with_suffix(".star").as_posix() not in before \
            or pathlib.PurePath(name).with_suffix(".json").as_posix() not in before

    # What there is now: one table, one report.
    reason = f"in/GridSquare_1/{broken.name}: "
    assert project.read("failed.txt").startswith(reason) and len(project.read("failed.txt")) > 60
    assert f"\nfailed:\n  {project.read('failed.txt')}" in project.read("report.txt")
    expected = [(f"in/{name}", *row) for name in sorted(names)
                for row in read_picks(tmp_path / "picks" / stars([name])[1])]
    assert read_merged(tmp_path / "picks/picks.star") == expected
    assert len(expected) > 39 * 5
    assert project.counts() | {"micrographs": 40, "picked": 39, "rejected": 0, "failed": 1,
                               "without picks": 0, "picks": len(expected)} == project.counts()

    listed = [line.split() for line in project.read("autopick.star").splitlines()
              if line.startswith("in/")]
    assert sorted(listed) == [[f"in/{name}", f"picks/{stars([name])[1]}"] for name in sorted(names)]

    # Nothing is left to do but the broken one, once it is mended.
    assert "rule pick" not in project.run("--dry-run")
    shutil.copy(images[0], broken)
    project.run()
    finally_ = project.picked()
    assert sorted(finally_) == stars([*names, "GridSquare_1/broken.mrc"])
    assert {name: finally_[name] for name in after} == after
    assert project.read("failed.txt") == ""
    assert project.counts()["picked"] == 40

    # Other parameters are not mixed with these.
    assert "picks has picks that were made with other parameters, see picks/parameters.txt" \
        in project.run(status=1, diameter=41)
    assert project.picked() == finally_


def test_jobs_of_a_batch_system(tmp_path, images):
    """A stand-in for one runs the jobs. A link to nothing fails, and two files of one stem get picks
    of their own. A job that fails for another reason does not stop the others; the next run does it
    (without the batch system, where a job takes longer to begin)."""
    project = Project(tmp_path, images, ["a.mrc", "b.mrc", "c.mrc", "a.tif"])
    (tmp_path / "in/nothing.mrc").symlink_to("nowhere.mrc")
    (tmp_path / "picks/b_autopick.star/full").mkdir(parents=True)
    batch = ["--cluster-sync", "/bin/sh", "--jobs", "2", "--latency-wait", "0", "--keep-going"]
    project.run(*batch, status=1, shards=2)
    others = sorted(name for name in project.picked() if "b_" not in name)
    two_of_a = [f"a.tif_autopick.{end}" for end in ("json", "star")]
    assert others == two_of_a + stars(["a.mrc", "c.mrc"])
    assert not (tmp_path / "picks/report.txt").exists()
    shutil.rmtree(tmp_path / "picks/b_autopick.star")
    project.run(status=1, shards=2)
    assert sorted(project.picked()) == two_of_a + stars(["a.mrc", "b.mrc", "c.mrc"])
    [failed] = project.read("failed.txt").splitlines()
    assert failed.startswith("in/nothing.mrc: ")
    assert project.counts() | {"picked": 4, "failed": 1} == project.counts()


def test_a_list_of_relion(tmp_path, images):
    """In a project, where the names of picks are not those below the directory."""
    project = Project(tmp_path, images, ["a.mrc", "b.mrc", "c.mrc"])
    (tmp_path / "default_pipeline.star").touch()
    (tmp_path / "in/b.mrc").write_bytes(b"no micrograph" * 100)
    (tmp_path / "micrographs_ctf.star").write_text(
        "data_micrographs\n\nloop_\n_rlnMicrographName #1\n./in/a.mrc\n./in/b.mrc\n")
    project.run(status=1, micrographs="micrographs_ctf.star", shards=1)
    assert {key: project.counts()[key] for key in ("micrographs", "picked", "failed")} \
        == {"micrographs": 2, "picked": 1, "failed": 1}
    assert {row[0] for row in read_merged(tmp_path / "picks/picks.star")} == {"./in/a.mrc"}


def test_each_job_has_a_gpu_of_its_own(tmp_path, images):
    """The program is a stand-in that picks on the CPU, and fails if it finds its GPU in use."""
    project = Project(tmp_path, images, [f"{number}.mrc" for number in range(8)])
    program = tmp_path / "pickstream"
    program.write_text(f"""#!/bin/bash
case "$*" in *--list* | check*) exec {PROGRAM} "$@" ;; esac
mkdir {tmp_path}/busy-$CUDA_VISIBLE_DEVICES || exit 3
[[ "$*" == *"--backend cuda"* ]] || exit 4
{PROGRAM} "${{@/#cuda/cpu}}"
status=$?
mv {tmp_path}/busy-$CUDA_VISIBLE_DEVICES $(mktemp -d {tmp_path}/was-$CUDA_VISIBLE_DEVICES-XXXX)
exit $status
""", encoding="utf-8")
    program.chmod(0o755)
    environment = {"CUDA_VISIBLE_DEVICES": "3,5"}
    # Without --resources gpu=2 four begin at once, and two of them wait.
    project.run("--cores", "4", pickstream=program, gpu="yes", environment=environment)
    assert len(project.picked()) == 16
    used = sorted(path.name[:5] for path in tmp_path.glob("was-*"))
    assert set(used) == {"was-3", "was-5"} and not list(tmp_path.glob("busy-*"))
