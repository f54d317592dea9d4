"""What an operation of AWS does, in the first sentence of its documentation: read from botocore, if that is installed.

The texts are Amazon's, so this project has no copy of them.
"""

import gzip
import html
import re
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

from sigma_stellar_aws.reference.aws_events import DOMAIN, canonical_event_name

# The head of a model, decompressed, in which its names stand: all heads are read in a tenth of a second.
_HEAD = 4096
_NAMES = re.compile(rb'"(?:endpointPrefix|signingName)":\s*"([^"]+)"')
_TAG = re.compile(r"<[^>]+>")
_NOTE = re.compile(r"<(note|important)>.*?</\1>", re.DOTALL)
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)")
_MODELS_KEPT = 8


class _Operation(msgspec.Struct):
    documentation: str = ""


class _Documented(msgspec.Struct):
    operations: dict[str, _Operation]


def first_sentence(source: str, name: str) -> str | None:
    """Return what an event's operation does; None if botocore is not installed or does not say it.

    Args:
        source: an eventSource.
        name: an eventName, with a version of the API at its end or without.
    """
    for model in _models_by_source().get(source.lower().removesuffix(DOMAIN), ()):
        documented = _documentation(model)
        spelt = canonical_event_name(name, source) or name
        for operation in (spelt, re.sub(r"\d.*", "", spelt)):
            if text := documented.get(operation):
                return _plain(text)
    return None


def read_model_names() -> None:
    """Find out which models are of which source, so that the first question need not wait for it."""
    _models_by_source()


@cache
def _models_by_source() -> dict[str, tuple[Path, ...]]:
    """Return the models of all services, the newest versions first, by what their eventSources begin with."""
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        return {}
    found: dict[str, list[Path]] = {}
    for path in sorted((Path(spec.origin).parent / "data").glob("*/*/service-2.json.gz"), reverse=True):
        with gzip.open(path) as file:
            names = _NAMES.findall(file.read(_HEAD))
        for name in dict.fromkeys(names):
            found.setdefault(name.decode().lower(), []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


@lru_cache(maxsize=_MODELS_KEPT)
def _documentation(model: Path) -> dict[str, str]:
    decoded = msgspec.json.decode(gzip.decompress(model.read_bytes()), type=_Documented)
    return {name: operation.documentation for name, operation in decoded.operations.items()}


def _plain(text: str) -> str | None:
    """Return the first sentence of a text in HTML.

    >>> _plain("<note>Old.</note><p>Deletes &amp; forgets a <code>Thing</code>. More.</p>")
    'Deletes & forgets a Thing.'
    """
    text = _NOTE.sub("", text)
    paragraph = re.search(r"<p>(.*?)</p>", text, re.DOTALL)
    words = " ".join(html.unescape(_TAG.sub("", paragraph[1] if paragraph else text)).split())
    sentence = _SENTENCE.match(words)
    return (sentence[1] if sentence else words) or None
