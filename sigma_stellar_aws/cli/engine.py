"""The command engine."""

import signal
import threading

import click

from sigma_stellar_aws.cli.problems import as_click_errors, note
from sigma_stellar_aws.store.embedded import embedded_opensearch
from sigma_stellar_aws.store.embedded.jars import java


@click.command()
@click.option("--heap", default="1g", show_default=True, help="Most memory for the node's heap.")
def engine(heap: str) -> None:
    """Start an OpenSearch of its own, print its URL and wait; it ends with this command, its data too."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with as_click_errors():
        java()
    note("starting OpenSearch (the first time, about 60 MB are fetched) ...")
    with as_click_errors(), embedded_opensearch(heap=heap) as url:
        click.echo(url)
        note("running; stop it with Ctrl-C")
        while not stop.wait(3600):
            pass
