"""Find the JSON that a wrapper holds as such, as a string, or packed in base64 and gzip."""

import base64

import msgspec
from zlib_ng import zlib_ng

from sigma_stellar_aws.logs.json_repair import BROKEN, mend
from sigma_stellar_aws.logs.json_window import LONGEST_RECORD
from sigma_stellar_aws.logs.record_head import Raw

_decode_text = msgspec.json.Decoder(str).decode


def content_of(raw: Raw) -> Raw | None:
    """Return the JSON of an object or a list that is there as such, as a string, or packed; None for anything else."""
    if bytes(memoryview(raw)[:1]) in (b"{", b"["):
        return raw
    try:
        text = _decode_text(raw).strip().encode()
    except BROKEN:
        mended = mend(raw)
        if mended is None or not mended.startswith(b'"'):
            return None
        text = _decode_text(mended).strip().encode()
    if text.startswith(b'"'):
        # A text that was made a text once more.
        return content_of(text)
    if not text.startswith((b"{", b"[")):
        text = _unpacked(text).strip()
    return text if text.startswith((b"{", b"[")) else None


def _unpacked(text: bytes) -> bytes:
    """Decode base64, and decompress the result if it is compressed; return nothing where that is not possible."""
    try:
        data = base64.b64decode(text, validate=True)
        if not data.startswith(b"\x1f\x8b"):
            return data
        member = zlib_ng.decompressobj(wbits=31)
        unpacked = member.decompress(data, LONGEST_RECORD)
    except (ValueError, zlib_ng.error):  # type: ignore[misc]  # its stub has no base class
        return b""
    return unpacked if member.eof else b""
