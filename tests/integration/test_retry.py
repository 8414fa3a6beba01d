"""pickstream retry: what failed is picked once more, with the service running and without."""

import pytest
from service import Service, Subscriber, session
from support import run


@pytest.fixture
def failed():
    """A running service with two micrographs that failed."""
    with session() as (service, subscriber):
        for name in "a.mrc", "b.mrc":
            (service.data / name).write_bytes(b"junk" * 1000)
        outcomes = subscriber.outcomes(2)
        assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
        yield service, subscriber


def retry(service, *paths):
    return run("retry", "-c", service.config, *paths).stdout.splitlines()


def test_all_of_them(failed):
    service, subscriber = failed
    assert retry(service) == ["2 micrographs to be picked again"]
    assert {outcome.name for outcome in subscriber.outcomes(2)} == {"a.mrc", "b.mrc"}


@pytest.mark.parametrize("by_path", [True, False])
def test_one_of_them(failed, by_path):
    service, subscriber = failed
    assert retry(service, service.data / "b.mrc" if by_path else "b.mrc") == \
        ["1 micrograph to be picked again"]
    again = subscriber.outcome()
    assert (again.seq, again.name, again.header["micrograph"]["attempt"]) == (3, "b.mrc", 2)


def test_what_has_not_failed_is_not_counted(failed):
    service, _ = failed
    assert retry(service, "c.mrc", "") == ["0 micrographs to be picked again"]


def test_without_the_service(failed):
    service, _ = failed
    assert service.stop() == 0
    assert retry(service, "a.mrc") == ["1 micrograph to be picked again when the service starts"]
    assert retry(service, "a.mrc") == ["0 micrographs to be picked again when the service starts"]
    service.start()
    with Subscriber(service) as subscriber:
        outcomes = subscriber.connected().replay_until(bool, since=2)
    assert [outcome.name for outcome in outcomes] == ["a.mrc"]


def test_no_state_directory(tmp_path):
    done = run("retry", "--set", f"service.state_directory={tmp_path}/none", status=1)
    assert f"{tmp_path}/none" in done.stderr


def test_a_directory_without_a_journal(tmp_path):
    """Nothing failed there."""
    service = Service(directory=tmp_path)
    assert retry(service) == ["0 micrographs to be picked again when the service starts"]
