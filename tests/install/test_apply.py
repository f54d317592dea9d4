"""Carrying a plan out, one step after the other."""

from collections.abc import Iterable, Mapping

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.install.apply import Result, carry_out
from sigma_stellar_aws.install.merge import Change, Fields
from sigma_stellar_aws.install.plan import Live, Status, Step
from sigma_stellar_aws.install.server_errors import ServerError


class Recorder:
    """A target that notes what it is asked to do, and fails where it is told to."""

    theirs = ()
    fixed = ("type",)

    def __init__(self, failing: Mapping[str, BaseException] | None = None, bad: str = "") -> None:
        """Fail for some rules; one is bad, as a dry run says."""
        self.done: list[str] = []
        self._failing = failing or {}
        self._bad = bad

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """Not asked for."""
        raise NotImplementedError

    def outline(self, body: JsonObject) -> str:
        """Not asked for."""
        raise NotImplementedError

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """Not asked for."""
        raise NotImplementedError

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """The artefact with the changes."""
        return {**live, **{change.path[0]: change.wanted for change in changes}}

    def try_out(self, body: JsonObject) -> str:
        """One is bad."""
        self.done.append(f"try {body['name']} {body.get('query', '')}".strip())
        return "it is bad" if body["name"] == self._bad else ""

    def _do(self, what: str, step: Step) -> str:
        if step.key in self._failing:
            raise self._failing[step.key]
        self.done.append(f"{what} {step.key}")
        return ""

    def create(self, step: Step) -> str:
        """Note it."""
        return self._do("create", step)

    def update(self, step: Step) -> str:
        """Note it."""
        return self._do("update", step)

    def adopt(self, step: Step) -> str:
        """Note it."""
        return self._do("adopt", step)

    def delete(self, step: Step) -> str:
        """Note it."""
        return self._do("delete", step)


def step(status: Status, key: str) -> Step:
    """A step of a plan."""
    body: JsonObject = {"name": key, "query": "old"}
    live = Live(key, key, key, body, 1, True, True, body)
    return Step(status, key, key, {"name": key, "query": "new"}, None if status == "create" else live)


def outcomes(results: list[Result]) -> dict[str, str]:
    """What became of each rule."""
    return {result.step.key: result.outcome for result in results}


def test_only_what_is_to_be_done_is_done() -> None:
    """Nothing happens to what is unchanged, in conflict, of others, or left over."""
    every: list[Status] = [
        "create",
        "update",
        "adopt",
        "delete",
        "unchanged",
        "conflict",
        "ambiguous",
        "foreign",
        "orphaned",
    ]
    target = Recorder()
    told: list[Result] = []
    results = carry_out([step(status, status) for status in every], target, dry_run=False, tell=told.append)
    assert target.done == ["create create", "update update", "adopt adopt", "delete delete"]
    assert results == told


def test_what_would_be_there_is_tried_out() -> None:
    """A new artefact is tried as it is, a changed one as it will be; adopting and deleting need no trial."""
    target = Recorder()
    changed = step("update", "b")._replace(changes=(Change(("query",), "old", "changed"),))
    carry_out([step("create", "a"), changed, step("adopt", "c"), step("delete", "d")], target, dry_run=True)
    assert target.done == ["try a new", "create a", "try b changed", "update b", "adopt c", "delete d"]


def test_a_failure_keeps_others_only_if_it_is_of_all() -> None:
    """A refused rule is its own affair; a server that is gone for two, or that lets nobody in, ends it."""
    steps = [step("create", "a"), step("create", "b"), step("create", "c")]
    refused = carry_out(steps, Recorder({"a": ServerError(400, "no")}, bad="b"), dry_run=True)
    assert outcomes(refused) == {"a": "failed", "b": "failed", "c": "done"}
    assert [result.remark for result in refused] == ["no", "the dry run failed: it is bad", ""]
    assert [result.lasting for result in refused] == [True, True, False]
    for error in (ServerError(403, "no"), ServerError(None, "slow")):
        apart = carry_out([*steps, step("create", "d")], Recorder({"a": error, "c": error}), dry_run=False)
        assert outcomes(apart) == {"a": "failed", "b": "done", "c": "failed", "d": "done"}
    forbidden = dict.fromkeys("ab", ServerError(403, "no"))
    assert outcomes(carry_out(steps, Recorder(forbidden), dry_run=False))["c"] == "done"
    gone = dict.fromkeys("ab", ServerError(None, "gone"))
    assert outcomes(carry_out(steps, Recorder(gone), dry_run=False))["c"] == "not tried"
    endings = (ServerError(401, "who?"), StoreError("no TLS"), OSError("disk full"), KeyboardInterrupt())
    for ending in endings:
        assert outcomes(carry_out(steps, Recorder({"b": ending}), dry_run=False)) == {
            "a": "done",
            "b": "failed",
            "c": "not tried",
        }
