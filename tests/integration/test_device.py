"""The service with GPUs: the CUDA backend as it is, on the emulation of tests/emu. Every message
names its device; several cards share the work; a card that fails costs nothing."""

import pytest
from micrographs import write_mrc
from service import refused, session
from support import EMULATED_PROGRAM, needs_emulation
from test_crash import check_exactly_once

pytestmark = needs_emulation

SLOT = 144 << 20  # bytes that a slot takes when it is made: 24 Mi pixels of 2 and of 4 bytes


def gpus(*settings, **environment):
    """A service with emulated GPUs, and a subscriber."""
    return session(*settings, environment=environment, program=EMULATED_PROGRAM)


@pytest.fixture(scope="module")
def micrograph(scene, tmp_path_factory):
    """A small one: every thread of a kernel is a step of the emulation."""
    path = tmp_path_factory.mktemp("small") / "small.mrc"
    return write_mrc(path, scene.image[:280, :256]).read_bytes()


def write(service, micrograph, count):
    names = [f"{index:02}.mrc" for index in range(count)]
    for name in names:
        (service.data / name).write_bytes(micrograph)
    return names


def devices(status):
    return [slot["device"] for slot in status["devices"]]


def test_every_message_names_the_device(micrograph):
    with gpus() as (service, subscriber):
        assert devices(subscriber.status()) == ["cuda:0 Emulated GPU"] * 3
        write(service, micrograph, 1)
        outcome = subscriber.outcome()
        assert outcome.status == "picked"
        assert outcome.header["picker"]["device"] == "cuda:0 Emulated GPU"
        assert service.stop() == 0


def test_several_cards_share_the_work(micrograph):
    with gpus("compute.slots_per_device=1", EMU_DEVICES="3") as (service, subscriber):
        assert devices(subscriber.status()) == [f"cuda:{i} Emulated GPU" for i in range(3)]
        names = write(service, micrograph, 12)
        outcomes = subscriber.outcomes(12)
        check_exactly_once(outcomes, names)
        assert len({outcome.header["picker"]["device"] for outcome in outcomes}) > 1
        first = outcomes[0].picks
        assert all((outcome.picks == first).all() for outcome in outcomes)


def test_cards_that_are_chosen():
    settings = ["compute.devices=2,0", "compute.slots_per_device=1"]
    with gpus(*settings, EMU_DEVICES="3") as (_, subscriber):
        assert devices(subscriber.status()) == ["cuda:2 Emulated GPU", "cuda:0 Emulated GPU"]


@pytest.mark.parametrize(("old", "used"), [(0, 1), (1, 0)])
def test_a_card_that_is_too_old_leaves_the_work_to_the_other(old, used):
    with gpus(EMU_DEVICES="2", EMU_OLD=str(old)) as (service, subscriber):
        assert devices(subscriber.status()) == [f"cuda:{used} Emulated GPU"] * 3
        assert f"cuda:{old}, Emulated GPU: compute capability 6.0" in service.log.read_text()


@pytest.mark.parametrize(
    ("setting", "machine", "reason"),
    [
        ("compute.devices=0,5", "EMU_DEVICES=2", "compute.devices = 5: this machine has 2 GPUs"),
        ("compute.backend=cuda", "EMU_DEVICES=0", "no usable GPU"),
        ("compute.require_gpu=yes", "EMU_DEVICES=0", "compute.require_gpu: no usable GPU"),
        ("compute.backend=cuda:1", "EMU_DEVICES=1", "no cuda:1: this machine has 1 GPU"),
        ("compute.backend=cuda", "EMU_DRIVER=0", "no NVIDIA driver"),
        (
            "compute.backend=cuda",
            "EMU_DRIVER=12040",
            "the NVIDIA driver supports CUDA 12.4; 13.0 or newer is needed",
        ),
    ],
)
def test_cards_that_cannot_be_used(setting, machine, reason):
    environment = dict([machine.split("=")])
    status, log = refused(setting, environment=environment, program=EMULATED_PROGRAM)
    assert status == 1
    assert reason in log


