"""Complete words with blanks or colons, and values after ``--option=``, which click leaves to the shells."""

import re
from os import environ
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

COMPLETE = "_SIGMA_STELLAR_AWS_COMPLETE"
"""The variable by which a shell asks for completions."""

# Every character that may mean something to a shell.
_SPECIAL = re.compile(r"([^\w@%+=:,./-])")
_OPTION = re.compile(r"--[^=]*=")


class _Bash(BashComplete):
    """Completion for bash, which puts what it is given into the command line as it is.

    It takes words apart at ``=`` and ``:``, and replaces only what stands behind the last of them.
    """

    def get_completion_args(self) -> tuple[list[str], str]:
        """Put words together again."""
        *words, word = split_arg_string(_together()) if _raw()[-1] else [*split_arg_string(_together()), ""]
        return words[1:], word

    def format_completion(self, item: CompletionItem) -> str:
        """Escape what would end the word, unless it stands in quotes: twice, since click's script reads it once."""
        if item.type != "plain":
            return super().format_completion(item)
        word = _raw()[-1]
        before = _OPTION.sub("", _together().rpartition("\n")[2].removesuffix(word.lstrip("=:")), count=1)
        value = str(item.value)[len("".join(split_arg_string(before))) :]
        return super().format_completion(
            CompletionItem(value if word[:1] in ("'", '"') else _SPECIAL.sub(r"\\\\\1", value))
        )


def _raw() -> list[str]:
    """Return the words up to the cursor, as bash takes them apart."""
    return environ["COMP_WORDS"].split("\n")[: int(environ["COMP_CWORD"]) + 1]


def _together() -> str:
    return re.sub(r"\n([=:]+)(\n|$)", r"\1", "\n".join(_raw()))


class _WholeWord(ShellComplete):
    """Completion for shells that replace the whole word, ``--option=`` included."""

    def get_completions(self, args: list[str], incomplete: str) -> "list[CompletionItem[Any]]":
        """Return values with what stands before them."""
        option = _OPTION.match(incomplete)
        items = super().get_completions(args, incomplete)
        for item in items:
            if option and item.type == "plain":
                item.value = f"{option[0]}{item.value}"
        return items


class _Zsh(_WholeWord, ZshComplete):
    pass


class _Fish(_WholeWord, FishComplete):
    pass


def complete_in_shells() -> None:
    """Let shells complete all words."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)
