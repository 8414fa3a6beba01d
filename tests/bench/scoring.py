"""How right picks are where the truth is known.

Picks and true centres are paired by optimal one-to-one assignment within a tolerance, which is
given in true diameters. A pick within half a diameter of an ignored point is neither right nor
wrong, unless it is paired with a particle.
"""

import typing

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

TOLERANCE = 0.3  # diameters; in crowded fields F1 at half a diameter is mostly chance
CHANCE_DISTANCE = 0.7  # diameters between random points
CHANCE_DRAWS = 3
CHANCE_ROUNDS = 20  # each draws as many points as squares of this side fit in the image


class Rates(typing.NamedTuple):
    precision: float
    recall: float
    f1: float


def match(picks, truth, distance):
    """Indices of the right picks, and of the truth of each: as many pairs as possible, and of
    these assignments the one with the smallest sum of distances."""
    distances = cdist(picks[:, :2], truth)
    rows, columns = linear_sum_assignment(np.where(distances <= distance, distances - 1e6, 0))
    near = distances[rows, columns] <= distance
    return rows[near], columns[near]


def near_ignored(micrograph, picks):
    if not len(micrograph.ignored) or not len(picks):
        return np.zeros(len(picks), bool)
    distance, _ = cKDTree(micrograph.ignored).query(picks[:, :2])
    return distance <= micrograph.diameter / 2


def judge(micrograph, picks, tolerance):
    """For each pick 1, 0 or nan: right, wrong, neither."""
    right, _ = match(picks, micrograph.truth, tolerance * micrograph.diameter)
    verdict = np.where(near_ignored(micrograph, picks), np.nan, 0)
    verdict[right] = 1
    return verdict


def rates(micrograph, picks, tolerance=TOLERANCE):
    verdict = judge(micrograph, picks, tolerance)
    right, counted = np.nansum(verdict), np.isfinite(verdict).sum()
    total = counted + len(micrograph.truth)
    return Rates(right / counted if counted else 0,
                 right / len(micrograph.truth) if len(micrograph.truth) else 0,
                 2 * right / total if total else 1)


# ---- candidates and their order ------------------------------------------------------------------

def cumulative(micrograph, candidates, tolerance):
    """Right and counted picks above each threshold, from the highest down. The assignment grows by
    augmenting paths, one candidate at a time: each count is that of an optimal assignment."""
    order = np.argsort(-candidates[:, 2], kind="stable")
    candidates = candidates[order]
    choices = cKDTree(micrograph.truth).query_ball_point(
        candidates[:, :2], tolerance * micrograph.diameter)
    owner = {}

    def assign(candidate, tried):
        for particle in choices[candidate]:
            if particle not in tried:
                tried.add(particle)
                if particle not in owner or assign(owner[particle], tried):
                    owner[particle] = candidate
                    return True
        return False

    right = np.array([assign(k, set()) for k in range(len(candidates))])
    counted = right | ~near_ignored(micrograph, candidates)
    thresholds = np.append(np.flatnonzero(np.diff(candidates[:, 2])), len(candidates) - 1)
    return right.cumsum()[thresholds], counted.cumsum()[thresholds]


def best_cut(micrograph, candidates, tolerance=TOLERANCE):
    """F1 at the threshold that the truth likes best."""
    if not len(candidates) or not len(micrograph.truth):
        return 0.0
    right, counted = cumulative(micrograph, candidates, tolerance)
    return (2 * right / (counted + len(micrograph.truth))).max()


def average_precision(micrograph, candidates, tolerance=TOLERANCE):
    """Area below the curve of precision over recall, the candidates that are not in the list
    counted as never found."""
    if not len(candidates) or not len(micrograph.truth):
        return 0.0
    right, counted = cumulative(micrograph, candidates, tolerance)
    gained = np.diff(right, prepend=0) / len(micrograph.truth)
    return (gained * right / np.maximum(counted, 1)).sum()


# ---- chance --------------------------------------------------------------------------------------

def random_points(random, shape, distance):
    """Points in random order, none nearer to another than a distance, until hardly one more fits;
    with a score that falls in this order."""
    points = np.zeros((0, 2))
    for _ in range(CHANCE_ROUNDS):
        drawn = random.uniform((0, 0), shape[::-1], (int(shape[0] * shape[1] / distance**2), 2))
        if len(points):
            drawn = drawn[cKDTree(points).query(drawn)[0] >= distance]
        kept = np.ones(len(drawn), bool)
        for first, second in sorted(cKDTree(drawn).query_pairs(distance)):
            kept[second] &= not kept[first]
        points = np.concatenate([points, drawn[kept]])
    return np.column_stack([points, -np.arange(len(points))])


def chance(micrograph, tolerance=TOLERANCE):
    """F1 of random points at their best number, mean of several draws."""
    return np.mean([best_cut(micrograph, random_points(
        np.random.default_rng(seed), micrograph.shape, CHANCE_DISTANCE * micrograph.diameter),
        tolerance) for seed in range(CHANCE_DRAWS)])
