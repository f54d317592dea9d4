"""What plan, apply and remove are asked for: the live system, and the rules that it shall have."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.install.state import same_url
from sigma_stellar_aws.store.client import check_url

_OPTION_NAMES = {"rule_paths": "rules", "filter_paths": "filter"}


@dataclass(frozen=True)
class Location:
    """A live system."""

    target: str
    """``elastic`` or ``opensearch``."""
    url: str
    space: str
    ca_file: Path | None
    aws_region: str | None
    detector: bool
    """Whether it is Security Analytics, not Alerting, that is meant in an OpenSearch."""
    state_file: Path | None

    def identity(self) -> dict[str, str]:
        """Return what tells this system from others.

        Raises:
            StoreError: the URL is not one, or holds credentials.
        """
        check_url(self.url, "https://search.example.com:9200")
        return {
            "target": self.target,
            "url": same_url(self.url),
            "space": self.space if self.target == "elastic" else "detector" if self.detector else "",
        }


@dataclass(frozen=True)
class RuleOptions:
    """Which rules, and how they are converted."""

    rule_paths: tuple[Path, ...]
    filter_paths: tuple[Path, ...]
    correlations: bool
    """Whether the correlations of this project are among the rules."""
    only: tuple[str, ...]
    exclude: tuple[str, ...]
    strict: bool
    published: bool
    case_sensitive: bool
    ecs: bool
    index: str | None
    time_field: str | None
    store: Path | None
    stack: str | None
    monitor: str
    channel: str
    enabled: bool
    inexact: bool
    """Whether what the target cannot do exactly is installed all the same, and told."""
    building_block: tuple[str, ...]
    take: tuple[tuple[str, str], ...]
    prune: bool

    def as_json(self) -> dict[str, Json]:
        """Return the options as a kept plan has them, by their names on the command line."""
        values: dict[str, Json] = json.loads(json.dumps(asdict(self), default=str))
        return {_OPTION_NAMES.get(name, name): value for name, value in values.items()}
