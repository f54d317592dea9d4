"""How deep a flattened field may be: Kibana keeps the parameters of a rule in one."""

import json
import urllib.error
import urllib.request

from sigma_stellar_aws.base.json_types import Json


def stored(url: str, levels: int) -> bool:
    """Whether an engine takes a document with so many names inside each other in a flattened field."""
    value: Json = "x"
    for _ in range(levels):
        value = {"n": value}
    return _status("PUT", f"{url}/deep/_doc/1", {"alert": {"params": value}}) < 300


def _status(method: str, url: str, body: Json) -> int:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_depth_of_a_flattened_field(elasticsearch_url: str) -> None:
    """The limit that the format of rules goes by is that of the engine."""
    properties: Json = {"alert": {"properties": {"params": {"type": "flattened"}}}}
    assert _status("PUT", f"{elasticsearch_url}/deep", {"mappings": {"properties": properties}}) == 200
    found = [levels for levels in range(15, 30) if stored(elasticsearch_url, levels)]
    assert max(found) == 20
