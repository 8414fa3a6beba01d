"""What every command owes its user before and after the work: no option without effect, units where
they belong, the scale in the first line, an end by a signal, completion of shells, the manual."""

import os
import re
import shutil
import signal
import subprocess

import pytest
from micrographs import read_picks, write_mrc
from service import Service
from support import BUILD, PROGRAM, run

TIMEOUT = 120  # seconds for a program under test


# ---- options and operands ------------------------------------------------------------------------

PICKING = ["--diameter=64px", "--pixel-size=1.2", "--profile=aspire", "--backend=cpu", "--threads=1"]


@pytest.mark.parametrize("command", ["retry", "status", "listen", "relay"])
@pytest.mark.parametrize("option", PICKING)
def test_options_of_picking_are_refused_where_nothing_is_picked(command, option):
    done = run(command, option, status=2)
    name = option.split("=")[0]
    assert done.stderr.splitlines()[0] \
        == f"pickstream {command}: {name} has no effect here: this command does not pick"
    assert name not in run(command, "--help").stdout


@pytest.mark.parametrize("command", ["convert", "keygen"])
def test_options_of_picking_are_unknown_without_a_configuration(command):
    assert "--threads has no effect here" in run(command, "--threads", "1", status=2).stderr


def test_options_that_need_another_one():
    assert "--format has no effect without --output" \
        in run("listen", "--format", "csv", status=2).stderr
    assert "--tolerance has no effect without --truth" \
        in run("pick", "--diameter", "9px", "--tolerance", 3, "x.mrc", status=2).stderr
    assert "--size has no effect with FILE" in run("bench", "--size", 512, "x.mrc", status=2).stderr


@pytest.mark.parametrize("words, better", [
    (["pick", "--diameter=64", "px", "x.mrc"], "--diameter=64px"),
    (["pick", "--diameter", "64", "px", "x.mrc"], "--diameter=64px"),
    (["pick", "--diameter=64", "pixels", "x.mrc"], "--diameter=64px"),
    (["pick", "--diameter", "180", "A", "x.mrc"], "--diameter=180"),
    (["pick", "--diameter", "180", "Å", "x.mrc"], "--diameter=180"),
    (["pick", "--diameter=9px", "--pixel-size", "0.83", "A", "x.mrc"], "--pixel-size=0.83"),
    (["pick", "x.mrc", "PX", "--diameter=64"], "the unit belongs to the number, as in 64px"),
    (["pick", "--diameter", "6.4", "nm", "x.mrc"], "lengths are in angstrom, or in pixels as 64px"),
    (["watch", "--diameter=64", "px", "data"], "--diameter=64px"),
    (["bench", "--diameter=64", "px"], "--diameter=64px"),
    (["synth", "--diameter", "110", "A", "data"], "--diameter=110"),
    (["convert", "--box", "64", "px", "a.star", "b.box"], "--box=64"),
], ids=" ".join)
def test_a_unit_is_not_an_operand(words, better):
    done = run(*words, status=2)
    unit = next(word for word in words if word.lower() in ("px", "pixels", "a", "å", "nm"))
    assert done.stderr.splitlines()[0].startswith(
        f"pickstream {words[0]}: {unit} is a unit, not an operand: ")
    assert better in done.stderr and f"./{unit}" in done.stderr


def test_a_file_with_the_name_of_a_unit(tmp_path, scene):
    os.link(scene.path, tmp_path / "px")
    for words in ["./px"], ["--", "px"]:
        run("pick", *scene.options, "-o", "out", *words, cwd=tmp_path)


# ---- the scale -----------------------------------------------------------------------------------

def first_line(done):
    return done.stderr.splitlines()[0]


def test_the_first_line_states_the_scale(tmp_path, scene):
    """scene: 1.4 A a pixel, in the header."""
    for options, expected in [
            (["--diameter=64px"], "pixel size 1.4 A (header), diameter 64 px = 89.6 A"),
            (["--diameter=64"], "pixel size 1.4 A (header), diameter 64 A = 45.714 px"),
            (["--diameter=64 px"], "pixel size 1.4 A (header), diameter 64 px = 89.6 A"),
            (["--diameter=64px", "--pixel-size=1.5"],
             "pixel size 1.5 A (configuration), diameter 64 px = 96 A")]:
        done = run("pick", *options, "-o", tmp_path, scene.path)
        assert first_line(done) == f"pickstream: {expected}"


def test_the_scale_is_stated_when_it_changes(tmp_path, scene):
    for name, pixel_size in [("a", 1.4), ("b", 1.4), ("c", 2.8), ("d", 2.8)]:
        write_mrc(tmp_path / f"{name}.mrc", scene.image[:400, :400], pixel_size=pixel_size)
    (tmp_path / "0.mrc").touch()
    done = run("pick", "--diameter", "56", "-o", tmp_path / "out", tmp_path, status=1)
    lines = [line for line in done.stderr.splitlines() if "pickstream: pixel size" in line]
    assert lines == ["pickstream: pixel size of each header, diameter 56 A",  # 0.mrc has none
                     "pickstream: pixel size 1.4 A (header), diameter 56 A = 40 px",
                     "pickstream: pixel size 2.8 A (header), diameter 56 A = 20 px"]
    assert first_line(done) == lines[0]


