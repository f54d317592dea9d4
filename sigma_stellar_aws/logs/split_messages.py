"""Join messages that container logs split into parts, usually of 16 KB, each with its own wrapper or header.

- Docker: ``{"log": "...", "stream": "stdout", "time": "..."}``, where the last part ends with a line break.
- Fluentd and journald have it from Docker, with ``partial_id`` or ``CONTAINER_PARTIAL_ID`` beside the part.
- Kubernetes (CRI): ``TIME stdout P ...``, and F instead of P for the last part.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.logs.envelopes import NotARecord, Unwrapped, unwrap
from sigma_stellar_aws.logs.json_repair import BROKEN
from sigma_stellar_aws.logs.json_window import LONGEST_RECORD, Window
from sigma_stellar_aws.logs.record_head import Raw

_SHORTEST = 1 << 10
"""A shorter message is not split."""
_CONTAINER_LINE = rb"\d{4}-\d\d-\d\dT[\d:.Z+-]{8,30} (stdout|stderr) ([PF])(?::\w{1,20})? "
"""The header of a line in a log of Kubernetes. Its groups are the stream, and P for a part or F for the last one."""
_LONGEST_HEADER = 80
_UNFINISHED = "damaged record: it was split in parts, of which some are missing"


class MessagePart(NamedTuple):
    """A part of a message."""

    stream: str
    """What its other parts have in common with it."""
    text: str
    is_last: bool


class _Wrapper(msgspec.Struct):
    log: object = None
    MESSAGE: object = None
    message: object = None
    stream: object = None
    container_id: object = None
    partial_id: object = None
    CONTAINER_PARTIAL_ID: object = None

    def text(self) -> object:
        return next((text for text in (self.log, self.MESSAGE, self.message) if text is not None), None)


_decode_wrapper = msgspec.json.Decoder(_Wrapper).decode


def part_of(value: Raw) -> MessagePart | None:
    """Return the part of a message that a wrapper holds, if it holds a text."""
    try:
        wrapper = _decode_wrapper(value)
    except BROKEN:
        return None
    text = wrapper.text()
    if not isinstance(text, str):
        return None
    stream = f"{wrapper.stream} {wrapper.container_id} {wrapper.partial_id} {wrapper.CONTAINER_PARTIAL_ID}"
    return MessagePart(stream, text, text.endswith("\n"))


def container_part(window: Window, holds: Callable[[str], bool]) -> tuple[MessagePart, int] | None:
    """Return the part of a message on a line that Kubernetes writes, and the end of the line; None for any other line.

    Args:
        window: at the beginning of the line.
        holds: tells whether earlier parts are held of a stream; else what ends a message is a whole one.
    """
    header = re.match(_CONTAINER_LINE, window.data[window.at : window.at + _LONGEST_HEADER])
    if header is None:
        return None
    stream, is_last = header[1].decode(), header[2] == b"F"
    if is_last and not holds(stream):
        return None
    start = header.end()
    while (end := window.data.find(b"\n", window.at)) < 0 and not window.ended:
        if len(window.data) - window.at > window.longest:
            return None
        window.extend()
    end = end if end >= 0 else len(window.data)
    text = window.data[window.at + start : end].decode("utf-8", "replace")
    return MessagePart(stream, text, is_last), end


class SplitMessages:
    """The parts of messages that are not complete yet."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._held: dict[str, tuple[int, list[str]]] = {}

    def __bool__(self) -> bool:
        """Tell whether any parts are held."""
        return bool(self._held)

    def holds(self, stream: str) -> bool:
        """Tell whether parts of a message in a stream are held."""
        return stream in self._held

    def may_take(self, part: MessagePart) -> bool:
        """Tell whether this is the next part of a message, or may be the first one."""
        is_first = part.text.startswith("{") and len(part.text) >= _SHORTEST and not part.is_last
        return is_first or self.holds(part.stream)

    def add(self, line: int, part: MessagePart) -> tuple[int, list[Unwrapped | NotARecord]]:
        """Add a part. Return the line of the first one, and what the message holds if it is complete."""
        first_line, texts = self._held.pop(part.stream, (line, []))
        texts.append(part.text)
        if part.is_last or part.text.endswith(("}", "]")):
            found = list(unwrap("".join(texts).strip().encode("utf-8", "replace")))
            if part.is_last or any(isinstance(item, Unwrapped) for item in found):
                return first_line, found
        if sum(map(len, texts)) > LONGEST_RECORD:
            return first_line, [NotARecord(_UNFINISHED)]
        self._held[part.stream] = first_line, texts
        return first_line, []

    def give_up(self, *streams: str) -> Iterator[tuple[int, str]]:
        """Drop what is held of streams, by default of all, and yield the lines and reasons to report."""
        for stream in streams or tuple(self._held):
            if stream in self._held:
                yield self._held.pop(stream)[0], _UNFINISHED
