"""What is wrong with the event names and sources of a rule, seen together with what has to hold beside them."""

import itertools
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import cache, lru_cache
from typing import NamedTuple

from sigma.types import SigmaString, SigmaType, SpecialChars

from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.reference.aws_events import (
    ALWAYS_VERSIONED,
    DOMAIN,
    IDENTITY_TYPES,
    MISNAMED_SOURCES,
    all_names,
    canonical_event_name,
    common,
    instead,
    known,
    nearest_source,
    sources,
    sources_of,
    spellings,
    table,
)
from sigma_stellar_aws.validators.asked_events import known_sources, sources_asked
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Value, Way
from sigma_stellar_aws.validators.issues import (
    CaseIssue,
    CloudTrailIssue,
    IdleEventSourceIssue,
    ImpossibleConditionIssue,
    MisspeltEventNameIssue,
    MisspeltEventSourceIssue,
    UnlistedEventNameIssue,
    UnlistedEventSourceIssue,
    UnversionedEventNameIssue,
    WrongEventNameIssue,
    WrongEventSourceIssue,
)
from sigma_stellar_aws.validators.sigma_values import (
    Matcher,
    any_matches,
    case_matters,
    is_missing,
    matcher,
    shown,
    text,
)

# How many first letters tell names apart before they are looked through.
_START = 2
# How many names are soon compared with one that is not known.
_FEW = 200


class Fault(NamedTuple):
    """Something wrong: how it is reported, and what is said."""

    issue: type[CloudTrailIssue]
    problem: str


def name_fault(value: Value, way: Way) -> Fault | None:
    """Return what is wrong with a value of eventName, by itself and beside the sources of the same way."""
    exact = text(value.value)
    beside = known_sources(way)
    has_unknown_source = beside is None and sources_asked(way) is not None
    if exact is None:
        return None if has_unknown_source else _pattern_fault(value.value, beside)
    if any(map(str.isspace, exact)):
        hint = _instead(_nearest_name("".join(exact.split()), beside))
        return Fault(WrongEventNameIssue, f"An event name has no blanks, so {exact!r} never occurs{hint}.")
    if ":" in exact:
        _, _, action = exact.rpartition(":")
        return Fault(
            WrongEventNameIssue, f"{exact!r} is written as in an IAM policy; CloudTrail has the name alone: {action}."
        )
    if recorded := _recorded_instead(exact, beside):
        return Fault(WrongEventNameIssue, recorded)
    spelt = _spelling(exact, beside)
    if spelt == exact or exact.lower() in _identity_types():
        return None
    if spelt is not None:
        return _case_fault(WrongEventNameIssue, value.value, exact, spelt)
    if has_unknown_source:
        return None
    close = _nearest_name(exact, beside)
    if close is None:
        return Fault(UnlistedEventNameIssue, f"No event {exact!r} is known{_of(beside)}; AWS may have added it lately.")
    return Fault(MisspeltEventNameIssue, f"No event {exact!r} is known{_of(beside)}; did you mean {close}?")


def version_fault(value: Value, comparison: FieldComparison, way: Way) -> Fault | None:
    """Return a fault where a value asks for names without the version that they always have in events."""
    matches = matcher(value.value)
    if matches is None:
        return None
    for source, versioned in ALWAYS_VERSIONED.items():
        for name, example in versioned.items():
            if matches(name) and _is_of_source(name, source, way) and not _any_matches(comparison, example):
                cure = f"write eventName|startswith: {name}"
                problem = f"{name} has a version at its end in events, as in {example}; {cure}."
                return Fault(UnversionedEventNameIssue, problem)
    return None


def _is_of_source(name: str, source: str, way: Way) -> bool:
    """Tell whether an event of a name has to be of a source, by what is asked beside it or by its name alone."""
    beside = sources_asked(way)
    return sources_of(name) == [source] if beside is None else beside == {source}


def _any_matches(comparison: FieldComparison, name: str) -> bool:
    tests = (matcher(one.value) for one in comparison.values)
    return any(test is None or test(name) for test in tests)


def source_fault(value: Value, way: Way) -> Fault | None:
    """Return what is wrong with a value of eventSource, by itself and beside the names of the same way."""
    exact = text(value.value)
    if exact is None:
        return _source_pattern_fault(value.value)
    source = exact.lower()
    product = MISNAMED_SOURCES.get(source.removesuffix(DOMAIN))
    if source in sources():
        if exact != source:
            return _case_fault(WrongEventSourceIssue, value.value, exact, source)
        return _idle_fault(source, way)
    if product is not None:
        problem = f"No event has the source {exact!r}; events of that service are recorded under {product}{DOMAIN}."
        return Fault(WrongEventSourceIssue, problem)
    hint = _source_hint(source, [name for name in _exact_names(way) if sources_of(name)])
    if not source.endswith(DOMAIN):
        return Fault(WrongEventSourceIssue, f"{exact!r} is not an event source, since these end in {DOMAIN}{hint}.")
    kind = MisspeltEventSourceIssue if hint else UnlistedEventSourceIssue
    return Fault(kind, f"No event source {exact!r} is known{hint or '; AWS may have added it lately'}.")


