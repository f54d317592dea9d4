"""What shells complete besides commands, options and files."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "sigma-stellar-aws"
TITLE = "AWS CloudWatch Alarm Deletion"


def in_bash(*words: str, folder: Path | None = None) -> list[str]:
    """Complete the last word of a command line in bash, and return what it may be replaced with."""
    script = """
        compopt() { :; }
        eval "$(sigma-stellar-aws completion bash)"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _sigma_stellar_aws_completion "$1"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    command = ["bash", "--norc", "-c", script, "bash", "sigma-stellar-aws", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment, cwd=folder)
    assert ended.stderr == ""
    return [line for line in ended.stdout.splitlines() if line]


def asked(shell: str, line: str, word: str) -> list[str]:
    """Ask the program as the script of a shell does; return the values that it may show."""
    environment = {
        **os.environ,
        "COMP_WORDS": line,
        "COMP_CWORD": word if shell == "fish" else str(len(shlex.split(line)) - 1),
        "_SIGMA_STELLAR_AWS_COMPLETE": f"{shell}_complete",
    }
    ended = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=60)
    return ended.stdout.splitlines()


def test_titles_in_bash() -> None:
    """A title is one word of the command line, whether it is being typed in quotes or not."""
    [escaped] = in_bash("alerts", "--only", "AWS\\ CloudWatch\\ Al")
    assert shlex.split(escaped) == [TITLE]
    assert in_bash("alerts", "--only", '"AWS CloudWatch Al') == [TITLE]
    titles = in_bash("alerts", "--exclude", "")
    assert len(titles) == 29
    assert all(len(shlex.split(title)) == 1 for title in titles)
    [bracketed] = in_bash("plan", "elastic", "--only", "AWS\\ Security\\ Token")
    assert shlex.split(bracketed) == ["AWS Security Token Service (STS) AssumeRole Usage"]


def test_other_names_in_bash(tmp_path: Path) -> None:
    """Ids and files of rules, those of other rules, names of filters and topics of the reference are completed, too."""
    assert in_bash("alerts", "--only", "aws_ses") == ["aws_ses_identity_deleted"]
    assert in_bash("explain", "aws_ses") == ["aws_ses_identity_deleted"]
    assert in_bash("alerts", "--filter", "sigma_filter_aws_su") == ["sigma_filter_aws_successful_calls"]
    assert in_bash("reference", "fields") == ["fields-of-an-alert"]
    (tmp_path / "mine.yml").write_text("title: 'Mine: all'\nid: 0f1e2d3c-0000-4000-8000-000000000001\n", "utf-8")
    assert in_bash("alerts", "--rules", "mine.yml", "--only", "0f1e", folder=tmp_path) == [
        "0f1e2d3c-0000-4000-8000-000000000001"
    ]
    assert in_bash("alerts", "--rules", "mine.yml", "--only", "", folder=tmp_path) == ["Mine:\\ all"]


def test_words_that_bash_takes_apart(tmp_path: Path) -> None:
    """Bash ends a word at = and :, and replaces only what stands behind."""
    assert in_bash("alerts", "--only", "=", "aws_ses") == ["aws_ses_identity_deleted"]
    [escaped] = in_bash("alerts", "--only", "=", "AWS\\ CloudWatch\\ Al")
    assert shlex.split(escaped) == [TITLE]
    assert in_bash("alerts", "--only", "=", '"AWS CloudWatch Al') == [TITLE]
    assert len(in_bash("alerts", "--only", "=")) == 29
    (tmp_path / "mine.yml").write_text("title: 'Mine: all: of it'\n", "utf-8")
    mine = ("alerts", "--rules", "mine.yml", "--only")
    assert in_bash(*mine, "Mine", ":", folder=tmp_path) == ["\\ all:\\ of\\ it"]
    assert in_bash(*mine, "Mine", ":", "\\ a", folder=tmp_path) == ["\\ all:\\ of\\ it"]
    assert in_bash(*mine, "=", "Mine", ":", "\\ all", ":", "\\ o", folder=tmp_path) == ["\\ of\\ it"]
    # They are part of the command line, too, when another word is completed.
    assert in_bash("alerts", "--rules", "=", "mine.yml", "--only", "Mi", folder=tmp_path) == ["Mine:\\ all:\\ of\\ it"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_titles_in_other_shells(shell: str) -> None:
    """These shells put quotes around what they are given themselves."""
    lines = asked(shell, r"sigma-stellar-aws alerts --only AWS\ CloudWatch\ Al", r"AWS\ CloudWatch\ Al")
    assert [line for line in lines if "AWS" in line] == [TITLE if shell == "zsh" else f"plain,{TITLE}"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_values_behind_an_equals_sign_in_other_shells(shell: str) -> None:
    """These shells replace the whole word."""
    lines = asked(shell, r"sigma-stellar-aws alerts --only=AWS\ CloudWatch\ Al", r"--only=AWS\ CloudWatch\ Al")
    shown = f"--only={TITLE}"
    assert [line for line in lines if "AWS" in line] == [shown if shell == "zsh" else f"plain,{shown}"]
