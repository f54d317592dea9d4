"""Reading the page of alerts as a browser does: by its elements."""

from __future__ import annotations

import base64
import json
import re
import zlib

from sigma_stellar_aws.base.json_types import JsonObject

_PACKED = re.compile(rb'<script (?:id="data"|[^>]*class="part")[^>]*>(.*?)</script', re.DOTALL | re.IGNORECASE)


def data_of(page: bytes) -> tuple[list[JsonObject], JsonObject]:
    """The alerts in a page, and what it says about the search."""
    data, *parts = (json.loads(zlib.decompress(base64.b64decode(packed))) for packed in _PACKED.findall(page))
    details = (each for part in parts for each in part)
    rows = zip(data["alerts"], details, strict=True)
    return [{**data["kinds"][row["kind"]]["shared"], **row["listed"], **rest} for row, rest in rows], data["about"]
