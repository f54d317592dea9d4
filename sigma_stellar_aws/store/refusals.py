"""Errors by which a store refuses a query itself, whoever asks and however often."""

from collections.abc import Iterator

from opensearchpy import exceptions

TOO_MANY_CLAUSES = frozenset({"too_many_clauses", "too_many_nested_clauses"})

_OF_THE_QUERY = TOO_MANY_CLAUSES | {
    "illegal_argument_exception",
    "parsing_exception",
    "query_shard_exception",
    "script_exception",
    "unsupported_operation_exception",
    "x_content_parse_exception",
}
_OF_THE_INDEX = frozenset({"index_closed_exception", "index_not_found_exception"})
_WRONG_REQUEST = 400
_SERVER_ERROR = 500


def refuses_query(error: BaseException) -> bool:
    """Return whether a store has refused a query for what is in it.

    OpenSearch does so with the status of an error of its own, 500, where a query has too many clauses.
    """
    if not isinstance(error, exceptions.TransportError) or error.status_code not in (_WRONG_REQUEST, _SERVER_ERROR):
        return False
    types = {*_types(error.info)}
    return bool(types & _OF_THE_QUERY) and not types & _OF_THE_INDEX


def has_too_many_clauses(error: exceptions.TransportError) -> bool:
    """Return whether a store says of a query that it has too many clauses."""
    return not TOO_MANY_CLAUSES.isdisjoint(_types(error.info))


def root_reason(error: exceptions.TransportError) -> str:
    """Return the first cause that a store names, without what it was doing; empty where it names none."""
    info = error.info.get("error") if isinstance(error.info, dict) else None
    causes = info.get("root_cause") if isinstance(info, dict) else None
    first = causes[0] if isinstance(causes, list) and causes else None
    return str(first.get("reason") or "").removeprefix("failed to create query: ") if isinstance(first, dict) else ""


def _types(info: object) -> Iterator[str]:
    """Yield the types of an error, of its causes, and of those of each shard."""
    if isinstance(info, dict):
        if isinstance(info.get("type"), str):
            yield info["type"]
        for inner in info.values():
            yield from _types(inner)
    elif isinstance(info, list):
        for inner in info:
            yield from _types(inner)
