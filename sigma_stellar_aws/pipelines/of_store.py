"""The pipeline and the time field of a data store, by how it keeps CloudTrail records."""

from sigma.processing.pipeline import ProcessingPipeline

from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import ECS_TIME_FIELD, stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD


def pipeline_for(
    profile: StoreProfile | None, index: str, time_field: str, *, published: bool = False
) -> ProcessingPipeline:
    """Return the pipeline that gives fields the names that a store has; without a profile, the flattened ones.

    Args:
        profile: that of the store.
        index: name or pattern of the indices to search.
        time_field: date field that holds the time of an event.
        published: whether to take the published query where a rule corrects it.
    """
    layout = "flattened" if profile is None else profile.layout
    if layout == "ecs":
        return stellar_aws_ecs(index, time_field, published=published)
    pipeline = stellar_aws_published if published else stellar_aws
    return pipeline(index, time_field, flattened=layout == "flattened")


def time_field_of(profile: StoreProfile) -> str:
    """Return the field that has the time of an event in a store, if nobody says otherwise."""
    return ECS_TIME_FIELD if profile.layout == "ecs" else TIME_FIELD
