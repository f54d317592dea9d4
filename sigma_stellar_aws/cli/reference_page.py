"""The parts of ``REFERENCE.md`` that are made from the code: ``python -m sigma_stellar_aws.cli.reference_page``.

A part stands between ``<!-- made: NAME -->`` and ``<!-- end -->``; the rest of the page is written by hand.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

PAGE = Path(__file__).parents[1] / "REFERENCE.md"

_ALERT_FIELDS = PAGE.parent / "alerts" / "README.md"
_MARK = re.compile(r"<!--.*?-->\n+", re.DOTALL)
_PART = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def topics(page: str) -> dict[str, str]:
    """Return the sections of the page by their topics, which are their headings in lower case, joined by hyphens.

    >>> topics("# Title\\n\\n## Exit codes\\n\\nzero\\n\\n## Logs\\n\\nfiles\\n")
    {'exit-codes': '## Exit codes\\n\\nzero\\n', 'logs': '## Logs\\n\\nfiles\\n'}
    """
    starts = [*_HEADING.finditer(page)]
    ends = [*(start.start() for start in starts[1:]), len(page)]
    return {
        re.sub(r"[^a-z0-9]+", "-", start[1].lower()).strip("-"): page[start.start() : end].rstrip() + "\n"
        for start, end in zip(starts, ends, strict=True)
    }


def reference_topics() -> dict[str, str]:
    """Return all that can be read of the reference by its topics, without marks that are not for readers."""
    sections = topics(PAGE.read_text(encoding="utf-8"))
    fields = _ALERT_FIELDS.read_text(encoding="utf-8")
    return {name: _MARK.sub("", text) for name, text in {**sections, "fields-of-an-alert": fields}.items()}


def brought_up_to_date(page: str, group: click.Group, tables: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page with its made parts as the code has them.

    Args:
        page: as it was.
        group: the commands.
        tables: what the help of the group says in tables, by their names.

    Raises:
        KeyError: the page asks for a part that nothing makes.
    """
    parts = {name: _table(("", "meaning"), rows.items()) for name, rows in tables.items()}
    parts["commands"] = "\n".join(_commands(group))
    return _PART.sub(lambda part: f"{part[1]}\n{parts[part[2]]}\n{part[3]}", page)


def _commands(group: click.Group) -> Iterable[str]:
    context = click.Context(group, info_name="sigma-stellar-aws")
    for name in group.list_commands(context):
        # As for a completion: no file of options counts.
        context.resilient_parsing = True
        command = group.get_command(context, name)
        assert command is not None
        arguments = [f"[{(each.name or '').upper()}]..." for each in command.params if isinstance(each, click.Argument)]
        yield f"### {' '.join(['sigma-stellar-aws', name, '[OPTIONS]', *arguments])}\n"
        yield inspect.cleandoc(command.help or "").replace("\b\n", "") + "\n"
        if options := [each for each in command.params if isinstance(each, click.Option) and not each.hidden]:
            yield _table(("option", "meaning"), ((_names(each), _meaning(each)) for each in options))


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or _kind(option)}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _kind(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.type.name.upper()


def _meaning(option: click.Option) -> str:
    default = f" Default: {option.default}." if option.show_default and option.default is not None else ""
    return f"{option.help or ''}{default}"


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {name} | {meaning} |".replace("\n", " ") for name, meaning in rows]
    escaped = [re.sub(r"(?<=\S)\|(?=\S)", r"\\|", line) for line in lines]
    return "\n".join([f"| {head[0]} | {head[1]} |", "|---|---|", *escaped]) + "\n"


if __name__ == "__main__":
    from sigma_stellar_aws.cli import ENVIRONMENT, EXIT_CODES, main

    # What the page is made of; the commands themselves need none of it.
    made = brought_up_to_date(
        PAGE.read_text(encoding="utf-8"), main, {"exit-codes": EXIT_CODES, "environment": ENVIRONMENT}
    )
    PAGE.write_text(made, encoding="utf-8")
