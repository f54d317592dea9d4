"""Alerts as one HTML page that needs nothing else: no server, no network.

Its fields hold what attackers typed. So they stand in it as data that no value can end, a policy of the page runs no
script but its own (https://www.w3.org/TR/CSP3/), and that one puts texts into the page only as texts.
"""

import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import BinaryIO

from sigma_stellar_aws.base.files import replacing
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.reference.attack import attack

_FOLDER = Path(__file__).parent
_GUIDE = ("description", "false_positives", "references", "triage")
_MOST_RECORDS = 16 << 20
"""Characters of first events: the page has to open in a moment."""


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
    with tempfile.TemporaryFile() as page, tempfile.TemporaryFile() as records:
        page.write(before)
        for part in _data(alerts, about, records):
            page.write(part.encode("ascii"))
        page.write(between)
        records.seek(0)
        shutil.copyfileobj(records, page)
        page.write(behind)
        page.seek(0)
        with replacing(target) if isinstance(target, Path) else nullcontext(target) as stream:
            shutil.copyfileobj(page, stream)


def _data(alerts: Iterable[JsonObject], about: JsonObject, records: BinaryIO) -> Iterator[str]:
    """Yield the data of a page in parts, one JSON object; write first events in lines, in the order of the alerts.

    What a rule says stands there once. Events are read only when somebody asks for one, and are as many as fit.
    """
    techniques: set[str] = set()
    guides: JsonObject = {}
    room = _MOST_RECORDS
    yield '{"alerts":['
    for number, alert in enumerate(alerts):
        techniques.update(_techniques(alert))
        plain, record = _taken_apart(alert, guides)
        text = _json(record) if record is not None else ""
        room -= len(text)
        records.write(f"\n{text if room >= 0 else ''}".encode("ascii"))
        yield f"{',' if number else ''}\n{_json(plain)}"
    yield f'\n],\n"about":{_json(about)},\n"guides":{_json(guides)},\n"attack":{_json(_matrix(techniques))}}}\n'


def _taken_apart(alert: JsonObject, guides: JsonObject) -> tuple[JsonObject, JsonObject | None]:
    """Return an alert without what its rule says, which is put into the guides, and without the record, and that."""
    rule, event = alert["rule"], alert.get("first_event")
    if isinstance(rule, dict) and (guide := {key: rule[key] for key in _GUIDE if key in rule}):
        guides.setdefault(str(rule["id"]), {**guide})
        alert = {**alert, "rule": {key: value for key, value in rule.items() if key not in guide}}
    record = event.get("record") if isinstance(event, dict) else None
    if isinstance(event, dict) and isinstance(record, dict):
        return {**alert, "first_event": {key: value for key, value in event.items() if key != "record"}}, record
    return alert, None


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


def _json(value: JsonObject) -> str:
    """Write JSON in ASCII without ``<``: half a surrogate pair is not UTF-8, and ``</script>`` ends the element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def _frame() -> tuple[bytes, bytes, bytes]:
    """Return what stands before the data of a page, between it and the first events, and after them."""
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
    between, _, behind = rest.partition("{{records}}")
    return before.encode(), between.encode(), behind.encode()


def _hash(text: str) -> str:
    """Hash the content of an element as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
