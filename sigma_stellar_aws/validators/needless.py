"""Parts of a rule that change nothing, and conditions that ask for almost nothing."""

from collections.abc import Iterable, Iterator
from itertools import chain, product

from sigma.types import SigmaString, SpecialChars

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference.aws_events import canonical_event_name, known
from sigma_stellar_aws.validators.condition_tree import AllOf, AnyOf, FieldComparison, Tree, Way, parts_of, ways
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import NeedlessPartIssue, WideConditionIssue
from sigma_stellar_aws.validators.sigma_values import covers, is_missing, is_pattern, shown, text

# What every record has, by the CloudTrail user guide.
_EVER_PRESENT = frozenset(
    {"eventID", "eventName", "eventSource", "eventTime", "eventType", "eventVersion", "awsRegion"}
)
# Of longer lists, each two are too many to compare.
_MOST_COMPARED = 200


def needless_values(comparisons: Iterable[FieldComparison]) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield values that another one in the same list matches, and ``*`` for a field that every event has."""
    for comparison in comparisons:
        for value in comparison.values:
            if comparison.field in _EVER_PRESENT and _is_star(value.value):
                problem = f"Every event has {comparison.field}, so '*' asks for nothing; leave it out."
                yield Fault(NeedlessPartIssue, problem), value.at
        if len(comparison.values) > _MOST_COMPARED:
            continue
        patterns = [one for one in comparison.values if is_pattern(one.value)]
        for value in comparison.values:
            for wider in patterns:
                if wider.at != value.at and not is_pattern(value.value) and covers(wider.value, value.value):
                    covered = shown(value.value)
                    problem = f"{shown(wider.value)!r}, in the same list, matches {covered!r} already; leave that out."
                    yield Fault(NeedlessPartIssue, problem), value.at
                    break


def needless_alternatives(trees: Iterable[Tree], at: YamlPath) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield a condition of which one of two alternatives asks for all that the other does, and more."""
    for part in chain.from_iterable(map(parts_of, trees)):
        if not isinstance(part, AnyOf) or len(part.parts) > _MOST_COMPARED:
            continue
        asked = [[_asked(way) for way in ways(one)] for one in part.parts]
        for number, ways_of_one in enumerate(asked):
            others = [way for other, each in enumerate(asked) if other != number for way in each]
            if others and all(any(other < way for other in others) for way in ways_of_one):
                fields = sorted({field for field, _, _ in _more(ways_of_one, others) if field})
                problem = (
                    "One alternative of this condition asks for all that another does, and more, and so changes "
                    f"nothing; what it says of {', '.join(fields)} has no effect. Leave it out, or write and for or."
                )
                yield Fault(NeedlessPartIssue, problem), at
                return


def wide_conditions(trees: Iterable[Tree], at: YamlPath) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield conditions that only say what an event must not be."""
    for tree in trees:
        found = ways(tree)
        wanted = {one.at for way in found for one in way if not one.negated}
        # Of a selection and its opposite it is told elsewhere that every event has one of them.
        only_excluded = [{one.at for one in way} for way in found if all(map(_is_excluded, way))]
        if any(not places <= wanted for places in only_excluded):
            problem = "This only says what an event must not be, and so almost every event meets it; ask for something."
            yield Fault(WideConditionIssue, problem), at
            return


def loose_pairs(trees: Iterable[Tree]) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield lists of maps of which one has the source of an event and another its name: Sigma asks for one of them."""
    for part in chain.from_iterable(map(parts_of, trees)):
        if isinstance(part, AnyOf):
            alone = [one.parts[0] if isinstance(one, AllOf) and len(one.parts) == 1 else one for one in part.parts]
            leaves = [one for one in alone if isinstance(one, FieldComparison)]
            is_one_list = (
                all(isinstance(one.at[-2], int) for one in leaves)
                and len(leaves) == len(alone)
                and len({one.at[:-2] for one in leaves}) == 1
            )
            if is_one_list and _is_pair(leaves):
                problem = (
                    "One of the maps in a list is enough for Sigma, so this asks for any event of the source, or for "
                    "the name; write both into one map, without dashes."
                )
                yield Fault(WideConditionIssue, problem), leaves[0].at


def _is_pair(leaves: Iterable[FieldComparison]) -> bool:
    """Tell whether one of some comparisons asks for a source, and another for a name that events of it have."""
    asked: dict[str | None, list[str]] = {}
    for one in leaves:
        asked.setdefault(one.field, []).extend(filter(None, (text(value.value) for value in one.values)))
    pairs = product(asked.get("eventSource", []), asked.get("eventName", []))
    return any(known(source.lower(), canonical_event_name(name, source.lower()) or name) for source, name in pairs)


def _asked(way: Way) -> frozenset[tuple[str | None, YamlPath, bool]]:
    return frozenset((one.field, one.at, one.negated) for one in way)


def _more(
    ways_of_one: Iterable[frozenset[tuple[str | None, YamlPath, bool]]],
    others: Iterable[frozenset[tuple[str | None, YamlPath, bool]]],
) -> frozenset[tuple[str | None, YamlPath, bool]]:
    needed = frozenset().union(*others)
    return frozenset().union(*ways_of_one) - needed


def _is_excluded(comparison: FieldComparison) -> bool:
    """Tell whether a comparison is negated, and so holds where there is no such field; not of one that is missing."""
    return comparison.negated and not any(is_missing(value.value) for value in comparison.values)


def _is_star(value: object) -> bool:
    return isinstance(value, SigmaString) and tuple(value.s) == (SpecialChars.WILDCARD_MULTI,)
