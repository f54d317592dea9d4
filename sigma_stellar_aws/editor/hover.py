"""What is known of the word at a place of a rule, as Markdown."""

from collections.abc import Iterable
from typing import NamedTuple

from sigma_stellar_aws.base.text import first_of
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.aws_documentation import first_sentence
from sigma_stellar_aws.editor.completion import KnownRule, parameter_kind
from sigma_stellar_aws.editor.cursor import Cursor, cursor_at
from sigma_stellar_aws.editor.flow import entry_at
from sigma_stellar_aws.editor.outline import Entry, unquoted
from sigma_stellar_aws.editor.queries import query_text
from sigma_stellar_aws.editor.surroundings import detection_around, events_beside, field_of, selections, sources_beside
from sigma_stellar_aws.editor.text_positions import Place
from sigma_stellar_aws.reference.attack import attack, tactic_name
from sigma_stellar_aws.reference.aws_events import canonical_event_name, known, names, sources, sources_of
from sigma_stellar_aws.reference.aws_parameters import parameter as parameter_of
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS, is_known
from sigma_stellar_aws.reference.ecs_fields import ecs_field
from sigma_stellar_aws.reference.field_meanings import meaning_of
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.rule_keys import MODIFIERS, keys_of_map

_READING = (
    *("BatchGet", "Check", "Describe", "Download", "Filter", "Get", "Head", "List", "Lookup", "Preview", "Query"),
    *("Read", "Scan", "Search", "Select", "View"),
)
"""How the names of operations begin that change nothing."""


class HoverText(NamedTuple):
    """What is shown, and for which part of the text."""

    markdown: str
    place: Place


def hover(text: str, offset: int, rules: Iterable[KnownRule] = ()) -> HoverText | None:
    """Return what is known of what stands at an offset of a text, or None.

    Args:
        text: the rules of a file.
        offset: of the character that is pointed at.
        rules: those that a correlation or filter may name.
    """
    cursor = cursor_at(text, offset)
    entry = entry_at(text, offset)
    if cursor is None or entry is None or cursor.word.start == cursor.word.end:
        return None
    word = text[cursor.word.start : cursor.word.end]
    if cursor.is_key and entry.key is not None and offset < entry.value_start:
        markdown, place = _of_key(text, cursor, entry, word)
    else:
        markdown, place = _of_value(text, cursor, word, rules), cursor.word
    return HoverText(markdown, place) if markdown else None


def _of_key(text: str, cursor: Cursor, entry: Entry, word: str) -> tuple[str, Place]:
    key = entry.key or ""
    around = detection_around(cursor.path)
    if around is None or around.selection is None:
        known_key = keys_of_map(cursor.path).get(key)
        if around is not None and known_key is None:
            return _of_selection(text, cursor.document, key), cursor.word
        if around is not None and key == "condition":
            return _of_query(text, cursor.document, None, "The condition"), cursor.word
        if known_key is None:
            return "", cursor.word
        values = f"\n\nOne of: {', '.join(f'`{value}`' for value in known_key.values)}" if known_key.values else ""
        return f"`{key}` ({known_key.kind})\n\n{known_key.meaning}{values}", cursor.word
    if "|" in cursor.before:
        return f"`|{word}`\n\n{MODIFIERS[word]}" if word in MODIFIERS else "", cursor.word
    field = key.partition("|")[0]
    parameter = parameter_of(field, events_beside(text, cursor.document, entry.path))
    if parameter is None:
        return of_field(field), cursor.word
    values = f"\n\nOne of: {first_of(parameter.values, 20)}" if parameter.values else ""
    return f"`{field}` ({parameter_kind(parameter)})\n\nFlattened: `{flat_name(field)}`{values}", cursor.word


def of_field(field: str) -> str:
    """Return what a field means, of which type it is, and what stores call it; empty for one that CloudTrail lacks."""
    if not is_known(field):
        return ""
    kind = FIELDS[field].kind if field in FIELDS else "as the service has it"
    longest = FIELDS[field].longest if field in FIELDS else None
    length = f", at most {longest:,} characters" if longest else ""
    ecs = ecs_field(field).field
    lines = [
        f"`{field}` ({kind}{length})",
        meaning_of(field),
        f"Flattened: `{flat_name(field)}`" + (f"; Elastic's AWS integration: `{ecs}`" if ecs else ""),
    ]
    return "\n\n".join(lines)


def _of_value(text: str, cursor: Cursor, word: str, rules: Iterable[KnownRule]) -> str:
    path: YamlPath = cursor.path
    field = field_of(path)
    if field == "eventName":
        return of_event(word, sources_beside(text, cursor.document, path))
    if field == "eventSource" and word in sources():
        return f"`{word}`\n\n{len(names(word)):,} events are known of this source."
    if len(path) > 1 and "condition" in path[1:] and detection_around((*path[: path.index("condition")], "a")):
        if word in selections(text, cursor.document, path[: path.index("condition")]):
            return _of_selection(text, cursor.document, word)
        return _of_query(text, cursor.document, None, "The condition")
    if path[:1] == ("tags",):
        return of_tag(word)
    if path[:3] == ("stellar", "suppression", "fields") or path[:2] == ("correlation", "group-by"):
        return of_field(word)
    if path[:2] in (("correlation", "rules"), ("filter", "rules")):
        return next((f"{rule.title}\n\n`{rule.name}`" for rule in rules if word == rule.name), "")
    return ""


def of_event(name: str, beside: Iterable[str] = ()) -> str:
    """Return what an event is: its sources, whether it reads or writes, and what AWS says of it, if that is known.

    Args:
        name: an eventName, or the beginning of one.
        beside: the sources that the rule asks for.
    """
    spelt = canonical_event_name(name)
    if spelt is None:
        return ""
    asked = [source for source in beside if known(source, canonical_event_name(name, source) or name)]
    found = asked or sources_of(spelt)
    kind = "reads" if name.startswith(_READING) else "writes"
    lines = [f"`{spelt}` of {first_of(found)}"]
    sentence = next((said for source in found[:3] if (said := first_sentence(source, name))), None)
    lines += [sentence] if sentence else []
    lines += [f"By its name, it {kind}."]
    return "\n\n".join(lines)


def of_tag(tag: str) -> str:
    """Return the name of the ATT&CK tactic or technique of a tag; empty for any other tag."""
    namespace, _, name = tag.lower().partition(".")
    table = attack()
    if namespace != "attack":
        return ""
    if tactic := table.tactics.get(name):
        return f"{tactic.id} {tactic.name}\n\nA tactic of ATT&CK {table.version}."
    if technique := table.techniques.get(name.upper()):
        tactics = ", ".join(map(tactic_name, technique.tactics))
        url = f"https://attack.mitre.org/techniques/{name.upper().replace('.', '/')}/"
        return f"[{name.upper()}]({url}) {technique.name}\n\nA technique of ATT&CK {table.version}: {tactics}."
    return ""


def _of_selection(text: str, document: int, selection: str) -> str:
    return _of_query(text, document, selection, f"`{unquoted(selection)}`")


def _of_query(text: str, document: int, selection: str | None, title: str) -> str:
    query = query_text(text, document, selection)
    return f"{title} becomes this query:\n\n```json\n{query}\n```" if query else ""