def pair_fault(value: Value, way: Way) -> Fault | None:
    """Return why an event name can never occur in its place: it is a type of identity, or belongs to other sources."""
    exact = text(value.value)
    if exact is None:
        return None
    beside = known_sources(way)
    if exact.lower() in _identity_types():
        close = _nearest_name(exact, beside) if beside else None
        call = f" The call is named {close}." if close else ""
        return Fault(
            ImpossibleConditionIssue, f"No event {exact!r} exists; {exact!r} is a value of userIdentity.type.{call}"
        )
    spelt = _spelling(exact, beside)
    if beside is None or spelt is None or any(known(source, _cased(exact, source)) for source in beside):
        return None
    if _recorded_instead(exact, beside):
        return None
    under = _or(_most_like(beside, sources_of(spelt)))
    close = _nearest_name(exact, beside)
    hint = f"; did you mean {close}?" if close else "."
    return Fault(ImpossibleConditionIssue, f"{exact!r} is not an event{_of(beside)}, but of {under}{hint}")


def _case_fault(wrong: type[CloudTrailIssue], value: SigmaType, exact: str, spelt: str) -> Fault:
    if case_matters(value):
        return Fault(wrong, f"Events have {spelt!r}, which {exact!r} does not match where case counts.")
    return Fault(
        CaseIssue, f"Events have {spelt!r}, not {exact!r}; this works as Sigma ignores case, but not where case counts."
    )


def _pattern_fault(value: SigmaType, beside: frozenset[str] | None) -> Fault | None:
    matches = matcher(value)
    alike = _beginning_alike(_start(value), beside)
    may_match = _may_match(value, alike)
    if matches is None or (may_match and any(map(matches, alike))):
        return None
    pattern = shown(value)
    anyway = matcher(value, ignore_case=True) if may_match else None
    if anyway is not None and (found := next(filter(anyway, sorted(alike)), None)):
        return Fault(WrongEventNameIssue, f"{pattern!r} matches no event where case counts; {found} is one.")
    if beside and (others := _sources_that_match(value, matches)):
        hint = f"those of {_or(others)} do."
    else:
        close = _nearest_start(value, alike) or _nearest_name(pattern.strip("*"), beside)
        hint = f"did you mean {close}?" if close else "AWS may have added some lately."
    return Fault(MisspeltEventNameIssue, f"No known event{_of(beside)} matches {pattern!r}; {hint}")


def _sources_that_match(value: SigmaType, matches: Matcher) -> list[str]:
    """Return three of the sources with the most matching events, the common ones with the shortest names."""
    alike = _beginning_alike(_start(value), None)
    matching = filter(matches, alike if _may_match(value, alike) else ())
    counts = Counter(itertools.chain.from_iterable(map(sources_of, matching)))
    most = max(counts.values(), default=0)
    return sorted(common(source for source, count in counts.items() if 2 * count > most), key=len)[:3]


def _may_match(value: SigmaType, pool: frozenset[str]) -> bool:
    """Return whether names of a pool contain the longest text of a value: else none of them has to be tried."""
    parts = value.s if isinstance(value, SigmaString) else ()
    longest = max((part for part in parts if isinstance(part, str)), key=len, default="")
    # A letter beyond ASCII may be the other case of one within.
    return not longest.isascii() or longest.lower() in _joined(pool)


@lru_cache(maxsize=64)
def _joined(pool: frozenset[str]) -> str:
    return "\n".join(pool).lower()


def _nearest_start(value: SigmaType, pool: frozenset[str]) -> str | None:
    """Return the name whose start is closest to what a value asks names to start with."""
    match value.s if isinstance(value, SigmaString) else None:
        case [str(start), SpecialChars.WILDCARD_MULTI]:
            starts = {name[: len(start)]: name for name in reversed(_alike_from_the_start(start, pool))}
            close = nearest(start, starts)
            return starts[close] if close else None
    return None


def _alike_from_the_start(start: str, pool: frozenset[str]) -> Sequence[str]:
    """Return the names of a pool that have the most letters in common with a text from its start on, sorted.

    With them come those that have a letter less, and so on, as long as they are few: not each is to be compared.
    """
    ordered = _sorted(pool)
    found: Sequence[str] = ()
    for length in range(len(start), -1, -1):
        first = bisect_left(ordered, (start[:length].lower(),))
        last = bisect_left(ordered, (f"{start[:length].lower()}\U0010ffff",))
        if found and last - first > _FEW:
            break
        found = [name for _, name in ordered[first:last]]
    return sorted(found)


@lru_cache(maxsize=64)
def _sorted(pool: frozenset[str]) -> list[tuple[str, str]]:
    """Return names by their lower case."""
    return sorted((name.lower(), name) for name in pool)


def _start(value: SigmaType) -> str:
    """Return the text that whatever matches a value begins with, in some case; nothing where that is not known."""
    match value.s if isinstance(value, SigmaString) else ():
        case [str(start), *_]:
            return start
    return ""


