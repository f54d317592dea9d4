"""What is refused in rules, as errors."""

import copy
import pickle
from pathlib import Path

import pytest
from sigma.exceptions import SigmaRuleLocation

from sigma_stellar_aws.base.sigma_errors import (
    CorrelationError,
    RuleBlockError,
    StoreProfileError,
    UnsupportedConditionError,
    UnsupportedRuleError,
)

PLACE = SigmaRuleLocation(Path("rules.yml"), 3)


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedRuleError("Some Rule", "it is refused", PLACE, " (a hint)"),
        UnsupportedConditionError("Some Rule", "eventName", "it is refused", PLACE),
        CorrelationError("Some Rule", "it is refused", PLACE),
        CorrelationError("Some Filter", "it is refused", PLACE, is_filter=True),
        RuleBlockError("Some Rule", "it is refused", PLACE),
        StoreProfileError("store.json", "it is refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_copy_says_the_same(error: Exception) -> None:
    """Rules are copied, also to other processes, and what is wrong with their files with them."""
    for copied in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(copied) is type(error)
        assert str(copied) == str(error)
        assert vars(copied) == vars(error)
        assert vars(copied)["reason"].endswith("it is refused")
