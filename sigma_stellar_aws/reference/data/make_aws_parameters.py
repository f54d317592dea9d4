"""Makes aws_parameters.zip beside it: ``python -m sigma_stellar_aws.reference.data.make_aws_parameters``.

It reads the shapes of the service models of the installed botocore, and aws_parameters_extra.yml for what records hold
beyond them, and needs no network. The zip has one file for each eventSource, an ``aws_parameters.ParameterTable``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain, product
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

from sigma_stellar_aws.reference.data import make_aws_events
from sigma_stellar_aws.reference.data.parameter_tables import TableBuilder, encoded, smallest
from sigma_stellar_aws.reference.data.record_forms import Spelling
from sigma_stellar_aws.reference.data.service_models import ServiceModel, merged, service_models

HERE = Path(__file__).parent
PARAMETERS = HERE / "aws_parameters.zip"
PARAMETERS_EXTRA = HERE / "aws_parameters_extra.yml"
# The first that a zip can have: the bytes do not tell when it was made.
_ANY = "*"
_TIME = (1980, 1, 1, 0, 0, 0)


class _Reason(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    url: str


class _Sources(_Reason, forbid_unknown_fields=True):
    sources: list[str]


class _Lists(_Reason, forbid_unknown_fields=True):
    lists: dict[str, str]


class Beyond(_Reason, forbid_unknown_fields=True):
    """What some events hold beyond the models."""

    sources: list[str]
    events: list[str] = []
    request: dict[str, object] = {}
    response: dict[str, object] = {}
    rare: bool = False


class ExtraParameters(msgspec.Struct, forbid_unknown_fields=True):
    """aws_parameters_extra.yml; its comments say what each part is."""

    small_letter: list[_Sources]
    capital_letter: list[_Sources]
    ec2_lists: list[_Lists]
    other: list[_Sources]
    beyond: list[Beyond]

    def spelling(self) -> Spelling:
        """Return what is known of the names that services use."""
        return Spelling(
            frozenset(chain.from_iterable(entry.sources for entry in self.small_letter)),
            frozenset(chain.from_iterable(entry.sources for entry in self.capital_letter)),
            dict(chain.from_iterable(entry.lists.items() for entry in self.ec2_lists)),
        )


def extra_parameters() -> ExtraParameters:
    """Read what the models do not say."""
    return msgspec.yaml.decode(PARAMETERS_EXTRA.read_bytes(), type=ExtraParameters)


def parameter_tables(
    models: Iterable[ServiceModel], events: make_aws_events.Extra, extra: ExtraParameters
) -> dict[str, bytes]:
    """Return the table of each eventSource as JSON."""
    builders: dict[str, TableBuilder] = defaultdict(partial(TableBuilder, extra.spelling()))
    for model in models:
        for source in model.sources():
            builders[source].add_model(model)
    others = set(chain.from_iterable(entry.sources for entry in extra.other))
    for same in events.same_names:
        for source, other in product(set(same.sources) - others, same.of):
            builders[source].add_table(builders[other])
    for names in events.instead:
        for name, recorded in names.names.items():
            for one in recorded.split(" or ") if name in builders[names.source].operations else ():
                builders[names.source].add_name(one, name)
    for entry in extra.beyond:
        for source in list(builders) if entry.sources == [_ANY] else entry.sources:
            known = builders[source].operations
            for name in entry.events or list(known):
                builders[source].add_beyond(name, entry.request, entry.response, rare=entry.rare)
    left_out = others.union(*(never.sources for never in events.never))
    return {
        source: encoded(smallest(builder.table()))
        for source, builder in sorted(builders.items())
        if source not in left_out
    }


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
