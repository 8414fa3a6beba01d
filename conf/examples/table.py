#!/usr/bin/python3
"""A running table of what services pick: a line for each micrograph, with the sums of its stream.

    table.py [ENDPOINT...]
"""

import collections
import sys

import numpy as np

from pickstream import subscribe

LINE = "{:8} {:>6} {:40} {:9} {:>6} {:>6} {:>8} {:>9}"
micrographs: "collections.Counter[str]" = collections.Counter()
picks: "collections.Counter[str]" = collections.Counter()

print(LINE.format("stream", "seq", "micrograph", "status", "picks", "median", "picked", "all picks"))
for micrograph in subscribe(*sys.argv[1:]):
    count = len(micrograph.picks)
    micrographs[micrograph.stream] += micrograph.status == "picked"
    picks[micrograph.stream] += count
    median = f"{np.median(micrograph.picks['score']):.2f}" if count else "-"
    print(LINE.format(micrograph.stream[:8], micrograph.seq, micrograph.name[-40:],
                      "uncertain" if micrograph.unreliable else micrograph.status, count, median,
                      micrographs[micrograph.stream], picks[micrograph.stream]), flush=True)
