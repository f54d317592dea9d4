"""Map the fields that are new in a batch with one request, in an index of our template.

A store that meets a new field changes its mapping, one document after the other, and each change has to reach the whole
cluster. The first few hundred events take fifty times as long that way, and on a busy cluster some are refused. A list
under a name with a dot, which is an object and a field for a store, it refuses: it makes a keyword of the object.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.store.answers import read_answer
from sigma_stellar_aws.store.retries import answered

_MOST_NAMES = 1000
"""Names in one request: what a single event can bring is not bounded."""


class _Mappings(msgspec.Struct):
    dynamic_templates: list[dict[str, Any]] = []
    dynamic: bool | str = True
    properties: dict[str, Any] = {}


class _OfIndex(msgspec.Struct):
    mappings: _Mappings


def field_mapper(client: OpenSearch, index: str) -> Callable[[set[str]], None]:
    """Return a function that maps fields as the index would by itself, where it is known how it would.

    If the store does not let it, the fields are left to the store.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the store refused to show the mapping.
        AnswerError: it answered with something else.
    """
    try:
        answer = answered(lambda: client.indices.get_mapping(index=index))
    except exceptions.NotFoundError:
        # A template may make the index of the first event.
        return lambda names: None
    indices = list(read_answer(dict[str, _OfIndex], answer, strict=False).values())
    ours = index_mappings()
    if len(indices) != 1 or indices[0].mappings.dynamic_templates != ours["dynamic_templates"]:
        return lambda names: None
    mappings = indices[0].mappings
    if str(mappings.dynamic).lower() != "true":
        return lambda names: None
    known = set(mappings.properties)
    [[template]] = [[*each.values()] for each in mappings.dynamic_templates]

    def map_fields(names: set[str]) -> None:
        new = names - known
        known.update(new)
        for some in _in_requests(new):
            body: JsonObject = {"properties": dict.fromkeys(some, template["mapping"])}
            try:
                client.indices.put_mapping(index=index, body=body)
            except exceptions.OpenSearchException:
                # One name that cannot be a field, a right that is missing, a store that is busy: what matters is
                # whether it takes the events.
                continue

    return map_fields


def _in_requests(names: set[str]) -> Iterator[list[str]]:
    """Yield names that are mapped together: those with a dot alone, since each may clash with what is there."""
    plain = sorted(name for name in names if "." not in name)
    yield from (plain[start : start + _MOST_NAMES] for start in range(0, len(plain), _MOST_NAMES))
    yield from ([name] for name in sorted(names.difference(plain)))
