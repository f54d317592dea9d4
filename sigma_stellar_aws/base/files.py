"""Replacing files as a whole: whoever is killed on the way, or runs out of room, leaves the old file or the new one."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def replace_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text (UTF-8) as the whole content of a file; see ``replacing``."""
    content = text.encode()
    with replacing(path, private=private) as stream:
        stream.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file to be written as a whole: it takes the place of the old one at the end, if nothing was raised.

    The new file has the mode of the old one, and its owner and group where that is allowed. Of a symbolic link, the
    target is replaced. What is not a regular file, such as /dev/stdout or a pipe, is written to as it is.

    Args:
        path: the file; its folder must exist.
        private: nobody else may read the file if it is a new one.

    Raises:
        OSError: the file cannot be written, and is as it was; the message names it and the reason.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        old = target.stat() if target.exists() else None
    except OSError as error:
        raise _not_written(path, error) from error
    if old is not None and not stat.S_ISREG(old.st_mode):
        with _told(path), target.open("wb") as stream:
            yield stream
        return
    with _told(path):
        new = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.new")
        mode = 0o600 if private or old is not None else 0o666
        stream = open(new, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115
    try:
        with _told(path):
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            if old is not None:
                _make_alike(new, old)
            new.replace(target)
            _sync_folder(target.parent)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # Whoever reads a pipe has seen enough.
        raise
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> OSError:
    folder = path.absolute().parent
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError) and not folder.is_dir():
        reason = f"there is no folder {folder}"
    elif isinstance(error, PermissionError) and not os.access(folder, os.W_OK):
        reason = f"new files are not allowed in the folder {folder}"
    return OSError(f"{path} cannot be written: {reason}")


def _make_alike(new: Path, old: os.stat_result) -> None:
    mode = stat.S_IMODE(old.st_mode)
    made = new.stat()
    if hasattr(os, "chown"):
        if made.st_gid != old.st_gid:
            try:
                os.chown(new, -1, old.st_gid)
            except OSError:
                # What one group may do is not for another.
                mode &= ~stat.S_IRWXG
        if made.st_uid != old.st_uid:
            with contextlib.suppress(OSError):
                os.chown(new, old.st_uid, -1)
    new.chmod(mode)


def _sync_folder(folder: Path) -> None:
    """Keep the new name even if the machine stops now; not every system can do this for folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
