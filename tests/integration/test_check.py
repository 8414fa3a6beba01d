"""pickstream check and the command line in general: what is printed where, and the exit status."""

import pytest
from support import ROOT, run


def config(path, text):
    file = path / "pickstream.ini"
    file.write_text(text, encoding="utf-8")
    return file


def test_good_configuration(tmp_path):
    file = config(tmp_path, "[picker]\nparticle_diameter = 64 px\n")
    result = run("check", "-c", file)
    assert (result.stdout, result.stderr) == ("configuration OK\n", "")


def test_first_mistake_with_file_and_line(tmp_path):
    file = config(tmp_path, "[picker]\nparticle_diameter = 64 px\n\ntau1 = many\ntau2 = more\n")
    result = run("check", "--config", file, status=2)
    assert result.stdout == ""
    assert result.stderr == (
        f"{file}:4: picker.tau1 = many: expected a whole number, 0 to 1000000000 windows\n"
    )


def test_missing_file():
    result = run("check", "-c", "/nonexistent/x.ini", status=2)
    assert result.stderr == "/nonexistent/x.ini: cannot open: No such file or directory\n"


def test_required_value_is_named():
    result = run("check", status=2)
    assert "picker.particle_diameter is not set" in result.stderr


@pytest.mark.parametrize("file_first", [True, False])
def test_set_wins_over_the_file_wherever_it_stands(tmp_path, file_first):
    file = config(tmp_path, "[picker]\nparticle_diameter = 64 px\ntau1 = 5\nmax_picks = 7\n")
    parts = [["-c", file], ["--set", "picker.tau1=6", "--diameter", "180"]]
    if not file_first:
        parts.reverse()
    result = run("check", *parts[0], *parts[1], "--print")
    lines = result.stdout.splitlines()
    assert "tau1 = 6" in lines
    assert "particle_diameter = 180 A" in lines
    assert "max_picks = 7" in lines


def test_last_setting_wins():
    result = run("check", "--diameter", "64px", "--set", "picker.particle_diameter=65px", "--print")
    assert "particle_diameter = 65 px" in result.stdout.splitlines()


def test_printed_configuration_is_read_back(tmp_path):
    first = run(
        "check", "--print", "--diameter", "64.5px", "--pixel-size=0.83", "--profile", "aspire",
        "--backend", "cuda:1", "--threads", "3", "--set", "output.formats=json star",
    )
    second = run("check", "--print", "-c", config(tmp_path, first.stdout))
    assert second.stdout == first.stdout


def test_template_is_the_shipped_file():
    result = run("check", "--template")
    assert result.stdout == (ROOT / "conf/pickstream.ini").read_text(encoding="utf-8")


def test_manual_page_has_every_key():
    page = run("check", "--man")
    assert page.stdout.startswith(".TH PICKSTREAM.CONF 5")
    values = run("check", "--print", status=2).stdout
    keys = [line.split(" = ")[0] for line in values.splitlines() if " = " in line]
    assert len(keys) > 15
    for key in keys:
        assert f"\n.TP\n.B {key}\n" in page.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["chek"], "pickstream: unknown command chek: did you mean check?"),
        (["--verison"], "pickstream: unknown option --verison: did you mean --version?"),
        (["check", "--prnit"], "pickstream check: unknown option --prnit: did you mean --print?"),
        (["check", "--man", "-xp"], "pickstream check: unknown option -x"),
        (["check", "--p"], "pickstream check: option --p is short for more than one"),
        (["check", "--print=1"], "pickstream check: option --print takes no argument"),
        (["check", "--diameter"], "pickstream check: option --diameter needs an argument"),
        (["check", "--set", "picker.tau1"],
         "pickstream check: --set picker.tau1: expected section.key=value"),
        (["check", "--set", "picker.tua1=1"],
         "pickstream check: --set: unknown key picker.tua1: did you mean picker.tau1?"),
        (["check", "--threads", "many"],
         "pickstream check: --threads: compute.threads = many: expected a whole number, 0 to 1024 "
         "threads"),
        (["check", "file.ini"], "pickstream check: unexpected argument file.ini"),
        (["check", "-c", "a", "-c", "b"], "pickstream check: --config is given twice"),
        (["check", "--diameter", "64px", "--set", "picker.tau1=9", "--set", "picker.tau2=9"],
         "pickstream check: picker.tau1 = 9 must be less than picker.tau2 = 9: windows between are "
         "examples of neither"),
    ],
)
def test_usage_errors(arguments, message):
    result = run(*arguments, status=2)
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == message
    assert "--help" in result.stderr.splitlines()[1]


def test_no_command():
    result = run(status=2)
    assert result.stdout == ""
    assert "Usage: pickstream COMMAND" in result.stderr


def test_help_and_version():
    result = run("--help")
    assert result.stderr == ""
    lines = result.stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    commands = [line.split()[0] for line in lines]
    assert sorted(commands) == sorted(
        ["watch", "pick", "listen", "relay", "export", "convert", "status", "retry", "repick",
         "synth", "bench", "check", "keygen", "completion", "relion"]
    )
    for command in commands:
        help_text = run(command, "--help")
        assert help_text.stderr == ""
        assert help_text.stdout.startswith(f"Usage: pickstream {command} ")
        assert max(map(len, help_text.stdout.splitlines())) <= 100
    version = run("--version")
    assert version.stdout.startswith("pickstream 0.")


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--template"], ["check", "--help"]])
def test_full_disk_on_stdout(arguments):
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = run(*arguments, status=1, stdout=full)
    assert result.stderr == (
        "pickstream: cannot write to standard output: No space left on device\n"
    )
