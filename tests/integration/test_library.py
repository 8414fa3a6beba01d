"""What `make install` puts in place, used as others use it: the library from C, its header from C
and C++, pkg-config, the manual pages."""

import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import types

import numpy as np
import pytest
from micrographs import read_picks
from support import BUILD, PROGRAM, ROOT, SANITIZER, run

CC = shlex.split(os.environ.get("CC", "cc"))
PREFIX = "/usr"
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
EXAMPLE = ROOT / "tests/integration/example.c"


def execute(*command, status=0, **options):
    done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding="utf-8", timeout=600, check=False,
                          **options)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def make(*arguments):
    """make, of this build, apart from the make that may have started the tests."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return execute(*shlex.split(os.environ.get("MAKE", "make")), "-C", ROOT,
                   f"SANITIZER={SANITIZER}", *arguments, env=environment)


def files_below(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*")
                  if not path.is_dir())


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The directory that stands for the root of a system that pickstream is installed on."""
    root = tmp_path_factory.mktemp("root")
    make("install", f"DESTDIR={root}", f"PREFIX={PREFIX}")
    return root


def pkg_config(root, *arguments):
    environment = os.environ | {
        "PKG_CONFIG_PATH": f"{root}{PREFIX}/lib/pkgconfig",
        "PKG_CONFIG_SYSROOT_DIR": str(root),
        "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
        "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
    }
    return shlex.split(execute("pkg-config", *arguments, env=environment).stdout)


def compile_example(program, *libraries):
    sanitizer = [f"-fsanitize={SANITIZER}"] if SANITIZER else []
    execute(*CC, "-std=c11", *WARNINGS, "-Wconversion", *sanitizer, EXAMPLE, *libraries, "-o",
            program)
    return program


@pytest.fixture(scope="module", params=["shared", "static"])
def example(request, installed, tmp_path_factory):
    """Runs the example, linked with one of the two libraries."""
    program = tmp_path_factory.mktemp(request.param) / "example"
    if request.param == "shared":
        compile_example(program, *pkg_config(installed, "--cflags", "--libs", "pickstream"))
    else:
        libraries = pkg_config(installed, "--cflags", "--libs", "--static", "pickstream")
        libraries[libraries.index("-lpickstream")] = f"{installed}{PREFIX}/lib/libpickstream.a"
        compile_example(program, *libraries)
    environment = os.environ | {"LD_LIBRARY_PATH": f"{installed}{PREFIX}/lib"}
    linked = execute("ldd", program, env=environment).stdout
    assert ("libpickstream.so.0" in linked) == (request.param == "shared")
    return types.SimpleNamespace(
        run=lambda *arguments, **options: execute(program, *arguments, env=environment, **options))


@pytest.fixture(scope="module")
def raw(tmp_path_factory, scene):
    path = tmp_path_factory.mktemp("raw") / "image.raw"
    scene.image.astype("f4").tofile(path)
    return path


def test_example_finds_what_pick_finds(example, raw, scene, tmp_path):
    done = example.run(raw, 900, 1024, f"{scene.diameter}px")
    picks = np.array([line.split() for line in done.stdout.splitlines()], dtype="f4")
    run("pick", "--diameter", f"{scene.diameter}px", "-o", tmp_path, scene.path)
    expected = read_picks(tmp_path / "synth_000001_autopick.star").astype("f4")
    assert len(picks) > 20
    assert np.array_equal(picks, expected)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments, message", [
    ((900, 1024, "far"), "picker.particle_diameter = far: "),
    ((900, 1024, "56"), "no pixel size in the header, and the diameter is in A"),
    ((70, 1024, "40px"), "too small: 70 x 1024 px"),
    ((900, 0, "40px"), "empty image: 900 x 0 px"),
])
def test_example_says_what_is_wrong(example, raw, arguments, message):
    done = example.run(raw, *arguments, status=1)
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_library_exports_what_the_header_declares(installed):
    header = (installed / "usr/include/pickstream.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^PS_API [^(;]*\b(ps_\w+)\(", header, re.M))
    assert len(declared) == header.count("\nPS_API ") > 8
    symbols = execute("nm", "-D", "--defined-only", installed / "usr/lib/libpickstream.so").stdout
    exported = {line.split()[-1] for line in symbols.splitlines()}
    assert {name for name in exported if not name.startswith("__")} == declared
    assert SANITIZER or exported == declared


