"""What can be done at once about a finding."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from sigma_stellar_aws.authoring.rule_documents import Finding
from sigma_stellar_aws.editor.outline import Entry, read_outline
from sigma_stellar_aws.editor.text_positions import Place, line_end, line_of_offset, line_starts, place_of_span


class Fix(NamedTuple):
    """A change that ends a finding."""

    title: str
    place: Place
    """What is replaced; empty where something is inserted."""
    replacement: str


def fixes_of(text: str, finding: Finding) -> list[Fix]:
    """Return what can be done about a finding of this very text."""
    make = _BY_CHECK.get(finding.check)
    found = [*_corrected(text, finding), *(make(text, finding) if make else ())]
    entry = _entry_at(text, finding)
    if entry is not None and entry.path == ("id",) and not found:
        found += _new_id(text, entry)
    return found


def _corrected(text: str, finding: Finding) -> Iterator[Fix]:
    """Yield what the finding itself says is to be written."""
    correction = finding.correction
    if correction is None:
        return
    marked = place_of_span(text, finding.place)
    within = text[marked.start : line_end(text, line_of_offset(text, marked.start))]
    at = within.find(correction.written) if correction.is_key else within.rfind(correction.written)
    if at < 0:
        # On another line, or with escaped characters.
        return
    start = marked.start + at
    place = Place(start, start + len(correction.written))
    if correction.is_whole and text[start - 1 : start] in ("'", '"') and text[place.end : place.end + 1] in ("'", '"'):
        place = Place(place.start - 1, place.end + 1)
    yield Fix(f"Write {correction.meant}", place, correction.meant)


def _new_id(text: str, entry: Entry) -> Iterator[Fix]:
    yield Fix("Write a new id", Place(entry.value_start, entry.value_start + len(entry.value)), str(uuid.uuid4()))


def _another_id(text: str, finding: Finding) -> Iterator[Fix]:
    entry = _entry_at(text, finding)
    if entry is not None and entry.path == ("id",):
        yield from _new_id(text, entry)


def _missing_id(text: str, finding: Finding) -> Iterator[Fix]:
    entry = _entry_at(text, finding)
    if entry is None:
        return
    of_document = [each for each in read_outline(text) if each.document == entry.document]
    above = next((each for each in of_document if each.path == ("title",)), None)
    if above is not None:
        end = line_end(text, above.line)
        yield Fix("Add an id", Place(end, end), f"{_line_break(text)}id: {uuid.uuid4()}")


def _without_line(text: str, finding: Finding) -> Iterator[Fix]:
    line = line_of_offset(text, place_of_span(text, finding.place).start)
    starts = line_starts(text)
    end = starts[line + 1] if line + 1 < len(starts) else len(text)
    entry = _entry_at(text, finding)
    if entry is not None and entry.key is None:
        yield Fix("Remove it", Place(starts[line], end), "")


_BY_CHECK: Mapping[str, Callable[[str, Finding], Iterator[Fix]]] = {
    "identifier_uniqueness": _another_id,
    "identifier_existence": _missing_id,
    "duplicate_tag": _without_line,
    "duplicate_references": _without_line,
}


def _entry_at(text: str, finding: Finding) -> Entry | None:
    line = line_of_offset(text, place_of_span(text, finding.place).start)
    return next((entry for entry in reversed(read_outline(text)) if entry.line == line), None)


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
