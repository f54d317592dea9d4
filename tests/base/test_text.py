"""Texts for people."""

import random
from difflib import SequenceMatcher

import pytest

from sigma_stellar_aws.base.text import cell, did_you_mean, first_of, nearest, plural, printable
from sigma_stellar_aws.reference import aws_events


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ["rule"], "0 rules"),
        (1, ["rule"], "1 rule"),
        (2, ["rule"], "2 rules"),
        (1_000_000, ["record"], "1,000,000 records"),
        (1, ["index", "indices"], "1 index"),
        (3, ["index", "indices"], "3 indices"),
    ],
)
def test_numbers_of_things(count: int, words: list[str], text: str) -> None:
    """Numbers of things."""
    assert plural(count, *words) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (1003, "0, 1, 2 and 1,000 more")]
)
def test_long_lists_are_cut(count: int, text: str) -> None:
    """Long lists are cut."""
    assert first_of([str(number) for number in range(count)], most=3) == text


def test_hints() -> None:
    """Hints."""
    assert did_you_mean(None) == ""
    assert did_you_mean("userIdentity.arn") == "; did you mean userIdentity.arn?"
    assert did_you_mean("KMS Keys Creation") == "; did you mean 'KMS Keys Creation'?"


_NAMES = ("eventID", "eventName", "eventSource", "eventTime", "errorCode", "userIdentity.sessionContext", "LE Event")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("eventName", "eventName"),
        ("EVENT_NAME", "eventName"),
        ("event-name", "eventName"),
        ("event name", "eventName"),
        ("eventNmae", "eventName"),
        ("evntName", "eventName"),
        ("eventNames", "eventName"),
        ("userIdentity_sessionContext", "userIdentity.sessionContext"),
        ("errorcodes", "errorCode"),
        ("requestID", None),
        ("", None),
        ("...", None),
        ("x" * 100_000, None),
    ],
)
def test_the_name_that_was_meant(word: str, meant: str | None) -> None:
    """The name that was meant."""
    assert nearest(word, _NAMES) == meant
    assert nearest(word, frozenset(_NAMES)) == meant


def test_how_alike_it_has_to_be() -> None:
    """How alike it has to be."""
    assert nearest("tabl", ["table"], alike=0.88) == "table"
    assert nearest("tabl", ["table"], alike=0.89) is None
    assert nearest("xyz", ["table", "xab"], alike=0) == "xab"
    assert nearest("xyz", [], alike=0) is None


def test_of_names_that_are_as_close_the_first_of_the_alphabet() -> None:
    """Of names that are as close the first of the alphabet."""
    assert nearest("rulez", ["rules", "ruled"]) == "ruled"
    assert nearest("rule_s", ["rules", "RULES", "Rules"]) == "RULES"


def _slip(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word))
    return chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + chance.choice("aeinrst") + word[at:],
            word[:at] + chance.choice("aeinrst") + word[at + 1 :],
            word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
        ]
    )


def test_nothing_is_closer_than_what_is_found() -> None:
    """Nothing is closer than what is found."""
    chance = random.Random(3)
    names = chance.sample(sorted(aws_events.all_names()), 300)
    for name in chance.sample(names, 60):
        word = _slip(_slip(_slip(name, chance) or "x", chance) or "x", chance).lower()
        if not word or word in map(str.lower, names):
            continue
        ratios = {other: SequenceMatcher(None, other.lower(), word).ratio() for other in names}
        found, best = nearest(word, names), max(ratios.values())
        assert (None if found is None else ratios[found]) == (best if best >= 0.8 else None), word


def test_few_of_all_event_names_are_compared_letter_by_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes longest: of 100 names, one is compared at most."""
    compared = 0

    class Counting(SequenceMatcher[str]):
        def ratio(self) -> float:
            nonlocal compared
            compared += 1
            return super().ratio()

    monkeypatch.setattr("sigma_stellar_aws.base.text.SequenceMatcher", Counting)
    names = aws_events.all_names()
    assert len(names) > 15_000
    for name in ("DescribeInstnces", "CreateAcessKey", "StopLoging", "PutBucketPolicyy", "NoSuchEventAtAll"):
        compared = 0
        nearest(name, names)
        assert compared < len(names) / 100, name


def test_what_could_steer_a_terminal_is_not_printed() -> None:
    """What could steer a terminal is not printed."""
    assert printable("a\x1b]0;b\x07\u202ec\n\td") == "a\ufffd]0;b\ufffd\ufffdc\n\ufffdd"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", " =1", "\uff1d1", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    """No cell is a formula."""
    assert cell(text).startswith("'") or cell(text).startswith("\ufffd")


def test_no_part_of_a_cell_is_a_formula() -> None:
    """Where semicolons or line ends start another cell, it is none either; tabs and returns are replaced."""
    assert cell("x;=1+1\ny; @SUM(1)\n-2") == "x;'=1+1\ny;' @SUM(1)\n'-2"
    assert cell("x\t=1\r=2") == "x\ufffd=1\ufffd=2"


def test_other_cells_stay() -> None:
    """Other cells stay."""
    assert cell("a=b; c-d") == "a=b; c-d"
