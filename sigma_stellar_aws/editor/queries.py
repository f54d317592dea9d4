"""The query that a condition or a selection becomes."""

import copy
import json
from pathlib import Path

from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.authoring.error_places import sigma_error_text
from sigma_stellar_aws.authoring.rule_documents import read_documents
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL

_MOST_LINES = 40
_WIDTH = 100


def query_text(text: str, document: int, selection: str | None = None) -> str | None:
    """Return the query of a rule, or of one of its selections, as indented JSON, cut where it is long.

    Args:
        text: the rules of a file.
        document: the number of the rule's YAML document.
        selection: the name of a selection; the condition by default.

    Returns:
        The query, or why there is none; None if there is no such rule about CloudTrail that can be read.
    """
    subjects = read_documents(Path("rule.yml"), text).subjects
    subject = next((each for each in subjects if each.number == document), None)
    if (
        subject is None
        or subject.asks_less
        or not isinstance(subject.rule, SigmaRule)
        or subject.rule.logsource not in CLOUDTRAIL
    ):
        return None
    detection = subject.document["filter" if subject.is_filter else "detection"]
    if selection is not None and (not isinstance(detection, dict) or selection not in detection):
        return None
    try:
        rule = subject.rule
        if selection is not None and isinstance(detection, dict):
            alone: JsonObject = {
                "title": subject.title,
                "logsource": subject.document["logsource"],
                "detection": {selection: detection[selection], "condition": selection},
            }
            rule = SigmaRule.from_dict(copy.deepcopy(alone))
        rule.source = None
        backend = StellarAwsBackend(stellar_aws())
        # As for files: what a store needs an option for is no fault of the rule.
        backend.searches_files = True
        queries = [body["query"] for body in backend.convert_rule(rule)]
    except (SigmaError, RecursionError) as error:
        return sigma_error_text(error)
    query: Json = queries[0] if len(queries) == 1 else [*queries]
    if isinstance(query, dict) and isinstance(inner := query.get("bool"), dict):
        # The rule's id, by which a store says which rule an event matched.
        inner.pop("_name", None)
    lines = _laid_out(query, "").splitlines()
    return "\n".join([*lines[:_MOST_LINES], "..."] if len(lines) > _MOST_LINES else lines)


def _laid_out(value: Json, indent: str) -> str:
    """Return a value as JSON, with what fits on a line on one line."""
    text = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(text) <= _WIDTH or not isinstance(value, (dict, list)):
        return text
    deeper = f"{indent}  "
    if isinstance(value, list):
        parts = [_laid_out(part, deeper) for part in value]
    else:
        parts = [f"{json.dumps(key)}: {_laid_out(part, deeper)}" for key, part in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{closing}"
