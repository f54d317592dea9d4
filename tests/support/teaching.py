"""Teach an index all fields of some documents at once."""

import copy
from collections.abc import Iterable

from opensearchpy import OpenSearch

from sigma_stellar_aws.base.json_types import Json, JsonObject

_ID = "teaches-fields"


def teach(client: OpenSearch, index: str, documents: Iterable[JsonObject]) -> None:
    """Let an index map the fields of documents as it would one after the other, in a fiftieth of the time.

    It sees one document with the first value that each field has, which is taken out again.
    """
    every: JsonObject = {}
    for document in documents:
        _add(every, document)
    client.index(index=index, id=_ID, body=every)
    client.delete(index=index, id=_ID, params={"refresh": "true"})


def _add(every: JsonObject, document: JsonObject) -> None:
    for name, value in document.items():
        if name not in every:
            every[name] = copy.deepcopy(value)
        for known, other in zip(_objects(every[name]), _objects(value), strict=False):
            _add(known, other)


def _objects(value: Json) -> list[JsonObject]:
    """Return the objects that a value is or has in a list."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
