#!/usr/bin/python3
"""Writes what a service has picked as a dataset that cryoSPARC imports: NAME.cs with a row for each
pick, and NAME.csg, which the job "Import Result Group" takes.

    cryosparc_dataset.py NAME [ENDPOINT [REPLAY]]

By cryoSPARC's convention a centre is a fraction of the width and of the height of the micrograph,
the latter from the end of RELION's y axis. Look at one micrograph in "Inspect Picks" before you
extract. `pickstream export --format cryosparc` writes the STAR file that "Import Particle Stack"
takes instead.
"""

import datetime
import hashlib
import pathlib
import sys

import numpy as np
import numpy.typing as npt

from pickstream import Micrograph, Service, Subscriber, subscribe

GROUP = """created: {created}
group:
  description: picks of pickstream
  name: particles
  title: particles
  type: particle
results:
  location:
    metafile: '>{file}'
    num_items: {count}
    type: particle.location
  pick_stats:
    metafile: '>{file}'
    num_items: {count}
    type: particle.pick_stats
version: v4.0.0
"""


def number(text: str) -> int:
    """The same for the same text, in 64 bits: what links rows."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:8], "little")


def rows(micrograph: Micrograph) -> "npt.NDArray[np.void]":
    assert micrograph.shape
    height, width = micrograph.shape
    path = micrograph.path.encode(errors="surrogateescape")
    table = np.zeros(len(micrograph.picks), [
        ("uid", "<u8"), ("location/micrograph_uid", "<u8"), ("location/exp_group_id", "<u4"),
        ("location/micrograph_path", f"S{len(path)}"), ("location/micrograph_shape", "<u4", (2,)),
        ("location/micrograph_psize_A", "<f4"), ("location/center_x_frac", "<f4"),
        ("location/center_y_frac", "<f4"), ("pick_stats/ncc_score", "<f4")])
    table["uid"] = [number(f"{micrograph.stream} {micrograph.seq} {row}") for row in range(len(table))]
    table["location/micrograph_uid"] = number(micrograph.path)
    table["location/micrograph_path"] = path
    table["location/micrograph_shape"] = micrograph.shape
    table["location/micrograph_psize_A"] = micrograph.pixel_size or 0
    table["location/center_x_frac"] = micrograph.picks["x"] / width
    table["location/center_y_frac"] = 1 - micrograph.picks["y"] / height
    table["pick_stats/ncc_score"] = micrograph.picks["score"]
    return table


def complete(subscriber: Subscriber) -> bool:
    """True if all was received that there is according to the last heartbeat."""
    status = subscriber.status.items()
    return bool(status) and all(subscriber.last[stream] >= header["last_seq"] for stream, header in status)


def main() -> None:
    target = pathlib.Path(sys.argv[1])
    newest = {}  # of each micrograph: a file that was written again has another revision
    with subscribe(*([Service(*sys.argv[2:])] if sys.argv[2:] else []), since=0) as subscriber:
        while not complete(subscriber):
            if micrograph := subscriber.receive(1.0):
                newest[micrograph.stream, micrograph.path] = micrograph
    good = [micrograph for micrograph in newest.values()
            if len(micrograph.picks) and not micrograph.unreliable]
    if not good:
        sys.exit("no picks")
    table = np.concatenate([rows(micrograph) for micrograph in good])
    with target.with_suffix(".cs").open("wb") as stream:
        np.save(stream, table)
    target.with_suffix(".csg").write_text(GROUP.format(
        created=datetime.datetime.now().isoformat(sep=" "), count=len(table),
        file=target.with_suffix(".cs").name))
    print(f"{len(table)} picks of {len(good)} micrographs")


if __name__ == "__main__":
    main()
