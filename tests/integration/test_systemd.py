"""The unit of the service as it is installed: what systemd says about it, and that it agrees with
the configuration. P44 is tested with the service itself; P46 and P49 are what the unit must not
prevent: the share that is mounted later, and the GPU."""

import configparser
import json
import os
import re
import shutil

import pytest
from support import ROOT, run
from test_library import execute, make

UNIT = "lib/systemd/system/pickstream.service"


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program}")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed where it really is, so that what the unit starts exists."""
    directory = tmp_path_factory.mktemp("usr")
    make("install", f"PREFIX={directory}", "DESTDIR=")
    return directory


@pytest.fixture(scope="module")
def unit(prefix):
    """Keys of the unit's sections; a key that stands twice has the values of both, by line."""
    sections, section = {}, None
    for line in (prefix / UNIT).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section[key] = f"{section[key]}\n{value}" if key in section else value
    return sections


@needs("systemd-analyze")
def test_systemd_finds_no_fault(prefix):
    environment = os.environ | {"MANPATH": f"{prefix}/share/man", "SYSTEMD_LOG_LEVEL": "notice"}
    man = "yes" if shutil.which("man") else "no"
    done = execute("systemd-analyze", "verify", f"--man={man}", prefix / UNIT, env=environment)
    assert (done.stdout, done.stderr) == ("", "")


@needs("systemd-analyze")
@pytest.mark.parametrize("line", ["ExecStart=/nonexistent/pickstream", "WatchdogSex=60"])
def test_systemd_would_find_a_fault(prefix, tmp_path, line):
    text = (prefix / UNIT).read_text(encoding="utf-8")
    broken = tmp_path / "pickstream.service"
    key = line.partition("=")[0]
    broken.write_text(re.sub(f"^({key}=.*|WatchdogSec=.*)$", line, text, count=1, flags=re.M),
                      encoding="utf-8")
    done = execute("sh", "-c", 'systemd-analyze verify --man=no "$0" 2>&1 || true', broken)
    assert line.partition("=")[2 if "nonexistent" in line else 0] in done.stdout


@needs("systemd-analyze")
def test_exposure(prefix):
    done = execute("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager",
                   prefix / UNIT)
    exposure = re.search(r"Overall exposure level for pickstream.service: ([\d.]+)", done.stdout)
    assert float(exposure[1]) <= 2.0
    table = json.loads(execute("systemd-analyze", "security", "--offline=yes", "--json=short",
                               prefix / UNIT).stdout)
    # What is open is open on purpose.
    opened = {row["name"] for row in table if row["exposure"] and float(row["exposure"]) > 0}
    assert opened <= {
        "RootDirectory=/RootImage=", "PrivateDevices=", "DeviceAllow=", "MemoryDenyWriteExecute=",
        "RestrictAddressFamilies=~AF_UNIX", "RestrictAddressFamilies=~AF_(INET|INET6)",
        "ProtectHome=", "ProcSubset=", "PrivateNetwork=", "PrivateUsers=", "IPAddressDeny=",
        "UMask=",
    }


def test_hardening_hides_neither_gpu_nor_micrographs(unit):
    service = unit["Service"]
    assert service["DevicePolicy"] == "closed"
    assert "char-nvidia*" in service["DeviceAllow"]
    assert not {"PrivateDevices", "ProcSubset", "PrivateNetwork", "RootDirectory"} & set(service)
    assert service["ProtectHome"] == "read-only"
    assert service["ProtectSystem"] == "strict"
    # A share that comes late is waited for by the program, not missed by the unit.
    assert "remote-fs.target" in unit["Unit"]["After"].split()
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def seconds(text):
    number, factor = re.fullmatch(r"(\d+)(min|)", text).groups()
    return int(number) * (60 if factor else 1)


def test_unit_agrees_with_the_configuration(prefix, unit):
    service = unit["Service"]
    config = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None)
    config.read_string(run("check", "--print", "--diameter", "64px").stdout)
    assert seconds(service["TimeoutStopSec"]) > float(config["service"]["drain_seconds"])
    state = config["service"]["state_directory"]
    assert state == f"/var/lib/{service['StateDirectory'].split()[0]}"
    # Picks go to a directory of their own that the service may write to.
    assert config["output"]["directory"] == "."
    assert service["WorkingDirectory"] == f"%S/{service['StateDirectory'].split()[1]}"
    assert service["Type"] == "notify" and int(service["WatchdogSec"]) > 0
    assert service["Restart"] == "on-failure" and service["RestartPreventExitStatus"] == "2"
    assert service["ExecReload"].split()[1:] == ["-HUP", "$MAINPID"]
    program, command, option, file = service["ExecStart"].split()
    assert (command, option, file) == ("watch", "-c", "/etc/pickstream/pickstream.ini")
    assert program == f"{prefix}/bin/pickstream" and os.access(program, os.X_OK)


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
def test_user_and_directories(prefix, tmp_path):
    files = prefix / "lib/sysusers.d/pickstream.conf", prefix / "lib/tmpfiles.d/pickstream.conf"
    if os.geteuid() != 0:
        done = execute("systemd-sysusers", "--dry-run", files[0])
        assert "pickstream" in done.stdout + done.stderr
        pytest.skip("only root can create files of root")
    # The template lies where the unit's prefix says, seen from the root.
    template = tmp_path / str(prefix).lstrip("/") / "share/pickstream/pickstream.ini"
    template.parent.mkdir(parents=True)
    shutil.copy(prefix / "share/pickstream/pickstream.ini", template)
    (tmp_path / "etc").mkdir()
    for program, file in zip(("systemd-sysusers", "systemd-tmpfiles"), files):
        arguments = ["--create"] if program.endswith("tmpfiles") else []
        done = execute(program, f"--root={tmp_path}", *arguments, file)
        assert "rror" not in done.stderr and "gnoring" not in done.stderr, done.stderr

    users = (tmp_path / "etc/passwd").read_text(encoding="utf-8")
    user = re.search(r"^pickstream:[^:]*:(\d+):(\d+):[^:]*:/var/lib/pickstream:.*/nologin$", users,
                     re.M)
    assert user
    config = tmp_path / "etc/pickstream/pickstream.ini"
    assert config.read_bytes() == (ROOT / "conf/pickstream.ini").read_bytes()
    assert oct(config.stat().st_mode) == "0o100644"
    keys = (tmp_path / "etc/pickstream/keys").stat()
    assert (oct(keys.st_mode), keys.st_uid, keys.st_gid) == ("0o40750", 0, int(user[2]))

    config.write_text("[picker]\nparticle_diameter = 180\n", encoding="utf-8")
    execute("systemd-tmpfiles", f"--root={tmp_path}", "--create", files[1])
    assert config.read_text(encoding="utf-8") == "[picker]\nparticle_diameter = 180\n"
