"""Types of JSON values, for annotations."""

from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool
"""A JSON value that is no container and not null."""

Json: TypeAlias = Scalar | list["Json"] | dict[str, "Json"] | None
"""Any JSON value."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object."""
