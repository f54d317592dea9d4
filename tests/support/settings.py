"""What the environment decides about a run of the tests."""

import os
import random
from typing import NoReturn

import pytest

# Set for the processes of pytest-xdist as well: all of them draw the same tests.
RANDOM_SEED = int(os.environ.setdefault("SIGMA_STELLAR_AWS_SEED", str(random.randrange(1 << 32))))
"""Repeats the random tests of a run."""

DEFAULT_CASES = 200
RANDOM_CASES = int(os.environ.get("SIGMA_STELLAR_AWS_RANDOM_CASES", DEFAULT_CASES))
"""How many random rules an engine is asked; the gate asks more, and tries more faults."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where SIGMA_STELLAR_AWS_REQUIRE_ENGINES=1 says that nothing may be missing."""
    if os.environ.get("SIGMA_STELLAR_AWS_REQUIRE_ENGINES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
