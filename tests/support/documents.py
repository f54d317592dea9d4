"""The pages that tell users what to type."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = (PROJECT / "README.md", PROJECT / "sigma_stellar_aws" / "REFERENCE.md")
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]+) -->\n)?```sh\n(?P<lines>.*?)```", re.DOTALL)


def text() -> str:
    """Return the text of all pages."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def section(title: str) -> str:
    """Return what follows a heading, up to the next one of its level or above."""
    level = len(title) - len(title.lstrip("#"))
    [_, after] = text().split(f"\n{title}\n")
    return re.split(rf"^#{{1,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(of: str | None = None) -> list[tuple[str, list[str]]]:
    """Return the shell blocks of all pages, or of a part of them: the mark before each, and its commands."""
    found = []
    for block in _BLOCK.finditer(text() if of is None else of):
        lines = block["lines"].replace("\\\n", " ").splitlines()
        found.append((block["mark"] or "", [line for line in lines if line.strip()]))
    return found
