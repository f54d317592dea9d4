"""Write alerts as a table, JSON lines, CSV or OCSF."""

import csv
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import TextIO

from sigma_stellar_aws.alerts.alert import Alert, AlertList, ChainEvent
from sigma_stellar_aws.alerts.alert_json import alert_lines
from sigma_stellar_aws.alerts.first_event import FirstEvent, actor_name, first_event
from sigma_stellar_aws.alerts.ocsf import ocsf_lines
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.base.text import cell
from sigma_stellar_aws.base.times import time_text
from sigma_stellar_aws.query.matched import Matched
from sigma_stellar_aws.reference.attack import label, tactic_name
from sigma_stellar_aws.reference.flat_schema import text_of

FORMS = ("table", "json", "csv", "ocsf")


def write_alerts(alerts: AlertList, form: str, group_by: str, stream: TextIO, fields: Sequence[str] = ()) -> None:
    """Write alerts.

    Args:
        alerts: what to write; but for the table, in their order.
        form: one of ``FORMS``.
        group_by: what the table is grouped by, rule or actor.
        stream: where to.
        fields: columns of CSV, all by default.
    """
    if form == "json":
        stream.writelines(alert_lines(alerts))
    elif form == "ocsf":
        stream.writelines(ocsf_lines(alerts))
    elif form == "csv":
        _write_csv(alerts, stream, fields or csv_fields())
    else:
        # It loads rich, which takes half of our start.
        from sigma_stellar_aws.alerts.table import write_table

        write_table(alerts, group_by, stream)
    # While there is still somebody to tell that it could not be written.
    stream.flush()


def csv_fields() -> list[str]:
    """Return the names of the columns of CSV."""
    return [name for name, _ in _CSV_COLUMNS]


def _write_csv(alerts: Iterable[Alert], stream: TextIO, fields: Sequence[str]) -> None:
    values = dict(_CSV_COLUMNS)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(fields)
    for alert in alerts:
        # A bare carriage return, which no cell has, would also end a line for many readers.
        writer.writerow(
            cell("" if (told := value(alert)) is None else str(told)) for value in map(values.__getitem__, fields)
        )


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values)


def _key_text(alert: Alert) -> str:
    key = zip(alert.rule.suppression.fields, alert.key, strict=True)
    return _joined(f"{field}={'' if value is None else value}" for field, value in key)


def _link(step: ChainEvent) -> str:
    """Return an event of a correlation as a line: when, what, to what, how it failed, and for which rules it counts."""
    told = " ".join(filter(None, (time_text(step.time) or "", step.event, step.resource, step.error_code)))
    return f"{told} ({_joined(title for _, title in step.rules)})"


# The last one read: several columns say something of the same event.
@lru_cache(maxsize=1)
def _event_of(text: bytes, rule: PackRule) -> FirstEvent | None:
    return first_event(text, rule)


def _first(alert: Alert) -> FirstEvent | None:
    return _event_of(alert.event, alert.rule)


def _of_first_event(name: str, alert: Alert) -> str:
    return getattr(_first(alert), name, "")


def _fields_text(event: FirstEvent | None, name: str) -> str:
    found: Matched = getattr(event, name, {})
    return "; ".join(f"{field}={_joined(map(text_of, values))}" for field, values in found.items())


_EVENT_TEXTS = ("resource", "error_code", "error_message", "user_agent")

_CSV_COLUMNS: tuple[tuple[str, Callable[[Alert], str | int | None]], ...] = (
    ("severity", lambda alert: alert.rule.severity),
    ("rule_id", lambda alert: alert.rule.id),
    ("rule_title", lambda alert: alert.rule.title),
    ("rule_author", lambda alert: alert.rule.author),
    ("first_time", lambda alert: time_text(alert.first)),
    ("last_time", lambda alert: time_text(alert.last)),
    ("event_count", lambda alert: alert.events),
    ("suppression_key", _key_text),
    ("event_names", lambda alert: _joined(alert.event_names)),
    ("actors", lambda alert: _joined(alert.actors)),
    ("source_addresses", lambda alert: _joined(alert.source_addresses)),
    ("accounts", lambda alert: _joined(alert.accounts)),
    ("regions", lambda alert: _joined(alert.regions)),
    ("event_ids", lambda alert: _joined(event_id for event_id, _ in alert.sample)),
    ("places", lambda alert: _joined(dict.fromkeys(origin for _, origin in alert.sample))),
    ("alert_id", lambda alert: alert.id),
    ("chain", lambda alert: "; ".join(map(_link, alert.chain))),
    ("actor_names", lambda alert: _joined(map(actor_name, alert.actors))),
    ("tactics", lambda alert: _joined(map(tactic_name, alert.rule.tactics))),
    ("techniques", lambda alert: _joined(map(label, alert.rule.techniques))),
    ("description", lambda alert: alert.rule.guide.description),
    ("false_positives", lambda alert: "; ".join(alert.rule.guide.false_positives)),
    ("references", lambda alert: " ".join(alert.rule.guide.references)),
    ("triage", lambda alert: " ".join(alert.rule.guide.triage)),
    *((name, partial(_of_first_event, name)) for name in _EVENT_TEXTS),
    ("parameters", lambda alert: _fields_text(_first(alert), "parameters")),
    ("matched", lambda alert: _fields_text(_first(alert), "matched")),
    ("failed_count", lambda alert: alert.failed),
    ("error_codes", lambda alert: _joined(alert.error_codes)),
    (
        "source_countries",
        lambda alert: _joined(dict.fromkeys(filter(None, (at.country for at in alert.source_locations)))),
    ),
    ("source_cities", lambda alert: _joined(dict.fromkeys(filter(None, (at.city for at in alert.source_locations))))),
    (
        "source_networks",
        lambda alert: _joined(dict.fromkeys(filter(None, (at.autonomous_system() for at in alert.source_locations)))),
    ),
)
