#!/usr/bin/python3
"""Writes corpus/message beside this script: headers and arrays as fuzz_message.c takes them.

The same files every time; run it after changing it and commit what it wrote. Needs numpy.
"""

import copy
import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent / "corpus/message"

PICKS = np.array([[1.5, 2.25, 0.75, 100], [1000, 4091, -0.5, 7]], "<f4")
COLUMNS = ["x", "y", "score", "area"]
OUTCOME = {
    "schema": "pickstream/1", "type": "picks", "stream": "0d6e8a7c-33d4-4b5c-9a51-0123456789ab",
    "seq": 1234, "session": "s1",
    "time": {"closed": "2026-05-01T12:34:56.000000Z", "detected": "2026-05-01T12:34:56.500000Z",
             "published": "2026-05-01T12:34:58.250000Z"},
    "micrograph": {"path": "/data/GridSquare_1/x.mrc", "name": "GridSquare_1/x.mrc", "revision": 1,
                   "bytes": 47141504, "format": "mrc", "mode": 12, "shape": [4092, 5760],
                   "frames": 1, "pixel_size": 0.83, "pixel_size_source": "header"},
    "coordinates": {"unit": "px", "unpicked_margin": [1, 2, 3, 4]},
    "picker": {"profile": "aspire", "diameter": 180.0, "diameter_px": 216.9, "device": "cpu"},
    "result": {"status": "picked", "reason": None, "count": 2, "truncated": False,
               "score_median": 0.125, "warnings": ["carbon"]},
    "milliseconds": {"read": 1.5, "score": 12.5, "total": 20},
    "arrays": [{"name": "picks", "dtype": "<f4", "shape": [2, 4], "columns": COLUMNS}],
}


def message(array=PICKS.tobytes(), **changes):
    """OUTCOME with other values: result__count=3 changes result.count."""
    header = copy.deepcopy(OUTCOME)
    for path, value in changes.items():
        *parents, key = path.split("__")
        at = header
        for parent in parents:
            at = at[parent]
        at[key] = value
    return json.dumps(header, separators=(",", ":")).encode() + b"\n" + array


def arrays(**changes):
    return [OUTCOME["arrays"][0] | changes]


def files():
    nothing = {"shape": None, "format": None, "mode": None, "frames": None, "pixel_size": None}
    failed = {"status": "failed", "reason": "cut short", "count": 0}
    yield "picked", message()
    yield "no_picks", message(b"", result__count=0, arrays=arrays(shape=[0, 4]))
    yield "rejected", message(b"", result__status="rejected", result__reason="no signal",
                              result__count=0, arrays=[])
    yield "failed", message(b"", micrograph=OUTCOME["micrograph"] | nothing, result=failed,
                            arrays=arrays(shape=[0, 4]))
    yield "five_columns", message(PICKS.repeat(2).tobytes()[:40], arrays=arrays(
        shape=[2, 5], columns=["area", "z", "y", "x", "score"]))
    yield "another_array_first", message(arrays=[{"name": "mask"}] + OUTCOME["arrays"])
    yield "count_huge", message(result__count=2**60, arrays=arrays(shape=[2**60, 4]))
    yield "count_huge_no_bytes", message(b"", result__count=2**60, arrays=arrays(shape=[2**60, 4]))
    yield "columns_huge", message(arrays=arrays(shape=[2, 2**61]))
    yield "columns_many", message(arrays=arrays(shape=[2, 64], columns=COLUMNS * 16))
    yield "dtype_f8", message(arrays=arrays(dtype="<f8"))
    yield "nan", message(np.full((2, 4), np.nan, "<f4").tobytes())
    yield "cut_array", message(PICKS.tobytes()[:-1])
    yield "shape_huge", message(micrograph__shape=[2**40, 2**40])
    yield "warnings_many", message(result__warnings=["w" * 300] * 20)
    yield "reason_long", message(result__reason="\u20ac" * 200)
    yield "name_out", message(micrograph__name="../../etc/x.mrc")
    yield "types_wrong", message(time=[], picker=7, coordinates="x", milliseconds=None)
    yield "status", (b'{"schema":"pickstream/1","type":"status",'
                     b'"stream":"0d6e8a7c-33d4-4b5c-9a51-0123456789ab","last_seq":7}')
    yield "end", b'{"type":"end","last_seq":9}'
    yield "error", b'{"type":"error","reason":"no such request"}'
    yield "cut_header", message()[:300]
    yield "deep", b"[" * 5000
    yield "deep_object", b'{"arrays":' + b"[" * 1000 + b"]" * 1000 + b"}"
    yield "not_utf8", b'{"type":"\xff\xfe"}'
    yield "zeros", bytes(64)
    yield "empty", b""


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    for name, data in files():
        (HERE / name).write_bytes(data)


if __name__ == "__main__":
    main()