def test_bench_states_the_scale(scene):
    done = run("bench", "--diameter", "40px", "--repeat", 1, scene.path)
    assert first_line(done) \
        == "pickstream bench: pixel size 1.4 A (header), diameter 40 px = 56 A"


# ---- min_score -----------------------------------------------------------------------------------

def scores(path):
    return list(read_picks(path)[:, 2])


def test_min_score_of_pick(tmp_path, scene):
    run("pick", *scene.options, "-o", tmp_path / "all", scene.path)
    run("pick", *scene.options, "--min-score", "0.9", "-o", tmp_path / "best", scene.path)
    everything = scores(tmp_path / "all/synth_000001_autopick.star")
    best = scores(tmp_path / "best/synth_000001_autopick.star")
    assert best == [score for score in everything if score >= 0.9]
    assert 0 < len(best) < len(everything)


@pytest.mark.parametrize("command", ["pick", "watch", "check"])
def test_a_min_score_that_no_probability_reaches_is_refused(command, tmp_path):
    arguments = ["--diameter", "40px", "--set", "picker.min_score=1.5"]
    operands = [] if command == "check" else [tmp_path]
    done = run(command, *arguments, *operands, status=2)
    assert "picker.min_score = 1.5 drops every pick" in done.stderr
    assert "probability, from 0 to 1" in done.stderr
    run("check", *arguments, "--profile", "aspire")
    run("check", "--diameter", "40px", "--set", "picker.min_score=1")


# ---- signals -------------------------------------------------------------------------------------

@pytest.fixture
def six(tmp_path, scene):
    for number in range(6):
        os.link(scene.path, tmp_path / f"m{number}.mrc")
    return tmp_path


def listed(out):
    """The files of picks in the list of a run, all of which exist."""
    words = [line.split() for line in (out / "autopick.star").read_text().splitlines()]
    files = [line[1] for line in words if line and line[-1].endswith("_autopick.star")]
    assert all(os.path.exists(path) for path in files)
    return files


def start_pick(*arguments, **options):
    return subprocess.Popen([PROGRAM, "pick", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, encoding="utf-8", **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_an_interrupted_pick_can_be_resumed(six, scene, number):
    command = [*scene.options, "-o", six / "out", *sorted(six.glob("*.mrc"))]
    with start_pick(*command) as process:
        assert " picks in " in process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    done = 1 + len(out.splitlines())
    assert done < 6
    assert err.splitlines()[-1] == (f"pickstream: interrupted: {done} of 6 picked; the same "
                                    "command with --resume continues")
    assert len(listed(six / "out")) == done
    assert not list((six / "out").glob("*tmp*"))

    rest = run("pick", *command, "--resume")
    assert len(rest.stdout.splitlines()) == 6 - done
    assert len(listed(six / "out")) == 6


def test_a_resumed_pick_counts_what_was_done_before(six, scene):
    command = [*scene.options, "--resume", "-o", six / "out"]
    run("pick", *command, six / "m0.mrc", six / "m1.mrc")
    with start_pick(*command, six) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert f"interrupted: {3 + len(out.splitlines())} of 6 picked; " in err.splitlines()[-1]


def test_a_signal_for_the_last_one_finishes_it(six, scene):
    """Nothing is left to resume: an ordinary end."""
    with start_pick(*scene.options, "-o", six / "out", six / "m0.mrc") as process:
        assert "pixel size" in process.stderr.readline()  # read, and now picked
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert len(listed(six / "out")) == 1


def test_a_second_signal_ends_it_at_once(tmp_path):
    run("synth", "--size", "3072x3072", "--particles", 20, tmp_path / "in")
    with start_pick("--diameter", 40, "--threads", 1, "-o", tmp_path / "out",
                    tmp_path / "in") as process:
        assert "pixel size" in process.stderr.readline()  # read, and picked for seconds
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode in (-signal.SIGINT, -signal.SIGTERM)
    assert not (tmp_path / "out").exists()


# ---- watch from a terminal -----------------------------------------------------------------------

def test_watch_makes_its_state_directory(tmp_path):
    (tmp_path / "data").mkdir()
    state = tmp_path / "new/state"
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    arguments = ["watch", "--diameter", "24px", "--set", f"service.state_directory={state}",
                 "--set", f"publish.endpoint=ipc://{tmp_path}/p", "--set",
                 f"publish.replay_endpoint=ipc://{tmp_path}/r", tmp_path / "data"]
    with subprocess.Popen([PROGRAM, *map(str, arguments)], stderr=subprocess.PIPE,
                          encoding="utf-8", env=environment) as process:
        lines = []
        while not lines or "event=started" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        process.terminate()
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert 'event=scale is="pixel size of each header, diameter 24 px"' in lines[0]
    assert f"event=state_directory_made path={state}" in lines[1]
    assert state.stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "new").stat().st_mode & 0o700 == 0o700


def test_the_service_manager_makes_the_state_directory():
    """One that is missing there is a disk that is not mounted."""
    service = Service()
    shutil.rmtree(service.state)
    try:
        assert service.spawn().wait() == 1
        assert "cannot lock the state directory: No such file or directory" in service.log_text()
        assert not service.state.exists()
    finally:
        service.end()
        shutil.rmtree(service.home)


def test_what_sighup_gives_is_logged():
    log_line = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info) event=.+")
    with Service() as service:
        service.config.write_text("[picker]\nparticle_diameter = many\n")
        service.signal(signal.SIGHUP)
        while "event=reload_refused" not in service.log_text():
            assert service.process.poll() is None
        service.write_config()
        service.signal(signal.SIGHUP)
        service.wait_notify("READY=1")
        assert service.stop() == 0
        lines = service.log_text().splitlines()
    assert all(log_line.fullmatch(line) for line in lines), lines
    refused = next(line for line in lines if "event=reload_refused" in line)
    assert " error event=" in refused and f'reason="{service.config}:2: ' in refused
    assert any(line.endswith(" info event=reload reason=SIGHUP") for line in lines)


