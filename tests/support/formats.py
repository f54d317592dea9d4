"""Rules for the tests of formats, and what they become."""

import json
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.store_profile import Engine, StoreProfile, profile_from_json

ID = "6d0b1f5e-57a6-4f0e-9a3b-0d2a1c7e9b42"
OTHER_ID = "b0a2f9a4-1f0d-4c57-8b1e-3e6a5d4c2f10"
SELECTION: dict[str, Any] = {"eventSource": "events.amazonaws.com", "eventName": ["DeleteRule", "DisableRule"]}
LUCENE = "eventSource:events.amazonaws.com AND (eventName:(DeleteRule OR DisableRule))"


def schema(name: str) -> Any:
    """A JSON schema of tests/schemas."""
    return json.loads((Path(__file__).parents[1] / "schemas" / name).read_text("utf-8"))


def rule(selection: dict[str, Any] = SELECTION, **more: Any) -> dict[str, Any]:
    """A rule that EventBridge rules are deleted or disabled, or of another selection, with more attributes."""
    return {
        "title": "Some Rule",
        "id": ID,
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {"selection": selection, "condition": "selection"},
        **more,
    }


def profile(engine: Engine, version: str, **fields: Any) -> StoreProfile:
    """A store with the fields that rules here test and are suppressed by, and others; without those that are None."""
    names = ("eventSource", "eventName", "errorCode", "recipientAccountId", "userIdentity_arn", "sourceIPAddress")
    known = {**{name: {"type": "keyword"} for name in names}, "timestamp": {"type": "date"}, **fields}
    mappings = {name: mapping for name, mapping in known.items() if mapping is not None}
    return profile_from_json(
        {"store_profile": 1, "index": "logs", "engine": engine, "version": version, "fields": mappings}
    )


def convert(
    output_format: str, *rules: dict[str, Any], pipeline: ProcessingPipeline | None = None, **options: Any
) -> list[Any]:
    """What rules become."""
    backend = StellarAwsBackend(pipeline or stellar_aws(), **options)
    return list(backend.convert(SigmaCollection.from_dicts([*rules]), output_format))
