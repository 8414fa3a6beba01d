"""Files of picks that cannot be written: an old one never stands for the new result, the missing
ones are written when that is possible again, and killed processes leave no temporary files."""

import resource
import shutil
import signal

import numpy as np
from micrographs import write_mrc
from support import run

STAR = "synth_000001_autopick.star"


def small_disk():
    """A limit on the size of files stands for the disk: the names and autopick.star fit."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))


def rewrite(path, image):
    """The micrograph with other content."""
    write_mrc(path, np.ascontiguousarray(image[::-1]))


# ---- pick ----------------------------------------------------------------------------------------

def test_pick_removes_what_was_made_of_another_content(tmp_path, scene):
    micrograph = tmp_path / "synth_000001.mrc"
    picks = tmp_path / "picks"
    shutil.copy(scene.path, micrograph)
    command = ["pick", *scene.options, "--format", "star,csv", "--overlay", "-o", picks, micrograph]
    run(*command)
    assert STAR in (picks / "autopick.star").read_text()
    rewrite(micrograph, scene.image)
    done = run(*command, status=1, preexec_fn=small_disk)
    assert f"{STAR}: cannot write: File too large; the earlier file is removed" in done.stderr
    assert sorted(path.name for path in picks.iterdir() if not path.name.startswith(".")) == [
        "autopick.star"]
    assert STAR not in (picks / "autopick.star").read_text()
    run(*command, "--resume")
    assert (picks / STAR).exists() and STAR in (picks / "autopick.star").read_text()


def test_an_earlier_file_that_cannot_be_removed_is_named(tmp_path, scene):
    """A directory of its name stands for it: root removes everything else."""
    picks = tmp_path / "picks"
    (picks / STAR / "full").mkdir(parents=True)
    done = run("pick", *scene.options, "-o", picks, scene.path, status=1)
    assert f"{STAR}: cannot rename a temporary file to this name: Is a directory" in done.stderr
    assert "; the earlier file cannot be removed: Is a directory" in done.stderr
