"""Log sources with which a rule is about CloudTrail, or was meant to be."""

from collections.abc import Collection, Iterator

from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule
from sigma.rule.logsource import SigmaLogSource

from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL
from sigma_stellar_aws.validators.condition_tree import comparisons, detections_of
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import LogSourceIssue

_PRODUCTS = ("aws", "amazon", "amazonaws", "amazonwebservices")
_SERVICES = ("cloudtrail", "awscloudtrail", "amazoncloudtrail")
_OWN_FIELDS = frozenset({"eventSource", "eventName"})
"""Fields that together are in the events of CloudTrail alone."""
# Three letters are soon alike.
_ALIKE_PRODUCT = 0.85


def was_meant_for_cloudtrail(rule: SigmaRule | SigmaFilter) -> bool:
    """Tell whether a rule has another log source than CloudTrail's, and was probably meant to have that one."""
    source = rule.logsource
    if source in CLOUDTRAIL:
        return False
    if any(_is_like(value, _SERVICES) for value in (source.service, source.product, source.category)):
        return True
    if isinstance(rule, SigmaFilter):
        # One with fewer keys applies to the rules of several log sources.
        return False
    is_amazon = source.product is None or _is_like(source.product, _PRODUCTS, _ALIKE_PRODUCT)
    return is_amazon and {one.field for one in comparisons(*detections_of(rule))} >= _OWN_FIELDS


def log_source_faults(source: SigmaLogSource) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield what to write instead of a log source that was meant to be CloudTrail's, for each key of it."""
    for key, stated, wanted in (
        ("product", source.product, CLOUDTRAIL.product),
        ("service", source.service, CLOUDTRAIL.service),
    ):
        if stated != wanted:
            cure = f"write {key}: {wanted}, not {stated}" if stated else f"add {key}: {wanted}"
            problem = f"The log source of CloudTrail is product: aws, service: cloudtrail, in small letters; {cure}."
            yield Fault(LogSourceIssue, problem), ("logsource", key)


def _is_like(value: object, choices: Collection[str], alike: float = 0.8) -> bool:
    return isinstance(value, str) and nearest(value, choices, alike) is not None
