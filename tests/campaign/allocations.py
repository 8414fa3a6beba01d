#!/usr/bin/python3
"""The N-th allocation fails, in every command: fail_alloc.c.

Violations: an end by a signal, a hang, exit status 0 with output that is missing or differs, a
micrograph that failed for it, a value that is null or 0 where it should not be, exit status 2.
libzmq, FFTW and libsvm are spared: they end the process by design.
"""

import campaign as c
import faulty
import scenarios

MAX_NUMBER = 3000  # allocations of a command that are tried; those of a service have no end


def work(campaign):
    lab = scenarios.Lab(campaign.directory)
    try:
        bench = faulty.Bench(campaign, lab, "fail_alloc")
        while campaign.goes_on():
            scenario = bench.choose()
            last = min(bench.calls(scenario)[0], MAX_NUMBER)
            number = campaign.random.randrange(1, last + 1)
            several = campaign.random.choice([1, 1, 1, 5, 20])
            bench.disturb(scenario, f"allocation {number}, {several} in all",
                          PS_FAULT_NUMBER=str(number), PS_FAULT_COUNT=str(several))
    finally:
        lab.end()


if __name__ == "__main__":
    c.main(work)
