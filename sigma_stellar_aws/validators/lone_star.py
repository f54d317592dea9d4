"""A lone ``*`` where AWS means the character by it: in Sigma it only asks for a value."""

from collections.abc import Iterable, Iterator

from sigma.types import SigmaString, SpecialChars

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.validators.condition_tree import FieldComparison
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import LoneStarIssue

# Elements of policies (IAM user guide, "IAM JSON policy elements reference") and whose names hold an address range.
_ELEMENTS = frozenset(
    {"principal", "notprincipal", "action", "notaction", "resource", "notresource", "aws", "grantee", "usergroup"}
)
_RANGES = ("cidr", "cidrip", "cidripv6", "cidrblock", "iprange", "allowedorigin")


def lone_stars(comparisons: Iterable[FieldComparison]) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield the values ``*`` of fields in which AWS writes a star as such."""
    for comparison in comparisons:
        if comparison.field is None or not _holds_stars(comparison.field):
            continue
        for value in comparison.values:
            if isinstance(value.value, SigmaString) and tuple(value.value.s) == (SpecialChars.WILDCARD_MULTI,):
                problem = (
                    f"'*' only asks that {comparison.field} has a value; for the character write '\\*', and for any "
                    "value |exists: true."
                )
                yield Fault(LoneStarIssue, problem), value.at


def _holds_stars(field: str) -> bool:
    last = field.rpartition(".")[2].lower()
    return bool({last, last.removesuffix("s")} & _ELEMENTS) or last.removesuffix("s").endswith(_RANGES)
