"""Search CloudTrail files for events that match rules, with several processes where there is much to read.

A process loads no part of pySigma, which keeps it quick to start and small.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigma_stellar_aws.alerts.file_search import Batch, FileSearch, SearchTask
from sigma_stellar_aws.base.kept_texts import new_writer
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.logs.find import stored_size

if TYPE_CHECKING:
    from sigma_stellar_aws.alerts.pack_rule import Pack


MOST_PROCESSES = 3
"""More would take more memory than an analyst's machine may be asked for: about 40 MB each."""

_SMALL = 64 << 20
"""Bytes of text up to which starting processes takes longer than they save."""
_EXPANSION = 10
"""What compressed logs expand to, about."""
_GROUP = 1 << 20
"""Bytes of small files that are given to a process at one go."""
_GROUP_NAMES = 2048
"""Characters of their names: two groups fit into any pipe, so that giving one never has to wait for the process."""


def scan_files(
    files: Sequence[Path],
    pack: "Pack",
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    brief: bool = False,
    names: Mapping[Path, str] | None = None,
    sampled: int = 0,
    processes: int | None = None,
    start_method: str = "spawn",
) -> Iterator[Batch]:
    """Search files for matching events; yield what is found in the order of the files, and of the records in them.

    Args:
        files: CloudTrail files in any form that :mod:`sigma_stellar_aws.logs.reader` reads.
        pack: the rules.
        since: only events from then on; aware of its time zone, as is the next.
        until: only events before that.
        brief: whether hits may be brief, of which not each is an alert by itself.
        names: what to call files that are copies.
        sampled: of so many records the time of one is looked at, for the span of all; 0 for none.
        processes: how many read; by default one a core, up to :data:`MOST_PROCESSES`, and for little data only this.
        start_method: of :mod:`multiprocessing`.

    Raises:
        ChildProcessError: a process ended before its time, so that what it read is lost.
    """
    first, end = (None if time is None else millis(time) for time in (since, until))
    task = SearchTask(pack.query, pack.keys(), first, end, pack.correlated(), writer=new_writer())
    task = task._replace(names=names or {}, sampled=sampled)
    if brief:
        task = task._replace(only_counted=pack.only_counted(), suppressing=pack.suppressing())
    groups = list(_groups(files))
    number = min(len(groups), _suitable(files) if processes is None else processes)
    if number > 1:
        # It loads multiprocessing and sockets, a tenth of our start, which few files do not need.
        from sigma_stellar_aws.alerts.workers import with_processes

        yield from with_processes(groups, task, number, start_method)
        return
    search = FileSearch(task)
    for group in groups:
        yield from search.batches(group)


def _suitable(files: Sequence[Path]) -> int:
    text = sum(stored_size(file) * (_EXPANSION if file.suffix == ".gz" else 1) for file in files)
    if text < _SMALL:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_PROCESSES)


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    size = length = 0
    for file in files:
        group.append(file)
        size += stored_size(file)
        length += len(str(file))
        if size >= _GROUP or length >= _GROUP_NAMES:
            yield group
            group, size, length = [], 0, 0
    if group:
        yield group
