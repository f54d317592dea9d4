"""What is proposed at a place."""

import re
import uuid

import pytest

from sigma_stellar_aws.editor.completion import MOST_PROPOSALS, KnownRule, complete
from sigma_stellar_aws.editor.flow import entries_with_flow
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.field_meanings import MEANINGS
from sigma_stellar_aws.rule_files.rule_keys import MODIFIERS
from tests.editor.writing import HEAD, cut, proposed


@pytest.mark.parametrize(
    ("marked", "first"),
    [
        ("le^", "level"),
        ("level: me^", "medium"),
        ("status: ex^", "experimental"),
        ("logsource:\n  pro^", "product"),
        ("logsource:\n  product: ^", "aws"),
        ("logsource:\n  service: cl^", "cloudtrail"),
        (HEAD + "        eventNam^", "eventName"),
        (HEAD + "        eventName: 'CreateU^", "CreateUser"),
        (HEAD + "        eventName:\n            - DeleteUse^", "DeleteUser"),
        (HEAD + "        eventName|start^", "startswith"),
        (HEAD + "        userIdentity.type: Ro^", "Role"),
        (HEAD + "        readOnly: t^", "true"),
        (HEAD + "    cond^", "condition"),
        (HEAD + "    condition: sel^", "selection"),
        (HEAD + "    condition: not sel^", "selection"),
        (HEAD + "    condition: not (sel^)", "selection"),
        ("detection:\n  s:\n    eventSource: clo^", "cloudformation.amazonaws.com"),
        ("tags:\n    - attack.t1485^", "attack.t1485"),
        ("tags: [attack.imp^", "attack.impact"),
        ("stellar:\n  sev^", "severity"),
        ("stellar:\n  suppression:\n    fi^", "fields"),
        ("stellar:\n  suppression:\n    fields: [userIdentity.ar^", "userIdentity.arn"),
        ("correlation:\n  type: event^", "event_count"),
        ("correlation:\n  condition:\n    gt^", "gte"),
        ("correlation:\n  group-by:\n    - source^", "sourceIPAddress"),
        ("related:\n  - id: x\n    ty^", "type"),
        ("related:\n  - type: dep^", ""),
    ],
)
def test_the_first_proposal(marked: str, first: str) -> None:
    """What begins as what is written comes first."""
    assert (proposed(marked) or [""])[0] == first


def test_event_names_are_those_of_the_source_beside() -> None:
    """Of the selection, or else of the other selections; of all sources only where none is asked for."""
    assert "PutBucketAcl" not in proposed(HEAD + "        eventName: ^")
    assert "CreateUser" in proposed(HEAD + "    other:\n        eventName: Create^")
    two = HEAD + "    other:\n        eventSource: s3.amazonaws.com\n        eventName: P^"
    assert "PutBucketAcl" in proposed(two)
    assert "PutUserPolicy" not in proposed(two)
    assert "PutBucketAcl" in proposed("detection:\n  s:\n    eventName: PutBucketA^")
    elsewhere = "---\n".join(
        ["detection:\n  s:\n    eventSource: iam.amazonaws.com\n", "detection:\n  s:\n    eventName: P^"]
    )
    assert "PutUserPolicy" not in proposed(elsewhere)[:1]


def test_selections_of_a_list_have_their_own_source() -> None:
    """Each map of a list is met by itself."""
    first = "detection:\n  s:\n    - eventSource: iam.amazonaws.com\n"
    listed = first + "    - eventSource: s3.amazonaws.com\n      eventName: Put^"
    assert "PutBucketAcl" in proposed(listed)
    assert "PutUserPolicy" not in proposed(listed)


@pytest.mark.parametrize(
    ("selection", "first"),
    [
        ("{eventSource: iam.amazonaws.com, eventName: 'CreateU^'}", "CreateUser"),
        ("{eventName: CreateU^, eventSource: iam.amazonaws.com}", "CreateUser"),
        ('{"eventSource":"iam.amazonaws.com","eventName":"CreateU^', "CreateUser"),
        (
            "[{eventSource: s3.amazonaws.com}, {eventSource: [iam.amazonaws.com], eventName: PutGroupP^}]",
            "PutGroupPolicy",
        ),
        ("\n    - {eventSource: iam.amazonaws.com, eventName: [GetUser, CreateU^", "CreateUser"),
        (
            "{eventSource: iam.amazonaws.com, eventName: AttachUserPolicy, requestParameters.pol^}",
            "requestParameters.policyArn",
        ),
    ],
)
def test_maps_on_one_line_have_a_source_too(selection: str, first: str) -> None:
    """What stands before or behind the cursor on its line is beside it, in the map of a list that it is in."""
    found = proposed("detection:\n  s: " + selection)
    assert found[0] == first
    assert "PutBucketAcl" not in found


