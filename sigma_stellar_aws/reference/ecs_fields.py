"""Where Elastic's AWS integration keeps the fields of CloudTrail records: the table data/ecs_aws_cloudtrail.csv.

Its source is the ingest pipeline and the list of fields of the integration (elastic/integrations,
packages/aws/data_stream/cloudtrail), versions 2.17 and later.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from sigma_stellar_aws.base.text import did_you_mean
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS, is_known, nearest_field


class EcsField(NamedTuple):
    """Where the integration keeps a field of a CloudTrail record."""

    field: str
    """Its name there; empty where nothing can be asked of it."""
    asked: str
    """What can be asked of it, a word of the column ``asked``."""
    why: str
    """Why no more can be asked of it."""
    read_from: str = ""
    """The field of an event there that has its value, if one has, also where nothing can be asked of it."""


def ecs_field(field: str) -> EcsField:
    """Return where the integration keeps a field, given its dotted CloudTrail name."""
    if field in _PLACES:
        return _PLACES[field]
    head, _, rest = field.partition(".")
    around = _PLACES.get(head)
    if around is not None and rest and around.asked == "beginnings":
        return around._replace(field=f"{around.field}.{rest}", read_from=f"{around.read_from}.{rest}")
    if is_known(field):
        return EcsField("", "nothing", "Elastic's AWS integration drops it")
    return EcsField("", "nothing", f"CloudTrail records have no such field{did_you_mean(nearest_field(field))}")


def ecs_places() -> Mapping[str, EcsField]:
    """Return the whole table, by dotted CloudTrail names; that of an object stands for all fields in it."""
    return _PLACES


def _read_places() -> Mapping[str, EcsField]:
    path = Path(__file__).parent / "data" / "ecs_aws_cloudtrail.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return MappingProxyType(
        {
            row["raw_field"]: EcsField(row["ecs_field"], row["asked"], row["why"], row["read_from"] or row["ecs_field"])
            for row in rows
        }
    )


_PLACES = _read_places()

LONGEST_INDEXED: Mapping[str, int] = MappingProxyType(
    {
        kept.field: field.longest
        for name, field in FIELDS.items()
        if field.longest is not None and "object" not in field.kind and (kept := ecs_field(name)).field
    }
)
"""Most characters of the texts of a field, by its name there, where a limit is known."""
