"""Where a source address is, and in whose network, as an alert tells it."""

from typing import NamedTuple

from sigma_stellar_aws.base.json_types import JsonObject


class SourceLocation(NamedTuple):
    """What databases of addresses know of one; texts are empty where they do not."""

    address: str
    """As the event has it."""
    country: str = ""
    """Two letters of ISO 3166-1."""
    country_name: str = ""
    city: str = ""
    network: str = ""
    """The part of the autonomous system that has it, such as 198.51.100.0/24."""
    asn: int | None = None
    """Number of the autonomous system."""
    organization: str = ""
    """Who runs the autonomous system."""

    def place(self) -> str:
        """Return country and city in short, or else the autonomous system.

        >>> SourceLocation("198.51.100.7", "DE", "Germany", "Berlin").place(), SourceLocation("x", asn=64500).place()
        ('DE Berlin', 'AS64500')
        """
        return " ".join(filter(None, (self.country, self.city))) or self.autonomous_system().partition(" ")[0]

    def autonomous_system(self) -> str:
        """Return number and name of the autonomous system, as far as they are known."""
        return " ".join(filter(None, (f"AS{self.asn}" if self.asn is not None else "", self.organization)))

    def as_json(self) -> JsonObject:
        """Return it as a JSON object."""
        return {**self._asdict()}
