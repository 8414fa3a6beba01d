"""Single faults of the machine, by the libraries of tests/campaign: what each command makes of them."""

import array
import errno
import os
import shutil
import subprocess

import pytest
from support import BUILD, PROGRAM, SANITIZER, run

CALLS = BUILD / "tests/campaign/fault_calls.so"
ALLOCATIONS = BUILD / "tests/campaign/fail_alloc.so"

pytestmark = pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer wants to be loaded first")


def failing(tmp_path, call, number, code, count=1):
    """The environment of a process in which calls fail with an error."""
    page = tmp_path / "page"
    page.write_bytes(bytes(65 * 8))
    return os.environ | {
        "LD_PRELOAD": str(CALLS), "PS_FAULT_PAGE": str(page), "PS_FAULT_CALL": call,
        "PS_FAULT_NUMBER": str(number), "PS_FAULT_COUNT": str(count),
        "PS_FAULT_ERRNO": str(getattr(errno, code))}


@pytest.mark.parametrize("code", ["EMFILE", "ENFILE", "ENOMEM", "EIO"])
def test_a_shortage_is_not_the_users_mistake(tmp_path, code):
    """Exit status 2 would tell systemd not to try again."""
    config = tmp_path / "pickstream.ini"
    config.write_text("[picker]\nparticle_diameter = 64px\n")
    assert run("check", "-c", config).stdout == "configuration OK\n"
    done = run("check", "-c", config, status=1, env=failing(tmp_path, "fopen", 1, code))
    assert done.stderr == f"{config}: cannot open: {os.strerror(getattr(errno, code))}\n"
    assert "no such" in run("check", "-c", tmp_path / "none.ini", status=2).stderr.lower()


@pytest.mark.parametrize("code", ["EMFILE", "ENOMEM"])
def test_a_key_that_cannot_be_read_now(tmp_path, code):
    run("keygen", tmp_path)
    keys = ["--curve-key", tmp_path / "curve.key", "--curve-server", tmp_path / "curve.pub"]
    listen = ["listen", "--connect", "ipc:///none", "--replay", "ipc:///none"]
    done = run(*listen, *keys, status=1, env=failing(tmp_path, "fopen", 1, code))
    assert f"{tmp_path}/curve.key: {os.strerror(getattr(errno, code))}" in done.stderr
    keys[1] = tmp_path / "none.key"
    assert "none.key: No such file" in run(*listen, *keys, status=2).stderr


@pytest.mark.parametrize("code", ["EIO", "ESTALE", "EACCES", "ENOMEM"])
def test_a_directory_that_cannot_be_looked_at(tmp_path, scene, code):
    """It is no micrograph."""
    assert run("pick", "--list", scene.path.parent).stdout == f"{scene.path}\n"
    done = run("pick", "--list", scene.path.parent, status=1,
               env=failing(tmp_path, "stat", 1, code))
    assert done.stdout == ""
    assert f"{scene.path.parent}: {os.strerror(getattr(errno, code))}" in done.stderr


def test_a_permission_that_is_back(tmp_path, scene):
    """A share refuses to open the micrograph, once: it is tried again, and picked."""
    done = run("pick", *scene.options, "-o", tmp_path / "out", scene.path,
               env=failing(tmp_path, "open", 1, "EACCES"))
    assert array.array("Q", (tmp_path / "page").read_bytes())[-1] == 1
    assert f"{scene.path}: " in done.stdout


def test_two_files_of_picks_that_cannot_be_written(tmp_path, scene):
    """The first is named; the second one must not end the program."""
    done = run("pick", *scene.options, "--format", "star,box,csv", "-o", tmp_path / "out",
               scene.path, status=1, env=failing(tmp_path, "renameat", 1, "ENOSPC", 10))
    assert "No space left on device" in done.stderr


def fail_each_allocation(tmp_path, *command):
    """Each allocation fails once: the output is whole, or the exit status says that it is not.
    Returns the whole one."""
    page = tmp_path / "page"
    environment = os.environ | {"LD_PRELOAD": str(ALLOCATIONS), "PS_FAULT_PAGE": str(page)}
    number, failed, good = 0, 1, None
    while failed:
        page.write_bytes(bytes(65 * 8))
        done = subprocess.run([PROGRAM, *map(str, command)], check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              env=environment | {"PS_FAULT_NUMBER": str(number)})
        good = good or done.stdout
        failed = number == 0 or array.array("Q", page.read_bytes())[-1]
        assert done.returncode in (0, 1)
        assert done.stdout == good if done.returncode == 0 else done.stderr
        number += 1
    assert number > 10
    return good


def test_a_search_without_memory(tmp_path, scene):
    for name in "a/b/x.mrc", "a/y.mrc", "c/z.mrc":
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(scene.path, tmp_path / "data" / name)
    good = fail_each_allocation(tmp_path, "pick", "--list", tmp_path / "data")
    assert good.count(b"\n") == 3


def test_a_template_without_memory(tmp_path):
    assert b"# Accepted: yes or no" in fail_each_allocation(tmp_path, "check", "--template")
