"""Random correlations of four rules, and random events that they may be about."""

import random
from typing import Any

from tests.support.correlation_oracle import Event

BASES = ("a", "b", "c", "d")
"""The rules: an event matches those whose letters are in its name."""


def random_blocks(draw: random.Random) -> dict[str, dict[str, Any]]:
    """Up to three correlations, of which later ones may count earlier ones."""
    blocks: dict[str, dict[str, Any]] = {}
    for name in ("x", "y", "z")[: draw.randint(1, 3)]:
        known = {other: list(block.get("group-by", [])) for other, block in blocks.items()}
        blocks[name] = random_block(draw, known)
    return blocks


def random_events(draw: random.Random, number: int) -> list[Event]:
    """Events within a few seconds."""
    return [random_event(draw, each) for each in range(number)]


def random_block(draw: random.Random, inner: dict[str, list[str]]) -> dict[str, Any]:
    """A correlation of some rules, and of correlations, of which the fields they group by are known."""
    kind = draw.choice(["event_count", "value_count", "temporal", "temporal_ordered"])
    by = draw.sample(["u", "v"], draw.choice([0, 1, 1, 2]))
    usable = [name for name, known in inner.items() if set(by) <= set(known)] if kind.startswith("temporal") else []
    most = 2 if kind.endswith("count") else 3
    names = draw.sample([*BASES[:3], *usable], draw.randint(1, min(most, 3 + len(usable))))
    block: dict[str, Any] = {"type": kind, "rules": names, "timespan": f"{draw.randint(1, 4)}s"}
    if by:
        block["group-by"] = by
    if by and not set(names) & set(inner) and draw.random() < 0.3:
        block["group-by"] = ["who", *by[1:]]
        block["aliases"] = {"who": {name: draw.choice(["u", "v", "w"]) for name in names}}
    if kind == "event_count":
        block["condition"] = {draw.choice(["gte", "gt"]): draw.randint(1, 4)}
    elif kind == "value_count":
        block["condition"] = {"gte": draw.randint(1, 3), "field": draw.choice(["w", "v", ["v", "w"]])}
    elif draw.random() < 0.3:
        block["condition"] = {"gte": draw.randint(1, len(names))}
    elif draw.random() < 0.5:
        text = names[0]
        for name in names[1:]:
            text = draw.choice([f"{text} {{}} {name}", f"({text}) {{}} {name}", f"{name} {{}} ({text})"])
            text = text.format(draw.choice(["and", "or"]))
        block["condition"] = text
        if draw.random() < 0.5:
            del block["rules"]
    return block


def random_event(draw: random.Random, number: int) -> Event:
    """An event within a few seconds, with few values, some of them missing or several."""
    values = [None, "1", "2", "2", 1, ["1", "2"], "", "x"]
    fields = {name: draw.choice(values) for name in ("u", "v", "w")}
    rules = frozenset(draw.sample(BASES, draw.choice([1, 1, 1, 2])))
    return Event(draw.randint(0, 16) * 500, f"e{number}", rules, fields)
