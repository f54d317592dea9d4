"""List the log files below an address in S3: many folders at a time, and no days but those that are asked for."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from sigma_stellar_aws.base.daemon_threads import DaemonThreads
from sigma_stellar_aws.logs.deliveries import Deliveries, day_folder
from sigma_stellar_aws.logs.find import may_be_log
from sigma_stellar_aws.logs.s3.address import is_of_trail, is_region
from sigma_stellar_aws.logs.s3.client import (
    CONNECTIONS,
    ListedPage,
    S3Source,
    failed,
    is_about_everything,
    s3_reason,
)

_LAST_CHARACTER = "\U0010ffff"
"""Keys are in the order of their bytes in UTF-8, which is that of characters."""


class S3Object(NamedTuple):
    """An object: its key, its size in bytes, and when it was written."""

    key: str
    size: int
    modified: datetime


class _Task(NamedTuple):
    """A page to list: that of a folder, or of everything below it."""

    prefix: str
    is_deep: bool = False
    after: str = ""
    token: str = ""


class Listing:
    """A listing, which asks for as much as is taken from it, and what it has left out."""

    def __init__(self, source: S3Source, deliveries: Deliveries) -> None:
        """Prepare to list what is below an address.

        Args:
            source: what to list. A folder that cannot be listed is reported to it.
            deliveries: when the files were delivered that are wanted.
        """
        self._source = source
        self._deliveries = deliveries
        self.found_any = False
        """Whether there was anything at all, be it of other days."""
        self.is_complete = True
        """Whether every folder could be listed."""
        self.left_out: list[str] = []
        """Keys of objects that are no logs, by their names."""

    def __iter__(self) -> Iterator[S3Object]:
        """Yield the objects.

        Raises:
            S3Error: nothing can be listed.
        """
        waiting = deque([self._first()])
        running: dict[Future[ListedPage], _Task] = {}
        with DaemonThreads(CONNECTIONS) as threads:
            while waiting or running:
                while waiting and len(running) < CONNECTIONS:
                    # The latest first: what was begun is finished, and few folders wait.
                    task = waiting.pop()
                    running[threads.submit(partial(self._ask, task))] = task
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task = running.pop(future)
                    if page := self._page(future, task):
                        waiting.extend(self._further(task, page))
                        yield from self._objects(page)

    def _first(self) -> _Task:
        prefix = self._source.address.prefix
        return self._region(prefix) if is_region(prefix) else _Task(prefix)

    def _region(self, prefix: str) -> _Task:
        first = self._deliveries.first
        return _Task(prefix, is_deep=True, after=prefix + day_folder(first) if first else "")

    def _ask(self, task: _Task) -> ListedPage:
        arguments = {**self._source.arguments(), "Prefix": task.prefix}
        if not task.is_deep:
            arguments["Delimiter"] = "/"
        if task.token:
            arguments["ContinuationToken"] = task.token
        elif task.after:
            arguments["StartAfter"] = task.after
        return self._source.client.list_objects_v2(**arguments)

    def _page(self, future: Future[ListedPage], task: _Task) -> ListedPage | None:
        try:
            page = future.result()
        except (BotoCoreError, ClientError) as error:
            reason = s3_reason(error, listing=True, requester_pays=self._source.requester_pays)
            if task.prefix == self._source.address.prefix or is_about_everything(error):
                raise failed(self._source.address, reason) from error
            self.is_complete = False
            self._source.tell(task.prefix, f"cannot be listed: {reason}")
            return None
        # After the first of the days asked for there may be nothing.
        self.found_any = self.found_any or "Contents" in page or "CommonPrefixes" in page or bool(task.after)
        return page

    def _further(self, task: _Task, page: ListedPage) -> Iterator[_Task]:
        """Yield what else is to be listed after a page."""
        token = page.get("NextContinuationToken")
        if token and not (task.is_deep and self._is_past(task.prefix, page)):
            yield task._replace(token=token)
        for folder in page.get("CommonPrefixes", ()):
            prefix = folder["Prefix"]
            if is_of_trail(prefix) and self._deliveries.may_hold(prefix):
                yield self._region(prefix) if is_region(prefix) else _Task(prefix)

    def _is_past(self, region: str, page: ListedPage) -> bool:
        """Tell whether a page of a region, whose keys are in order, ends after the last day."""
        last, entries = self._deliveries.last, page.get("Contents", [])
        return (
            last is not None and bool(entries) and entries[-1]["Key"] > f"{region}{day_folder(last)}{_LAST_CHARACTER}"
        )

    def _objects(self, page: ListedPage) -> Iterator[S3Object]:
        for entry in page.get("Contents", ()):
            key = entry["Key"]
            if key.endswith("/") or not self._deliveries.may_hold(key):
                continue
            if key == self._source.address.prefix or may_be_log(PurePosixPath(key)):
                yield S3Object(key, entry["Size"], entry["LastModified"])
            else:
                self.left_out.append(key)
