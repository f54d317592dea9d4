"""Ask for events with values that are too long to be indexed, so that no query finds them."""

from collections.abc import Collection, Iterable

from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import ANALYSED, Engine, MappedField


def cut_values(fields: Iterable[MappedField], names: Collection[str], engine: Engine) -> Clause | None:
    """Match events with a value too long to be indexed in one of the named fields; None if they cannot be found.

    Elasticsearch keeps account of such values. Elsewhere they show where the analysed text of a value is indexed and
    its exact text is not, unless a field has several values.
    """
    clauses: list[Clause] = []
    for field in fields:
        for exact in (field, *field.subfields):
            asked = exact.name in names or any(name.startswith(f"{exact.name}.") for name in names)
            if exact.ignore_above is None or not asked:
                continue
            if engine == "elasticsearch":
                clauses.append(dsl.term("_ignored", exact.stored_name or exact.name))
            elif field.type in ANALYSED:
                clauses.append(dsl.all_of([dsl.exists(field.name), dsl.none_of(dsl.exists(exact.name))]))
    return dsl.any_of(clauses) if clauses else None