@pytest.mark.parametrize(
    "source",
    [
        "    s:\n        eventSource: IAM.amazonaws.com\n",
        "    s:\n        eventSource: &iam iam.amazonaws.com\n",
        "    t:\n        eventSource: &iam 'iam.amazonaws.com'\n    s:\n        eventSource: *iam\n",
        "    t: &iam\n        eventSource: iam.amazonaws.com\n    s:\n        <<: *iam\n",
    ],
)
def test_a_source_may_be_written_in_capitals_or_by_an_alias(source: str) -> None:
    """As a rule is read."""
    found = proposed("detection:\n" + source + "        eventName: PutU^")
    assert found[0] == "PutUserPermissionsBoundary"
    assert "PutBucketAcl" not in found


JSON = """\
{
  "title": "A Rule",
  "logsource": {"product": "aws", "service": "cloudtrail"},
  "detection": {
    "selection": {
      "eventSource": "iam.amazonaws.com",
      "eventName": [
        "GetUser",
        "CreateU^"
      ]
    },
    "condition": "selection"
  }
}
"""


@pytest.mark.parametrize(
    ("marked", "first"),
    [
        (JSON, "CreateUser"),
        (JSON.replace("\n", "\r\n"), "CreateUser"),
        (JSON.replace("\n", " "), "CreateUser"),
        # As it is written: nothing stands behind the cursor yet.
        (JSON[: JSON.index("^") + 1], "CreateUser"),
        (JSON.replace("^", "").replace('"condition": "sel', '"condition": "sel^'), "selection"),
        (JSON.replace("^", "").replace('"title": "A Rule"', '"sta^": "A Rule"'), "status"),
        (JSON.replace("CreateU^", "").replace("      ]", '      ],\n      "sourceI^"'), "sourceIPAddress"),
        (
            HEAD + "        eventName: [\n            GetUser, # it's read\n            CreateU^\n        ]\n",
            "CreateUser",
        ),
        (HEAD + "        eventName:\n          [ GetUser,\n            CreateU^", "CreateUser"),
        ("detection:\n  s: {eventSource: iam.amazonaws.com,\n      eventName: CreateU^}\n  condition: s", "CreateUser"),
        ("detection:\n  s:\n  - {eventSource: iam.amazonaws.com,\n     eventName: CreateU^", "CreateUser"),
        # What is not closed does not swallow the keys below it.
        (HEAD + "        eventName: [GetUser\n    condition: sel^\n", "selection"),
        ("tags: [attack.impact\nlogsource:\n    pro^", "product"),
        ("tags: [\n    attack.impact,\n]\nlogsource:\n    pro^", "product"),
    ],
)
def test_maps_and_lists_over_several_lines(marked: str, first: str) -> None:
    """They are read like those on one line, and so is JSON, which is YAML."""
    found = proposed(marked)
    assert found[0] == first
    assert "PutBucketAcl" not in found


def test_a_long_line_is_not_copied_for_each_of_its_keys() -> None:
    """Else a rule of a megabyte on one line would take gigabytes."""
    selections = ", ".join(f"s{number}: {{eventSource: iam.amazonaws.com}}" for number in range(500))
    text = f"detection: {{{selections}}}\n"
    assert sum(len(entry.value) for entry in entries_with_flow(text)) < 2 * len(text)


def test_a_byte_order_mark_changes_nothing() -> None:
    """Windows writes one; what is proposed and what it replaces stay the same."""
    for marked in ("le^", HEAD + "        eventName: CreateU^", JSON):
        text, offset = cut(marked)
        plain, marked_text = complete(text, offset), complete(f"\ufeff{text}", offset + 1)
        assert plain is not None
        assert marked_text is not None
        assert marked_text.proposals == plain.proposals != []
        assert [each - 1 for each in marked_text.place] == [*plain.place]


