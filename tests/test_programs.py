"""Runs the test programs written in C: those of the CUDA backend on the emulated GPU and of the
emulation, which take longest, unit and golden tests (cmocka), and the fuzzers' corpora."""

import os
import re
import subprocess
import warnings

import pytest
from support import BUILD, DATA, EMULATED, ROOT, needs_emulation

PROGRAMS = sorted((ROOT / "tests").glob("unit/test_*.c")) + sorted(
    (ROOT / "tests").glob("golden/test_*.c")
)
EMULATED_PROGRAMS = sorted((ROOT / "tests").glob("parity/test_*.c")) + sorted(
    (ROOT / "tests").glob("emu/test_*.cu")
)
FUZZERS = sorted((ROOT / "tests/fuzz").glob("fuzz_*.c"))


def execute(source, *arguments, build=BUILD):
    program = build / source.relative_to(ROOT).with_suffix("")
    return subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=os.environ | {"PICKSTREAM_DATA": str(DATA)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=600,
        check=False,
    )


def check_program(source, build, *arguments, may_skip=True):
    done = execute(source, *arguments, build=build)
    print(done.stdout)
    assert done.returncode == 0
    passed = len(re.findall(r"^\[ +OK +\]", done.stdout, re.M))
    skipped = re.findall(r"^\[ +SKIPPED +\] (\w+)$", done.stdout, re.M)
    assert passed + len(skipped) > 0
    assert may_skip or not skipped, f"skipped {', '.join(skipped)}"
    if skipped and not passed:
        reasons = [line for line in done.stdout.splitlines() if not line.startswith("[")]
        pytest.skip(f"{len(skipped)} tests skipped: {'; '.join(sorted(set(reasons)))}")
    if skipped:
        warnings.warn(f"{source.stem}: skipped {', '.join(sorted(set(skipped)))}")


@needs_emulation
@pytest.mark.parametrize("source", EMULATED_PROGRAMS, ids=lambda path: path.stem)
def test_with_emulated_gpu(source):
    """Those that compare with a GPU skip where there is none: here there is one."""
    check_program(source, EMULATED, may_skip=source.parent.name != "parity")


@needs_emulation
def test_golden_case_with_emulated_gpu():
    check_program(ROOT / "tests/golden/test_golden.c", EMULATED, "cuda", "test_apo_p64")


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda path: path.stem)
def test_program(source):
    check_program(source, BUILD)


@pytest.mark.parametrize("source", FUZZERS, ids=lambda path: path.stem)
def test_corpus(source):
    corpus = source.parent / "corpus" / source.stem.removeprefix("fuzz_")
    assert len(list(corpus.iterdir())) >= 5
    done = execute(source, corpus)
    print(done.stdout)
    assert done.returncode == 0
