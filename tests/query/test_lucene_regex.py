"""Regular expressions in Lucene's syntax."""

import re

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from sigma_stellar_aws.base.regex_tree import UnsupportedRegexError
from sigma_stellar_aws.query import dsl, lucene_regex
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.query.lucene_regex import MAX_LENGTH, translate

FLAGS = {"i": "ignore_case", "m": "multiline", "s": "dot_all"}


def options(flags: str) -> dict[str, bool]:
    """Arguments of translate() for flags as Sigma's modifiers name them."""
    return {FLAGS[flag]: True for flag in flags}


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        # Open ends, anchors, and the newline that may follow a $.
        ("", "", ".*"),
        ("abc", "", ".*abc.*"),
        ("^abc", "", "abc.*"),
        (r"\Aabc", "", "abc.*"),
        ("abc$", "", ".*abc\n?"),
        ("^abc$", "", "abc\n?"),
        ("^", "", ".*"),
        ("$", "", ".*"),
        ("^$", "", "\n?"),
        ("^abc$", "m", "(.*\n)?abc(\n.*)?"),
        (r"\Aabc$", "m", "abc(\n.*)?"),
        (r"\A^abc", "m", "abc.*"),
        ("(?m:^)abc", "", "(.*\n)?abc.*"),
        # Any character.
        ("a.c", "", ".*a[^\n]c.*"),
        ("a.c", "s", ".*a.c.*"),
        ("(?s:.)b.", "", ".*.b[^\n].*"),
        (r"[\s\S]", "", ".*..*"),
        # Classes, in ASCII, smallest code point first.
        (r"\d", "", ".*[0-9].*"),
        (r"\D", "", ".*[^0-9].*"),
        (r"\w", "", ".*[0-9A-Z_a-z].*"),
        (r"\s", "", ".*[\t-\r ].*"),
        (r"[^\s]", "", ".*[^\t-\r ].*"),
        ("[ca-b]", "", ".*[a-c].*"),
        ("[ba]", "", ".*[ab].*"),
        ("[a]", "", ".*a.*"),
        ("[^a]", "", ".*[^a].*"),
        (r"[\]^-]", "", r".*[\-\]\^].*"),
        # Groups, alternatives and quantifiers.
        ("ab|cd", "", ".*(ab|cd).*"),
        ("^(ab|cd)$", "", "(ab|cd)\n?"),
        ("^ab|cd$", "", "ab.*|.*cd\n?"),
        (r"(^|\.)ab", "", r"ab.*|.*\.ab.*"),
        ("ab(/|$)", "", ".*ab/.*|.*ab\n?"),
        ("a(?:bc)d", "", ".*abcd.*"),
        ("(?P<name>ab)+", "", ".*(ab)+.*"),
        ("(ab|)c", "", ".*(ab|())c.*"),
        ("^a*b+c?$", "", "a*b+c?\n?"),
        ("^a{2}b{2,}c{2,3}d{,3}$", "", "a{2}b{2,}c{2,3}d{0,3}\n?"),
        ("^a*?b+?c??d{2,3}?$", "", "a*b+c?d{2,3}\n?"),
        # What is special to Lucene alone.
        ('a"b@c&d<e>f~g#h', "", r".*a\"b\@c\&d\<e\>f\~g\#h.*"),
        (r"a\.b\\c\*", "", r".*a\.b\\c\*.*"),
        # A comment and blanks that are only for the reader.
        ("a(?#comment)b", "", ".*ab.*"),
        ("(?x) a b", "", ".*ab.*"),
    ],
)
def test_pattern_is_written_in_lucene_syntax(pattern: str, flags: str, expected: str) -> None:
    """Ends, classes, groups and quantifiers come out as Lucene reads them."""
    assert translate(pattern, **options(flags)) == (expected, False)


