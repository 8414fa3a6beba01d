"""The programs that are compared: pickstream, its bench tool, and RELION's Laplacian picker.

Every run uses one thread; `parallel` keeps two of them busy. Results are kept for the next caller.
"""

import concurrent.futures
import functools
import json
import pathlib
import shutil
import subprocess
import tempfile
import typing

import mrcfile
import numpy as np
from made import write
from micrographs import read_star

PROCESSES = 2
RELION = "relion_autopick"
RELION_CANDIDATES = -5  # --LoG_adjust_threshold: deviations; far below the threshold by default


class Picked(typing.NamedTuple):
    picks: np.ndarray  # x y score
    unreliable: bool
    seconds: float


def parallel(function, items):
    """The function's results in the order of the items, two at a time."""
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        return list(pool.map(function, items))


def warm(function, runs):
    """Calls a function that keeps its results, so that later calls take no time."""
    parallel(lambda run: function(*run), list(runs))


@functools.cache
def pick(program, path, diameter):
    """What pickstream finds with the settings by default, the diameter in px."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([program, "pick", "--threads", "1", "--diameter", f"{diameter:.6g}px",
                        "--format", "json", "-o", directory, path], check=True, capture_output=True)
        message = json.loads(next(pathlib.Path(directory).glob("*.json")).read_text("utf-8"))
    result = message["result"]
    unreliable = result.get("unreliable") or any(
        warning.startswith("unreliable") for warning in result["warnings"])
    return Picked(np.array(message["picks"], "f8").reshape(-1, 4)[:, :3], bool(unreliable),
                  message["milliseconds"]["total"] / 1000)


@functools.cache
def ablation(tool, rule, path, diameter):
    """The same with a rule of the profile left out; None if the tool cannot do it."""
    try:
        done = subprocess.run([tool, rule, f"{diameter:.6g}px", path], check=True,
                              capture_output=True, encoding="utf-8")
    except (OSError, subprocess.CalledProcessError):
        return None
    lines = [line.split() for line in done.stdout.splitlines()]
    return Picked(np.array(lines[1:], "f8").reshape(-1, 3), lines[0][1:2] == ["unreliable"], 0)


def candidates(tool, path, diameter):
    """All candidates of the hypothesis that won, x y score; None if the tool cannot list them."""
    found = ablation(tool, "everything", path, diameter)
    return found and found.picks


def has_relion():
    return shutil.which(RELION) is not None


@functools.cache
def relion(path, diameter, adjust=0):
    """Picks of RELION's Laplacian of Gaussian, D +- 10 %, x y figure-of-merit. RELION reads mode 6
    as signed, so it gets float32, with 1 angstrom a pixel."""
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        write(directory / "micrograph.mrc", np.squeeze(mrcfile.read(path)))
        subprocess.run([RELION, "--i", "micrograph.mrc", "--odir", "picks/", "--pickname", "log",
                        "--angpix", "1", "--LoG", "--LoG_diam_min", f"{0.9 * diameter:.6g}",
                        "--LoG_diam_max", f"{1.1 * diameter:.6g}",
                        "--LoG_adjust_threshold", f"{adjust}"],
                       cwd=directory, check=True, capture_output=True)
        star = directory / "picks/micrograph_log.star"
        columns = read_star(star) if star.exists() else {}
    if not columns:
        return np.zeros((0, 3))
    return np.column_stack([columns[label] for label in (
        "_rlnCoordinateX", "_rlnCoordinateY", "_rlnAutopickFigureOfMerit")])
