"""How often rules would have fired on logs of everyday work, and for whom: the noise, before anybody has to hear it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec
from rich.console import Console
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.first_event import actor_labels
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit, Key
from sigma_stellar_aws.alerts.pack_rule import Pack, PackRule
from sigma_stellar_aws.alerts.run import DEFAULT_OPTIONS, Messages, hits_of_portions, pack_of, raised
from sigma_stellar_aws.authoring.new_rule import literal, source_and_name
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import plural, printable
from sigma_stellar_aws.base.times import time_text
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.reference.flat_schema import Document

MOST_LIKE = 20_000
"""Of how many events of one kind the values are counted."""
_MOST_TOLD = 5
"""How many actors and keys are listed for a rule: those with the most alerts."""
_SAMPLED = 50
"""Of so many records, the time of one is looked at: files hold what was done within minutes."""
_DAY = 86_400_000
_DATE = len("2026-11-30")
_Of = TypeVar("_Of", str, Key)


class Volume(NamedTuple):
    """How often a rule fires: events that match, and alerts that are left of them after suppression."""

    events: int = 0
    alerts: int = 0

    def __str__(self) -> str:
        """Write both numbers for people."""
        return f"{plural(self.events, 'event')}, {plural(self.alerts, 'alert')}"


class RuleNoise(NamedTuple):
    """How often a rule would have fired."""

    rule: PackRule
    total: Volume
    by_day: Mapping[str, Volume]
    """By days of UTC, such as "2026-11-30"; only those on which it fires."""
    by_actor: Mapping[str, Volume]
    """By ARN, or what else names who acted; the noisiest first, as are the keys."""
    by_key: Mapping[Key, Volume]
    """By the values of the fields that the rule suppresses by."""


class Background(NamedTuple):
    """What rules make of logs."""

    rules: tuple[RuleNoise, ...]
    """In the order of the noise, the loudest first."""
    records: int
    span: tuple[int, int] | None
    """Earliest and latest time of the records, about, in milliseconds since 1970-01-01 UTC; None if none has a time."""

    @property
    def days(self) -> float:
        """How long the span is, in days."""
        return 0.0 if self.span is None else (self.span[1] - self.span[0]) / _DAY


@dataclass
class _Counts:
    """The events and the alerts of a rule so far."""

    events: int = 0
    alerts: int = 0
    events_by: dict[str, Counter[str | Key]] = field(default_factory=lambda: defaultdict(Counter))
    alerts_by: dict[str, Counter[str | Key]] = field(default_factory=lambda: defaultdict(Counter))


def background_of(portions: Iterable[Portion], rules: SigmaCollection, messages: Messages) -> Background:
    """Search logs as ``alerts`` does, and count what the rules would have raised.

    Args:
        portions: the log files.
        rules: they are not changed.
        messages: what could not be read, or not be converted, is told here.

    Raises:
        SigmaError: no rule can be converted.
        TooManyAlertsError: more alerts are open at one time than the memory is meant for.
    """
    pack = pack_of(rules, DEFAULT_OPTIONS, messages)
    found = hits_of_portions(portions, pack, None, None, messages, sampled=_SAMPLED)
    counts: defaultdict[str, _Counts] = defaultdict(_Counts)
    for hit in DistinctHits(found.hits):
        _count_event(hit, pack, counts)
    alerts = raised(found.hits, pack, DEFAULT_OPTIONS, messages, kept=found.kept).alerts
    for alert in alerts:
        _count_alert(alert, counts)
    noise = [_noise(rule, counts[name]) for name, rule in pack.alerting().items()]
    noise.sort(key=lambda one: (-one.total.alerts, -one.total.events, one.rule.title))
    return Background(tuple(noise), found.records, found.span)


def events_like(event: JsonObject, portions: Iterable[Portion], messages: Messages) -> list[Document]:
    """Return other events with the source and the name of an event, flattened, up to :data:`MOST_LIKE`.

    Raises:
        EventError: the event does not say its source and name.
    """
    source, name = source_and_name(event)
    selection: JsonObject = {"eventSource": literal(source), "eventName": literal(name)}
    document: JsonObject = {
        "title": "Events like this",
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {"selection": selection, "condition": "selection"},
    }
    rules = SigmaCollection([SigmaRule.from_dict(document)])
    found = hits_of_portions(portions, pack_of(rules, DEFAULT_OPTIONS, messages), None, None, messages)
    texts = (found.kept.text(hit.event) for hit in DistinctHits(found.hits) if hit.event_id != event.get("eventID"))
    return [msgspec.json.decode(text) for text in islice(filter(None, texts), MOST_LIKE)]


def _count_event(hit: Hit, pack: Pack, counts: Mapping[str, _Counts]) -> None:
    for name, key in hit.matches:
        count = counts[name]
        count.events += 1
        count.events_by["day"][_day(hit.time)] += 1
        count.events_by["actor"][hit.actor] += 1
        count.events_by["key"][key] += 1


def _count_alert(alert: Alert, counts: Mapping[str, _Counts]) -> None:
    count = counts[alert.rule.id]
    count.alerts += 1
    count.alerts_by["day"][_day(alert.first)] += 1
    count.alerts_by["actor"].update(alert.actors)
    count.alerts_by["key"][alert.key] += 1
    if alert.rule.correlation is not None:
        # No event matches it alone.
        count.events += alert.events
        count.events_by["day"][_day(alert.first)] += alert.events
        count.events_by["actor"].update(alert.actors)
        count.events_by["key"][alert.key] += alert.events


def _noise(rule: PackRule, count: _Counts) -> RuleNoise:
    by: dict[str, dict[str | Key, Volume]] = {}
    for what in ("day", "actor", "key"):
        events, alerts = count.events_by[what], count.alerts_by[what]
        volumes = {each: Volume(events[each], alerts[each]) for each in events | alerts}
        loudest = sorted(volumes.items(), key=lambda item: (-item[1].alerts, -item[1].events, str(item[0])))
        by[what] = dict(loudest)
    return RuleNoise(
        rule,
        Volume(count.events, count.alerts),
        {str(day): by["day"][day] for day in sorted(map(str, by["day"])) if day},
        {str(actor): volume for actor, volume in by["actor"].items()},
        {key: volume for key, volume in by["key"].items() if isinstance(key, tuple)},
    )


def _day(time: int | None) -> str:
    return (time_text(time) or "")[:_DATE] if time is not None else ""


def noise_as_json(noise: RuleNoise, background: Background) -> JsonObject:
    """Return the noise of a rule as a JSON object; without rates where the logs are of less than a day."""
    days = background.days
    rates = days >= 1
    return {
        "rule": noise.rule.title,
        "id": noise.rule.id,
        "records": background.records,
        "from": None if background.span is None else time_text(background.span[0]),
        "to": None if background.span is None else time_text(background.span[1]),
        **_as_json(noise.total),
        "events_per_day": round(noise.total.events / days, 3) if rates else None,
        "alerts_per_day": round(noise.total.alerts / days, 3) if rates else None,
        "days": [{"day": day, **_as_json(volume)} for day, volume in noise.by_day.items()],
        "actors": [{"actor": actor, **_as_json(volume)} for actor, volume in _first(noise.by_actor)],
        "keys": [{"key": _named(noise.rule, key), **_as_json(volume)} for key, volume in _first(noise.by_key)],
    }


def _as_json(volume: Volume) -> dict[str, Json]:
    return {"events": volume.events, "alerts": volume.alerts}


def _first(volumes: Mapping[_Of, Volume]) -> list[tuple[_Of, Volume]]:
    return list(volumes.items())[:_MOST_TOLD]


def _named(rule: PackRule, key: Key) -> dict[str, Json]:
    return dict(zip(rule.suppression.fields, key, strict=False))


def print_background(background: Background, console: Console) -> None:
    """Print how often each rule would have fired, the loudest first."""
    for noise in background.rules:
        color = "bold" if noise.total.alerts else "dim"
        console.print(Text.assemble((printable(noise.rule.title), color), printable(f": {_rate(noise, background)}")))
        for title, text in _details(noise):
            console.print(Text(printable(f"    {title:<8}  {text}")))


def _rate(noise: RuleNoise, background: Background) -> str:
    over = _span_text(background)
    if not noise.total.alerts:
        return f"nothing{over}"
    rate = f": {noise.total.alerts / background.days:.2g} a day" if background.days >= 1 else ""
    return f"{noise.total}{over}{rate}"


def _span_text(background: Background) -> str:
    if background.span is None:
        return ""
    if background.days >= 1:
        return f" in {background.days:.1f} days"
    hours = background.days * 24
    return f" in {hours:.1f} hours" if hours >= 1 else " in less than an hour"


def _details(noise: RuleNoise) -> Iterator[tuple[str, str]]:
    if not noise.total.alerts:
        return
    if len(noise.by_day) > 1:
        day, volume = max(noise.by_day.items(), key=lambda item: (item[1].alerts, item[1].events))
        yield "most on", f"{day} ({volume})"
    labels = actor_labels(noise.by_actor)
    yield "most by", "; ".join(f"{labels[actor] or 'nobody'} ({volume})" for actor, volume in _first(noise.by_actor))
    for key, volume in _first(noise.by_key):
        named = ", ".join(f"{name}={'' if value is None else value}" for name, value in _named(noise.rule, key).items())
        yield "key", f"{named or 'all events'} ({volume})"


def summary_of_background(background: Background) -> str:
    """Sum up the noise in one line."""
    alerts = sum(noise.total.alerts for noise in background.rules)
    loud = sum(bool(noise.total.alerts) for noise in background.rules)
    read = f"{plural(background.records, 'record')}{_span_text(background)}"
    return f"{read}: {plural(alerts, 'alert')} of {loud} of {plural(len(background.rules), 'rule')}"
