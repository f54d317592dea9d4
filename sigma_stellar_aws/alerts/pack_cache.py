"""Keep packs on disk: to load pySigma and to convert rules takes longer than to read many log files.

A pack is found by a hash of everything that it is made of: the text of the rules, the options, and the code that
converts them. So no entry is ever out of date, and none is changed. What is damaged, or could be somebody else's, is
not looked at. Entries are JSON, of which nothing is run.
"""

import hashlib
import importlib.util
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from sigma_stellar_aws import __version__
from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.base.files import replacing
from sigma_stellar_aws.rule_files.find import find_rule_files

CACHE = "SIGMA_STELLAR_AWS_CACHE"
"""Environment variable: the folder to keep packs in, or ``off``."""
MOST_PACKS = 32
"""How many packs are kept; those that were not used for longest are deleted."""

_SUFFIX = ".pack.json"
# A link may lead elsewhere, and a pipe has no end.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Doubts come from the mapping of a store, and a pack with any is not kept.
_FIELDS = {name: kind for name, kind in Pack.__annotations__.items() if name != "doubts"} | {"query": dict}
_decode = msgspec.json.Decoder(msgspec.defstruct("_Stored", list(_FIELDS.items()))).decode


def pack_key(rule_paths: Sequence[Path], filter_paths: Sequence[Path], settings: Iterable[object]) -> str | None:
    """Return the key of the pack that rules make, or None where packs are not kept, or a file cannot be read.

    Args:
        rule_paths: files and folders of rules, as ``load_rules`` takes them.
        filter_paths: files with filters.
        settings: what else the pack depends on, each with a ``repr`` that tells all of it.
    """
    if _folder() is None:
        return None
    digest = hashlib.sha256(repr((__version__, sys.version_info, sys.platform, *settings)).encode())
    try:
        for kind, files in (("rule", find_rule_files(rule_paths)), ("filter", filter_paths)):
            for file in files:
                # Errors in rules name their file as it was named.
                _add(digest, kind, str(file), file.read_bytes())
        for name, status in _code():
            _add(digest, "code", name, f"{status.st_size} {status.st_mtime_ns}".encode())
    except (OSError, UnicodeEncodeError):
        return None
    return digest.hexdigest()


def find_pack(key: str | None) -> Pack | None:
    """Return the pack kept under a key, or None if there is none or it cannot be trusted."""
    folder = _folder()
    if key is None or folder is None:
        return None
    file = folder / f"{key}{_SUFFIX}"
    with suppress(OSError, ValueError):
        if not _is_ours(folder.stat()):
            return None
        with open(file, "rb", opener=lambda name, flags: os.open(name, flags | _CAREFUL)) as stream:
            status = os.fstat(stream.fileno())
            if not (stat.S_ISREG(status.st_mode) and _is_ours(status)):
                return None
            checksum, _, text = stream.read().partition(b"\n")
        if checksum != _checksum(text):
            return None
        stored = _decode(text)
        pack = Pack(**{name: getattr(stored, name) for name in _FIELDS})
        # It was used last.
        os.utime(file)
        return pack
    return None


def keep_pack(key: str | None, pack: Pack) -> None:
    """Keep a pack under its key, if that is possible; where it is not, the next run has to convert its rules again."""
    folder = _folder()
    if key is None or folder is None or pack.doubts:
        return
    with suppress(OSError, ValueError, OverflowError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder.stat()):
            return
        text = msgspec.json.encode({name: getattr(pack, name) for name in _FIELDS})
        file = folder / f"{key}{_SUFFIX}"
        # What is there was not trusted: neither its target nor its mode or owner are for the new one.
        file.unlink(missing_ok=True)
        with replacing(file, private=True) as stream:
            stream.write(_checksum(text) + b"\n" + text)
        kept = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for old in kept[MOST_PACKS:]:
            old.unlink(missing_ok=True)


def _folder() -> Path | None:
    setting = os.environ.get(CACHE)
    if setting:
        return None if setting.lower() == "off" else Path(setting)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # Nobody's home.
        return None
    return base / "sigma-stellar-aws" / "packs"


def _is_ours(status: os.stat_result) -> bool:
    """Tell whether nobody else can write a file or folder; Windows gives everybody folders of their own."""
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & _WRITABLE_BY_OTHERS)


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _add(digest: "hashlib._Hash", kind: str, name: str, content: bytes) -> None:
    """Add a part so that no two lists of parts give the same bytes."""
    digest.update(repr((kind, name, len(content))).encode("utf-8", "surrogateescape"))
    digest.update(content)


def _code() -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of this package, of pySigma and of its other backends and pipelines, which are in its folder."""
    package = Path(__file__).parents[1]
    found = importlib.util.find_spec("sigma")
    roots = [str(package), *((found.submodule_search_locations if found else None) or ())]
    for root in dict.fromkeys(roots):
        waiting = [root]
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                # In order of their names, since the order of a folder changes.
                for entry in sorted(entries, key=lambda each: each.name):
                    if entry.is_dir():
                        if entry.name != "__pycache__":
                            waiting.append(entry.path)
                    else:
                        yield entry.path, entry.stat()
