"""Options in a file: what counts, what is refused, and that both is told."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sigma_stellar_aws.cli import main

SAMPLES = Path(__file__).parents[1] / "samples"
FILE = "sigma-stellar-aws.toml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, **environment: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, arguments, env=environment)


def test_options_of_the_file_count(folder: Path) -> None:
    """A value of the file is as good as one of the command line, which wins; that it counts is told."""
    (folder / FILE).write_text('[alerts]\nonly = ["KMS Keys Creation"]\njson = true\n', encoding="utf-8")
    found = run("alerts", str(SAMPLES))
    assert found.exit_code == 0
    assert found.stdout.count("\n") == found.stdout.count('"title":"KMS Keys Creation"') > 0
    assert "note: options of sigma-stellar-aws.toml: json, only\n" in found.stderr
    other = run("alerts", str(SAMPLES), "--only", "AWS CloudWatch Alarm Deletion")
    assert other.stdout.count("\n") == other.stdout.count('"title":"AWS CloudWatch Alarm Deletion"') > 0


def test_a_store_of_the_file_leaves_files_alone(folder: Path) -> None:
    """A store that is named for all runs does not hinder one over files; without files it is the one that is asked."""
    (folder / FILE).write_text('[alerts]\nurl = "http://127.0.0.1:1"\nindex = "logs"\n', encoding="utf-8")
    found = run("alerts", str(SAMPLES))
    assert found.exit_code == 0
    assert "options of" not in found.stderr
    asked = run("alerts")
    assert "the store cannot be reached" in asked.stderr
    assert "note: options of sigma-stellar-aws.toml: url, index\n" in asked.stderr


def test_only_what_counts_is_told(folder: Path) -> None:
    """Options of a store are not told where files are named, nor is what the command line overrides."""
    content = '[alerts]\nurl = "http://127.0.0.1:1"\ntimeout = "1m"\nwrite = "a"\nwindow = "1h"\nonly = ["nosuch"]\n'
    (folder / FILE).write_text(content, encoding="utf-8")
    found = run("alerts", str(SAMPLES), "--only", "AWS CloudWatch Alarm Deletion")
    assert found.exit_code == 0
    assert "note: options of sigma-stellar-aws.toml: window\n" in found.stderr


def test_the_command_line_wins_over_what_it_excludes(folder: Path) -> None:
    """A form, or a way to suppress, of the command line leaves no room for another one of the file."""
    content = '[alerts]\njson = true\nfields = "severity"\neach-event = true\n'
    (folder / FILE).write_text(content, encoding="utf-8")
    assert run("alerts", str(SAMPLES)).stdout.startswith('{"id"')
    table = run("alerts", str(SAMPLES), "--output", "csv", "--window", "1h", "--only", "KMS Keys Creation")
    assert table.stdout.startswith("severity\n")
    assert "note: options of sigma-stellar-aws.toml: fields\n" in table.stderr
    (folder / FILE).write_text('[alerts]\nwindow = "1h"\nsuppress-by = "userIdentity.arn"\n', encoding="utf-8")
    each = run("alerts", str(SAMPLES), "--each-event", "--json")
    assert each.exit_code == 0
    assert '"event_count":1,' in each.stdout.splitlines()[-1]
    assert "options of" not in each.stderr
    # Within the file itself, there is none to win.
    (folder / FILE).write_text("[alerts]\njson = true\ncsv = true\n", encoding="utf-8")
    assert run("alerts", str(SAMPLES)).exit_code == 2


def test_dates_and_marks(folder: Path) -> None:
    """A date is written with or without quotes, and editors may begin a file with a byte order mark."""
    (folder / FILE).write_bytes(b"\xef\xbb\xbf[alerts]\r\nsince = 2026-11-20\r\nuntil = 2026-11-21T00:00:00Z\r\n")
    found = run("alerts", str(SAMPLES))
    assert found.exit_code == 0
    assert "too old" in found.stderr


@pytest.mark.parametrize(("command", "code"), [("alerts", 2), ("check", 2), ("test", 2), ("plan", 1)])
def test_a_wrong_file_is_misuse(folder: Path, command: str, code: int) -> None:
    """It is told from a finding of check, a failed case of test, and from something to do of plan."""
    (folder / FILE).write_text(f"[{command}]\nnosuch = 1\n", encoding="utf-8")
    assert run(command).exit_code == code


def test_other_places(folder: Path) -> None:
    """A table of pyproject.toml does as well; the environment names another file, or none."""
    (folder / "pyproject.toml").write_text('[tool.sigma-stellar-aws.alerts]\nwindow = "1x"\n', encoding="utf-8")
    assert "options of pyproject.toml count, too" in run("alerts", str(SAMPLES)).stderr
    assert run("alerts", str(SAMPLES), SIGMA_STELLAR_AWS_CONFIG="off").exit_code == 0
    (folder / "other.toml").write_text('[alerts]\nwindow = "2x"\n', encoding="utf-8")
    named = run("alerts", str(SAMPLES), SIGMA_STELLAR_AWS_CONFIG="other.toml")
    assert "'2x' is not a time span" in named.stderr
    assert "options of other.toml count, too" in named.stderr
    gone = run("alerts", str(SAMPLES), SIGMA_STELLAR_AWS_CONFIG="gone.toml")
    assert gone.exit_code == 2
    assert "the configuration gone.toml cannot be read" in gone.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[alerts", "the configuration sigma-stellar-aws.toml cannot be read"),
        ('url = "x"', "url stands in no table; write it below one, such as [alerts]"),
        ("[alert]", "there is no command 'alert'; did you mean alerts?"),
        ("[alerts]\nwindo = '1h'", "[alerts]: there is no option 'windo'; did you mean window?"),
        ("[alerts]\npassword = 'swordfish'", "[alerts]: password: credentials stand in the environment only"),
        ("[alerts]\njson = 'yes'", "[alerts]: json: write true or false"),
        ("[alerts]\nonly = 'KMS Keys Creation'", '[alerts]: only: write a list of texts, such as ["a", "b"]'),
        ("[alerts]\nwindow = [1]", "[alerts]: window: write a text or a number"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, content: str, said: str) -> None:
    """A mistake ends the command before it begins, with the place; a credential is not repeated."""
    (folder / FILE).write_text(content, encoding="utf-8")
    ended = run("alerts", str(SAMPLES))
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert FILE in ended.stderr
    assert "swordfish" not in ended.output