@pytest.mark.parametrize(
    ("pattern", "flags", "expected", "case_insensitive"),
    [
        ("aB1", "i", ".*aB1.*", True),
        ("(?i)aB1", "", ".*aB1.*", True),
        ("[a-c]d", "i", ".*[A-Ca-c]d.*", True),
        ("[^a]", "i", ".*[^Aa].*", True),
        ("é", "i", ".*[Éé].*", True),
        ("é", "", ".*é.*", False),
        ("(?i:a)b", "", ".*[Aa]b.*", False),
        ("a(?-i:b)c", "i", ".*[Aa]b[Cc].*", False),
    ],
)
def test_case_is_ignored_by_the_server_for_ascii_and_spelled_out_for_the_rest(
    pattern: str, flags: str, expected: str, case_insensitive: bool
) -> None:
    """Classes, letters beyond ASCII and parts of a pattern have both cases in it; plain letters need the flag."""
    assert translate(pattern, **options(flags)) == (expected, case_insensitive)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(?=b)", "look-ahead"),
        ("a(?!b)", "look-ahead"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "back-reference"),
        ("(?P<n>a)(?P=n)", "back-reference"),
        ("(a)?(?(1)b|c)", "conditional"),
        (r"\ba", "word boundary"),
        (r"a\B", "word boundary"),
        (r"a\Z", "write \\$"),
        ("a^b", "in the middle"),
        ("a$b", "in the middle"),
        ("(^a)*b", "in the middle"),
        ("[[:alpha:]]", "POSIX class"),
        (r"[^\s\S]", "no character"),
        ("a(", "not valid"),
        (r"\p{L}", "not valid"),
        ("a" * (MAX_LENGTH - 3), f"{MAX_LENGTH + 1} characters"),
    ],
)
def test_what_lucene_cannot_express_is_refused(pattern: str, reason: str) -> None:
    """The message says what the pattern uses that Lucene lacks."""
    with pytest.raises(UnsupportedRegexError, match=reason):
        translate(pattern)


def test_possessive_and_atomic_are_refused_by_every_version_of_python() -> None:
    """Python parses them since 3.11 only; they are never taken for something else."""
    for pattern in ("a++b", "(?>a)b"):
        with pytest.raises(UnsupportedRegexError):
            translate(pattern)


def test_longest_accepted_pattern_is_translated() -> None:
    """The limit is the server's, for the pattern in its own syntax."""
    assert len(translate("a" * (MAX_LENGTH - 4)).pattern) == MAX_LENGTH


