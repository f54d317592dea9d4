"""Alerts as one HTML page that needs nothing else: no server, no network.

Its fields hold what attackers typed. So they stand in it as compressed data, a policy of the page runs no script but
its own (https://www.w3.org/TR/CSP3/), and that one puts texts into the page only as texts.

It opens once it has read what it counts, filters and lists. It reads the details of alerts after that, in parts.
"""

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import BinaryIO

import msgspec
from zlib_ng import zlib_ng

from sigma_stellar_aws.base.files import replacing
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.reference.attack import attack

_FOLDER = Path(__file__).parent
_OF_RULES = ("name", "display_name", "severity", "rule", "tactics", "techniques")
"""What all alerts of a rule have in common."""
_DETAILS = ("id", "suppression", "events", "correlation", "first_event")
"""What is shown once an alert is opened, and what the search looks through."""
_MOST_DETAILS = 64 << 20
"""Bytes of details, uncompressed, after which first events are left out: browsers keep what can be searched."""
_PART = 1 << 20
"""Bytes of details that are read together, uncompressed: opening an alert must not take a moment."""


def write_html(alerts: Iterable[JsonObject], target: Path | BinaryIO, *, about: JsonObject) -> None:
    """Write a page with a timeline, overviews, the alerts, filters and a search.

    Args:
        alerts: JSON objects as ``alerts.alert.alert_json`` writes them. They are read before the target is opened: a
            search that breaks off leaves no page.
        target: a file, or a stream of bytes.
        about: what was searched; read after the alerts, so that what became known meanwhile can stand in it:
            ``searched`` (text for people), ``since`` and ``until`` (ISO 8601, or null), ``records`` and ``events`` (how
            many were read and how many of them matched, or null), ``rules`` (how many), ``version`` (of this project),
            ``problems`` (list of texts: what could not be read or asked, in any order) and, if wanted,
            ``problem_count`` (how many there were, where these are the first ones) and ``written`` (ISO 8601, when this
            page was).

    Raises:
        OSError: the target cannot be written; a file is as it was then.
    """
    before, between, behind = _frame()
    with tempfile.TemporaryFile() as details:
        data = _packed(_data(alerts, about, details))
        details.seek(0)
        with replacing(target) if isinstance(target, Path) else nullcontext(target) as stream:
            stream.write(before + data + between)
            for first, part in _parts(details):
                stream.write(b'\n<script type="text/plain" class="part" data-first="%d">%b</script>' % (first, part))
            stream.write(behind)


def _data(alerts: Iterable[JsonObject], about: JsonObject, details: BinaryIO) -> Iterator[bytes]:
    """Yield what the page reads first, one JSON object; write the details of each alert as a line of JSON."""
    kinds: dict[bytes, int] = {}
    techniques: set[str] = set()
    room = _MOST_DETAILS
    yield b'{"alerts":['
    for number, alert in enumerate(alerts):
        kind, row, rest = _taken_apart(alert)
        row["kind"] = kinds.setdefault(_json(kind), len(kinds))
        techniques.update(_techniques(alert))
        line = _json(rest)
        room -= len(line)
        details.write((line if room >= 0 else _json(_without_record(rest))) + b"\n")
        yield (b"," if number else b"") + _json(row)
    yield b'],"kinds":[%b],"about":%b,"attack":%b}' % (b",".join(kinds), _json(about), _json(_matrix(techniques)))


def _taken_apart(alert: JsonObject) -> tuple[JsonObject, JsonObject, JsonObject]:
    """Return what an alert shares with others of its rule, what is needed to list and count it, and its details."""
    suppression, event = alert["suppression"], alert.get("first_event")
    window = suppression["window"] if isinstance(suppression, dict) else None
    resource = event["resource"] if isinstance(event, dict) else ""
    shared = {key: alert[key] for key in _OF_RULES if key in alert}
    details = {key: alert[key] for key in _DETAILS if key in alert}
    listed = {key: value for key, value in alert.items() if key not in shared and key not in details}
    return {"window": window, "shared": shared}, {"resource": resource, "listed": listed}, details


def _without_record(details: JsonObject) -> JsonObject:
    event = details.get("first_event")
    if not isinstance(event, dict):
        return details
    return {**details, "first_event": {key: value for key, value in event.items() if key != "record"}}


def _parts(details: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines of JSON in parts, each a packed list, with the number of its first one."""
    first, size = 0, 0
    part: list[bytes] = []
    for number, line in enumerate(details):
        if size >= _PART:
            yield first, _packed([b"[", b",".join(part), b"]"])
            first, size, part = number, 0, []
        part.append(line)
        size += len(line)
    yield first, _packed([b"[", b",".join(part), b"]"])


def _packed(texts: Iterable[bytes]) -> bytes:
    """Compress texts into letters and digits, which are a tenth as long and cannot end an element of the page."""
    compressor = zlib_ng.compressobj()
    return base64.b64encode(b"".join([*map(compressor.compress, texts), compressor.flush()]))


def _techniques(alert: JsonObject) -> Iterator[str]:
    stated = alert.get("techniques")
    for technique in stated if isinstance(stated, list) else []:
        if isinstance(technique, dict):
            yield str(technique["id"])


def _matrix(techniques: Iterable[str]) -> JsonObject:
    """Return the tactics in the order of ATT&CK, and which of them each technique serves."""
    known = attack()
    served: JsonObject = {}
    for stated in sorted(techniques):
        technique = known.techniques.get(known.replaces.get(stated, stated))
        served[stated] = [known.tactics[name].id for name in technique.tactics] if technique else []
    tactics: list[Json] = [{"id": tactic.id, "name": tactic.name} for tactic in known.tactics.values()]
    return {"version": known.version, "tactics": tactics, "techniques": served}


def _json(value: JsonObject) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (UnicodeError, OverflowError):
        # Half a character, or a number of more than 64 bits: JSON can hold both.
        return json.dumps(value, separators=(",", ":")).encode("ascii")


@cache
def _frame() -> tuple[bytes, bytes, bytes]:
    """Return what stands before the data of a page, between it and the details, and after them."""
    page, style = ((_FOLDER / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "css"))
    # One script: what needs no server has no modules to load.
    script = "\n".join(part.read_text(encoding="utf-8") for part in sorted((_FOLDER / "script").glob("*.js")))
    for mark, text in (
        ("{{style hash}}", _hash(style)),
        ("{{script hash}}", _hash(script)),
        ("{{style}}", style),
        ("{{script}}", script),
    ):
        page = page.replace(mark, text)
    before, _, rest = page.partition("{{data}}")
    between, _, behind = rest.partition("{{details}}")
    return before.encode(), between.encode(), behind.encode()


def _hash(text: str) -> str:
    """Hash the content of an element as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
