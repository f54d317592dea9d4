"""Match regular expressions in time proportional to the length of the text.

See :mod:`sigma_stellar_aws.query.linear`. Search engines build automata, which never go back; so does RE2.
"""

import re2

from sigma_stellar_aws.base.regex_tree import (
    Characters,
    Group,
    Node,
    Repeat,
    Sequence,
    UnsupportedRegexError,
    nodes_of_lucene,
)
from sigma_stellar_aws.query.linear import TextTest

_MOST_TIMES = 1000
"""How often RE2 repeats something at most."""
_MEMORY = 16 << 20
"""Bytes that an expression may take: twice what RE2 allows by default, for those with many classes of characters."""


def regex_test(pattern: str, *, ignore_case: bool) -> TextTest:
    r"""Return a test of whole texts for a pattern in the syntax of :mod:`sigma_stellar_aws.query.lucene_regex`.

    >>> matches = regex_test("(a+)+b", ignore_case=True)
    >>> matches("aAab"), matches("a" * 40)
    (True, False)

    Args:
        pattern: the pattern.
        ignore_case: whether the case of ASCII letters does not matter.

    Raises:
        UnsupportedRegexError: RE2 has no room for it, which :func:`~sigma_stellar_aws.query.lucene_regex.translate`
            sees to.
    """
    nodes = nodes_of_lucene(pattern, ignore_ascii_case=ignore_case)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        expression = re2.compile(_source(nodes).encode(), options)
    except re2.error as error:
        raise UnsupportedRegexError(f"is too complex: {error}") from None
    # Half a character, which JSON can hold, is a character, too.
    return lambda text: expression.fullmatch(text.encode("utf-8", "surrogatepass")) is not None


def _source(nodes: Sequence, most_times: int = _MOST_TIMES) -> str:
    """Write nodes in RE2's syntax: classes, in which nothing has another meaning, and groups.

    Args:
        nodes: what to write.
        most_times: how often RE2 may repeat something in it. Repetitions in each other are multiplied.
    """
    return "".join(_node_source(node, most_times) for node in nodes)


def _node_source(node: Node, most_times: int) -> str:
    if isinstance(node, Characters):
        return "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in node.ranges) + "]"
    if isinstance(node, Group):
        return f"(?:{'|'.join(_source(nodes, most_times) for nodes in node.alternatives)})"
    if isinstance(node, Repeat):
        return _repeated(node, most_times)
    raise UnsupportedRegexError("has an anchor in the middle")


def _repeated(node: Repeat, most_times: int) -> str:
    """Write a repetition, in a row of shorter ones where it is too long."""
    step = max(1, min(most_times, node.most or node.least))
    once = f"(?:{_source(node.nodes, most_times // step)})"
    if node.most is None:
        full, rest = divmod(node.least, step)
        return f"{once}{{{step}}}" * full + f"{once}{{{rest},}}"
    if node.most <= step:
        return f"{once}{{{node.least},{node.most}}}"
    pieces = [("", node.least), ("0,", node.most - node.least)]
    return "".join(
        f"{once}{{{least}{step}}}" * (times // step) + f"{once}{{{least}{times % step}}}" for least, times in pieces
    )