ASCII = 'abAB01_ .*-\\\n["#@'
LETTERS = "aAbéÉüжЖß\n1"
QUANTIFIERS = ("", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?")


def patterns(alphabet: str, categories: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Random patterns of all that can be translated, and of anchors anywhere, over the characters of an alphabet."""
    character = st.sampled_from(alphabet).map(re.escape)
    category = st.sampled_from(categories) if categories else character
    ranges = st.sampled_from(("a-b", "0-1", "A-b", " -z"))
    members = st.lists(st.one_of(character, category, ranges), min_size=1, max_size=3).map("".join)
    classes = st.builds("[{}{}]".format, st.sampled_from(("", "^")), members)
    simple = st.one_of(character, character, st.just("."), classes, category)
    start = st.sampled_from(("", "", "", "", "^", r"\A", "^", "$"))
    end = st.sampled_from(("", "", "", "", "$", "$", "^"))

    def sequence(atom: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        piece = st.builds("{}{}".format, atom, st.sampled_from(QUANTIFIERS))
        body = st.lists(piece, max_size=3).map("".join)
        return st.builds("{}{}{}".format, start, body, end)

    def alternatives(atom: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.lists(sequence(atom), min_size=1, max_size=2).map("|".join)

    openings = st.sampled_from(("(", "(?:", "(?P<n>", "(?i:", "(?s:", "(?m:", "(?-i:", "(?-s:"))

    def groups(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        plain = st.lists(st.builds("{}{}".format, inner, st.sampled_from(QUANTIFIERS)), max_size=2).map("".join)
        return st.builds("{}{})".format, openings, alternatives(inner) | plain)

    # Names of groups must differ, so there is at most one.
    return alternatives(st.recursive(simple, groups, max_leaves=4)).filter(lambda p: p.count("(?P<n>") < 2)


ASCII_PATTERNS = patterns(ASCII, (r"\d", r"\D", r"\w", r"\W", r"\s", r"\S"))
FLAG_SETS = st.sampled_from(("", "i", "m", "s", "im", "is", "ms", "ims"))


@settings(max_examples=600, deadline=None)
@given(ASCII_PATTERNS, st.text(ASCII, max_size=6), FLAG_SETS)
def test_translation_matches_the_same_texts(pattern: str, text: str, flags: str) -> None:
    """A value in which Python finds the pattern is one that the translated pattern matches as a whole, and no other."""
    _assert_same(pattern, text, flags, re.ASCII)


@settings(max_examples=300, deadline=None)
@given(patterns(LETTERS, ()), st.text(LETTERS, max_size=6), FLAG_SETS)
def test_translation_matches_the_same_texts_of_any_letters(pattern: str, text: str, flags: str) -> None:
    """The same is true of letters beyond ASCII, in both their cases."""
    _assert_same(pattern, text, flags, re.RegexFlag(0))


def _assert_same(pattern: str, text: str, flags: str, python_flags: re.RegexFlag) -> None:
    try:
        lucene, case_insensitive = translate(pattern, **options(flags))
    except UnsupportedRegexError as error:
        if "in the middle" not in str(error) and "no character" not in str(error):
            raise
        reject()
    for flag in flags:
        python_flags |= getattr(re, flag.upper())
    found = re.search(pattern, text, python_flags) is not None
    matches = compile_query(dsl.regexp("f", lucene, case_insensitive=case_insensitive))
    assert matches({"f": text}) == found, lucene


@given(st.text('ab.*+?|(){}[]\\^$"#@&<>~-/\n é', max_size=8))
def test_escaped_text_matches_itself_alone(text: str) -> None:
    """An escaped text is a pattern of this text, whatever is special in it."""
    matches = compile_query(dsl.regexp("f", lucene_regex.escape(text)))
    assert matches({"f": text})
    assert not matches({"f": text + "a"})


@given(st.text("aZ1.éÉüжß\n", max_size=6), st.data())
def test_folded_text_matches_itself_in_any_case(text: str, data: st.DataObject) -> None:
    """With case_insensitive, a folded text matches each way to write it in upper and lower case, and nothing else."""
    cases = [st.sampled_from([v for v in (c, c.upper(), c.lower()) if len(v) == 1]) for c in text]
    other = data.draw(st.tuples(*cases).map("".join))
    matches = compile_query(dsl.regexp("f", lucene_regex.folded(text), case_insensitive=True))
    assert matches({"f": other})
    assert not matches({"f": other + "a"})


@pytest.mark.parametrize(
    ("text", "expected"), [("abc", False), ("日本", False), ("ß1", False), ("É", True), ("aж", True)]
)
def test_case_beyond_ascii_is_seen(text: str, expected: bool) -> None:
    """Only letters that have two cases and are not ASCII need more than the server's flag."""
    assert lucene_regex.has_case_beyond_ascii(text) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", (0, 0)),
        ("abc", (3, 3)),
        (r"a\.b\&", (4, 4)),
        ("ab?c", (2, 3)),
        ("a{2,4}", (2, 4)),
        ("(ab|cde)f", (3, 4)),
        ("(ab|())c", (1, 3)),
        ("[^\n]", (1, 1)),
        ("(.*\n)?ab(\n.*)?", (2, None)),
        ("ab.*", (2, None)),
        ("a+", (1, None)),
        ("a{3,}", (3, None)),
        ("(a*){2}b", (1, None)),
        ("\N{GRINNING FACE}", (1, 1)),
    ],
)
def test_lengths_of_what_a_pattern_matches(pattern: str, expected: tuple[int, int | None]) -> None:
    """The least and the most characters are known, or that there is no most."""
    assert lucene_regex.lengths(pattern) == expected


@settings(max_examples=300, deadline=None)
@given(ASCII_PATTERNS, st.text(ASCII, max_size=6), FLAG_SETS)
def test_what_matches_has_a_length_within_the_limits(pattern: str, text: str, flags: str) -> None:
    """No value that a translated pattern matches is shorter or longer than its lengths say."""
    try:
        lucene, case_insensitive = translate(pattern, **options(flags))
    except UnsupportedRegexError:
        reject()
    least, most = lucene_regex.lengths(lucene)
    assert most is None or least <= most
    if compile_query(dsl.regexp("f", lucene, case_insensitive=case_insensitive))({"f": text}):
        assert least <= len(text)
        assert most is None or len(text) <= most


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", False),
        ("[0-9]+", False),
        (r"\.\*", False),
        (".*", False),
        ("[^\n]", False),
        ("日本", False),
        ("a", True),
        ("É", True),
        ("[aA]", False),
        ("[A-Za-z0-9]{2,}", False),
        # The Kelvin sign, whose lower case is k, is none of these letters.
        ("[^A-Za-z]", True),
        ("[a-z]", True),
        ("[^a-z]", True),
        ("[!-_]+", True),
        ("1|(2|b)*", True),
        ("1(2(3x)?)", True),
        (".", False),
        ("[^é]", True),
        ("[^éÉ]", False),
        ("[a-\U0010ffff]", True),
    ],
)
def test_what_regards_case(pattern: str, expected: bool) -> None:
    """A pattern regards case where a character is there in one of its cases only, however deep, and not in both."""
    assert lucene_regex.is_case_sensitive(pattern) is expected
