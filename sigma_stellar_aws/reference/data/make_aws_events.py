"""Makes aws_events.json beside it: ``python -m sigma_stellar_aws.reference.data.make_aws_events``.

It reads the service models of the installed botocore and aws_events_extra.yml, and needs no network.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec

from sigma_stellar_aws.reference.data.service_models import ServiceModel, installed_botocore, service_models

HERE = Path(__file__).parent
TABLE = HERE / "aws_events.json"
EXTRA = HERE / "aws_events_extra.yml"

# CloudTrail appends the version of the API to the names of these services, each in its own way.
CLOUDFRONT = "cloudfront.amazonaws.com"
LAMBDA = "lambda.amazonaws.com"

Names = dict[str, list[str]]
Pairs = dict[str, set[str]]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    url: str


class _Events(_Entry, forbid_unknown_fields=True):
    names: Names


class _Sources(_Entry, forbid_unknown_fields=True):
    sources: list[str]


class _SameNames(_Sources, forbid_unknown_fields=True):
    of: list[str]


class _Instead(_Entry, forbid_unknown_fields=True):
    source: str
    names: dict[str, str]


class _Retired(msgspec.Struct, forbid_unknown_fields=True):
    until: str
    names: Names


class Extra(msgspec.Struct, forbid_unknown_fields=True):
    """aws_events_extra.yml; its comments say what each part is."""

    events: list[_Events]
    same_names: list[_SameNames]
    small_letter: list[_Sources]
    never: list[_Sources]
    instead: list[_Instead]
    retired: list[_Retired]


def extra() -> Extra:
    """Read what is not in the models."""
    return msgspec.yaml.decode(EXTRA.read_bytes(), type=Extra)


def table(models: Iterable[ServiceModel], extra: Extra, botocore: str) -> str:
    """Return the text of aws_events.json: one line for each source, everything sorted."""
    pairs: Pairs = defaultdict(set)
    dates: Pairs = defaultdict(set)
    for model in models:
        for source in model.sources():
            pairs[source] |= set(model.operations)
        for source, date in _dates(model):
            dates[source].add(date)
    _add(pairs, extra)
    instead = {entry.source: entry.names for entry in extra.instead}
    for source, names in instead.items():
        pairs[source] -= set(names)
    return _layout({"botocore": botocore, "dates": _joined(dates), "instead": instead, "sources": _joined(pairs)})


def _dates(model: ServiceModel) -> Iterator[tuple[str, str]]:
    """Yield eventSources with the versions of the API that their event names may end with."""
    for key, operation in model.operations.items():
        if CLOUDFRONT in model.sources():
            yield CLOUDFRONT, operation.name.removeprefix(key)
        if LAMBDA in model.sources() and (dated := re.match(r"/(\d{4})-(\d\d)-(\d\d)/", operation.http.request_uri)):
            yield LAMBDA, "".join(dated.groups())


def _add(pairs: Pairs, extra: Extra) -> None:
    for names in [*(entry.names for entry in extra.events), *(entry.names for entry in extra.retired)]:
        for source, added in names.items():
            pairs[source] |= set(added)
    for same in extra.same_names:
        for source in same.sources:
            pairs[source].update(*(pairs[other] for other in same.of))
    for small in extra.small_letter:
        for source in small.sources:
            pairs[source] |= {name[0].lower() + name[1:] for name in pairs[source]}
    for never in extra.never:
        for source in never.sources:
            del pairs[source]


def _joined(pairs: Pairs) -> dict[str, str]:
    # One text a source, and not a list: it is read at once, and split only where a source is asked for.
    return {source: " ".join(sorted(names)) for source, names in pairs.items()}


def _layout(parts: dict[str, str | dict[str, str] | dict[str, dict[str, str]]]) -> str:
    return json.dumps(parts, indent=0, sort_keys=True) + "\n"


def main() -> None:
    """Write the table anew; says what it did, or what is missing."""
    try:
        found = list(chain.from_iterable(service_models()))
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
    text = table(found, extra(), installed_botocore() or "")
    TABLE.write_text(text, encoding="utf-8", newline="\n")
    print(f"{TABLE.name}: {len(found)} service models of botocore {installed_botocore()}, {len(text):,} bytes")


if __name__ == "__main__":
    main()
