"""Where pySigma looks for the validators."""

from sigma_stellar_aws.validators.stellar_aws import validators

__all__ = ["validators"]
