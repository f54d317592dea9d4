"""Makes aws_parameters.zip beside it: ``python -m sigma_stellar_aws.reference.data.make_aws_parameters``.

It reads the shapes of the service models of the installed botocore, and aws_parameters_extra.yml for what records hold
beyond them, and needs no network. The zip has one file for each eventSource, an ``aws_parameters.ParameterTable``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

from sigma_stellar_aws.reference.data import make_aws_events
from sigma_stellar_aws.reference.data.record_forms import TableBuilder, smallest
from sigma_stellar_aws.reference.data.service_models import ServiceModel, merged, service_models

HERE = Path(__file__).parent
PARAMETERS = HERE / "aws_parameters.zip"
PARAMETERS_EXTRA = HERE / "aws_parameters_extra.yml"
# The first that a zip can have: the bytes do not tell when it was made.
_TIME = (1980, 1, 1, 0, 0, 0)


class ExtraEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Something that records hold beyond the models."""

    why: str
    url: str
    sources: list[str]
    events: list[str] = []
    request: dict[str, object] = {}
    response: dict[str, object] = {}


def extra_parameters() -> list[ExtraEntry]:
    """Read what records hold beyond the models."""
    return msgspec.yaml.decode(PARAMETERS_EXTRA.read_bytes(), type=list[ExtraEntry])


def parameter_tables(
    models: Iterable[ServiceModel], events: make_aws_events.Extra, extra: Iterable[ExtraEntry]
) -> dict[str, bytes]:
    """Return the table of each eventSource as JSON."""
    builders: dict[str, TableBuilder] = defaultdict(TableBuilder)
    for model in models:
        for source in model.sources():
            builders[source].add_model(model)
    for names in events.instead:
        for name, recorded in names.names.items():
            for one in recorded.split(" or ") if name in builders[names.source].operations else ():
                builders[names.source].add_name(one, name)
    for entry in extra:
        for source in entry.sources:
            for name in entry.events or list(builders[source].operations):
                builders[source].add_trees(name, entry.request, entry.response)
    for never in events.never:
        for source in never.sources:
            del builders[source]
    return {source: msgspec.json.encode(smallest(builder.table())) for source, builder in sorted(builders.items())}


def write(tables: Mapping[str, bytes], path: Path) -> None:
    """Write the tables into a zip."""
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for source, table in tables.items():
            archive.writestr(ZipInfo(source, _TIME), table, ZIP_DEFLATED, 9)


def main() -> None:
    """Write the tables anew; says what it did, or what is missing."""
    try:
        found = parameter_tables(map(merged, service_models()), make_aws_events.extra(), extra_parameters())
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
    write(found, PARAMETERS)
    size = sum(map(len, found.values()))
    print(f"{PARAMETERS.name}: {len(found)} sources, {size:,} bytes, {PARAMETERS.stat().st_size:,} zipped")


if __name__ == "__main__":
    main()
