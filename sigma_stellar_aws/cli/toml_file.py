"""Read a TOML file. Few users have one, so the parser is loaded only for them."""

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def tables_in(file: Path) -> dict[str, Any]:
    """Return the tables of a file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not TOML.
        RecursionError: it is nested too deeply.
    """
    tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    return tables
