"""Letting one process at a time change a file. Needs the extra ``store``."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

WAIT = 60.0
"""Seconds to wait for another process: a change to a file takes far less."""


@contextmanager
def locked(path: Path, wait: float = WAIT) -> Iterator[None]:
    """Keep other processes that do the same away from a file; the lock is a file beside it, with ``.lock`` at the end.

    Args:
        path: the file, which need not exist.
        wait: how many seconds to wait for another process.

    Raises:
        OSError: another process keeps the lock all the time, or the lock cannot be made; the message says which.
    """
    target = Path(os.path.realpath(path))
    lock = target.with_name(f"{target.name}.lock")
    # Whoever may change the file may lock it.
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    try:
        held = FileLock(lock, timeout=wait, mode=mode).acquire()
    except Timeout as error:
        raise OSError(f"{path} cannot be changed: another process has held {lock} for {wait:g} seconds") from error
    except (OSError, NotImplementedError) as error:
        raise OSError(f"{path} cannot be changed: {lock} cannot be locked ({error})") from error
    with held:
        yield
