"""What a shell may complete besides commands, options and files: rules and topics."""

import re
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from sigma_stellar_aws.cli.reference_page import reference_topics
from sigma_stellar_aws.rule_files.find import correlations_path, find_rule_files

# To load pySigma would take longer than anybody waits for a completion.
_NAME = re.compile(r"^(title|id):[ \t]+(['\"]?)(.+?)\2[ \t]*$", re.MULTILINE)


def complete_rules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer titles of the rules that are asked; for what begins like an id or a file, those."""
    names = [*dict.fromkeys(_rule_names(context, titles_only=not incomplete))]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_rules_or_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer rules of this project, or else files."""
    return complete_rules(context, parameter, incomplete) or [CompletionItem(incomplete, type="file")]


def complete_topics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer topics of the reference."""
    return [CompletionItem(topic) for topic in reference_topics() if topic.startswith(incomplete)]


def _rule_names(context: click.Context, *, titles_only: bool) -> Iterator[str]:
    paths = context.params.get("rule_paths") or ()
    files = find_rule_files(paths)
    if context.params.get("correlations"):
        files += find_rule_files([correlations_path()])
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        yield from (name[3] for name in _NAME.finditer(text) if name[1] == "title" or not titles_only)
        if not titles_only:
            yield file.stem