@pytest.mark.parametrize("compiler, language", [
    (CC, "-std=c11"), (["g++"], "-std=c++11"), (["clang"], "-std=c11"), (["clang++"], "-std=c++20"),
], ids=lambda value: "_".join(value) if isinstance(value, list) else value)
def test_header_compiles_alone(installed, tmp_path, compiler, language):
    if not shutil.which(compiler[0]):
        pytest.skip(f"no {compiler[0]}")
    source = tmp_path / ("alone.cc" if "++" in language else "alone.c")
    source.write_text(
        "#include <pickstream.h>\n#include <pickstream.h>\n"
        "int picks_of(const struct ps_result *result);\n"
        "int picks_of(const struct ps_result *result) { return (int)result->count; }\n",
        encoding="utf-8")
    execute(*compiler, language, *WARNINGS, "-Wshadow", "-Wconversion",
            f"-I{installed}/usr/include", "-c", source, "-o", tmp_path / "alone.o")


def test_installed_program_runs(installed):
    done = execute(installed / "usr/bin/pickstream", "--version", cwd=installed)
    assert done.stdout.startswith("pickstream 0.")
    assert pkg_config(installed, "--modversion", "pickstream")[0] in done.stdout


def device_code(program):
    """Kinds ("ptx", "elf") and architectures of the code in a program's fat binaries, as cuobjdump
    lists them: behind a header, entries with their own."""
    data = pathlib.Path(program).read_bytes()
    found = set()
    for start in re.finditer(re.escape(struct.pack("<IHH", 0xBA55ED50, 1, 16)), data):
        entry = start.end() + 8
        end = entry + struct.unpack_from("<Q", data, start.end())[0]
        while entry < end:
            kind, _version, header, size = struct.unpack_from("<HHIQ", data, entry)
            found.add(({1: "ptx", 2: "elf"}[kind], struct.unpack_from("<I", data, entry + 28)[0]))
            entry += header + size
    return found


def test_machine_code_for_every_card():
    """And code for later ones to compile."""
    built = re.search(r"/nvcc ([0-9 ]+)$", (BUILD / "cuda-flags").read_text().strip())
    if not built:
        pytest.skip("built without nvcc")
    cards = [int(card) for card in built[1].split()]
    assert device_code(PROGRAM) == {("elf", card) for card in cards} | {("ptx", cards[-1])}


def test_uninstall_leaves_nothing(tmp_path):
    (tmp_path / "opt/bin").mkdir(parents=True)
    (tmp_path / "opt/bin/other").touch()
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt")
    assert len(files_below(tmp_path)) > 8
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt")
    assert files_below(tmp_path) == ["opt/bin/other"]
    assert not [path for path in tmp_path.rglob("pickstream*")]


# ---- manual pages --------------------------------------------------------------------------------

def rendered(root, page):
    """The text of a page; man must not complain about it."""
    path = root / "usr/share/man" / f"man{page[-1]}" / page
    done = execute("man", "--warnings", "--encoding=UTF-8", "-l", path,
                   env=os.environ | {"MAN_KEEP_STDERR": "1", "MANWIDTH": "200", "MANPAGER": "cat",
                                     "LC_ALL": "C.UTF-8", "MANOPT": "--nh --nj"})
    assert done.stderr == ""
    return re.sub("\033\\[[0-9;]*m", "", re.sub(".\b", "", done.stdout))


@pytest.fixture(scope="module")
def manual(installed):
    """Sections of pickstream(1) by their heading."""
    if not shutil.which("man"):
        pytest.skip("no man")
    parts = re.split(r"^([A-Z][A-Z ]+)$", rendered(installed, "pickstream.1"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize(
    "command", ["watch", "pick", "listen", "status", "synth", "bench", "check"]
)
def test_manual_page_has_every_option(manual, command):
    printed = run(command, "--help").stdout
    options = re.findall(r"^  (?:-(\w), |    )(--[a-z-]+(?: \S+)?)", printed, re.M)
    assert len(options) > (3 if command == "status" else 5)
    entries = manual["COMMON OPTIONS"]
    if command == "synth":
        entries = entries.partition("Every command also has")[2]
    section = manual[f"OPTIONS OF {command.upper()}"]
    entries += section
    for letter, option in options:
        option = option.rstrip()
        entry = f"-{letter}, {option}" if letter else option
        assert re.search(rf"^       {re.escape(entry)}( |$)", entries, re.M), entry
    own = re.findall(r"^       (?:-\w, )?(--[a-z-]+)", section, re.M)
    assert set(own) <= {option.split()[0] for _, option in options}


def test_manual_page_of_the_configuration(installed):
    if not shutil.which("man"):
        pytest.skip("no man")
    page = rendered(installed, "pickstream.conf.5")
    for line in run("check", "--print", status=2).stdout.splitlines():
        if " = " in line:
            assert re.search(rf"^       {line.split(' = ')[0]}( |$)", page, re.M), line