def test_keys_of_maps_on_one_line() -> None:
    """They have those of other maps, but for those that are there."""
    found = proposed("stellar: {severity: 5, ^}")
    assert "triage" in found
    assert "severity" not in found


def test_a_correlation_has_other_keys() -> None:
    """It corrects no published query, and suppresses by what it groups by."""
    correlation = "correlation: {type: event_count}\nstellar:\n  "
    assert proposed(correlation + "^") == ["severity", "suppression", "triage"]
    assert proposed(correlation + "suppression:\n    ^") == ["window"]


def test_request_parameters_are_those_of_the_events_beside() -> None:
    """By name, with the values that the service knows; objects inside are gone into after a dot."""
    attach = HEAD + "        eventName: AttachUserPolicy\n"
    assert [name for name in proposed(attach + "        requestParameters.^") if name != "requestParameters."] == [
        "requestParameters.policyArn",
        "requestParameters.userName",
    ]
    opened = (
        "detection:\n  s:\n    eventSource: ec2.amazonaws.com\n    eventName: AuthorizeSecurityGroupIngress\n"
        "    requestParameters.ipPermissions.items.from^"
    )
    assert proposed(opened)[0] == "requestParameters.ipPermissions.items.fromPort"
    assert "t3.micro" in proposed(
        "detection:\n  s:\n    eventSource: ec2.amazonaws.com\n    eventName: RunInstances\n"
        "    requestParameters.instanceType: t3.mic^"
    )


def test_keys_that_are_there_are_not_proposed() -> None:
    """A key stands in a map once."""
    assert "title" not in proposed("title: a\n^")
    assert "severity" not in proposed("stellar:\n  severity: 5\n  ^")


def test_what_is_written_in_place_of_a_word() -> None:
    """The whole word at the cursor is replaced, within its quotes; after a new key there is a colon."""
    text, offset = cut(HEAD + "        eventName: 'CreateUs^r'")
    found = complete(text, offset)
    assert found is not None
    assert text[found.place.start : found.place.end] == "CreateUsr"
    key = complete("leve", 4)
    assert key is not None
    assert key.proposals[0].insert == "level: "
    renamed = complete("leve: low", 4)
    assert renamed is not None
    assert renamed.proposals[0].insert == ""


def test_modifiers_are_proposed_once() -> None:
    """Only behind a field of a selection, and none that is there already."""
    assert set(proposed(HEAD + "        eventName|^")) == set(MODIFIERS)
    assert "contains" not in proposed(HEAD + "        eventName|contains|^")
    assert proposed("title|^") == []


def test_long_lists_are_cut_and_said_to_be() -> None:
    """An editor asks again when more is written."""
    found = complete(*cut("detection:\n  s:\n    eventName: ^"))
    assert found is not None
    assert (len(found.proposals), found.is_complete) == (MOST_PROPOSALS, False)


def test_rules_of_the_folder_and_ids() -> None:
    """Correlations name rules of the folder; a new rule gets an id of its own each time."""
    rules = [KnownRule("login_failed", "Login Failed"), KnownRule("other", "Another")]
    found = complete(*cut("correlation:\n  rules:\n    - log^"), rules)
    assert found is not None
    assert [each.label for each in found.proposals] == ["login_failed"]
    [first], [second] = proposed("id: ^"), proposed("id: ^")
    assert uuid.UUID(first).version == 4
    assert first != second
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", proposed("date: ^")[0])


def test_techniques_are_found_by_their_names() -> None:
    """Who knows the name writes that."""
    assert "attack.t1485" in proposed("tags:\n  - DataDestr^")


@pytest.mark.parametrize("marked", ["title: ^", "description: >-\n  eve^", "# le^", "falsepositives:\n  - ev^"])
def test_nothing_is_proposed_where_words_are_free(marked: str) -> None:
    """Titles, descriptions and comments are the author's."""
    assert proposed(marked) == []


def test_every_field_and_modifier_has_a_meaning() -> None:
    """The tables are as long as those that they explain."""
    assert set(MEANINGS) == set(FIELDS)
    assert [name for name, meaning in MODIFIERS.items() if not meaning] == []
