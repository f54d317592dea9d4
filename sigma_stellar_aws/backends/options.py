"""Options of the backend: their values checked, and refused in a way that sigma-cli shows well."""

from pathlib import Path
from typing import NamedTuple, TypeVar

from sigma_stellar_aws.base.sigma_errors import StoreProfileError
from sigma_stellar_aws.formats.elastic_rule import QueryForm, Stack, stack_version
from sigma_stellar_aws.formats.opensearch_monitor import MonitorKind
from sigma_stellar_aws.query.store_profile import StoreProfile, read_profile

Choice = TypeVar("Choice")

_QUERY_FORMS: dict[str, QueryForm] = {"auto": "auto", "lucene": "lucene", "dsl": "dsl"}
_MONITOR_KINDS: dict[str, MonitorKind] = {"query": "query", "bucket": "bucket", "document": "document"}


class Options(NamedTuple):
    """The options of a conversion, as the backend's constructor describes them."""

    case_sensitive: bool
    keyword_suffix: str
    store: StoreProfile | None
    accepts_inexact: bool
    stack: Stack | None
    query_form: QueryForm
    monitor: MonitorKind
    channel: str
    enabled: bool
    scripts: bool


def read_options(
    case_sensitive: bool | str,
    keyword_suffix: str,
    store: StoreProfile | str | None,
    inexact: str,
    stack: str | int | None,
    query: str,
    monitor: str,
    channel: str,
    enabled: bool | str,
    scripts: bool | str,
) -> Options:
    """Check the options of a conversion.

    sigma-cli turns the text of an option into a number where it can, so texts are made texts again.

    Raises:
        TypeError: an option has a value that it cannot have. sigma-cli reads this error by a pattern and shows the part
            in quotes as the option that is not supported, so the part says what is wrong and has no quotes in it.
    """
    suffix, profile = str(keyword_suffix), _profile(store)
    if profile is not None and suffix:
        raise TypeError("'keyword_suffix (a store profile knows the sub-fields)' is not an option beside store")
    return Options(
        case_sensitive=_flag("case_sensitive", case_sensitive),
        keyword_suffix=suffix,
        store=profile,
        accepts_inexact=_choice("inexact", inexact, {"refuse": False, "warn": True}),
        stack=_stack(stack),
        query_form=_choice("query", query, _QUERY_FORMS),
        monitor=_choice("monitor", monitor, _MONITOR_KINDS),
        channel=str(channel),
        enabled=_flag("enabled", enabled),
        scripts=_flag("scripts", scripts),
    )


def _flag(option: str, value: bool | str) -> bool:
    return _choice(option, str(value).lower(), {"true": True, "false": False})


def _choice(option: str, value: str, choices: dict[str, Choice]) -> Choice:
    if value not in choices:
        raise TypeError(f"'{option}={value} (write {' or '.join(choices)})' is not an option of this backend")
    return choices[value]


def _stack(stack: str | int | None) -> Stack | None:
    try:
        return None if stack is None else stack_version(stack)
    except ValueError as error:
        raise TypeError(f"'stack={stack} ({error})' is not an option of this backend") from error


def _profile(store: StoreProfile | str | None) -> StoreProfile | None:
    if store is None or isinstance(store, StoreProfile):
        return store
    try:
        return read_profile(Path(str(store)))
    except StoreProfileError as error:
        reason = f"{error.reason}; write store=FILE with a file of: sigma-stellar-aws profile -o FILE"
        told = f"store={store} ({reason})".replace("'", '"').replace("\n", " ")
        raise TypeError(f"'{told}' is not an option of this backend") from error
