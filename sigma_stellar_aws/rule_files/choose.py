"""Choosing some of the rules by what people call them: title, id or file."""

from collections.abc import Sequence
from pathlib import Path

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, did_you_mean, nearest
from sigma_stellar_aws.rule_files.correlations import counted_by, not_silenced, only_counted, resolve_correlations
from sigma_stellar_aws.rule_files.stellar_block import rule_name


def choose_rules(rules: SigmaCollection, only: Sequence[str] = (), exclude: Sequence[str] = ()) -> SigmaCollection:
    """Return some of the rules, in the same order, and what correlations among them count, for these alone.

    What only correlations count that were not taken is left out.

    Args:
        rules: the rules to choose from.
        only: take these; without any, take all.
        exclude: leave these out of what was taken.

    Raises:
        NotFoundError: a name is not that of a rule, or no rule is left.
    """
    if not only and not exclude:
        return rules
    wanted = _named(rules, only) if only else set(range(len(rules.rules)))
    unwanted = _named(rules, exclude)
    if not only:
        silent = resolve_correlations(rules.rules).silent
        wanted -= {number for number, rule in enumerate(rules.rules) if rule_name(rule) in silent}
    chosen = [rule for number, rule in enumerate(rules.rules) if number in wanted and number not in unwanted]
    if not chosen:
        raise NotFoundError("no rule is left by --only and --exclude")
    excluded = {id(rules.rules[number]) for number in unwanted}
    counted = [only_counted(rule) for rule in counted_by(rules.rules, chosen) if id(rule) not in excluded]
    if only:
        chosen = [not_silenced(rule) for rule in chosen]
    # Their references are resolved by the conversion, where an error names the rule.
    return SigmaCollection([*chosen, *counted], [*rules.errors], resolve_references=False)


def names_of(rule: SigmaRule | SigmaCorrelationRule) -> list[str]:
    """Return what a rule may be called: its title, its id, and its file with or without the folder and the suffix."""
    names = [rule.title, rule_name(rule)]
    if rule.source:
        path = rule.source.path
        names += [path.name, path.stem, str(path), str(path.resolve())]
    return names


def _named(rules: SigmaCollection, wanted: Sequence[str]) -> set[int]:
    names = [names_of(rule) for rule in rules.rules]
    found: set[int] = set()
    for name in wanted:
        path = str(Path(name).resolve())
        matching = {number for number, known in enumerate(names) if name in known or path in known}
        if not matching:
            hint = did_you_mean(nearest(name, [each for known in names for each in known[:4]], LOOSELY_ALIKE))
            raise NotFoundError(f"{name!r} is not the title, id or file of one of these rules{hint}")
        found |= matching
    return found
