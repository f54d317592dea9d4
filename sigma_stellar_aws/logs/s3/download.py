"""Bring log files from S3 to this machine, many at a time, a portion ahead of whoever reads them.

They are read from disk, whole: an answer that is cut off is asked for again before anything of it is taken, and several
processes can read. The disk holds two portions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, HTTPClientError, IncompleteReadError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from sigma_stellar_aws.base.daemon_threads import DaemonThreads
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.logs.s3.client import CONNECTIONS, S3Source, failed, is_about_everything, s3_reason
from sigma_stellar_aws.logs.s3.listing import S3Object

FIRST_PORTION = 16 << 20
"""Bytes. Each portion is four times as large as the one before, up to this; so the first alerts do not wait long."""
LARGEST_PORTION = 128 << 20
_MOST_OBJECTS = 5_000
_PIECE = 1 << 16
_ATTEMPTS = 4
_CUT_OFF = (HTTPClientError, IncompleteReadError, FlexibleChecksumError)
"""Errors while a body is read, which boto3 does not repeat as it does requests."""
_HOPELESS = 100
"""So many objects that all fail, with one reason, before any could be read: then no other can be either."""
_TOLD_OF_A_KIND = 3
_LONGEST_NAME = 100
"""Bytes of a key in the name of its copy; file systems take no more than 255."""


class _Outcome(NamedTuple):
    """What became of an object: its copy, or why there is none."""

    object: S3Object
    copy: Path
    reason: str = ""


class _Filled(NamedTuple):
    folder: TemporaryDirectory[str]
    outcomes: list[_Outcome]


def _remove(future: "Future[_Filled | None]") -> None:
    if not future.cancelled() and future.exception() is None and (filled := future.result()):
        filled.folder.cleanup()


class Download:
    """The objects of an address, as portions of local copies."""

    def __init__(
        self,
        source: S3Source,
        *,
        on_unread: Callable[[S3Object], None] = lambda unread: None,
        first_portion: int = FIRST_PORTION,
        wait_seconds: float = 0.2,
    ) -> None:
        """Prepare to read objects.

        Args:
            source: the bucket that has them. Of objects that cannot be read for the same reason, the first few are
                reported to it, and at the end how many others there are.
            on_unread: called with each object that cannot be read.
            first_portion: bytes of the first portion.
            wait_seconds: the longest pause before the second attempt; each further one may be twice as long.
        """
        self._source = source
        self._on_unread = on_unread
        self._size = first_portion
        self._wait = wait_random_exponential(wait_seconds, max=5)
        self._reasons: Counter[str] = Counter()
        self.done = 0
        """How many objects were read."""
        self._stopped = Event()

    def portions(self, objects: Iterable[S3Object]) -> Iterator[Portion]:
        """Yield copies of the objects, in portions; those of one are gone when the next is asked for.

        Raises:
            S3Error: nothing can be read.
        """
        waiting = iter(objects)
        with DaemonThreads(CONNECTIONS) as readers, DaemonThreads(1) as ahead:
            following = ahead.submit(partial(self._fill, waiting, readers))
            try:
                while (filled := following.result()) is not None:
                    with filled.folder:
                        following = ahead.submit(partial(self._fill, waiting, readers))
                        yield Portion(*self._copies(filled.outcomes))
            finally:
                self._stopped.set()
                # What was brought ahead of who wants no more.
                following.add_done_callback(_remove)
        self._sum_up()

    def _fill(self, waiting: Iterator[S3Object], readers: DaemonThreads) -> _Filled | None:
        """Bring a portion; return None where there is nothing left."""
        first = next(waiting, None)
        if first is None:
            return None
        folder = TemporaryDirectory(prefix="stellar-s3-")
        futures: list[Future[_Outcome]] = []
        size = 0
        try:
            for each in chain([first], waiting):
                name = each.key.rpartition("/")[2].encode()[-_LONGEST_NAME:].decode("utf-8", "ignore")
                futures.append(readers.submit(partial(self._bring, each, Path(folder.name, f"{len(futures)}-{name}"))))
                size += each.size
                if size >= self._size or len(futures) >= _MOST_OBJECTS or self._stopped.is_set():
                    break
            outcomes = [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            folder.cleanup()
            raise
        self._size = min(LARGEST_PORTION, 4 * self._size)
        return _Filled(folder, outcomes)

    def _bring(self, each: S3Object, copy: Path) -> _Outcome:
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=self._wait,
            retry=retry_if_exception_type(_CUT_OFF),
            reraise=True,
        )
        try:
            attempts(self._copy, each, copy)
        except (BotoCoreError, ClientError) as error:
            if is_about_everything(error):
                raise failed(self._source.address, self._reason(error)) from error
            return _Outcome(each, copy, self._reason(error))
        return _Outcome(each, copy)

    def _reason(self, error: Exception) -> str:
        return s3_reason(error, listing=False, requester_pays=self._source.requester_pays)

    def _copy(self, each: S3Object, copy: Path) -> None:
        body = self._source.client.get_object(Key=each.key, **self._source.arguments())["Body"]
        try:
            with copy.open("wb") as stream:
                for piece in body.iter_chunks(_PIECE):
                    stream.write(piece)
                    if self._stopped.is_set():
                        return
        finally:
            body.close()

    def _copies(self, outcomes: Iterable[_Outcome]) -> tuple[list[Path], dict[Path, str]]:
        """Return the copies, and what they are copies of; tell what could not be read."""
        names: dict[Path, str] = {}
        for each, copy, reason in outcomes:
            name = self._source.name_of(each.key)
            if not reason:
                self.done += 1
                names[copy] = name
                continue
            self._on_unread(each)
            self._reasons[reason] += 1
            if not self.done and self._reasons[reason] >= _HOPELESS:
                raise failed(
                    self._source.address, f"the first {_HOPELESS} objects, such as {each.key}, cannot be read: {reason}"
                )
            if self._reasons[reason] <= _TOLD_OF_A_KIND:
                self._source.tell(each.key, f"cannot be read: {reason}")
        return list(names), names

    def _sum_up(self) -> None:
        for reason, count in self._reasons.items():
            if count > _TOLD_OF_A_KIND:
                more = count - _TOLD_OF_A_KIND
                self._source.tell(self._source.address.prefix, f"{more:,} more objects cannot be read: {reason}")
