"""Patterns by which lists, wrappers and records are recognised in the text of a file, before it is decoded."""

import re

from sigma_stellar_aws.logs.envelopes import LISTS

LATE = 1 << 16
"""The most bytes that :data:`LATE_LIST` and :data:`NEST` may match."""


def with_blanks(text: str) -> re.Pattern[bytes]:
    """Compile a pattern in which a blank stands for any blanks, up to 200: a match has to lie within a window.

    >>> with_blanks(": [0-9]").match(b":  7") is not None
    True
    """
    return re.compile(text.encode().replace(b" ", rb"[ \t\r\n]{0,200}"))


_TEXT = r'"(?:[^"\\]|\\.)*"'
_LIST_KEY = f'"(?:{"|".join(LISTS)})"'
# Members of an object before its list, each a plain value, a flat object or an empty list. A member that only a record
# has ends the match.
_MEMBERS = (
    rf'(?:(?!"event(?:Source|Name)"){_TEXT} : (?:{_TEXT}|\{{(?:[^{{}}"]|{_TEXT})*\}}|[^\s"{{}}\[\],]+|\[ \]) , )*'
)

OBJECT_WITH_LIST = rf"(\{{) {_LIST_KEY} : \["
"""An object whose first member is a list, as the source of a pattern. Its only group is the opening brace."""
LIST = with_blanks(rf"\[|{OBJECT_WITH_LIST}")
NEXT_LIST = with_blanks(rf", {_LIST_KEY} : \[")
"""A further list of the same object."""
LATE_LIST = with_blanks(rf'(\{{) {_MEMBERS}(?:"hits" : (\{{) {_MEMBERS})?{_LIST_KEY} : \[')
"""An object whose list comes after other members. Its groups are the opening braces."""

RECORD_KEYS = ("eventSource", "eventName")

JOINED = b'{"Records":['
"""How the next log file begins, where several were joined into one file."""
SPREAD = re.compile(rb"\{[ \t\r]*\n")
"""The beginning of an object that is spread over several lines."""
LINE_END = re.compile(rb"[ \t\r]*\n")
FIRST_KEY = with_blanks(r'\{ ("[\w.:@-]{1,100}")')
USUAL_KEY = '"eventVersion"'
"""The key that a record begins with in AWS's own files."""
BETWEEN = with_blanks(r', \{ "[^"\\]{1,100}"')
"""What lies between two records of a list, up to the first key of the second one."""
NEST = with_blanks(r'(?:\[ |\{ "(?!eventVersion")[^"\\]{0,100}" : ){0,500}')
"""Objects and lists that do nothing but open others; none of them is a record."""
SEPARATOR = re.compile(rb"[ \t\r\n,]*")
COMMA = re.compile(rb"[ \t\r\n]{0,200},(?=[ \t\r\n]{0,200}\{|[ \t\r]{0,200}\n[ \t\r\n]{0,200}\Z)")
"""A comma after a value that is not in a list, as left over by tools that cut a list into pieces."""
BEFORE_OBJECT = re.compile(
    rb'(?:(?!":)[^}\n{["\0]|"(?!:)|\[(?!\{)|\{(?![ \t]*"))(?:(?!":)[^}\n]){0,4096}?(?=\{[ \t]*")'
)
"""The header of a log line before the object in it; it is not the end of another object."""
OF_COMMAND_LINE = re.compile(rb"(?:RESOURCES|NEXTTOKEN|SEARCHEDLOGSTREAMS)\t[^\n]{0,4096}")
"""Lines of ``aws … --output text`` beside those with events."""
AFTER_OBJECT = re.compile(rb"[ \t][^\n{}]{0,1024}(?=\n|\Z)")
"""The rest of a line with a header, after its object."""
