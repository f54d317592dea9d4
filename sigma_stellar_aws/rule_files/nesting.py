"""How deep a condition is nested: what reads it, and what converts it, calls itself for each level."""

import re

MOST_LEVELS = 100
"""Parentheses and ``not`` within each other; conversion takes about 160, and people write fewer than ten."""

_WORD = re.compile(r"[()]|[^\s()]+")


def levels(condition: str) -> int:
    """Return how many parentheses and ``not`` a condition has within each other.

    >>> levels("a and not (b or not c)"), levels("not not a or not b")
    (3, 2)
    """
    deepest = 0
    open_levels: list[str] = []
    for word in _WORD.findall(condition):
        kind = word.lower()
        if kind in ("(", "not"):
            open_levels.append(kind)
            deepest = max(deepest, len(open_levels))
            continue
        if kind == ")":
            while open_levels and open_levels.pop() != "(":
                pass
        # What a "not" is for has ended.
        while open_levels and open_levels[-1] == "not":
            open_levels.pop()
    return deepest
