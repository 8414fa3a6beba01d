"""Warnings reach people: one table of codes, in the message, the log, `listen`, `status`, /metrics."""

import os
import re
import signal

import live
import pytest
from micrographs import write_mrc
from service import session
from support import ROOT, run

USUAL = 20  # micrographs until the service knows what is usual


def table():
    """Codes and advice, from the table of the program."""
    text = (ROOT / "include/pickstream.h").read_text()
    rows = text[text.index("#define PS_WARNING_MAP"):text.index("enum ps_warning {")]
    return {code: "".join(re.findall(r'"([^"]*)"', advice)) for code, advice in
            re.findall(r'X\(\w+, (\w+),\s*((?:"[^"]*"\s*)+)\)', rows.replace("\\\n", ""))}


@pytest.fixture(scope="module")
def warned():
    """A session with wrong settings in the end, and its outcomes by name."""
    with session("http.listen=127.0.0.1:0") as (service, subscriber):
        outcomes = {}

        def pick(name, *image, write=live.write):
            write(service, name, *image)
            outcomes[name] = subscriber.replay_until(
                lambda replayed: replayed and replayed[-1].name == name)[-1]

        pick("m00.mrc")
        for index in range(1, USUAL):
            os.link(service.data / "m00.mrc", service.data / f"m{index:02}.mrc")
        subscriber.replay_until(lambda replayed: len(replayed) == USUAL)
        pick("collapsed.mrc", live.dots(rows=[]))
        pick("failed.mrc", write=live.write_failed)
        pick("rejected.mrc", write=live.write_rejected)
        metrics = live.get(live.address(service), "/metrics")[2].decode()
        service.settings |= {"picker.profile": "adaptive"}
        reload(service)
        pick("unreliable.mrc", live.dots(rows=[]))
        service.settings |= {"picker.pixel_size": "1.2", "picker.particle_diameter": "180"}
        reload(service)
        pick("scale.mrc")
        yield service, outcomes, metrics


def reload(service):
    service.write_config()
    service.signal(signal.SIGHUP)
    service.wait_notify("READY=1")


def problems(outcome):
    return {problem["code"]: problem for problem in outcome.header["result"]["problems"]}


def test_the_message_has_code_text_and_advice(warned):
    codes = table()
    assert len(codes) == 11
    for name, outcome in warned[1].items():
        found = problems(outcome)
        assert (name[:-4] in found) == (name != "m00.mrc"), (name, found)
        for code, problem in found.items():
            assert problem["advice"] == codes[code] and problem["text"]
    failed = warned[1]["failed.mrc"]
    assert problems(failed)["failed"]["text"] == failed.reason
    usual = len(warned[1]["m00.mrc"].picks)
    assert problems(warned[1]["collapsed.mrc"])["collapsed"]["text"] == \
        f"0 picks, where the median of the session is {usual}"
    assert problems(warned[1]["scale.mrc"])["scale"]["text"] == \
        "pixel size 1.2 A (configuration), diameter 180 A = 150 px: above a third of the image " \
        "(420 x 460 px)"


def test_the_log_line(warned):
    log = warned[0].log_text()
    line, = (line for line in log.splitlines() if "collapsed.mrc" in line)
    assert " warning event=picked " in line and " count=0 " in line
    assert f' collapsed reason="0 picks, ' in line and table()["collapsed"] in line
    assert " unreliable reason=" in log


def test_listen_says_what_to_do(warned):
    service, outcomes, _ = warned
    lines = run("listen", "--connect", service.endpoint, "--replay", service.replay_endpoint,
                "--since", 0, "--count", USUAL + 5).stdout.splitlines()
    assert len(lines) == USUAL + 5
    for name in "collapsed", "unreliable", "scale":
        line, = (line for line in lines if f" {name}.mrc " in line)
        assert f"{name}: {problems(outcomes[name + '.mrc'])[name]['text']}: " in line
        assert table()[name] in line
    assert not lines[0].endswith('"')


def test_status_and_metrics_count_them(warned):
    service, _, metrics = warned
    for code in "collapsed", "failed", "rejected":
        assert f"\npickstream_warned_{code}_total 1\n" in metrics
    assert "\npickstream_warned_unreliable_total 0\n" in metrics
    age = re.search(r"^pickstream_last_outcome_age_seconds (\d+)$", metrics, re.M)
    assert age and int(age[1]) < 3600
    assert f"warning    1 scale: {table()['scale']}\n" in \
        run("status", "-c", service.config).stdout


def test_the_live_view_gets_all_of_it(warned):
    service, outcomes, _ = warned
    rows = live.get_json(live.address(service), "/api/micrographs")["micrographs"]
    row, = (row for row in rows if row["name"] == "unreliable.mrc")
    assert row["problems"] == outcomes["unreliable.mrc"].header["result"]["problems"]


def test_a_diameter_that_cannot_be_picked_names_both_numbers(tmp_path):
    write_mrc(tmp_path / "a.mrc", live.dots())
    done = run("pick", "--pixel-size", "0.08", "--diameter", "180", "-o", tmp_path,
               tmp_path / "a.mrc", status=1)
    assert "pixel size 0.08 A (configuration), diameter 180 A = 2250 px: above a third" in done.stderr


def test_the_manual_has_every_code():
    manual = (ROOT / "src/man/pickstream-messages.7").read_text()
    section = manual[manual.index(".SH WARNINGS"):manual.index(".SH NOTICES")]
    assert re.findall(r"^\.TP\n\.B (\w+)$", section, re.M) == list(table())
