"""Copies of what rules ask, which a conversion may change."""

import copy

from sigma.rule import SigmaDetection, SigmaDetectionItem
from sigma.rule.detection import SigmaDetections


def own_detections(detections: SigmaDetections) -> SigmaDetections:
    """Return the same detections, of which no part that a pipeline changes belongs to another rule, too.

    Values are shared, as pipelines replace them; to copy everything takes longer than the rest of a conversion.
    """
    own = {name: _own_detection(detection) for name, detection in detections.detections.items()}
    return SigmaDetections(own, [*detections.condition], detections.source)


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
