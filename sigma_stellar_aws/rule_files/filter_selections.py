"""Selections that pySigma puts into rules from Sigma filters."""

import copy

from sigma.rule import SigmaDetection, SigmaDetectionItem
from sigma.rule.detection import SigmaDetections


def is_of_filter(name: object) -> bool:
    """Tell whether a selection with this name came into its rule from a Sigma filter, as pySigma names those."""
    # YAML does not read every name as text.
    return str(name).startswith("_filt_")


def own_filters(detections: SigmaDetections) -> None:
    """Give a rule its own copies of the selections that pySigma has put into it and into others from one filter.

    Values stay shared, as pipelines replace them.
    """
    for name, detection in detections.detections.items():
        if is_of_filter(name):
            detections.detections[name] = _own_detection(detection)


def _own_detection(detection: SigmaDetection) -> SigmaDetection:
    own = copy.copy(detection)
    own.detection_items = [
        _own_item(item) if isinstance(item, SigmaDetectionItem) else _own_detection(item)
        for item in detection.detection_items
    ]
    return own


def _own_item(item: SigmaDetectionItem) -> SigmaDetectionItem:
    own = copy.copy(item)
    own.value = [*item.value]
    own.modifiers = [*item.modifiers]
    own.applied_processing_items = {*item.applied_processing_items}
    return own