# ---- shells and the manual -----------------------------------------------------------------------

COMPLETION = BUILD / "completion"

ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_pickstream
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, cwd=None):
    done = subprocess.run(["bash", "-c", ASK_BASH, "bash", COMPLETION / "pickstream.bash", *words],
                          cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                          encoding="utf-8", timeout=TIMEOUT)
    assert done.stderr == ""
    return [word for word in done.stdout.splitlines() if word]


def options_of(command):
    text = run(command, "--help").stdout
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z_-]+)", text, re.M))


def commands():
    text = run("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in text.splitlines()]


def test_bash_completes_commands_options_and_values(tmp_path):
    assert complete("pickstream", "") == [*commands(), "--help", "--version"]
    assert complete("pickstream", "co") == ["convert", "completion"]
    for command in commands():
        if command != "completion":
            assert {word for word in complete("pickstream", command, "--")} == options_of(command)
    assert complete("pickstream", "pick", "--profile", "a") == ["adaptive", "aspire"]
    assert complete("pickstream", "pick", "--format", "=", "c") == ["cryosparc", "cbox", "csv"]
    assert complete("pickstream", "convert", "--from", "t") == ["tsv"]
    assert complete("pickstream", "synth", "--mode", "") == ["1", "2", "12"]
    assert complete("pickstream", "listen", "--set", "picker.part") == ["picker.particle_diameter="]
    assert complete("pickstream", "pick", "--diameter", "") == []
    (tmp_path / "data dir").mkdir()
    (tmp_path / "data.mrc").touch()
    assert complete("pickstream", "watch", "da", cwd=tmp_path) == ["data dir"]
    assert complete("pickstream", "pick", "-o", "da", cwd=tmp_path) == ["data dir"]
    assert sorted(complete("pickstream", "pick", "da", cwd=tmp_path)) == ["data dir", "data.mrc"]
    assert complete("pickstream", "status", "da", cwd=tmp_path) == []


def test_zsh_completes_the_same(tmp_path):
    """What it tells zsh's own functions; zsh checks the grammar."""
    if not shutil.which("zsh"):
        pytest.skip("no zsh")
    script = tmp_path / "ask"
    script.write_text('compdef() { :; }\n_describe() { print -rl -- $commands }\n'
                      '_arguments() { print -rl -- "$@" }\n'
                      'source $1; shift; words=("$@"); CURRENT=$#; _pickstream\n')

    def told(*words):
        done = subprocess.run(["zsh", "-f", script, COMPLETION / "_pickstream", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                              encoding="utf-8", timeout=TIMEOUT)
        assert done.stderr == ""
        return done.stdout.splitlines()

    assert [line.split(":")[0] for line in told("pickstream", "")] == commands()
    for command in commands():
        if command != "completion":
            options = set(re.findall(r"^\*(--[a-z-]+)", "\n".join(told("pickstream", command, "")),
                                     re.M))
            assert options == options_of(command)
    assert any(line.startswith("*--format=[") and line.endswith("(star cryosparc box cbox tsv csv json)")
               for line in told("pickstream", "pick", ""))


def test_completion_names_its_shells():
    for shell, name in ("bash", "pickstream.bash"), ("zsh", "_pickstream"):
        assert run("completion", shell).stdout == (COMPLETION / name).read_text()
    for arguments in [], ["fish"], ["bash", "zsh"]:
        assert "expected bash or zsh" in run("completion", *arguments, status=2).stderr


def test_man_reads_a_plain_build():
    if not shutil.which("man"):
        pytest.skip("no man")
    for page in "pickstream", "pickstream.conf", "pickstream-messages", "pickstream-troubleshooting":
        done = subprocess.run(["man", "-M", BUILD / "man", page], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8", check=False)
        assert done.returncode == 0 and page.upper() in done.stdout.upper(), done.stderr
