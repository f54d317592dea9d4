"""The text of an event that is kept for the alert that it may be the first of."""

from sigma_stellar_aws.logs.flatten import document_text
from sigma_stellar_aws.reference.flat_schema import Document

LONGEST_EVENT = 64 << 10
"""Bytes of an event that is kept as it is; of a longer one, its values are shortened."""

_LONGEST_VALUE = 1000
_MOST_VALUES = 20
_MOST_FIELDS = 500


def event_text(document: Document) -> bytes:
    """Write an event as JSON in one line; what is too long is shortened."""
    text = document_text(document)
    return text if len(text) <= LONGEST_EVENT else shortened(document)


def shortened(document: Document) -> bytes:
    """Write an event with the beginnings of its values, and only the first ones of a list."""
    some = list(document.items())[:_MOST_FIELDS]
    return document_text({name: _beginning(value) for name, value in some})


def _beginning(value: object) -> object:
    if isinstance(value, list):
        return [_beginning(each) for each in value[:_MOST_VALUES]]
    return value[:_LONGEST_VALUE] if isinstance(value, str) else value
