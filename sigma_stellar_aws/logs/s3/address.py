"""Addresses in S3, and which folders of a bucket hold CloudTrail's log files."""

import re
from typing import NamedTuple

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9._-]{1,254})(?:/(.*))?", re.IGNORECASE | re.DOTALL)
_SERVICE = re.compile(r"(?:^|/)AWSLogs/(?:o-[a-z0-9]{10,32}/)?[0-9]{12}/([^/]+)/$")
_REGION_END = re.compile(r"(?:^|/)CloudTrail[A-Za-z-]*/[a-z]{2,4}(?:-[a-z]+)+-[0-9]/$")
_DIGESTS = "CloudTrail-Digest"
_OURS = "CloudTrail"


class S3Address(NamedTuple):
    """A bucket, and what the keys of the objects that are meant begin with."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        """Return the address as people write it."""
        return f"s3://{self.bucket}/{self.prefix}"


def s3_address(text: str) -> S3Address | None:
    """Read ``s3://BUCKET/PREFIX``; return None for any other text.

    >>> s3_address("s3://example-trail/AWSLogs/")
    S3Address(bucket='example-trail', prefix='AWSLogs/')
    """
    match = _ADDRESS.fullmatch(text)
    return S3Address(match[1], match[2] or "") if match else None


def is_of_trail(folder: str) -> bool:
    """Tell whether a folder may hold log files: not the digests beside them, nor the logs of other services.

    >>> [is_of_trail(f"AWSLogs/111122223333/{each}/") for each in ("CloudTrail", "CloudTrail-Digest", "vpcflowlogs")]
    [True, False, False]
    """
    service = _SERVICE.search(folder)
    return service is None or (service[1].startswith(_OURS) and service[1] != _DIGESTS)


def is_region(folder: str) -> bool:
    """Tell whether a folder has all log files of a region, in folders of years, months and days."""
    return _REGION_END.search(folder) is not None
