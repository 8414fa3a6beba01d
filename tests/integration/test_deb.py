"""`make deb`: what lintian says about the packages, and the life of one in a clean Debian, from its
installation to the purge. The latter fetches that Debian from its mirror, about 60 MB;
PICKSTREAM_DEB=0 leaves it out."""

import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest
from support import SANITIZER
from test_library import execute, make

MIRROR = "http://deb.debian.org/debian"
DIRECTORY = "build/check-deb"

pytestmark = [
    pytest.mark.skipif(not shutil.which("dh"), reason="debhelper is not installed"),
    pytest.mark.skipif(bool(SANITIZER), reason="packages are built without sanitizers"),
]


@pytest.fixture(scope="module")
def packages():
    """Paths of the packages, by name. Compiled in a fourth of the time that -O3 and all instruction
    sets take; what is tested is the same."""
    done = make("deb", "CUDA=0", f"DEB={DIRECTORY}", "SANITIZER=", "OPTIMISE=-O1", "ISAS=generic")
    paths = [os.path.abspath(line) for line in done.stdout.splitlines() if line.endswith(".deb")
             and line.startswith(DIRECTORY)]
    found = {os.path.basename(path).partition("_")[0]: path for path in paths}
    assert sorted(found) == ["libpickstream-dev", "libpickstream0", "pickstream", "python3-pickstream"]
    return found


@pytest.mark.skipif(not shutil.which("lintian"), reason="lintian is not installed")
def test_lintian_finds_no_fault(packages):
    done = execute("lintian", "--allow-root", "--fail-on", "error,warning", *packages.values())
    assert "E:" not in done.stdout + done.stderr


def test_what_is_in_the_packages(packages):
    contents = {}
    for name, path in packages.items():
        listing = re.sub(r"/lib/[^/]*-linux-[^/]*/", "/lib/",
                         execute("dpkg-deb", "--contents", path).stdout)
        contents[name] = [line.split(None, 5)[5].lstrip(".") for line in listing.splitlines()]
    for path in ("/usr/bin/pickstream", "/lib/systemd/system/pickstream.service",
                 "/usr/lib/sysusers.d/pickstream.conf", "/usr/lib/tmpfiles.d/pickstream.conf",
                 "/etc/pickstream/pickstream.ini", "/usr/share/pickstream/Snakefile",
                 "/usr/share/pickstream/prometheus-alerts.yml", "/usr/share/pickstream/grafana-dashboard.json",
                 "/usr/share/man/man1/pickstream.1.gz", "/usr/share/man/man5/pickstream.conf.5.gz",
                 "/usr/share/man/man7/pickstream-messages.7.gz",
                 "/usr/share/man/man7/pickstream-troubleshooting.7.gz",
                 "/usr/share/bash-completion/completions/pickstream",
                 "/usr/share/zsh/vendor-completions/_pickstream"):
        assert path in contents["pickstream"]
    assert "/usr/lib/libpickstream.so.0" in contents["libpickstream0"]
    for path in ("/usr/include/pickstream.h", "/usr/include/pickstream_wire.h",
                 "/usr/lib/libpickstream.a", "/usr/lib/libpickstream.so -> libpickstream.so.0",
                 "/usr/lib/pkgconfig/pickstream.pc"):
        assert path in contents["libpickstream-dev"]
    for path in ("/usr/lib/python3/dist-packages/pickstream.py",
                 "/usr/share/pickstream/messages.schema.json",
                 "/usr/share/pickstream/examples/table.py"):
        assert path in contents["python3-pickstream"]
    depends = execute("dpkg-deb", "--field", packages["pickstream"], "Depends").stdout
    for library in "libfftw3-single3", "libsvm3", "libtiff6", "libzmq5", "libsqlite3-0":
        assert library in depends


class Root:
    """A directory with a Debian in it, for whose programs it is the whole machine."""

    def __init__(self, path):
        self.path = path

    def run(self, script, status=0):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                       "LC_ALL": "C.UTF-8", "HOME": "/root"}
        return execute("unshare", "--mount", "--pid", "--fork", "--kill-child",
                       f"--mount-proc={self.path}/proc", "chroot", self.path, "sh", "-euc", script,
                       status=status, env=environment)

    def install(self, package):
        shutil.copy(package, self.path / "root/new.deb")
        return self.run("apt-get install --yes --no-install-recommends "
                        "-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io "
                        "/root/new.deb; rm /root/new.deb")

    def exists(self, path):
        return os.path.lexists(f"{self.path}{path}")

    def read(self, path):
        with open(f"{self.path}{path}", encoding="utf-8") as stream:
            return stream.read()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    if os.environ.get("PICKSTREAM_DEB") == "0":
        pytest.skip("PICKSTREAM_DEB=0")
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        pytest.skip("a root directory takes root and mmdebstrap")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("namespaces are forbidden here")
    try:
        with urllib.request.urlopen(f"{MIRROR}/dists/bookworm/Release", timeout=20):
            pass
    except (urllib.error.URLError, OSError) as error:
        pytest.skip(f"{MIRROR}: {error}")
    path = tmp_path_factory.mktemp("debian")
    execute("mmdebstrap", "--quiet", "--variant=apt", "--skip=cleanup/apt/lists",
            "--dpkgopt=force-unsafe-io", "bookworm", path, MIRROR)
    shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
    yield Root(path)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def newer(packages, tmp_path_factory):
    """The package of a later version, with another text in its configuration."""
    directory = tmp_path_factory.mktemp("newer")
    execute("dpkg-deb", "--raw-extract", packages["pickstream"], directory / "files")
    control = directory / "files/DEBIAN/control"
    text, count = re.subn(r"^(Version: .*)$", r"\1+later1", control.read_text(encoding="utf-8"),
                          flags=re.M)
    assert count == 1
    control.write_text(text, encoding="utf-8")
    with open(directory / "files/etc/pickstream/pickstream.ini", "a", encoding="utf-8") as stream:
        stream.write("# of the later version\n")
    execute("dpkg-deb", "--build", "--root-owner-group", directory / "files", directory / "new.deb")
    return directory / "new.deb"


