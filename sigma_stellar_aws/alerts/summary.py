"""What stands out among alerts: the rules, actors, addresses and accounts that have the most, or the worst."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.first_event import actor_labels

MOST_OF_A_KIND = 5
"""How many of each kind are told."""


@dataclass
class AlertSummary:
    """Counts alerts as they pass by."""

    rules: Counter[tuple[int, str]] = field(default_factory=Counter)
    """By severity and title."""
    actors: Counter[str] = field(default_factory=Counter)
    """By their ARNs: users of several accounts may share a name."""
    source_addresses: Counter[str] = field(default_factory=Counter)
    accounts: Counter[str] = field(default_factory=Counter)

    def counted(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        """Yield alerts, and count them."""
        for alert in alerts:
            self.rules[alert.rule.severity, alert.rule.title] += 1
            self.actors.update(alert.actors)
            self.source_addresses.update(alert.source_addresses)
            self.accounts.update(alert.accounts)
            yield alert

    def lines(self) -> list[tuple[str, str]]:
        """Return a title and a text for each kind of which there is something to tell."""
        labels = actor_labels(self.actors)
        worst = sorted(self.rules.items(), key=lambda item: (-item[0][0], -item[1], item[0][1]))
        told = [("worst rules", [f"{severity} {title} ({count:,})" for (severity, title), count in worst])]
        for title, counts in (
            ("most by", {labels[actor]: count for actor, count in self.actors.items()}),
            ("from", self.source_addresses),
            ("in account", self.accounts),
        ):
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            told.append((title, [f"{text} ({count:,})" for text, count in ordered]))
        return [(title, _first(texts)) for title, texts in told if texts]


def _first(texts: list[str]) -> str:
    more = len(texts) - MOST_OF_A_KIND
    return ", ".join(texts[:MOST_OF_A_KIND]) + (f" and {more:,} more" if more > 0 else "")
