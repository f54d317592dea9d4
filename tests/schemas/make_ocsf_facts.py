"""Take from a checkout of ocsf/ocsf-schema what it says of a Detection Finding, and of the objects that we write.

With CHECKOUT at the tag 1.5.0: ``python tests/schemas/make_ocsf_facts.py CHECKOUT > tests/schemas/ocsf-1.5-facts.json``
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLASS = "events/findings/detection_finding.json"
# The objects in a finding of ours.
OBJECTS = (
    "account",
    "actor",
    "analytic",
    "api",
    "attack",
    "autonomous_system",
    "cloud",
    "evidences",
    "finding_info",
    "http_request",
    "location",
    "metadata",
    "network_endpoint",
    "product",
    "related_event",
    "remediation",
    "resource_details",
    "response",
    "service",
    "tactic",
    "technique",
    "user",
)


class Checkout:
    """The files of a version of the schema."""

    def __init__(self, folder: Path) -> None:
        """Read what all others refer to."""
        self.folder = folder
        self.dictionary = self.read("dictionary.json")
        self.types = self.dictionary["types"]["attributes"]
        self.events, self.objects = (
            {path.stem: str(path.relative_to(folder)) for path in sorted(folder.glob(pattern))}
            for pattern in ("events/**/*.json", "objects/*.json")
        )

    def read(self, name: str) -> Any:
        """Read a file."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def parent(self, name: str, data: dict[str, Any]) -> str:
        """Return the file of what a class or an object extends."""
        return (self.events if name in self.events.values() else self.objects)[data["extends"]]

    def attributes(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the attributes of a class or an object, with those that it extends and includes."""
        data = self.read(name)
        found = self.attributes(self.parent(name, data)) if "extends" in data else {}
        own = dict(data.get("attributes", {}))
        included = own.pop("$include", [])
        for profile in [included] if isinstance(included, str) else included:
            of_profile = self.read(profile)
            for key, value in of_profile["attributes"].items():
                found[key] = {**value, "profile": of_profile["name"], **found.get(key, {})}
        for key, value in own.items():
            merged = {**found.get(key, {}), **value}
            merged["enum"] = {**found.get(key, {}).get("enum", {}), **value.get("enum", {})}
            found[key] = merged
        return found

    def constraints(self, name: str) -> dict[str, list[str]]:
        """Return what a class or an object demands of several attributes together."""
        data = self.read(name)
        inherited = self.constraints(self.parent(name, data)) if "extends" in data else {}
        found: dict[str, list[str]] = data.get("constraints", inherited)
        return found

    def numbers(self, name: str) -> tuple[int, str]:
        """Return number and caption of a class: its number in its category, after that of the category."""
        data = self.read(name)
        category = self.read("categories.json")["attributes"]["findings"]["uid"]
        return 1000 * category + data["uid"], data["caption"]

    def facts(self, name: str) -> dict[str, Any]:
        """Return what there is to know of a class or an object, without words."""
        made: dict[str, Any] = {}
        for key, value in sorted(self.attributes(name).items()):
            known = self.dictionary["attributes"].get(key, {})
            kind = value.get("type", known.get("type"))
            fact: dict[str, Any] = {"type": self.types.get(kind, {}).get("type", kind)}
            if value.get("requirement") == "required":
                fact["required"] = True
            if value.get("is_array", known.get("is_array")):
                fact["list"] = True
            if value.get("profile"):
                fact["profile"] = value["profile"]
            if "@deprecated" in value or "@deprecated" in known:
                fact["deprecated"] = True
            if value.get("sibling", known.get("sibling")) and kind == "integer_t":
                fact["sibling"] = value.get("sibling", known.get("sibling"))
            enum = {**known.get("enum", {}), **value.get("enum", {})}
            if enum:
                fact["enum"] = {number: entry["caption"] for number, entry in enum.items()}
            made[key] = fact
        constraints = self.constraints(name)
        return {"attributes": made, "constraints": constraints}


def main() -> None:
    """Print the facts."""
    checkout = Checkout(Path(sys.argv[1]))
    finding = checkout.facts(CLASS)
    number, caption = checkout.numbers(CLASS)
    finding["attributes"]["class_uid"]["enum"] = {str(number): caption}
    category = checkout.read("categories.json")["attributes"]["findings"]
    finding["attributes"]["category_uid"]["enum"] = {str(category["uid"]): category["caption"]}
    known = {"detection_finding": finding}
    known |= {name: checkout.facts(checkout.objects[name]) for name in OBJECTS}
    print("{\n" + ",\n".join(_lines(known)) + "\n}")


def _lines(known: dict[str, Any]) -> Iterator[str]:
    """Write each attribute as a line, so that a change of the schema is a change of few lines."""
    for name, facts in known.items():
        attributes = ",\n".join(f"  {json.dumps(key)}: {json.dumps(fact)}" for key, fact in facts["attributes"].items())
        constraints = json.dumps(facts.get("constraints", {}))
        yield f' {json.dumps(name)}: {{"constraints": {constraints}, "attributes": {{\n{attributes}\n }}}}'


if __name__ == "__main__":
    main()
