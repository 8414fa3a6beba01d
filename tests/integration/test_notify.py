"""notify.command: what a service tells people, with a program that listens and one that hangs."""

import datetime
import pathlib

import micrographs
import numpy as np
import pytest
from notices import Notices
from service import session


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    pixels = np.random.default_rng(3).normal(100, 10, (420, 420)).astype(np.float32)
    return micrographs.write_mrc(tmp_path_factory.mktemp("noise") / "x.mrc", pixels).read_bytes()


def test_a_session(tmp_path, noise):
    """From its beginning to its end, with a share that goes and comes back."""
    before = f"""[ $# -eq 2 ] && [ "$1" = "two words" ] && [ "$2" = '$(false)' ] || exit 9
    [ -z "$NOTIFY_SOCKET" ] && [ "$(ls /proc/self/fd | wc -l)" -eq 4 ] || exit 8"""
    settings = ["picker.profile=adaptive", "publish.session=grid 7", "notify.interval_seconds=0",
                "notify.idle_seconds=1"]
    with Notices(tmp_path, before) as notices, session(*settings, notices.setting) as (service, observer):
        (service.data / "x.mrc").write_bytes(noise)
        observer.outcome()
        began = notices.next("session_began")
        assert (began["schema"], began["type"], began["count"]) == ("pickstream/1", "notice", 1)
        assert began["session"] == "grid 7" and began["stream"] == began["status"]["stream"]
        assert began["status"]["last_seq"] == 1
        unreliable = notices.next("unreliable")
        assert unreliable["count"] == 1 and "check the diameter" in unreliable["text"]
        idle = notices.next("session_idle")
        assert "in the journal: 1 picked, 0 rejected, 0 failed" in idle["text"]
        service.data.rename(service.home / "gone")
        gone = notices.next("share_gone")
        assert gone["text"] == f"{service.data} is missing: No such file or directory"
        (service.home / "gone").rename(service.data)
        assert notices.next("share_back")["text"] == f"{service.data} is back"
        configuration = observer.ask(request="hello")[0]
        assert b"idle_seconds" in configuration and b"tell me" not in configuration
        assert service.stop() == 0
        assert "event=notify_failed" not in service.log_text()


def test_the_same_event_again_waits(tmp_path, noise):
    """What happens within the interval is one notice, with the number of events."""
    with Notices(tmp_path) as notices, session(
            "picker.profile=adaptive", notices.setting, "notify.interval_seconds=1.5") as (service, observer):
        for number in range(8):
            (service.data / f"{number}.mrc").write_bytes(noise)
        observer.outcomes(8)
        times, count = [], 0
        while count < 8:
            notice = notices.next("unreliable")
            times.append(datetime.datetime.fromisoformat(notice["time"].replace("Z", "+00:00")))
            count += notice["count"]
        assert count == 8
        pauses = [(after - before).total_seconds() for before, after in zip(times, times[1:])]
        assert all(pause > 1.4 for pause in pauses), pauses


def living(group):
    """Processes of the group, but for those that are only waited for."""
    states = [path.read_text().rpartition(")")[2].split() for path in pathlib.Path("/proc").glob("[0-9]*/stat")
              if path.exists()]
    return [state for state in states if state[2] == str(group) and state[0] != "Z"]


def test_a_program_that_hangs(tmp_path, noise):
    """It is killed with its children, and the service continues meanwhile; so do later notices."""
    before = f"echo $$ >> '{tmp_path}/pids'; [ -e '{tmp_path}/once' ] || {{ touch '{tmp_path}/once'; sleep 1000; }}"
    with Notices(tmp_path, before) as notices, \
            session(notices.setting, "notify.timeout_seconds=0.3", "notify.interval_seconds=0",
                    "input.poll_seconds=0.2", "input.poll=always") as (service, observer):
        (service.data / "x.mrc").write_bytes(noise)
        assert observer.outcome().seq == 1
        service.data.rename(service.home / "gone")
        assert notices.next()["event"] == "share_gone"
        hung = int((tmp_path / "pids").read_text().split()[0])
        assert not living(hung)
        assert "event=notify_failed notice=session_began" in service.log_text()
        assert "killed, as it did not end in time" in service.log_text()


@pytest.mark.parametrize("command, reason", [
    ("/no/such/program", "No such file or directory"), ("/bin/false", "ended with status 1")])
def test_a_program_that_fails(noise, command, reason):
    """It is logged once, and nothing else happens."""
    with session(f"notify.command={command}") as (service, observer):
        (service.data / "x.mrc").write_bytes(noise)
        observer.outcome()
        status = observer.status(lambda status: "notify_failed" in (status["last_error"] or {}).get("text", ""))
        assert f"{command}: {reason}" in status["last_error"]["text"]
        assert service.stop() == 0