def _source_pattern_fault(value: SigmaType) -> Fault | None:
    if is_missing(value) or any_matches(value, sources()):
        return None
    pattern = shown(value)
    anyway = matcher(value, ignore_case=True)
    if anyway is not None and any(map(anyway, sources())):
        return Fault(
            WrongEventSourceIssue, f"{pattern!r} matches no event source where case counts; use small letters."
        )
    close = nearest_source(pattern.strip("*"))
    kind = MisspeltEventSourceIssue if close else UnlistedEventSourceIssue
    return Fault(kind, f"No known event source matches {pattern!r}{_instead(close)}.")


def _idle_fault(source: str, way: Way) -> Fault | None:
    """Return a fault if all names beside a source belong to other sources that the rule asks for too."""
    beside = known_sources(way) or frozenset()
    found = _exact_names(way)
    others = beside - {source}
    if not found or None in [_spelling(name, beside) for name in found]:
        return None
    if any(known(source, _cased(name, source)) for name in found):
        return None
    if not any(known(other, _cased(name, other)) for name, other in itertools.product(found, others)):
        return None
    problem = f"None of the events beside it is of {source!r}, only of the other sources; leave it out."
    return Fault(IdleEventSourceIssue, problem)


def _source_hint(source: str, beside: Sequence[str]) -> str:
    """Say what to write instead of an unknown source: the one of all events beside it, or the closest spelling."""
    stem = source.strip().removeprefix("aws.").partition(".")[0]
    if stem + DOMAIN in sources():
        return _instead(stem + DOMAIN)
    if beside:
        shared = set.intersection(*[set(sources_of(name)) for name in beside])
        if shared:
            events = f"{beside[0]} is" if len(beside) == 1 else f"{beside[0]} and {beside[1]} are"
            return f"; {events} recorded under {_or(_most_like([source], shared))}"
    return _instead(nearest_source(stem))


def _recorded_instead(name: str, beside: frozenset[str] | None) -> str | None:
    """Return a sentence about a name that CloudTrail never has, since it is an IAM action or has another name there."""
    if any(known(source, name) for source in beside or ()) or (beside is None and sources_of(name)):
        return None
    found = [(source, instead(source, name)) for source in sorted(beside or {""})]
    for source, recorded in found:
        if recorded:
            return f"{name!r} is the name of an IAM action or of the SDK; {source or 'CloudTrail'} has {recorded}."
        if recorded == "":
            return f"{name!r} is an IAM action but not a call of its own, so CloudTrail never records it; leave it out."
    return None


def _exact_names(way: Way) -> list[str]:
    """Return the names of which an event has to have one; nothing if there are patterns among them."""
    for comparison in way:
        if comparison.field == "eventName" and not comparison.negated:
            exact = [text(value.value) for value in comparison.values]
            return [name for name in exact if name is not None] if None not in exact else []
    return []


def _spelling(name: str, beside: frozenset[str] | None) -> str | None:
    """Return the known spelling of a name: that of one of the sources, or of any."""
    for source in sorted(beside or ()):
        if known(source, spelt := _cased(name, source)):
            return spelt
    return canonical_event_name(name)


def _cased(name: str, source: str) -> str:
    return canonical_event_name(name, source) or name


def _nearest_name(word: str, beside: frozenset[str] | None) -> str | None:
    """Return the name of the sources, or of any, that is closest to a word; of any, only those that begin like it."""
    return nearest(word, _by_start().get(word[:_START].lower(), frozenset()) if beside is None else _pool(beside))


def _beginning_alike(start: str, beside: frozenset[str] | None) -> frozenset[str]:
    """Return at least those names of the sources, or of any, that begin with a text, whatever their case."""
    # A letter beyond ASCII may be the other case of one within.
    if beside is None and len(start) >= _START and start.isascii():
        return _by_start().get(start[:_START].lower(), frozenset())
    return _pool(beside)


@lru_cache(maxsize=64)
def _pool(beside: frozenset[str] | None) -> frozenset[str]:
    return _all_spellings() if beside is None else frozenset().union(*map(spellings, beside))


@cache
def _by_start() -> dict[str, frozenset[str]]:
    """Return all names by their first letters, in lower case: a fraction of them is soon looked through."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in _all_spellings():
        found[name[:_START].lower()].add(name)
    return {start: frozenset(names) for start, names in found.items()}


@cache
def _all_spellings() -> frozenset[str]:
    return all_names().union(*map(spellings, table().dates))


@cache
def _identity_types() -> frozenset[str]:
    return frozenset(kind.lower() for kind in IDENTITY_TYPES)


def _most_like(given: Iterable[str], among: Iterable[str]) -> list[str]:
    """Return the three sources, common ones if possible, that are named most like those given; sorted."""
    stems = [source.partition(".")[0] for source in given]

    def likeness(source: str) -> float:
        return max(SequenceMatcher(None, source.partition(".")[0], stem).ratio() for stem in stems)

    return sorted(sorted(common(among), key=likeness, reverse=True)[:3])


def _of(beside: frozenset[str] | None) -> str:
    if not beside:
        return ""
    return f" of {_or(sorted(beside))}" if len(beside) <= 3 else f" of those {len(beside)} sources"


def _instead(close: str | None) -> str:
    return f"; write {close}" if close else ""


def _or(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
