"""Conditions that two different elements of a list can meet together: flattened records do not keep them apart."""

from collections.abc import Iterable, Iterator

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference.aws_parameters import REQUEST, RESPONSE, EventKind, Parameter, parameter
from sigma_stellar_aws.validators.asked_events import asked_events, events_key
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Way
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import SharedListIssue

# In the records of EC2, ELB and RDS every list is an object with the key items (EC2 API reference, shapes of lists).
_ITEMS = "items"
_LISTS = frozenset(
    {
        "resources",  # CloudTrail record contents
        "requestParameters.attachments",  # ECS RunTask
        "requestParameters.changeBatch.changes",  # Route 53 ChangeResourceRecordSets
        "requestParameters.containerDefinitions",  # ECS RegisterTaskDefinition
        "requestParameters.eventSelectors",  # CloudTrail PutEventSelectors
        "requestParameters.filters",  # query APIs in JSON
        "requestParameters.rules",  # WAF, Network Firewall, S3
        "requestParameters.tags",  # tagging in JSON APIs
        "requestParameters.targets",  # EventBridge PutTargets
    }
)


def list_around(field: str, events: frozenset[EventKind] = frozenset()) -> str | None:
    """Return the outermost list of objects that a field is in, by its dotted name; None if none is known.

    Args:
        field: a dotted name.
        events: those whose parameters say what is a list; without any, names that are lists in most events do.

    >>> list_around("requestParameters.ipPermissions.items.ipRanges.items.cidrIp")
    'requestParameters.ipPermissions.items'
    >>> list_around("requestParameters.bucketName") is None
    True
    >>> list_around("requestParameters.rules.priority", frozenset({("wafv2.amazonaws.com", "CreateWebACL")}))
    'requestParameters.rules'
    """
    parts = field.split(".")
    around = [".".join(parts[:end]) for end in range(1, len(parts))]
    if events and parts[0] in (REQUEST, RESPONSE):
        held = ((name, parameter(name, events)) for name in around[1:])
        return next((name for name, one in held if one is not None and _is_list_of_objects(one)), None)
    return next((name for name in around if name in _LISTS or name.rpartition(".")[2] == _ITEMS), None)


def _is_list_of_objects(held: Parameter) -> bool:
    return held.many and held.kind == "structure"


def shared_lists(ways: Iterable[Way]) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield two conditions on different fields of one list that hold together in a way to meet a rule, once a list."""
    reported: set[str] = set()
    events_of: dict[tuple[int, ...], frozenset[EventKind]] = {}
    for way in ways:
        asking = list(filter(_asks, way))
        if len(asking) < 2:
            continue
        key = events_key(way)
        if key not in events_of:
            events = asked_events(way)
            events_of[key] = events.described(REQUEST) if events else frozenset()
        asked: dict[str, list[FieldComparison]] = {}
        for comparison in asking:
            if (around := list_around(comparison.field or "", events_of[key])) is not None:
                asked.setdefault(around, []).append(comparison)
        for around, (first, *others) in asked.items():
            second = next((each for each in others if each.field != first.field), None)
            if second is None or around in reported:
                continue
            reported.add(around)
            problem = (
                f"{first.field} and {second.field} may hold for two different elements of the list {around}: "
                "flattened records do not keep its elements apart, so look at the list in the alert."
            )
            yield Fault(SharedListIssue, problem), second.at


def _asks(comparison: FieldComparison) -> bool:
    return "." in (comparison.field or "") and not comparison.negated