INI = "/etc/pickstream/pickstream.ini"
SETTINGS = """
[input]
directories = /data
[picker]
particle_diameter = 40
[publish]
endpoint = ipc:///run/pickstream/picks
replay_endpoint = ipc:///run/pickstream/replay
"""
# As the unit starts it; systemd makes these directories.
WATCH = f"""
for directory in /run/pickstream /var/lib/pickstream /var/lib/pickstream/picks; do
    install -d -o pickstream -g pickstream $directory
done
cd /var/lib/pickstream/picks
as_service="setpriv --reuid=pickstream --regid=pickstream --init-groups"
"""
PICK_ONE = WATCH + f"""
$as_service pickstream watch -c {INI} 2>/tmp/log & service=$!
pickstream synth --size 400x360 --diameter 40 --seed SEED /tmp/new >/dev/null
mkdir -p /data; mv /tmp/new/synth_000001.mrc /data/SEED.mrc
pickstream listen -c {INI} --since SINCE --count 1 --timeout 100 || {{ cat /tmp/log >&2; exit 1; }}
kill -TERM $service; wait $service
"""


def pick_one(root, seed, since):
    return root.run(PICK_ONE.replace("SEED", str(seed)).replace("SINCE", str(since))).stdout.split()


def test_from_installation_to_purge(root, packages, newer):
    before = root.run("find / -xdev -name '*pickstream*'").stdout
    root.install(packages["pickstream"])
    assert root.run(f"stat -c '%a %U %G' /etc/pickstream/keys {INI}").stdout.splitlines() \
        == ["750 root pickstream", "644 root root"]
    # It is not started before it is configured, and reports what is missing.
    assert not root.exists("/etc/systemd/system/multi-user.target.wants/pickstream.service")
    done = root.run(WATCH + f"exec $as_service pickstream watch -c {INI}", status=2)
    assert "input.directories" in done.stderr or "particle_diameter" in done.stderr

    with open(f"{root.path}{INI}", "a", encoding="utf-8") as stream:
        stream.write(SETTINGS)
    edited = root.read(INI)
    root.run(f"systemd-analyze verify --man=no pickstream.service; pickstream check -c {INI}")
    seq, name, status, *_ = pick_one(root, 7, since=0)
    assert (seq, name, status) == ("1", "7.mrc", "picked")
    star = root.read("/var/lib/pickstream/picks/7_autopick.star")
    assert "_rlnCoordinateX" in star
    # With a secret key, as pickstream(1) says.
    root.run("pickstream keygen /etc/pickstream/keys >&2")

    # A later version: the edited configuration stays, and the journal continues.
    root.install(newer)
    assert root.run("dpkg-query -W -f '${Version}' pickstream").stdout.endswith("+later1")
    assert root.read(INI) == edited
    assert "# of the later version" in root.read(f"{INI}.dpkg-dist")
    assert pick_one(root, 8, since=1)[:3] == ["2", "8.mrc", "picked"]

    # Removed: what a later installation needs to continue stays.
    root.run("apt-get remove --yes pickstream")
    assert not root.exists("/usr/bin/pickstream")
    assert not root.exists("/lib/systemd/system/pickstream.service")
    assert root.read(INI) == edited
    assert root.exists("/var/lib/pickstream/journal.sqlite")

    # Purged: only results stay, which belong to the user.
    done = root.run("apt-get purge --yes pickstream")
    assert "the picks in /var/lib/pickstream/picks are left there" in done.stdout
    left = root.run("cd /var/lib/pickstream && find . -name '*_*' | sort").stdout.split()
    assert left == ["./picks/7_autopick.star", "./picks/8_autopick.star"]
    assert os.listdir(root.path / "var/lib/pickstream") == ["picks"]
    assert not root.exists("/etc/pickstream")
    root.run("rm -r /var/lib/pickstream /run/pickstream")
    assert root.run("find / -xdev -name '*pickstream*' ! -path '/var/log/*'").stdout == before
