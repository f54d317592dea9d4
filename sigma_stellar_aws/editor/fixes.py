"""What can be done at once about a finding."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from sigma_stellar_aws.authoring.rule_documents import Finding
from sigma_stellar_aws.editor.corrections import correction_of
from sigma_stellar_aws.editor.flow import entry_at
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
    """Yield what the message says is to be written, if what it is written for stands there in so many letters."""
    correction = correction_of(finding.message)
    if correction is None:
        return
    marked = place_of_span(text, finding.place)
    end = line_end(text, line_of_offset(text, marked.start))
    entry = _entry_at(text, finding)
    value = max(marked.start, entry.value_start) if entry is not None else marked.start
    for written in correction.written:
        found = [*re.finditer(re.escape(written), text[marked.start : end], re.IGNORECASE)]
        places = [Place(marked.start + each.start(), marked.start + each.end()) for each in found]
        if places:
            # A key begins its line, and a value ends it.
            of_keys = [place for place in places if place.end <= value]
            place = of_keys[0] if of_keys and (correction.is_key or of_keys == places) else places[-1]
            if correction.is_scalar and _is_quoted(text, place):
                place = Place(place.start - 1, place.end + 1)
            yield Fix(f"Write {correction.meant}", place, correction.meant)
            return


def _is_quoted(text: str, place: Place) -> bool:
    return text[place.start - 1 : place.start] in ("'", '"') and text[place.end : place.end + 1] in ("'", '"')


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
    return entry_at(text, place_of_span(text, finding.place).start)


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
