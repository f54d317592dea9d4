"""Cases that are written as YAML."""

from pathlib import Path
from typing import Any

import yaml

# Of libyaml where there is one: ten times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return the only document of a file."""
    return yaml.load(path.read_text(encoding="utf-8"), _LOADER)
