"""Types of JSON values, for annotations."""

from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool
"""A JSON value that is neither a container nor null."""

Json: TypeAlias = Scalar | list["Json"] | dict[str, "Json"] | None
"""Any JSON value."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object."""


def as_object(value: Json) -> JsonObject:
    """Return a JSON value that has to be an object.

    Raises:
        TypeError: it is not one.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a JSON object")
    return value


def as_objects(value: Json) -> list[JsonObject]:
    """Return a JSON value that has to be a list of objects.

    Raises:
        TypeError: it is not one.
    """
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a JSON list")
    return [as_object(part) for part in value]


def as_string(value: Json) -> str:
    """Return a JSON value that has to be a string.

    Raises:
        TypeError: it is not one.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a JSON string")
    return value


def as_scalar(value: Json) -> Scalar:
    """Return a JSON value that has to be a string, a number or a boolean.

    Raises:
        TypeError: it is not one.
    """
    if value is None or isinstance(value, (list, dict)):
        raise TypeError(f"{value!r} is not a JSON string, number or boolean")
    return value
