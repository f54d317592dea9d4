"""A pack: what searches and alerts need of rules once they are converted. Nothing here loads pySigma."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sigma_stellar_aws.alerts.correlate import needed_fields
from sigma_stellar_aws.base.times import whole_millis
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.counted import Correlation
from sigma_stellar_aws.rule_files.suppression import Suppression

if TYPE_CHECKING:
    from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning


class Guide(NamedTuple):
    """What a rule says to whoever reads its alerts."""

    description: str = ""
    false_positives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    triage: tuple[str, ...] = ()
    """What to do, in order: short steps."""


class PackRule(NamedTuple):
    """What an alert says of its rule."""

    id: str
    title: str
    severity: int
    author: str
    suppression: Suppression
    tactics: tuple[str, ...] = ()
    """As Sigma tags name them, such as defense-impairment."""
    techniques: tuple[str, ...] = ()
    """By their ids, such as T1685.002."""
    correlation: Correlation | None = None
    """What it counts, if it is a correlation."""
    guide: Guide = Guide()
    fields: tuple[str, ...] = ()
    """Those that it tests, as it writes their names."""
    asked: str = ""
    """Its query as it is evaluated in process, as JSON; empty where it is not known."""


class Override(NamedTuple):
    """What replaces the suppression of every rule; what is empty replaces nothing."""

    window: timedelta | None = None
    fields: tuple[str, ...] = ()
    """Dotted CloudTrail names."""


NO_OVERRIDE = Override()


class Pack(NamedTuple):
    """One query in which every rule is a clause that is named by the rule's id, and the rules by their ids."""

    query: Clause
    rules: Mapping[str, PackRule]
    refused: Sequence[str] = ()
    """Why rules are not part of the query."""
    doubts: "Sequence[InexactQueryWarning]" = ()
    """In what the query may be wrong."""
    correlations: Sequence[Correlation] = ()
    """Each after those that it counts."""
    silent: frozenset[str] = frozenset()
    """Rules that do not alert by themselves, since correlations count them."""

    def correlated(self) -> dict[str, tuple[str, ...]]:
        """Return for each rule that correlations count the flattened names of the fields that they need."""
        return needed_fields(self.correlations)

    def only_counted(self) -> frozenset[str]:
        """Return the rules that correlations count, and that do not alert by themselves."""
        return self.silent.intersection(self.correlated())

    def suppressing(self) -> frozenset[str]:
        """Return the rules that raise one alert for many events."""
        known = self.alerting().items()
        return frozenset(
            name for name, rule in known if rule.correlation is None and whole_millis(rule.suppression.window)
        )

    def alerts_on_each_event(self) -> bool:
        """Tell whether each event is an alert by itself, whatever rule it matches."""
        return not self.suppressing() and not self.correlations and not self.silent

    def alerting(self) -> dict[str, PackRule]:
        """Return the rules that alert."""
        return {name: rule for name, rule in self.rules.items() if name not in self.silent}

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Return the flattened names of the fields that each rule suppresses by."""
        return {name: tuple(map(flat_name, rule.suppression.fields)) for name, rule in self.rules.items()}

    def without(self, names: Iterable[str]) -> "Pack":
        """Return the pack without some of its rules and the correlations of those; other rules must be left."""
        gone = {*names}
        kept = [each for each in self.correlations if not _counts_any(each, gone)]
        left = [clause for name, clause in dsl.named_clauses(self.query) if name not in gone]
        rules = {name: rule for name, rule in self.rules.items() if name not in gone}
        titles = {rule.title for rule in rules.values()}
        doubts = [doubt for doubt in self.doubts if doubt.rule in titles]
        return self._replace(query=dsl.pack(left), rules=rules, doubts=doubts, correlations=kept)


def _counts_any(correlation: Correlation, names: set[str]) -> bool:
    """Tell whether a correlation counts one of some rules, and is one of them from then on."""
    counts = not names.isdisjoint(member.name for member in correlation.members)
    if counts:
        names.add(correlation.name)
    return counts
