"""Regular expressions that pySigma refuses, told alike on its versions 1 and 2."""

import sys
from pathlib import Path

import pytest
from sigma.exceptions import SigmaError, SigmaRegularExpressionError, SigmaRuleLocation, SigmaTypeError

from sigma_stellar_aws.authoring.check import check_rules
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.regex_errors import with_regex_reason

HERE = SigmaRuleLocation(Path("some.yml"))
RULE = """\
title: Deletes
logsource: {product: aws, service: cloudtrail}
detection:
  selection:
    eventName|re: 'PATTERN'
  condition: selection
"""


@pytest.mark.parametrize(
    ("of_pysigma", "expected"),
    [
        ("'(?!a)b' is invalid: b'invalid perl operator: (?!'", "'(?!a)b' uses negative look-ahead or look-behind"),
        ("'(?=a)' is invalid: b'invalid perl operator: (?='", "'(?=a)' uses look-ahead or look-behind"),
        ("'(a)\\1' is invalid: b'invalid escape sequence: \\\\1'", "'(a)\\\\1' uses a back-reference"),
        pytest.param(
            "'it's(?>a)' is invalid: b'invalid perl operator: (?>'",
            '"it\'s(?>a)" uses an atomic group',
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="Python itself does not know it before 3.11"),
        ),
        ("'a\n(?!b)' is invalid: b'invalid perl operator: (?!'", "'a\\n(?!b)' uses negative look-ahead or look-behind"),
    ],
    ids=str,
)
def test_what_re2_refuses_has_the_reason_of_a_conversion(of_pysigma: str, expected: str) -> None:
    """The backend would give the same reason, had pySigma let the rule through."""
    told = with_regex_reason(SigmaRegularExpressionError(f"Regular expression {of_pysigma}"), HERE)
    assert str(told) == f"the regular expression {expected}, which Lucene does not have in {HERE}"


def test_what_only_re2_refuses_keeps_its_reason() -> None:
    """What Lucene could express is refused by pySigma all the same; its reason is told without Python's bytes."""
    told = with_regex_reason(
        SigmaRegularExpressionError("Regular expression 'a{2000}' is invalid: b'invalid repetition size: {2000}'"), HERE
    )
    assert (
        str(told) == f"the regular expression 'a{{2000}}' cannot be read: invalid repetition size: {{2000}} in {HERE}"
    )


@pytest.mark.parametrize(
    "error", [SigmaTypeError("a value"), SigmaRegularExpressionError("something else"), SigmaRegularExpressionError(5)]
)
def test_other_errors_stay_as_they_are(error: SigmaError) -> None:
    """Only the message of a refused pattern is known; any other is passed on."""
    assert with_regex_reason(error, HERE) is error


def test_a_broken_pattern_is_told_by_loading_and_checking(tmp_path: Path) -> None:
    """Both give Python's reason, which names a position; loading names the file as well."""
    file = tmp_path / "aws_broken_pattern.yml"
    file.write_text(RULE.replace("PATTERN", "Delete(Rule"))
    reason = "the regular expression 'Delete(Rule' is not valid: missing ), unterminated subpattern at position 6"
    with pytest.raises(SigmaError) as error:
        load_rules(file)
    assert str(error.value) == f"{reason} in {file}"
    [finding] = [found for found in check_rules([file]).findings if found.check == "sigma"]
    assert (finding.message, finding.place.line) == (reason, 5)
