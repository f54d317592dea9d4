"""Two live systems to install rules in, alike enough that a test can be about both, and an analyst who works there."""

import copy
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from click.testing import CliRunner

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.cli import main
from tests.support.contract import Alerting, Kibana, Request, alerting, kibana

# Made by the servers, or by the clock.
_VOLATILE = {"id", "_id", "uuid", "revision", "created_at", "updated_at", "enabled_time", "last_update_time"}

KINDS = ("elastic", "opensearch", "dashboards")
"""Dashboards is OpenSearch where the analyst uses the monitor editor, which writes ``ui_metadata`` anew."""

MONITORS: Mapping[str, tuple[str, ...]] = {
    "bucket": ("--monitor", "bucket"),
    "document": ("--monitor", "document", "--index", "cloudtrail"),
}
"""More kinds: OpenSearch with other monitors than those of queries."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, which is JSON."""
        return json.loads(self.out)


class Place:
    """A live system, and a folder that the commands are run in."""

    def __init__(self, kind: str, server: Kibana | Alerting, folder: Path) -> None:
        """Begin with a running server."""
        self.kind = kind
        self.target = "elastic" if kind == "elastic" else "opensearch"
        self.server = server
        self.state_file = folder / "state.json"
        self.rules = folder / "rules"
        # What every plan and apply is called with.
        self.options = MONITORS.get(kind, ())

    def run(self, command: str, *options: str | Path, environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command on this system; ``apply`` and ``remove`` do not ask, the rules are those of the folder."""
        arguments = [command, self.target, "--url", self.server.url, "--state", self.state_file, *options]
        if command != "remove" and "--rules" not in options:
            arguments += ["--rules", self.rules]
        if command != "remove":
            arguments += self.options
        if command != "plan":
            arguments.append("--yes")
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=dict(environment or {}))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def statuses(self, *options: str | Path) -> dict[str, str]:
        """What the plan says of the rules, by their titles."""
        return {step["name"]: step["status"] for step in self.run("plan", "--json", *options).json()["steps"]}

    def live(self) -> dict[str, JsonObject]:
        """The artefacts that are there, by their names."""
        found = [copy.deepcopy(body) for _, body in self._entries()]
        assert len({str(body["name"]) for body in found}) == len(found), "something is there twice"
        return {str(body["name"]): body for body in found}

    def content(self) -> JsonObject:
        """The artefacts that are there, without what is made by the server or the clock."""
        return {name: _lasting(body) for name, body in self.live().items()}

    def edit(self, name: str, changes: JsonObject) -> None:
        """Change top-level keys of an artefact as the analyst would."""
        key = next(key for key, body in self._entries() if body["name"] == name)
        if isinstance(self.server, Kibana):
            self.server.analyst_edits(key, space="default", **changes)
            return
        if self.kind == "dashboards":
            changes["ui_metadata"] = {"schedule": {"frequency": "interval"}, "search": {"searchType": "query"}}
        self.server.analyst_edits(key, **changes)

    def add(self, body: JsonObject) -> None:
        """Something that somebody else makes there."""
        self.server.add(body)

    def keep(self) -> object:
        """All that is there and recorded, to come back to."""
        state = self.state_file.read_bytes() if self.state_file.exists() else None
        stored = self.server.rules if isinstance(self.server, Kibana) else self.server.monitors
        return copy.deepcopy(dict(cast("dict[Any, Any]", stored))), state

    def restore(self, kept: object) -> None:
        """Come back to it."""
        stored, state = cast("tuple[dict[Any, Any], bytes | None]", copy.deepcopy(kept))
        if isinstance(self.server, Kibana):
            self.server.rules.clear()
            self.server.rules.update(stored)
        else:
            self.server.monitors.clear()
            self.server.monitors.update(stored)
        if state is None:
            self.state_file.unlink(missing_ok=True)
        else:
            self.state_file.write_bytes(state)

    def requests_of(self, command: str, *options: str | Path) -> tuple[Ended, list[Request]]:
        """How a command ends, and the requests that it makes."""
        before = len(self.server.requests)
        ended = self.run(command, *options)
        return ended, self.server.requests[before:]

    def _entries(self) -> Iterable[tuple[str, JsonObject]]:
        if isinstance(self.server, Kibana):
            return [(str(rule["rule_id"]), rule) for rule in self.server.rules.values()]
        return [(key, cast(JsonObject, entry["monitor"])) for key, entry in self.server.monitors.items()]


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """A live system; what is done there against its contract is an error."""
    with kibana() if kind == "elastic" else alerting() as server:
        yield Place(kind, server, folder)
        assert server.violations == []
        assert not isinstance(server, Alerting) or server.unguarded == []


def write_rules(folder: Path, rules: Mapping[str, tuple[str, str]]) -> None:
    """Make a folder hold exactly these rules: event name and level by the title, whose last letter makes the id."""
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for title, (event, level) in rules.items():
        (folder / f"aws_{event.lower()}.yml").write_text(
            f"title: {title}\nid: 00000000-0000-4000-8000-00000000000{title[-1].lower()}\n"
            f"description: Detects {event}.\nlogsource: {{product: aws, service: cloudtrail}}\n"
            f"detection:\n  selection: {{eventSource: iam.amazonaws.com, eventName: {event}}}\n  condition: selection\n"
            f"level: {level}\ntags: [attack.persistence, attack.t1136]\nreferences: ['https://example.com/{event}']\n",
            encoding="utf-8",
        )


def _lasting(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _lasting(part) for key, part in value.items() if key not in _VOLATILE}
    return [_lasting(part) for part in value] if isinstance(value, list) else value


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost with its key, and the CA file that makes it trusted."""
    pem, ca_file = folder / "server.pem", folder / "ca.pem"
    # fmt: off
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", pem, "-out", ca_file],
        check=True, capture_output=True,
    )
    # fmt: on
    pem.write_bytes(pem.read_bytes() + ca_file.read_bytes())
    return pem, ca_file
