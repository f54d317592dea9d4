"""How the fields of a rule are asked: as the store profile says, or as keywords without a profile."""

import warnings
from collections.abc import Mapping

from sigma_stellar_aws.backends.options import Options
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning
from sigma_stellar_aws.base.text import did_you_mean
from sigma_stellar_aws.query.by_field_type import field_query
from sigma_stellar_aws.query.questions import UNTYPED, Ask, Doubt, FieldQuery, NoQueryError, Present, Text
from sigma_stellar_aws.query.several_fields import present_somewhere, several_fields_query
from sigma_stellar_aws.query.store_profile import MappedField
from sigma_stellar_aws.reference.flat_schema import ANY_FIELD, object_around, stands_for_several


def ask_field(
    name: str, ask: Ask, options: Options, state: Mapping[str, object], *, searches_files: bool = False
) -> FieldQuery:
    """Return the query that asks something of a field, or of several.

    Args:
        name: the field as the pipelines have it.
        ask: what is asked of its values.
        options: of the backend.
        state: of the pipelines; ``time_field``, ``rule`` and ``file`` are read.
        searches_files: whether the query is evaluated in process.

    Raises:
        NoQueryError: there is no such query.
    """
    if stands_for_several(name):
        return _ask_several(name, ask, options, state, searches_files)
    store = options.store
    if store is None:
        return field_query(ask, [_assumed(name, options, state)])
    if mappings := store.mappings(name):
        return field_query(ask, mappings, store.engine)
    reason = f"{store.indices} has no such field{did_you_mean(store.nearest(name))}"
    as_keyword = field_query(ask, [MappedField(name, "keyword")])
    return FieldQuery(as_keyword.clause, (Doubt("missing", reason),))


def keyword_of(name: str, options: Options) -> tuple[str, tuple[Doubt, ...]]:
    """Return the keyword in which a script finds the values of a field, and what may be wrong with them there.

    Raises:
        NoQueryError: the store has no such keyword.
    """
    if options.store is None:
        return name + options.keyword_suffix, ()
    mappings = options.store.mappings(name)
    keywords = [
        {
            field.name: field._replace(subfields=()) if field is mapped else mapped._replace(subfields=(field,))
            for field in (mapped, *mapped.subfields)
            if field.type == "keyword" and field.doc_values and not field.inside
        }
        for mapped in mappings
    ]
    found: list[tuple[str, tuple[Doubt, ...]]] = []
    for key in keywords[0] if keywords else ():
        if all(key in each for each in keywords):
            # Values that a search for a part of a text finds are those that a script sees.
            part = Text((None, "a", None), not options.case_sensitive)
            found.append((key, field_query(part, [each[key] for each in keywords], options.store.engine).doubts))
    if not found:
        raise NoQueryError(f"{options.store.indices} has no keyword for {name!r} that a script could compare")
    return min(found, key=lambda each: len(each[1]))


def _assumed(name: str, options: Options, state: Mapping[str, object]) -> MappedField:
    """Say how a field is mapped where no store profile tells."""
    if name == state.get("time_field"):
        return MappedField(name, "date")
    if options.keyword_suffix:
        return MappedField(name, UNTYPED, subfields=(MappedField(name + options.keyword_suffix, "keyword"),))
    return MappedField(name, "keyword")


def _ask_several(
    name: str, ask: Ask, options: Options, state: Mapping[str, object], searches_files: bool
) -> FieldQuery:
    store = options.store
    if store is None and isinstance(ask, Present):
        return FieldQuery(present_somewhere(name))
    if store is None and searches_files:
        return field_query(ask, [MappedField(name, "keyword")])
    if store is None:
        missing, inside = (
            ("there is no text of the whole event", "")
            if name == ANY_FIELD
            else ("an object has no field of its own", " inside it")
        )
        raise NoQueryError(
            f"{missing} in flattened documents; name the field{inside}, or let the fields of your store be asked: "
            "-O store=FILE, made by sigma-stellar-aws profile"
        )
    query, count = several_fields_query(ask, name, store, str(state.get("time_field", "")))
    where = f"below {object_around(name)}" if name != ANY_FIELD else "of an event"
    note = (
        f"Rule {state.get('rule')!r}: it asks the {count} fields {where} that the store profile has, and no later ones"
    )
    warnings.warn_explicit(AssumptionWarning(note), None, str(state.get("file", "sigma")), 1)
    return query
