"""What the scores promise against what is right: bins, expected calibration error, diagram."""

import typing

import numpy as np

BINS = 10


class Bin(typing.NamedTuple):
    count: int
    promised: float  # mean score
    right: float  # share of the picks


def bins(scores, verdicts):
    """Ten bins of equal width, None where there is no pick; verdicts as scoring.judge gives."""
    counted = np.isfinite(verdicts)
    scores, verdicts = scores[counted], verdicts[counted]
    place = np.clip((BINS * scores).astype(int), 0, BINS - 1)
    return [Bin((place == k).sum(), scores[place == k].mean(), verdicts[place == k].mean())
            if (place == k).any() else None for k in range(BINS)]


def expected_error(rows):
    """Mean distance of promise and truth over all picks."""
    rows = [row for row in rows if row]
    total = sum(row.count for row in rows)
    return sum(row.count * abs(row.promised - row.right) for row in rows) / max(total, 1)


def print_bins(rows):
    for k, row in enumerate(rows):
        if row:
            print(f"  {k / BINS:.1f} to {(k + 1) / BINS:.1f} {row.count:6} {row.promised:7.3f} "
                  f"{row.right:7.3f}")


def draw(rows, path):
    from PIL import Image, ImageDraw

    side, margin = 400, 50
    image = Image.new("RGB", (side + 2 * margin, side + 2 * margin), "white")
    canvas = ImageDraw.Draw(image)

    def at(x, y):
        return margin + side * x, margin + side * (1 - y)

    canvas.rectangle([*at(0, 1), *at(1, 0)], outline="black")
    canvas.line([*at(0, 0), *at(1, 1)], fill="gray")
    for k in range(11):
        x, y = at(k / 10, 0)
        canvas.text((x - 8, y + 6), f"{k / 10:.1f}", fill="black")
        x, y = at(0, k / 10)
        canvas.text((x - 26, y - 6), f"{k / 10:.1f}", fill="black")
    for row in filter(None, rows):
        x, y = at(row.promised, row.right)
        radius = 2 + 2 * np.log10(row.count)
        canvas.ellipse([x - radius, y - radius, x + radius, y + radius], fill="steelblue")
        canvas.text((x - 12, y + radius + 1), str(row.count), fill="black")
    canvas.text((margin, 12), "share of picks that are right (up) by score; error "
                f"{expected_error(rows):.3f}", fill="black")
    image.save(path)
