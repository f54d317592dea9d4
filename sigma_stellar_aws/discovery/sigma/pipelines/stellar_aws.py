"""Where pySigma looks for the pipelines."""

from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published

__all__ = ["stellar_aws", "stellar_aws_ecs", "stellar_aws_published"]