def test_auto_says_why_it_computes_on_the_cpu(micrograph):
    with gpus(EMU_DEVICES="0") as (service, subscriber):
        assert devices(subscriber.status())[0].startswith("cpu ")
        assert "event=gpu_not_used" in service.log_text()
        write(service, micrograph, 1)
        assert subscriber.outcome().header["picker"]["device"].startswith("cpu ")


def test_a_card_with_little_memory_gets_fewer_slots(micrograph):
    """Two slots fit; a third does not."""
    memory = 2 * SLOT + (100 << 20)
    with gpus("compute.slots_per_device=5", EMU_MEMORY=str(memory)) as (service, subscriber):
        assert len(subscriber.status()["devices"]) == 2
        assert "event=fewer_slots slots=2" in service.log_text()
        write(service, micrograph, 1)
        assert subscriber.outcome().status == "picked"


def test_slots_that_cannot_pick_leave_it_to_the_others(micrograph):
    """Both slots were opened, but the card has no memory for two micrographs at once."""
    memory = 2 * SLOT + (450 << 10)
    with gpus("compute.slots_per_device=2", EMU_MEMORY=str(memory)) as (service, subscriber):
        assert len(subscriber.status()["devices"]) == 2
        write(service, micrograph, 6)
        outcomes = subscriber.outcomes(6)
        assert {outcome.status for outcome in outcomes} == {"picked"}
        assert len(subscriber.status()["devices"]) == 1
        assert "event=fewer_slots slots=1" in service.log_text()


def test_a_larger_camera_than_the_card_has_memory_for(micrograph, scene, tmp_path):
    """P43: those micrographs fail, and say why; the others are picked as before."""
    memory = SLOT + (900 << 10)
    large = write_mrc(tmp_path / "large.mrc", scene.image[:840, :800]).read_bytes()
    with gpus("compute.slots_per_device=1", EMU_MEMORY=str(memory)) as (service, subscriber):
        outcomes = []
        for name, content in ("a", micrograph), ("b", large), ("c", large), ("d", micrograph):
            (service.data / f"{name}.mrc").write_bytes(content)
            outcomes.append(subscriber.outcome())
        assert [outcome.status for outcome in outcomes] == ["picked", "failed", "failed", "picked"]
        assert all("memory" in outcome.reason for outcome in outcomes[1:3])
        assert (outcomes[0].picks == outcomes[3].picks).all()
        assert outcomes[3].header["picker"]["device"].startswith("cuda:0 ")


def test_a_card_that_fails_ends_the_service(micrograph):
    """P42: nothing that it computed afterwards is published; the next start picks what is left."""
    with gpus("compute.slots_per_device=2", EMU_FAIL="launch:400") as (service, subscriber):
        names = write(service, micrograph, 30)
        assert service.wait() == 1
        assert "event=device_failed" in service.log_text()
        service.environment = {}
        service.start()
        outcomes = subscriber.replay_until(lambda outcomes: len(outcomes) >= 30)
        check_exactly_once(outcomes, names)
        assert {outcome.status for outcome in outcomes} == {"picked"}
        assert all((outcome.picks == outcomes[0].picks).all() for outcome in outcomes)
        assert service.stop() == 0


def test_the_cpu_takes_over(micrograph):
    """P42"""
    settings = ["compute.slots_per_device=2", "compute.on_device_error=cpu"]
    with gpus(*settings, EMU_FAIL="launch:400") as (service, subscriber):
        names = write(service, micrograph, 30)
        outcomes = subscriber.outcomes(30)
        check_exactly_once(outcomes, names)
        assert {outcome.status for outcome in outcomes} == {"picked"}
        assert outcomes[-1].header["picker"]["device"].startswith("cpu ")
        status = subscriber.status(lambda status: status["totals"]["picked"] == 30)
        assert len(status["devices"]) == 1
        assert status["devices"][0]["device"].startswith("cpu ")
        log = service.log_text()
        assert log.count("event=device_failed") == 1
        assert log.count("event=continues_on_cpu") == 1
        assert service.stop() == 0
