"""Where pySigma looks for the backend."""

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend

__all__ = ["StellarAwsBackend"]
