"""Completion in bash of words that have blanks."""

import re
from os import environ

from click.shell_completion import BashComplete, CompletionItem, add_completion_class

COMPLETE = "_SIGMA_STELLAR_AWS_COMPLETE"
"""The variable by which a shell asks for what a word may become."""

# All that a shell may take for more than a letter.
_SPECIAL = re.compile(r"([^\w@%+=:,./-])")


class _Bash(BashComplete):
    """Completion for bash, which puts what it is given into the command line as it is."""

    def format_completion(self, item: CompletionItem) -> str:
        """Escape what would end the word, unless it stands in quotes: twice, since click's script reads it once."""
        word = environ.get("COMP_WORDS", "").rpartition("\n")[2]
        if item.type == "plain" and word[:1] not in ("'", '"'):
            item = CompletionItem(_SPECIAL.sub(r"\\\\\1", str(item.value)))
        return super().format_completion(item)


def complete_in_bash() -> None:
    """Let bash complete words that have blanks, such as titles."""
    add_completion_class(_Bash)
