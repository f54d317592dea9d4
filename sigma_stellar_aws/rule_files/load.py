"""The 29 rules: where they are, and what the block ``stellar`` of a rule says.

::

    stellar:
        severity: 50                # 0 to 100
        suppression:
            window: 24h             # one alert in this time for the same values of these fields
            fields: [...]
        published:                  # only where the published query is wrong
            detection: {...}        # as published, verbatim
            reason: ...
"""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import yaml
from sigma.collection import NestedDict, SigmaCollection
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.rule import SigmaRule

from sigma_stellar_aws.base import yaml_positions
from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, did_you_mean, nearest
from sigma_stellar_aws.rule_files.as_written import misreadings


def pack_path() -> Path:
    """The folder of the rules: beside this module in an installed package, at the top level in a checkout."""
    installed = Path(__file__).parents[1] / "rules"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "rules"


def find_rule_files(paths: Iterable[Path] = ()) -> list[Path]:
    """The files, and in folders those that end in ``.yml``, by default those of the pack, in order of their names."""
    return [
        file
        for path in tuple(paths) or (pack_path(),)
        for file in (sorted(path.rglob("*.yml")) if path.is_dir() else [path])
    ]


def load_rules(*paths: Path, filters: Iterable[Path] = ()) -> SigmaCollection:
    """Load the rules of files and folders (``*.yml`` in them), by default those of the pack, in order of file names.

    >>> rules = load_rules()
    >>> len(rules.rules), rules.rules[0].title
    (29, 'AWS CloudWatch Alarm Deletion')
    >>> load_rules(Path("rules/aws_kms_key_created.yml")).rules[0].title
    'KMS Keys Creation'

    Args:
        paths: the files and folders.
        filters: files with Sigma filters to apply to the rules.

    Raises:
        SigmaError: a file cannot be read as Sigma rules; the message names it.
        OSError: a file cannot be opened.
    """
    collection = SigmaCollection.merge([_parse(file) for file in find_rule_files(paths)])
    if collection.errors:
        raise SigmaError("\n".join(str(error) for error in collection.errors))
    for file in filters:
        _apply_filters(collection, file)
    return collection


def find_rules(name: str) -> list[SigmaRule]:
    """The rules of a file, or one of this project by its title, id or file name.

    Raises:
        NotFoundError: there is no such rule.
        SigmaError: the file cannot be read as Sigma rules.
        OSError: the file cannot be opened.
    """
    if Path(name).exists():
        found = load_rules(Path(name)).rules
    else:
        names = {alias: rule for rule in load_rules().rules for alias in _aliases(cast(SigmaRule, rule))}
        if name not in names:
            hint = did_you_mean(nearest(name, names, LOOSELY_ALIKE))
            raise NotFoundError(f"{name!r} is neither a file nor the title or id of a rule of this project{hint}")
        found = [names[name]]
    rules = [rule for rule in found if isinstance(rule, SigmaRule)]
    if not rules:
        raise NotFoundError(f"{name}: it has no rule about single events")
    return rules


def _apply_filters(collection: SigmaCollection, file: Path) -> None:
    parsed = _parse(file)
    if parsed.errors:
        raise SigmaError("\n".join(str(error) for error in parsed.errors))
    if parsed.rules or not parsed.filters:
        raise SigmaError("This file is no Sigma filter", source=SigmaRuleLocation(file))
    for sigma_filter in parsed.filters:
        before = _conditions(collection)
        collection.apply_filters([sigma_filter])
        if _conditions(collection) == before:
            raise SigmaError(f"Filter {sigma_filter.title!r} applies to no rule", source=SigmaRuleLocation(file))


def _conditions(collection: SigmaCollection) -> list[str]:
    return [c for rule in collection.rules if isinstance(rule, SigmaRule) for c in rule.detection.condition]


def _parse(file: Path) -> SigmaCollection:
    source = SigmaRuleLocation(file)
    try:
        text = file.read_text(encoding="utf-8")
        documents = yaml_positions.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SigmaError(f"This is not valid YAML: {error}", source=source) from error
    if doubles := yaml_positions.double_keys(text):
        place, key = doubles[0]
        raise SigmaError(f"Line {place.line} has the key {key!r} a second time in the same map", source=source)
    if misread := misreadings(text):
        raise SigmaError("; ".join(map(str, misread)), source=source)
    if not all(isinstance(document, dict) or document is None for document in documents):
        raise SigmaError("This is no Sigma rule: a rule is a map of keys and values", source=source)
    try:
        maps = cast("list[NestedDict]", documents)
        collection = SigmaCollection.from_dicts(maps, True, source, collect_filters=True, resolve_references=False)
    except SigmaError:
        raise
    except Exception as error:
        # pySigma lets errors of any class out where a value is of a type that it does not expect.
        raise SigmaError(f"This cannot be read as a Sigma rule: {error}", source=source) from error
    for rule in collection.rules:
        if isinstance(rule, SigmaRule) and not all(isinstance(c, str) for c in rule.detection.condition):
            raise SigmaError(f"Rule {rule.title!r}: a condition must be a text", source=source)
    return collection


def _aliases(rule: SigmaRule) -> list[str]:
    return [rule.title, str(rule.id), *([rule.source.path.name, rule.source.path.stem] if rule.source else [])]
