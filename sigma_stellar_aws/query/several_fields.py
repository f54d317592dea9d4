"""Questions to several fields at once: to all below an object, or to all of an event.

Flattened, an object has no field of its own. It is written as its name with ``_*`` after it (``.*`` where names are
dotted), and a search without a field as ``*``. Files are searched by these names as they are; in a data store each
field that its profile has there is asked, or the object itself where the store keeps it as one field.
"""

from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.by_field_type import field_query
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.questions import Ask, Doubt, FieldQuery, NoQueryError
from sigma_stellar_aws.query.store_profile import OBJECTS_OF_KEYWORDS, MappedField, StoreProfile
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, name_test, object_around

MOST_FIELDS = 200
"""How many fields are asked at most: engines take 1,024 conditions in one search, and a rule may ask several times."""


def present_somewhere(name: str) -> Clause:
    """Return a query for events with a value in any of several fields, whatever the store has."""
    around = object_around(name)
    return dsl.any_of([dsl.exists(around), dsl.exists(name)]) if around else dsl.exists(name)


def several_fields_query(ask: Ask, name: str, store: StoreProfile, time_field: str) -> tuple[FieldQuery, int]:
    """Ask each field of several that a store has, and tell how many that are.

    Raises:
        NoQueryError: there is no such field, there are too many, or none of them can answer.
    """
    around = object_around(name)
    whole = [field for field in store.mappings(around) if field.type in OBJECTS_OF_KEYWORDS] if around else []
    if any(field.inside for field in whole):
        raise NoQueryError(f"it is an object inside another of the type {whole[0].type}, which only has single values")
    if whole:
        return field_query(ask, [_as_one(field) for field in whole], store.engine), 1
    is_meant = name_test(name)
    # The time is not a value of the event, or it is eventTime once more.
    names = [field for field in store.fields if is_meant(field) and field not in (time_field, TIME_FIELD)]
    if not names:
        raise NoQueryError(f"{store.indices} has no field in it")
    if len(names) > MOST_FIELDS:
        raise NoQueryError(f"{store.indices} has {len(names):,} fields in it, and at most {MOST_FIELDS} are asked")
    clauses: list[Clause] = []
    unanswered: list[str] = []
    doubts: dict[str, list[Doubt]] = {}
    for field in names:
        try:
            query = field_query(ask, [_as_one(mapped) for mapped in store.mappings(field)], store.engine)
        except NoQueryError:
            unanswered.append(field)
            continue
        clauses.append(query.clause)
        for doubt in query.doubts:
            doubts.setdefault(doubt.kind, []).append(doubt)
    if not clauses:
        raise NoQueryError(f"none of its {plural(len(names), 'field')} in {store.indices} can be asked this")
    merged = [_of_several(of_kind[0], len(of_kind)) for of_kind in doubts.values()]
    if unanswered:
        others = f"{plural(len(unanswered), 'field')} of other types, such as {unanswered[0]}, cannot be asked this"
        merged.append(Doubt("loose", others))
    return FieldQuery(dsl.any_of(clauses), tuple(merged)), len(clauses)


def _as_one(field: MappedField) -> MappedField:
    """Return a field whose values are asked, where it is an object that is kept as one field those of all below it."""
    return field._replace(inside=True) if field.type in OBJECTS_OF_KEYWORDS else field


def _of_several(doubt: Doubt, count: int) -> Doubt:
    return doubt if count == 1 else doubt._replace(reason=f"{doubt.reason}; so it is in {count} fields")
