"""The names that a pipeline gives to fields, and the fields that alerts are told apart by."""

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetections, SigmaRule


class PipelineNames(NamedTuple):
    """How the pipelines name the fields of CloudTrail in a store."""

    by_field: Mapping[str, tuple[str, ...]]
    """By the name in CloudTrail; empty where the pipelines drop or refuse a field."""

    def all(self, fields: Iterable[str]) -> list[str]:
        """Return the names of some fields, each once."""
        return list(dict.fromkeys(name for field in fields for name in self.by_field.get(field, ())))


def pipeline_names(rule: SigmaRule, pipeline: ProcessingPipeline, fields: Iterable[str]) -> PipelineNames:
    """Ask the pipelines for the names of fields, whether or not the rule tests them.

    They go through a copy of the pipelines as the ``fields`` of rules like this one, which pipelines rename as those of
    conditions, and do not refuse.
    """
    copied = copy.deepcopy(pipeline)
    added = set(_renamed(rule, copied, []))
    return PipelineNames(
        {
            field: tuple(name for name in _renamed(rule, copied, [field]) if name not in added)
            for field in dict.fromkeys(fields)
        }
    )


def _renamed(rule: SigmaRule, pipeline: ProcessingPipeline, fields: list[str]) -> Sequence[str]:
    detections = SigmaDetections.from_dict({"any": {"eventName": "any"}, "condition": "any"})
    like = dataclasses.replace(rule, fields=fields, detection=detections, custom_attributes={})
    try:
        pipeline.apply(like)
    except SigmaError:
        return ()
    return tuple(dict.fromkeys(like.fields))
