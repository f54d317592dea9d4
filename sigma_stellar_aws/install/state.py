"""What was applied where, in a file: Kibana has no place for it, and the editor of Dashboards throws it away.

There is one file for a system, which all who apply to it share: a second one would not know what was applied since.
"""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from filelock import Timeout

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.file_lock import locked
from sigma_stellar_aws.base.files import replace_text
from sigma_stellar_aws.base.json_types import JsonObject

FOLDER = ".sigma-stellar-aws"
_PORTS = {"http": 80, "https": 443}


class _Applied(msgspec.Struct, frozen=True):
    """An artefact that was applied, and the server's id of it."""

    id: str
    applied: dict[str, Any]


_Rules: TypeAlias = dict[str, _Applied]


class _Content(msgspec.Struct):
    """What the file holds."""

    format: Literal[1]
    where: str
    rules: _Rules


def same_url(url: str) -> str:
    """Return a URL in the form that is recorded: the host in lower case, no default port, no slash at the end.

    >>> same_url("https://Kibana.example.com:443/")
    'https://kibana.example.com'
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def default_file(target: str, url: str, space: str = "") -> Path:
    """Return the file for a live system, in the folder ``.sigma-stellar-aws`` of the working directory."""
    parts = urlsplit(same_url(url))
    place = "-".join(part for part in (target, parts.netloc + parts.path, space) if part)
    return Path(FOLDER) / (re.sub(r"[^A-Za-z0-9.-]+", "_", place) + ".json")


def one_at_a_time(file: Path) -> Callable[[], None]:
    """Keep others from changing what a state file is for, until what is returned is called.

    Raises:
        OSError: somebody else changes it, or the folder cannot be written to.
    """
    _make_folder(file)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(file.with_name(f"{file.name}.run"), wait=0))
        except OSError as error:
            if not isinstance(error.__cause__, Timeout):
                raise
            raise OSError(f"another apply or remove runs with {file}; run this again when it has ended") from error
        return stack.pop_all().close


class State:
    """The artefacts that were applied to a live system, by the ids of their rules. It holds no secret."""

    def __init__(self, file: Path, where: str) -> None:
        """Read the file, if there is one.

        Args:
            file: where it is kept.
            where: the live system it must be for.

        Raises:
            StoreError: the file is something else, or for another system.
            OSError: the file cannot be read.
        """
        self.file: Final = file
        self._where = where
        self._rules = self._read()

    def rules(self) -> dict[str, str]:
        """Return the server's ids of the artefacts, by the ids of the rules that were applied."""
        return {key: rule.id for key, rule in self._rules.items()}

    def has(self, key: str, server_id: str) -> bool:
        """Tell whether it was the artefact of that id that was applied for a rule."""
        return key in self._rules and self._rules[key].id == server_id

    def applied(self, key: str, server_id: str) -> JsonObject | None:
        """Return what was applied last for a rule, if it is the artefact of that id."""
        return self._rules[key].applied if self.has(key, server_id) else None

    def record(self, key: str, server_id: str, applied: JsonObject) -> None:
        """Keep that an artefact was applied, in the file too.

        Args:
            key: the id of the rule.
            server_id: the server's id of the artefact.
            applied: the artefact.

        Raises:
            OSError: the file cannot be written, or has become something else.
        """
        self._change(lambda rules: {**rules, key: _Applied(server_id, applied)})

    def forget(self, key: str, server_id: str) -> None:
        """Keep that the artefact of a rule is gone, in the file too.

        Raises:
            OSError: the file cannot be written, or has become something else.
        """
        self._change(lambda rules: {k: rule for k, rule in rules.items() if (k, rule.id) != (key, server_id)})

    def write(self) -> None:
        """Write the file as it is: what cannot be recorded later fails now.

        Raises:
            OSError: the file cannot be written, or has become something else.
        """
        self._change(lambda rules: rules)

    def _change(self, change: Callable[[_Rules], _Rules]) -> None:
        """Change the file as a whole or not at all. What others wrote into it meanwhile stays."""
        _make_folder(self.file)
        with locked(self.file):
            try:
                rules = change(self._read())
            except StoreError as error:
                raise OSError(str(error)) from error
            content = msgspec.to_builtins(_Content(1, self._where, rules))
            # It tells what is watched, and what is not.
            replace_text(self.file, json.dumps(content, indent=1, sort_keys=True) + "\n", private=True)
        self._rules = rules

    def _read(self) -> _Rules:
        if not self.file.exists():
            return {}
        try:
            content = msgspec.json.decode(self.file.read_bytes(), type=_Content)
        except (msgspec.DecodeError, RecursionError) as error:
            raise StoreError(f"{self.file} is not a state file: {error}; name another one with --state") from error
        if content.where != self._where:
            raise StoreError(
                f"{self.file} is the state of {content.where}, not of {self._where}; name another one with --state"
            )
        return content.rules


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OSError(f"{file.parent} is not a folder, so no state can be kept there; see --state") from error
