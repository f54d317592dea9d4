"""Connect to S3 with the credentials that every tool of AWS finds, and put its errors into words.

Loaded only by who reads from S3: boto3 comes with the extra ``s3``, and takes 0.3 s to load.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from sigma_stellar_aws.base.errors import S3Error
from sigma_stellar_aws.logs.problem import OnProblem, Problem
from sigma_stellar_aws.logs.s3.address import S3Address

CONNECTIONS = 16
"""Requests at one time."""

_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 10, 30, 5
_LOGIN = "no AWS credentials that can be used: run aws configure or aws sso login, or set AWS_PROFILE (--aws-profile)"
_NOT_LOGGED_IN = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
# What to do about the errors that S3 names: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_REMEDIES = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "it is gone since it was listed",
    "InvalidObjectState": "it is archived in Glacier; restore it first",
    "ExpiredToken": "the credentials have expired; run aws sso login, or renew them",
    "InvalidAccessKeyId": "S3 does not know this access key",
    "SignatureDoesNotMatch": "the secret access key is wrong",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AllAccessDisabled": "the bucket is closed to everybody",
}
_LISTING = "the right to list the bucket is missing (s3:ListBucket)"
_READING = "the right to read it is missing (s3:GetObject, and kms:Decrypt for its key if it is encrypted with one)"
_PAYER = "; if whoever asks pays in this bucket, use --requester-pays"
_KEY = "the key that encrypts it (KMS) may not be used or is gone (kms:Decrypt)"


class _Entry(TypedDict):
    Key: str
    Size: int
    LastModified: datetime


class _Folder(TypedDict):
    Prefix: str


class ListedPage(TypedDict, total=False):
    """A page of a listing, as ListObjectsV2 answers."""

    Contents: list[_Entry]
    CommonPrefixes: list[_Folder]
    NextContinuationToken: str


class Body(Protocol):
    """The content of an object, which is read once."""

    def iter_chunks(self, chunk_size: int) -> Iterator[bytes]:
        """Yield the content in pieces; raise an error if it is cut off."""

    def close(self) -> None:
        """Give the connection back."""


class FetchedObject(TypedDict):
    """An object, as GetObject answers."""

    Body: Body


class S3Client(Protocol):
    """What is used of boto3's client, which has no types."""

    def list_objects_v2(self, **arguments: str) -> ListedPage:
        """List a page of keys."""

    def get_object(self, **arguments: str) -> FetchedObject:
        """Begin to read an object."""


def connect_s3(endpoint_url: str | None = None, profile: str | None = None) -> S3Client:
    """Return a client that several threads may use.

    Args:
        endpoint_url: of another store than Amazon's that speaks S3; by default what AWS_ENDPOINT_URL says.
        profile: of AWS's configuration files; by default what AWS_PROFILE says.

    Raises:
        S3Error: there is no such profile, or the configuration cannot be read.
    """
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        user_agent_extra="sigma-stellar-aws",
    )
    try:
        client: S3Client = boto3.session.Session(profile_name=profile).client(
            "s3", endpoint_url=endpoint_url, config=config
        )
    except ProfileNotFound as error:
        raise S3Error(f"{error}; aws configure list-profiles shows those there are") from error
    except (BotoCoreError, ValueError) as error:
        raise S3Error(f"S3 cannot be asked: {error}") from error
    return client


def s3_reason(error: Exception, *, listing: bool, requester_pays: bool) -> str:
    """Say what went wrong and what to do about it.

    Args:
        error: what boto3 raised.
        listing: whether a folder was listed, not an object read.
        requester_pays: whether we said that we pay.
    """
    if isinstance(error, _NOT_LOGGED_IN):
        return f"{_LOGIN} ({error})"
    if isinstance(error, EndpointConnectionError):
        return f"{error}; is the network up, and the region or --endpoint-url right?"
    if not isinstance(error, ClientError):
        return str(error)
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", ""), answer.get("Message", "")
    if code.startswith("KMS.") or "kms:" in message.lower():
        remedy = _KEY
    elif code in ("AccessDenied", "403"):
        remedy = (_LISTING if listing else _READING) + ("" if requester_pays else _PAYER)
    else:
        remedy = _REMEDIES.get(code, "")
    said = f"{code}: {message}" if message else code
    return f"{remedy} ({said})" if remedy else said


class S3Source(NamedTuple):
    """What is read in S3, and how."""

    client: S3Client
    """See :func:`connect_s3`."""
    address: S3Address
    report: OnProblem
    """Called with what cannot be listed or read."""
    requester_pays: bool = False
    """Whether we pay, where the bucket wants that."""

    def arguments(self) -> dict[str, str]:
        """Return what every request says."""
        payer = {"RequestPayer": "requester"} if self.requester_pays else {}
        return {"Bucket": self.address.bucket, **payer}

    def name_of(self, key: str) -> str:
        """Return the address of an object or folder, as a text."""
        return str(self.address._replace(prefix=key))

    def tell(self, key: str, reason: str) -> None:
        """Report what is wrong with an object or folder."""
        self.report(Problem(self.name_of(key), 1, reason))


def is_about_everything(error: Exception) -> bool:
    """Tell whether every other request would fail alike: nobody is logged in, or nothing is there to be asked."""
    return isinstance(error, (*_NOT_LOGGED_IN, EndpointConnectionError))


def failed(address: S3Address, reason: str) -> S3Error:
    """Return the error that an address cannot be read at all."""
    return S3Error(f"{address}: {reason}")
