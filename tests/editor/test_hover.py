"""What is shown of a word."""

import json

import pytest

from sigma_stellar_aws.editor import aws_documentation
from sigma_stellar_aws.editor.completion import KnownRule
from sigma_stellar_aws.editor.hover import hover
from sigma_stellar_aws.editor.queries import query_text
from tests.editor.writing import HEAD, cut

RULE = HEAD + "        eventName|startswith:\n            - 'Delete'\n    filter:\n        errorCode: null\n"


def shown(marked: str) -> str:
    """What is shown of the character behind the mark."""
    found = hover(*cut(marked), [KnownRule("login_failed", "Login Failed")])
    return found.markdown if found else ""


@pytest.mark.parametrize(
    ("marked", "parts"),
    [
        ("le^vel: low", ["How bad a match is", "informational 10", "`critical`"]),
        ("stellar:\n  sev^erity: 5", ["0 to 100"]),
        (HEAD + "        event^Name: x", ["text, at most 128 characters", "operation that was called", "event.action"]),
        (HEAD + "        userIdentity.^type: x", ["What kind of caller", "`userIdentity_type`"]),
        (HEAD + "        eventName|starts^with: x", ["begins with the value"]),
        (HEAD + "        eventName: 'Create^User'", ["`CreateUser` of iam.amazonaws.com", "it writes"]),
        (HEAD + "        eventName: [GetUser, List^Users]", ["`ListUsers`", "it reads"]),
        ("detection:\n  s:\n    eventSource: s3^.amazonaws.com", ["events are known of this source"]),
        (
            "tags:\n  - attack.t14^85",
            ["attack.mitre.org/techniques/T1485/) Data Destruction", "Impact"],
        ),
        ("tags:\n  - attack.t1136^.003", ["techniques/T1136/003/", "Cloud Account"]),
        ("tags: [attack.imp^act]", ["TA0040 Impact"]),
        ("detection:\n  s: {event^Name: x}", ["operation that was called"]),
        ("detection:\n  s: {eventName|starts^with: x}", ["begins with the value"]),
        (
            "detection:\n  s: [{'eventSource': iam.amazonaws.com, eventName: Create^User}]",
            ["`CreateUser` of iam.amazonaws.com\n"],
        ),
        ("stellar: {severity: 5, tri^age: [x]}", ["short steps"]),
        ("correlation:\n  rules:\n    - login^_failed", ["Login Failed"]),
        ("correlation:\n  group-by:\n    - source^IPAddress", ["Where the call came from"]),
        (
            HEAD + "        eventName: AttachUserPolicy\n        requestParameters.policy^Arn: x",
            ["(text)", "`requestParameters_policyArn`"],
        ),
    ],
)
def test_what_is_known_of_a_word(marked: str, parts: list[str]) -> None:
    """Each says what the word means where it stands."""
    text = shown(marked)
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize(
    "marked", ["tit^le2: x", "title: wo^rd", "# le^vel", "level: ^", HEAD + "        my^Field: x", "^"]
)
def test_nothing_is_known_of_other_words(marked: str) -> None:
    """No guess is shown."""
    assert shown(marked) == ""


def test_the_part_that_is_meant() -> None:
    """The word is marked, without its quotes."""
    text, offset = cut(HEAD + "        eventName: 'Create^User'")
    found = hover(text, offset)
    assert found is not None
    assert text[found.place.start : found.place.end] == "CreateUser"


@pytest.mark.parametrize("marked", ["    filt^er:\n", "    condition: selection and not filt^er"])
def test_the_query_of_a_selection(marked: str) -> None:
    """Pointed at where it is defined and where it is named, it is the query of the selection alone."""
    whole = RULE + "    condition: selection and not filter"
    at = cut(marked)[0]
    offset = whole.index(at) + marked.index("^")
    found = hover(whole, offset)
    assert found is not None
    query = json.loads(found.markdown.split("```json\n")[1].split("```")[0])
    assert query == {"bool": {"must_not": [{"exists": {"field": "errorCode"}}]}}


def test_the_query_of_a_condition() -> None:
    """It is that of the rule; of a rule that is not yet whole there is none."""
    whole = RULE + "    condition: selection and not filter"
    query = json.loads(query_text(whole, 0) or "")
    asked = json.dumps(query)
    assert [
        part
        for part in ("iam.amazonaws.com", "prefix", "Delete", '{"exists": {"field": "errorCode"}}')
        if part not in asked
    ] == []
    assert query_text(whole + " and", 0) is None
    assert query_text(RULE, 0) is None
    assert query_text(whole.replace("cloudtrail", "guardduty"), 0) is None
    assert query_text(whole, 1) is None


def test_a_long_query_is_cut() -> None:
    """A hundred names would fill the screen."""
    many = HEAD + "        eventName:\n" + "".join(f"            - Name{number}\n" for number in range(100))
    query = query_text(many + "    condition: selection", 0) or ""
    assert query.endswith("\n...")
    assert query.count("\n") < 60
    assert max(map(len, query.splitlines())) <= 110


def test_a_query_that_is_refused_says_why() -> None:
    """As a conversion would."""
    refused = HEAD + "        eventName|re: '(?=a)b'\n    condition: selection"
    assert "{" not in (query_text(refused, 0) or "{").replace("'(?=a)b'", "")


def test_sentences_of_botocore() -> None:
    """They are read from the installed package: the first, without markup, notes, and versions in names."""
    said = aws_documentation.first_sentence
    assert "user" in (said("iam.amazonaws.com", "CreateUser") or "")
    assert said("lambda.amazonaws.com", "UpdateFunctionCode20150331v2")
    assert said("signin.amazonaws.com", "ConsoleLogin") is None
    sentence = said("monitoring.amazonaws.com", "DeleteAlarms") or ""
    assert sentence.endswith(".")
    assert "<" not in sentence


def test_without_botocore_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the extra aws, which an author need not have."""
    aws_documentation._models_by_source.cache_clear()
    monkeypatch.setattr(aws_documentation, "find_spec", lambda name: None)
    text = shown(HEAD + "        eventName: 'Create^User'")
    aws_documentation._models_by_source.cache_clear()
    assert text == "`CreateUser` of iam.amazonaws.com\n\nBy its name, it writes."
