"""Runs scenarios with a library that makes calls fail, and reports what is violated."""

import array
import shutil

import campaign as c
import scenarios

PAGE = 65 * 8  # bytes of the counters, preload.h


class Bench:
    """The scenarios, how each goes undisturbed, and how many calls of each kind it makes."""

    def __init__(self, campaign, lab, library):
        self.campaign = campaign
        self.library = c.library(library)
        self.scenarios = scenarios.all_of(lab)
        self.good = {}
        self.known = {}
        self.number = 0
        self.order = []

    def choose(self):
        """Every scenario as often, in an order of chance."""
        if not self.order:
            self.order = list(self.scenarios)
            self.campaign.random.shuffle(self.order)
        return self.order.pop()

    def run(self, scenario, **variables):
        """The result, the counters of the calls, and the stack of the one that failed."""
        self.number += 1
        where = self.campaign.directory / f"run{self.number}"
        where.mkdir()
        page, trace = where.with_suffix(".page"), where.with_suffix(".stack")
        page.write_bytes(bytes(PAGE))
        environment = c.preloaded(self.library, PS_FAULT_PAGE=str(page), PS_FAULT_TRACE=str(trace),
                                  **variables)
        result = scenario.run(where, environment)
        *calls, failed = array.array("Q", page.read_bytes())
        return result, calls, failed, where

    def remove(self, where):
        shutil.rmtree(where, ignore_errors=True)
        for suffix in ".page", ".stack":
            where.with_suffix(suffix).unlink(missing_ok=True)

    def calls(self, scenario):
        """How many calls of each kind it makes; runs it undisturbed at first."""
        if scenario.name not in self.good:
            result, calls, _, where = self.run(scenario)
            if result.done.status not in (0, 1) or result.problems:
                raise c.Violation(f"{scenario.name} without faults: {result.done.status}: "
                                  f"{result.problems} {result.done.err.decode(errors='replace')}")
            self.good[scenario.name], self.known[scenario.name] = result, calls
            (self.campaign.directory / f"{scenario.name}.good").write_bytes(
                result.outputs.get("stdout", b""))
            self.remove(where)
        return self.known[scenario.name]

    def disturb(self, scenario, what, may_refuse=False, **variables):
        """One run with a fault. Keeps its directory if something is violated."""
        result, _, failed, where = self.run(scenario, **variables)
        self.campaign.count("runs")
        self.campaign.count("faults", failed)
        if ended_by_zmq(result.done):
            self.campaign.count("ended by libzmq")
            self.remove(where)
            return
        problems = scenarios.problems_of(scenario, result, self.good[scenario.name], may_refuse)
        for problem in problems:
            self.campaign.violated(f"{scenario.name}, {what}: {problem} ({where})")
        if problems:
            where.with_suffix(".err").write_bytes(result.done.err)
            for name, content in result.outputs.items():
                if not name.startswith("file "):
                    where.with_suffix(f".{name}").write_bytes(content)
        else:
            self.remove(where)


def ended_by_zmq(done):
    """libzmq names its source file and line, and aborts, where a system call fails that it needs."""
    return done.status == -6 and b"(src/" in done.err
