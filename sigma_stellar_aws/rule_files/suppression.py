"""How alerts are named and suppressed; apart from the rules that say so, so that alerts need not load pySigma."""

from datetime import timedelta
from typing import NamedTuple

ALERT_NAME = "aws_malicious_activity"
ALERT_TITLE = "Potentially Malicious AWS Activity"


class Suppression(NamedTuple):
    """How often a rule alerts: once in a window for the same values of the fields (dotted CloudTrail names)."""

    window: timedelta
    fields: tuple[str, ...]


DEFAULT_SUPPRESSION = Suppression(timedelta(hours=24), ("recipientAccountId", "userIdentity.arn", "sourceIPAddress"))
"""Who did it, where from, in which account. The window is the platform's; its fields are not public, these are ours."""
