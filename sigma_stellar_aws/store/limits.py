"""How long an answer may take, and how large it may be: of any server, by either library.

Both libraries that we ask by, opensearch-py and requests, limit the silence between two bytes only, and read whatever
comes. Both have their connections from urllib3, so the limits stand there, where the bytes arrive.
"""

import http.client
import io
import math
import time
from typing import Any, TypeVar

import urllib3
from requests.adapters import HTTPAdapter

from sigma_stellar_aws.base.run_limit import check_run

ANSWER_SECONDS = 300.0
"""How long an answer may take from the end of the request to its own last byte."""

ANSWER_BYTES = 100 * 1024 * 1024
"""How large an answer may be; as large as a request that an engine takes by default (http.max_content_length)."""

P = TypeVar("P", bound=urllib3.HTTPConnectionPool)


class LimitError(OSError):
    """An answer that is not waited for, or read, any longer; the message goes on after the name of the server."""


class TooLargeError(LimitError):
    """An answer that is larger than may be; less may be asked for at a time."""


def limited(pool: P) -> P:
    """Return a pool of connections whose further ones have the limits."""
    kind: Any = pool.ConnectionCls
    if not issubclass(kind, _Limited):
        pool.ConnectionCls = type(kind.__name__, (_Limited, kind), {})
    return pool


class LimitedAdapter(HTTPAdapter):
    """Gives a session of requests connections that have the limits."""

    def get_connection_with_tls_context(self, *request: Any, **options: Any) -> Any:
        """Return a pool of connections."""
        return limited(super().get_connection_with_tls_context(*request, **options))


class _Limited(http.client.HTTPConnection):
    """A connection whose answers have the limits."""

    def putrequest(self, *request: Any, **options: Any) -> None:
        # What is sent may be done, whoever waits for the answer.
        check_run()
        super().putrequest(*request, **options)

    def response_class(self, sock: Any, *options: Any, **more: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        return _LimitedAnswer(sock, *options, **more)


class _LimitedAnswer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *options: Any, **more: Any) -> None:
        super().__init__(sock, *options, **more)
        self.fp = io.BufferedReader(_LimitedStream(self.fp.detach(), sock))

    def begin(self) -> None:
        super().begin()
        if (coding := self.getheader("Content-Encoding", "identity").lower()) != "identity":
            # A thousand times as large once it is unpacked, if somebody wants that.
            raise LimitError(f"sends an answer in {coding!r}, which it was not asked for")


class _LimitedStream(io.RawIOBase):
    """The bytes of an answer as they arrive."""

    def __init__(self, stream: Any, sock: Any) -> None:
        self._stream = stream
        self._sock = sock
        self._silence: float = math.inf if (timeout := sock.gettimeout()) is None else timeout
        self._ends = time.monotonic() + ANSWER_SECONDS
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        limit = min(self._silence, self._seconds_left())
        self._sock.settimeout(None if limit == math.inf else limit)
        try:
            count: int | None = self._stream.readinto(buffer)
        except TimeoutError:
            # Which of the limits it was.
            self._seconds_left()
            raise
        self._read += count or 0
        if self._read > ANSWER_BYTES:
            raise TooLargeError(f"answers with more than {ANSWER_BYTES // 1024**2} MB at once, which is not read")
        return count

    def _seconds_left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise LimitError(f"did not end its answer within {ANSWER_SECONDS:g} seconds")
        return min(left, check_run())

    def close(self) -> None:
        self._stream.close()
        super().close()
