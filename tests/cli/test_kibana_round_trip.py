"""From nothing, over edits of every kind and new rules, to nothing again, on each version of Kibana's stand-in."""

import re
import shutil
from pathlib import Path
from typing import cast

import pytest

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.rule_files.load import pack_path
from tests.install.test_contract import RULES, call
from tests.support.contract import Kibana, kibana
from tests.support.installing import Place

# One is a filter of query DSL in the flattened names, one cannot be carried in those of Elastic's integration.
FILES = (
    "aws_kms_key_created.yml",
    "aws_waf_acl_deleted.yml",
    "aws_lambda_layer_attached.yml",
    "aws_sts_saml_access.yml",
    "aws_ecs_task_definition_backdoor.yml",
)
LEFT_OUT = "AWS ECS Backdoor Task Definition"
EDITED, BULK = "KMS Keys Creation", "AWS WAF Access Control List Deletion"
REPLACED = "AWS Attached Malicious Lambda Layer"
ACTION: JsonObject = {"action_type_id": ".slack", "group": "default", "id": "channel", "params": {"message": "hello"}}
EXCEPTIONS: Json = [{"id": "list-1", "list_id": "known", "type": "detection", "namespace_type": "single"}]
NARROWED: JsonObject = {"meta": {"negate": True, "disabled": False}, "query": {"match_phrase": {"a": "b"}}}


@pytest.mark.parametrize("version", ["7.17.29", "8.3.3", "8.11.4", "8.19.0", "9.2.0", "9.5.0"])
@pytest.mark.parametrize("ecs", [False, True], ids=["flattened", "ecs"])
def test_round_trip(version: str, ecs: bool, tmp_path: Path) -> None:
    """No edit is lost, no rule is called what it is not, and everything goes that may go."""
    with kibana(version=version) as server:
        where = Place("elastic", server, tmp_path)
        where.rules.mkdir()
        for name in FILES:
            shutil.copy(pack_path() / name, where.rules)
        options = ("--ecs",) if ecs else ()
        done, count = (3, 4) if ecs else (0, 5)
        assert where.run("plan", *options).code == 2
        assert where.run("apply", *options).code == done
        assert len(where.live()) == count
        assert where.run("plan", *options).code == done
        assert (LEFT_OUT in where.live()) is not ecs

        edit_all(where, server, in_bulk=not version.startswith("7"))
        edited = what_is_theirs(where)
        statuses = where.statuses(*options)
        assert (statuses[EDITED], statuses[BULK], statuses[REPLACED]) == ("edited", "edited", "edited")
        assert where.run("plan", *options).code == done
        assert where.run("apply", *options).code == done
        assert what_is_theirs(where) == edited

        for file in where.rules.iterdir():
            text = file.read_text("utf-8")
            file.write_text(re.sub(r"(severity: )\d+", r"\g<1>98", text).replace("2026-11-24", "2026-12-24"), "utf-8")
        assert {status for name, status in where.statuses(*options).items() if name != LEFT_OUT or not ecs} == {
            "update"
        }
        assert where.run("plan", *options).code == 2
        assert where.run("apply", *options).code == done
        assert what_is_theirs(where) == edited
        assert {body["severity"] for body in where.live().values()} == {"critical"}
        assert where.run("plan", *options).code == done

        removed = where.run("remove")
        assert removed.code == 3
        assert set(where.live()) == {EDITED, BULK, REPLACED}
        assert where.run("remove", "--force").code == 0
        assert where.live() == {}
        assert server.violations == []


def edit_all(where: Place, server: Kibana, *, in_bulk: bool) -> None:
    """All that people do to rules: in the editor, for many at a time, and by replacing what a rule asks for."""
    live = where.live()
    tags = [*cast("list[Json]", live[EDITED]["tags"]), "night shift"]
    filters = [*cast("list[Json]", live[EDITED].get("filters", [])), cast(Json, NARROWED)]
    changes: JsonObject = {"enabled": True, "actions": [ACTION], "exceptions_list": EXCEPTIONS, "interval": "15m"}
    changes |= {"tags": tags, "filters": filters, "note": "Call the night shift.", "max_signals": 500}
    where.edit(EDITED, changes)
    where.edit(REPLACED, {"query": "event.action:Other", "filters": [], "language": "lucene"})
    if in_bulk:
        edits: Json = [
            {"type": "add_tags", "value": ["bulk"]},
            {"type": "set_schedule", "value": {"interval": "1h", "lookback": "3h"}},
            {"type": "set_timeline", "value": {"timeline_id": "t-1", "timeline_title": "T"}},
        ]
        body: JsonObject = {"action": "edit", "ids": [live[BULK]["id"]], "edit": edits}
        assert call(server, "POST", f"{RULES}/_bulk_action", body).status == 200
    else:
        where.edit(BULK, {"tags": [*cast("list[Json]", live[BULK]["tags"]), "bulk"]})


def what_is_theirs(where: Place) -> list[Json]:
    """What people did, as it is there."""
    live = where.live()
    found: list[Json] = []
    for key in ("enabled", "exceptions_list", "interval", "note", "max_signals"):
        found.append(live[EDITED][key])
    [action] = cast("list[JsonObject]", live[EDITED]["actions"])
    found += ["night shift" in cast("list[Json]", live[EDITED]["tags"]), action["params"]]
    found.append([one["query"] for one in cast("list[JsonObject]", live[EDITED]["filters"])])
    found += [live[REPLACED]["query"], live[BULK]["interval"], live[BULK].get("timeline_id")]
    found.append("bulk" in cast("list[Json]", live[BULK]["tags"]))
    return found
