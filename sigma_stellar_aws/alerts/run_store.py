"""Search a data store for events that match rules, raise their alerts, and keep them in an index."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from opensearchpy import OpenSearch
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_index import begin_of_count, prepare_alert_index
from sigma_stellar_aws.alerts.alert_update import AlertUpdate, keep_alerts
from sigma_stellar_aws.alerts.clock_doubts import clock_problems, looked_at_until
from sigma_stellar_aws.alerts.correlate import reading_begin
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.pack import asked_in_process
from sigma_stellar_aws.alerts.pack_rule import Pack, PackRule
from sigma_stellar_aws.alerts.repeat import OVERLAP
from sigma_stellar_aws.alerts.run import (
    DEFAULT_OPTIONS,
    AlertOptions,
    AlertSearch,
    Messages,
    OnProgress,
    pack_of,
    raised,
)
from sigma_stellar_aws.alerts.store_doubts import check_that_rules_can_match, store_doubts
from sigma_stellar_aws.alerts.store_events import StoredEvents, count_undated, of_cloudtrail, store_hits
from sigma_stellar_aws.base import times
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.pipelines.of_store import time_field_of
from sigma_stellar_aws.query import dsl, store_profile
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Layout, StoreProfile
from sigma_stellar_aws.reference.flat_schema import STELLAR_INDEX
from sigma_stellar_aws.store.clock import newest_events, store_clock
from sigma_stellar_aws.store.mapping import describe_store
from sigma_stellar_aws.store.trial import accepted_queries


def alerts_of_store(
    client: OpenSearch,
    index: str = STELLAR_INDEX,
    rules: SigmaCollection | None = None,
    *,
    time_field: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    options: AlertOptions = DEFAULT_OPTIONS,
    progress: OnProgress | None = None,
) -> AlertSearch:
    """Raise the alerts of a data store.

    >>> from sigma_stellar_aws import connect
    >>> client = connect(store_url)                         # such as https://search.example.com:9200
    >>> search = alerts_of_store(client, "cloudtrail-*")
    >>> len(search.alerts), search.events
    (8, 8)

    Args:
        client: see :func:`connect`.
        index: the events: an index, alias or pattern.
        rules: see :func:`load_rules`; the 29 by default. They are not changed.
        time_field: date field of the events; by default ``timestamp``, or ``@timestamp`` where Elastic fills the store.
        since: only events from then on; aware of its time zone, like ``until``.
        until: only events before that.
        options: how the rules are converted, and how alerts are suppressed.
        progress: is called with what the store cannot answer, before the search.

    Raises:
        StoreError: the store cannot be asked, or no rule can match there.
        SigmaError: no rule can be converted, or not all, if the options are strict.
        TooManyAlertsError: more alerts are open at one time than the options allow.
    """
    messages = Messages(progress)
    dated = bool(since or until)
    fitted = _fitted(client, index, rules, time_field, options, messages, dated=dated)
    if dated and (count := count_undated(client, index, fitted.queries, fitted.time_field)):
        events = plural(count, "event")
        messages.problem(f"{events} of {index} without {fitted.time_field}, so not compared with the times asked for")
    begin = reading_begin(fitted.pack.correlations, since)
    told = StoredEvents(client, fitted.layout, messages.note)
    hits = _hits(client, index, fitted, begin, until, told)
    search = raised(hits, fitted.pack, options, messages, since, complete=_completion(told, rules, options))
    if since and not search.events:
        messages.note(_how_old(client, index, fitted, since))
    return search


def _how_old(client: OpenSearch, index: str, fitted: "_Fitted", since: datetime) -> str:
    """Say what there is where nothing was found from a time on."""
    newest = newest_events(client, index, fitted.time_field, fitted.queries)
    if newest.of_all is None:
        return f"no event of {index} has a {fitted.time_field}"
    of_all = times.time_text(millis(newest.of_all))
    if newest.matching is None:
        return f"no event of {index} matches a rule, whatever its time; the newest is of {of_all}"
    matching = times.time_text(millis(newest.matching))
    age = ": too old" if newest.matching < since else ""
    return f"the newest event of {index} that a rule matches is of {matching}{age}; the newest of all is of {of_all}"


def update_alert_index(
    client: OpenSearch,
    alert_index: str,
    index: str = STELLAR_INDEX,
    rules: SigmaCollection | None = None,
    *,
    time_field: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    floor: datetime | None = None,
    must_exist: bool = False,
    overlap: timedelta = OVERLAP,
    options: AlertOptions = DEFAULT_OPTIONS,
    progress: OnProgress | None = None,
    located: Callable[[Iterable[Alert]], Iterable[Alert]] = iter,
) -> AlertUpdate:
    """Raise the alerts of a data store, and keep them in an index of it.

    Run it as often as you like: an alert is never there twice, and its numbers are brought up to date while its window
    is open. For runs that follow each other, see :func:`sigma_stellar_aws.alerts.repeat.repeat`.

    >>> from sigma_stellar_aws import connect
    >>> client = connect(store_url)                         # such as https://search.example.com:9200
    >>> update = update_alert_index(client, "stellar-alerts", "cloudtrail-*")
    >>> update.created, update.updated, update.unchanged
    (8, 0, 0)
    >>> again = update_alert_index(client, "stellar-alerts", "cloudtrail-*")
    >>> again.created, again.updated, again.unchanged, len(again.alerts)
    (0, 0, 8, 0)

    Args:
        client: see :func:`connect`.
        alert_index: the index of the alerts; it is created unless it exists.
        index: the events: an index, alias or pattern.
        rules: see :func:`load_rules`; the 29 by default. They are not changed.
        time_field: date field of the events; by default ``timestamp``, or ``@timestamp`` where Elastic fills the store.
        since: the time from which on nothing is to be missed; aware of its time zone, as all times. None for all.
        until: only events before that.
        floor: earlier events raise nothing.
        must_exist: whether the index has to be there, since an earlier run has created it.
        overlap: how far ``since`` is before the end of that run; clocks that differ by more are a problem.
        options: how the rules are converted, and how alerts are suppressed.
        progress: is called with what the store cannot answer, before the search, and with problems as they are met.
        located: says of alerts where their source addresses are: ``alerts.geoip.AddressDatabases.located``.

    Raises:
        StoreError: the store cannot be asked or written to, or no rule can match there.
        SigmaError: no rule can be converted, or not all, if the options are strict.
        TooManyAlertsError: more alerts are open at one time than the options allow.
    """
    messages = Messages(progress)
    prepare_alert_index(client, alert_index, index, must_exist=must_exist)
    fitted = _fitted(client, index, rules, time_field, options, messages, dated=True)
    clock = store_clock(client, index, fitted.time_field)
    messages.add(clock_problems(clock, times.now(), until, overlap, index))
    begin = begin_of_count(client, alert_index, since)
    pack = fitted.pack
    first = reading_begin(pack.correlations, begin)
    told = StoredEvents(client, fitted.layout, messages.note)
    complete = _completion(told, rules, options)
    update = keep_alerts(
        client,
        alert_index,
        _hits(client, index, fitted, first, until, told, undated=True),
        pack,
        messages,
        begin=begin,
        floor=floor,
        most_open=options.most_open,
        complete=lambda alerts: located(complete(alerts)),
        late=since if must_exist else None,
    )
    return replace(update, through=until and looked_at_until(clock, until))


def _completion(
    told: StoredEvents, rules: SigmaCollection | None, options: AlertOptions
) -> Callable[[Iterable[Alert]], Iterator[Alert]]:
    """Return what adds to alerts their first events, and to their rules the queries that say why they match."""
    known: dict[str, PackRule] = {}

    def explained(rule: PackRule) -> PackRule:
        # The store's own query cannot be evaluated in process. Few of very many rules alert.
        if rule.id not in known:
            known[rule.id] = rule._replace(
                asked=asked_in_process(rules, rule.id, options.published, options.case_sensitive)
            )
        return known[rule.id]

    def complete(alerts: Iterable[Alert]) -> Iterator[Alert]:
        for alert in told.complete(alerts):
            yield alert._replace(rule=explained(alert.rule)) if alert.event else alert

    return complete


class _Fitted(NamedTuple):
    """Rules as a store needs them."""

    pack: Pack
    queries: list[Clause]
    """Each with some of the rules, as many as the store takes in one query."""
    layout: Layout
    """How the store keeps records."""
    time_field: str
    is_timed: bool
    """Whether that field is there, and has dates."""


def _fitted(
    client: OpenSearch,
    index: str,
    rules: SigmaCollection | None,
    time_field: str | None,
    options: AlertOptions,
    messages: Messages,
    *,
    dated: bool,
) -> _Fitted:
    """Convert the rules as the store needs them, and leave out those that it refuses; the time must do where dated."""
    profile = store_profile.profile_from_json(describe_store(client, index), index)
    time_field = time_field or time_field_of(profile)
    pack = pack_of(rules, options, messages, index, time_field, profile)
    no_time = profile.no_time(time_field)
    if no_time and dated:
        raise StoreError(no_time)
    check_that_rules_can_match(profile, pack)
    pack, queries = _accepted(client, profile, pack, options, messages)
    problems, notes = store_doubts(client, profile, pack)
    if no_time:
        notes = [f"{no_time}; without one, events have the times that they tell themselves", *notes]
    messages.add(problems, notes)
    return _Fitted(pack, queries, profile.layout, time_field, not no_time)


def _hits(
    client: OpenSearch,
    index: str,
    fitted: _Fitted,
    since: datetime | None,
    until: datetime | None,
    told: StoredEvents,
    *,
    undated: bool = False,
) -> Iterable[Hit]:
    return store_hits(
        client,
        index,
        fitted.pack,
        fitted.queries,
        layout=fitted.layout,
        time_field=fitted.time_field if fitted.is_timed else None,
        since=since,
        until=until,
        undated=undated,
        events=told,
    )


def _accepted(
    client: OpenSearch, profile: StoreProfile, pack: Pack, options: AlertOptions, messages: Messages
) -> tuple[Pack, list[Clause]]:
    """Return the rules that a store takes, and the queries that it takes them in; report the others."""
    clauses = dict(dsl.named_clauses(pack.query))
    accepted = accepted_queries(client, profile.indices, profile.engine, [*clauses.values()])
    reasons = [f"Rule {pack.rules[name].title!r}: {reason}" for name, reason in accepted.refused.items()]
    if reasons and (options.strict or not accepted.queries):
        raise SigmaError("; ".join(reasons))
    left = pack.without(accepted.refused)
    lost = [each for each in pack.correlations if each not in left.correlations]
    reasons += [f"Rule {each.title!r}: a rule that it counts is left out" for each in lost]
    messages.add(f"this rule is left out: {reason}" for reason in reasons)
    return left, [of_cloudtrail(query, profile) for query in accepted.queries]
