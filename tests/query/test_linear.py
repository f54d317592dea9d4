"""Wildcards and regular expressions in time proportional to the text; test_random.py holds them equal to engines."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_stellar_aws.base.regex_tree import UnsupportedRegexError
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.query.linear import wildcard_test
from sigma_stellar_aws.query.linear_regex import regex_test
from sigma_stellar_aws.query.lucene_regex import translate

MEGABYTE = 1 << 20


def wildcard_by_re(pattern: str) -> Callable[[str], Any]:
    """What a pattern means, by Python's own matcher."""
    tokens = re.findall(r"\\.|.", pattern, re.DOTALL)
    source = "".join({"*": ".*", "?": "."}.get(token) or re.escape(token[-1]) for token in tokens)
    return re.compile(source, re.DOTALL).fullmatch


@settings(max_examples=1000, deadline=None)
@given(st.text("ab*?\\", max_size=7), st.lists(st.text("ab*\\", max_size=9), min_size=5, max_size=20))
def test_wildcards_match_what_python_matches(pattern: str, texts: list[str]) -> None:
    """Two letters and short texts, so that parts overlap, repeat and touch the ends."""
    ours, pythons = wildcard_test(pattern), wildcard_by_re(pattern)
    for text in texts:
        assert ours(text) == bool(pythons(text)), text


LETTERS = st.sampled_from(["a", "b", "A", "k", "é", "\N{KELVIN SIGN}", ".", "[^a]", "[a-c]", "[^A-Z]", "[ß-ž]", r"\*"])
REGEXES = st.recursive(
    LETTERS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda both: f"({both[0]}|{both[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}"])).map(lambda it: f"({it[0]}){it[1]}"),
    ),
    max_leaves=5,
)
TEXTS = st.text("abBkK\N{KELVIN SIGN}éÉß*\n\ud800", max_size=6)


@settings(max_examples=1000, deadline=None)
@given(REGEXES, st.booleans(), st.lists(TEXTS, min_size=5, max_size=20))
def test_regular_expressions_match_what_python_matches(pattern: str, ignore_case: bool, texts: list[str]) -> None:
    """Every construct that a translated pattern has; only ASCII letters have two cases."""
    ours = regex_test(pattern, ignore_case=ignore_case)
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if ignore_case else 0)
    for text in texts:
        assert ours(text) == bool(re.fullmatch(pattern, text, flags)), text


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a{0,2500}", "a" * 2500, "a" * 2501),
        ("a{1000}", "a" * 1000, "a" * 999),
        ("(ab){1500,}", "ab" * 1501, "ab" * 1499),
        ("a{1500,2500}", "a" * 1500, "a" * 1499),
        ("((a{20}){20}){20}", "a" * 8000, "a" * 7999),
        ("((a{0,100}){0,30}){3}", "a" * 9000, "a" * 9001),
        ("((((((((((a+)+)+)+)+)+)+)+)+)+){2,}", "aa", "a"),
    ],
)
def test_repetitions_may_be_long(pattern: str, yes: str, no: str) -> None:
    """More times than RE2 takes in one repetition."""
    matches = regex_test(pattern, ignore_case=False)
    assert matches(yes)
    assert not matches(no)


def test_what_repeats_too_much_is_refused() -> None:
    """The rule is told by its conversion that it repeats too much, before any event is read."""
    with pytest.raises(UnsupportedRegexError, match="10,000 characters once its repetitions are written out"):
        translate("((a{100}){100}){2}")


def fold(clause: Callable[..., Clause], pattern: str) -> Clause:
    """A condition that ignores case."""
    return clause("f", pattern, case_insensitive=True)


def searched(pattern: str) -> Clause:
    """A regular expression as a rule searches for it."""
    translated = translate(pattern)
    return dsl.regexp("f", translated.pattern, case_insensitive=translated.case_insensitive)


HOSTILE = {
    "many parts": (fold(dsl.wildcard, '*"Effect"*"Allow"*"Principal"*'), '"Effect""Allow"' * 80_000),
    "stars and letters": (fold(dsl.wildcard, "*a*a*a*a*a*a*a*a*b"), "a" * MEGABYTE),
    "one of any": (dsl.wildcard("f", "*a?a?a?a?a?a?a?b*"), "a" * MEGABYTE),
    "a long part": (dsl.wildcard("f", "*" + "a" * 500 + "b*c"), "a" * MEGABYTE),
    "letters beyond ASCII": (fold(dsl.wildcard, "*é*é*é*b"), "É" * (MEGABYTE // 2)),
    "repeated repetition": (searched("(a+)+b"), "a" * MEGABYTE),
    "alternatives": (searched("(a|aa|a.)+b$"), "a" * MEGABYTE),
    "three times anything": (searched("a.*a.*a.*b"), "a" * MEGABYTE),
    "an empty repetition": (searched("(a*)*b"), "a" * MEGABYTE),
    "lines": (searched("^(a|a.)*(\\s|a)*b"), "a\n" * (MEGABYTE // 2)),
}


@pytest.mark.parametrize(("clause", "text"), HOSTILE.values(), ids=[*HOSTILE])
def test_a_hostile_value_is_not_matched_for_long(clause: Clause, text: str) -> None:
    """A megabyte that is made to keep a matcher busy: one that tries again would not end while anybody waits."""
    assert not compile_query(clause)({"f": text})


class Counted(str):
    """A text that counts the characters that are looked at for a part of a pattern."""

    __slots__ = ("looked_at",)

    def __init__(self, text: str) -> None:
        """Begin with none."""
        self.looked_at = 0

    def find(self, wanted: str, start: int = 0, stop: int = 0) -> int:  # type: ignore[override]
        """Find a part between two places, and count what lies between."""
        at = super().find(wanted, start, stop)
        self.looked_at += (stop if at < 0 else at + len(wanted)) - start
        return at


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*b*", "*ab*c*", "a*aa*aaa*b*a"])
def test_wildcards_look_at_each_character_once(pattern: str) -> None:
    """Whatever the pattern, and however many places its parts fit."""
    matches = wildcard_test(pattern)
    for length in (1000, 2000):
        text = Counted("a" * length)
        assert not matches(text)
        assert 0 < text.looked_at <= length
