"""What is wrong with a regular expression that pySigma refuses, in the same words whatever its version."""

import re

from sigma.exceptions import SigmaError, SigmaRegularExpressionError, SigmaRuleLocation

from sigma_stellar_aws.base.regex_tree import UnsupportedRegexError, parse_regex

_REFUSED = re.compile(r"Regular expression '(?P<pattern>.*)' is invalid: (?:b['\"])?(?P<reason>.*?)['\"]?", re.DOTALL)


def with_regex_reason(error: SigmaError, source: SigmaRuleLocation) -> SigmaError:
    """Return an error, or for one about a regular expression, one that gives the reason of our own conversion.

    From version 2 on, pySigma compiles regular expressions with RE2 when it loads a rule. Look-around and other parts
    that RE2 lacks are then refused before our backend sees the rule, with a reason that names parts of RE2.
    ``sigma convert`` loads rules itself and shows pySigma's own message, which cannot be helped here.
    """
    refused = _REFUSED.fullmatch(str(error.args[0])) if isinstance(error, SigmaRegularExpressionError) else None
    if refused is None:
        return error
    pattern = refused["pattern"]
    reason = f"cannot be read: {refused['reason']}"
    try:
        parse_regex(pattern)
    except UnsupportedRegexError as unsupported:
        reason = str(unsupported)
    return SigmaRegularExpressionError(f"the regular expression {pattern!r} {reason}", source=error.source or source)
