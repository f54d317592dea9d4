"""pySigma pipelines from CloudTrail's field names to the platform's flattened schema.

The index and the time field are left in the pipeline's state (keys ``index`` and ``time_field``), where backends look
for them. A pipeline file with a priority above 20 overrides them::

    name: my store
    priority: 30
    transformations:
        - type: set_state
          key: index
          val: ['logs-cloudtrail-*']
"""

from collections.abc import Sequence

from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import FieldFunctionTransformation, SetStateTransformation

from sigma_stellar_aws.pipelines.transformations import NameWholeObjects, RefuseOtherLogSources, UsePublishedDetection
from sigma_stellar_aws.reference.flat_schema import STELLAR_INDEX as STELLAR_INDEX
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, flat_name

PRIORITY = 20


def stellar_aws(
    index: str = STELLAR_INDEX, time_field: str = TIME_FIELD, *, flattened: bool = True
) -> ProcessingPipeline:
    """Return the pipeline of every CloudTrail rule: dots of field names to underscores, index and time field set.

    Args:
        index: name or pattern of the indices to search.
        time_field: date field that holds the time of an event.
        flattened: whether field names are to be flattened; not where a store keeps records as CloudTrail writes them.
    """
    return _pipeline("Stellar Cyber AWS (CloudTrail, flattened)", index, time_field, [], flattened)


def stellar_aws_published(
    index: str = STELLAR_INDEX, time_field: str = TIME_FIELD, *, flattened: bool = True
) -> ProcessingPipeline:
    """Return the same pipeline, with the published query where a rule corrects it (see :func:`stellar_aws`)."""
    published = ProcessingItem(UsePublishedDetection(), identifier="stellar_aws_use_published_detection")
    return _pipeline("Stellar Cyber AWS (as published, errors included)", index, time_field, [published], flattened)


def _pipeline(
    name: str, index: str, time_field: str, first: Sequence[ProcessingItem], flattened: bool
) -> ProcessingPipeline:
    names = ProcessingItem(FieldFunctionTransformation({}, flat_name), identifier="stellar_aws_field_names")
    return ProcessingPipeline(
        name=name,
        priority=PRIORITY,
        items=[
            ProcessingItem(RefuseOtherLogSources(), identifier="stellar_aws_refuse_other_log_sources"),
            *first,
            ProcessingItem(NameWholeObjects(), identifier="stellar_aws_name_whole_objects"),
            *([names] if flattened else []),
            ProcessingItem(SetStateTransformation("index", [index]), identifier="stellar_aws_index"),
            ProcessingItem(SetStateTransformation("time_field", time_field), identifier="stellar_aws_time_field"),
        ],
    )
