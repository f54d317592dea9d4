"""Custom rules of OpenSearch Security Analytics."""

import re
from typing import Any

import pytest
import yaml
from sigma.collection import SigmaCollection

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning, UnsupportedRuleError
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.formats import ID, OTHER_ID, convert, profile, rule

pytestmark = pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.AssumptionWarning")


def test_a_rule_has_all_that_the_plugin_demands() -> None:
    """What a rule does not say has a word in its place, and the date has the form that old versions read too."""
    [text] = convert("opensearch_detector", rule(date="2026-11-09", tags=["attack.t1489"], stellar={"severity": 75}))
    assert text.startswith("---\n")
    assert yaml.safe_load(text) == {
        "title": "Some Rule",
        "id": ID,
        "status": "experimental",
        "description": "Some Rule",
        "references": [],
        "author": "unknown",
        "date": "2026/11/09",
        "tags": ["attack.t1489"],
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {
            "selection1": {"eventSource": "events.amazonaws.com"},
            "selection2": {"eventName": ["DeleteRule", "DisableRule"]},
            "condition": "(selection1 and selection2)",
        },
        "falsepositives": [],
        "level": "high",
    }


def test_fields_and_modifiers_are_those_that_it_knows() -> None:
    """Names are those of the store; beginnings and alternatives are kept, one condition stands for several."""
    detection = {
        "a": {"userIdentity.type": "Root", "eventName|startswith": "UpdateFunctionCode"},
        "b": {"eventSource": "iam.amazonaws.com"},
        "condition": ["a", "b"],
    }
    [text] = convert("opensearch_detector", rule(detection=detection))
    found = yaml.safe_load(text)["detection"]
    assert found == {
        "selection1": {"userIdentity_type": "Root"},
        "selection2": {"eventName|startswith": "UpdateFunctionCode"},
        "selection3": {"eventSource": "iam.amazonaws.com"},
        "condition": "((selection1 and selection2) or selection3)",
    }


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"eventName": "DeleteRule", "errorCode": None}, "it has a not, under which"),
        ({"requestParameters.layers|exists": True}, "cannot ask whether a field has a value"),
        ({"userAgent|contains": "curl"}, "with case; Security Analytics takes nothing but Lucene text"),
        ({"sourceIPAddress|cidr": "192.0.2.0/24"}, "asks otherwise for a value of this kind (CIDRExpression)"),
        ({"requestParameters.n|gt": 5}, "regexp"),
        ({"readOnly": False}, "False is not a text"),
    ],
)
def test_what_the_plugin_would_do_otherwise_is_refused(stated: dict[str, Any], reason: str) -> None:
    """A rule that would find something else there is refused with the reason."""
    with pytest.raises(UnsupportedRuleError, match=f"'Some Rule': .*{re.escape(reason)}"):
        convert("opensearch_detector", rule(stated))


@pytest.mark.filterwarnings("default::sigma_stellar_aws.base.sigma_errors.AssumptionWarning")
def test_the_store_is_checked_or_told() -> None:
    """A store profile is of OpenSearch; without one the fields that have to be mapped are told."""
    with pytest.warns(AssumptionWarning, match=r"Security Analytics finds nothing .*: eventName, eventSource$"):
        convert("opensearch_detector", rule())
    assert convert("opensearch_detector", rule(), store=profile("opensearch", "3.8.0"))
    with pytest.raises(UnsupportedRuleError, match="for opensearch, and the store profile of logs is of elasticsearch"):
        convert("opensearch_detector", rule(), store=profile("elasticsearch", "8.19.0"))


def test_titles_are_what_it_takes() -> None:
    """A title loses what the plugin refuses in titles."""
    [text] = convert("opensearch_detector", rule(title="-Bad: #1 <b>"))
    assert yaml.safe_load(text)["title"] == "Bad: 1 b"


def test_three_of_the_rules_cannot_be_carried() -> None:
    """All others can, and stand in one file of several texts, each a rule that Sigma reads."""
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True)
    texts = backend.convert(load_rules(), "opensearch_detector")
    assert sorted(bad.title for bad, _ in backend.errors) == [
        "AWS Attached Malicious Lambda Layer",
        "AWS ECS Backdoor Task Definition",
        "AWS Lambda UpdateFunctionCode",
    ]
    assert len(list(SigmaCollection.from_yaml("\n\n".join(texts)).rules)) == 26


def test_a_rule_without_an_id_is_refused_and_the_others_are_there() -> None:
    """The plugin demands an id."""
    without = rule(title="Bad")
    del without["id"]
    with pytest.raises(UnsupportedRuleError, match="'Bad': it has no id"):
        convert("opensearch_detector", without)
    assert len(convert("opensearch_detector", without, rule(id=OTHER_ID), collect_errors=True)) == 1
