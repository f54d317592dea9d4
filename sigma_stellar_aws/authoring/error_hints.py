"""Say what to do about errors of PyYAML and pySigma, which say only what is wrong."""

from collections.abc import Mapping

import yaml
from sigma.exceptions import SigmaIdentifierError
from yaml.reader import ReaderError

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.base.yaml_positions import Span, YamlPath
from sigma_stellar_aws.rule_files.rule_keys import MODIFIERS
from sigma_stellar_aws.validators.unknown_keys import misspelt_condition

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_OF_YAML: Mapping[str, str] = {
    "cannot start any token": "indent with blanks instead of tabs, and quote a value that begins with @, % or `",
    "could not find expected ':'": "write a colon behind the key, or indent the line if it belongs to the one before",
    "did not find expected key": "indent all keys of a map alike, and close every quote",
    "found a tab character": "indent with blanks instead of tabs",
    "found undefined alias": "quote a value that begins with *",
    "found unhashable key": "write a plain text as the key",
    "mapping values are not allowed": "quote a value that has a colon and a blank in it, and indent keys alike",
}
_NESTED = "This is nested too deeply, or has too many parts in a row; take it apart."


def yaml_hint(error: yaml.MarkedYAMLError) -> str:
    """Return what to do about an error of PyYAML; empty where that is not known."""
    return next((f"; {hint}" for sign, hint in _OF_YAML.items() if sign in str(error.problem)), "")


def encoding_fault(text: str, error: UnicodeDecodeError | ReaderError) -> tuple[Span, str]:
    """Return where a file has bytes or characters that YAML does not allow, and what to do about them.

    Args:
        text: what was read; empty if it could not be decoded.
        error: what was raised for it.
    """
    if isinstance(error, UnicodeDecodeError):
        before = error.object[: error.start].decode(errors="replace")
        is_wide = error.object.startswith(_UTF16_MARKS)
        reason = "The file is in UTF-16 or UTF-32" if is_wide else f"The file is not in UTF-8: {error.reason}"
        return _after(before), f"{reason}; save it as UTF-8."
    position = error.position or 0
    if error.character == 0 and position < len(_UTF16_MARKS[0]):
        return _after(""), "The file seems to be in UTF-16; save it as UTF-8."
    return _after(text[:position]), f"YAML allows no control character, as #x{error.character:04x} is one; remove it."


def _after(before: str) -> Span:
    column = len(before) - (before.rfind("\n") + 1) + 1
    return Span(before.count("\n") + 1, column, column + 1)


def plainer(error: Exception, document: JsonObject) -> Exception:
    """Return an error of pySigma, or a clearer one where it does not say what is wrong."""
    identity = document.get("id")
    if isinstance(error, AttributeError) and identity is not None and not isinstance(identity, str):
        return SigmaIdentifierError("Sigma rule identifier must be an UUID")
    return error


def plainer_text(message: str) -> str:
    """Return a message of pySigma, or a clearer one where it means nothing to authors of rules.

    >>> plainer_text("Expected {{{'1' | 'any' | 'all'} 'of'")
    'The condition is empty; write which selections have to match.'
    """
    if message.startswith("Expected {"):
        return "The condition is empty; write which selections have to match."
    return _NESTED if "recursion depth" in message else message


def error_hint(message: str, at: YamlPath, document: JsonObject) -> str:
    """Return what to do about an error of pySigma; empty where that is unknown, or the error says it.

    >>> error_hint("Unknown modifier 'startwith'", ("detection",), {})
    '; did you mean startswith?'
    """
    section = document.get(str(at[0])) if at else None
    if misspelt := misspelt_condition(section):
        return f", and nothing reads the key {misspelt!r}; write condition."
    if message.startswith("Unknown modifier"):
        return did_you_mean(nearest(message.split("'")[1], MODIFIERS, 0.7))
    if message.endswith("must be an UUID"):
        return "; write a random one, as uuidgen prints it."
    if message.endswith("must be a string") and not isinstance(section, dict | list):
        return "; quote it, since YAML reads it as something else."
    return ""
