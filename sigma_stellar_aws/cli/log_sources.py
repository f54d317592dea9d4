"""Where commands read logs from: files, folders, standard input, S3."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeAlias

import click

from sigma_stellar_aws.base.errors import S3Error
from sigma_stellar_aws.base.text import not_read, plural
from sigma_stellar_aws.cli.options import LOGS, record
from sigma_stellar_aws.cli.problems import Problems, needs, note
from sigma_stellar_aws.cli.progress import Bar, progress
from sigma_stellar_aws.logs.deliveries import Deliveries
from sigma_stellar_aws.logs.find import is_log, require_log_files, stored_size
from sigma_stellar_aws.logs.portions import Portion, with_standard_input
from sigma_stellar_aws.logs.s3.address import S3Address, s3_address

LogSource: TypeAlias = Path | S3Address


def log_sources(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[LogSource, ...]:
    """Read an argument that names files, folders, ``-`` for standard input, and addresses in S3."""
    return tuple(_source(text, parameter, context) for text in value)


def _source(text: str, parameter: click.Parameter, context: click.Context) -> LogSource:
    if not text.lower().startswith("s3:"):
        return Path(os.fsdecode(LOGS.convert(text, parameter, context)))
    if (address := s3_address(text)) is None:
        raise click.BadParameter(f"{text!r} is not an address in S3; write s3://BUCKET/PREFIX")
    return address


class S3Choice(NamedTuple):
    """How S3 is asked."""

    endpoint_url: str | None
    aws_profile: str | None
    requester_pays: bool


s3_options = record(
    "s3",
    S3Choice,
    click.option("--endpoint-url", metavar="URL", help="For s3://: another store than Amazon's that speaks S3."),
    click.option("--aws-profile", metavar="NAME", help="For s3://: this profile of AWS's configuration files."),
    click.option("--requester-pays", is_flag=True, help="For s3://: pay for the requests where the bucket wants that."),
)


class Selection:
    """Which files are read, and what became of them."""

    def __init__(
        self, deliveries: Deliveries, is_new: Callable[[str, datetime], bool] = lambda name, time: True
    ) -> None:
        """Choose files.

        Args:
            deliveries: others are left out whose path says that they were delivered at another time.
            is_new: tells by the address of an object in S3, and by when it was written, whether it is to be read.
        """
        self.deliveries = deliveries
        self.is_new = is_new
        self.again: list[tuple[str, datetime]] = []
        """Objects to read that need not be listed, with the times at which they were written."""
        self.remembers = False
        """Whether the next two are kept: there may be a great many."""
        self.objects: dict[str, datetime] = {}
        """The objects that were chosen, with the times at which they were written."""
        self.unread: set[str] = set()
        """Those that could not be read."""
        self.all_listed = True
        """Whether every folder could be listed."""


@contextmanager
def open_logs(
    sources: Sequence[LogSource], s3: S3Choice, selection: Selection, problems: Problems
) -> Iterator[tuple[Iterator[Portion], Callable[[int], None]]]:
    """Yield the log files, in portions, and a function to call with each number of their bytes that was read.

    Args:
        sources: files, folders, standard input, and addresses in S3.
        s3: how S3 is asked.
        selection: which files are read.
        problems: reports what cannot be read.
    """
    paths = [source for source in sources if isinstance(source, Path)]
    addresses = [source for source in sources if isinstance(source, S3Address)]
    with with_standard_input(paths) as given, progress() as bar:
        files = require_log_files(given.files, problems.report, note, selection.deliveries) if paths else []
        bar.expect(len(files), sum(map(stored_size, files)))

        def portions() -> Iterator[Portion]:
            yield given._replace(files=files)
            for address in addresses:
                yield from _in_s3(address, s3, selection, problems, bar)

        yield portions(), bar.advance


def _in_s3(address: S3Address, s3: S3Choice, selection: Selection, problems: Problems, bar: Bar) -> Iterator[Portion]:
    # boto3 comes with the extra, and takes a third of a second to load.
    with needs("s3"):
        from sigma_stellar_aws.logs.s3.client import S3Source, connect_s3
        from sigma_stellar_aws.logs.s3.download import Download
        from sigma_stellar_aws.logs.s3.listing import Listing, S3Object
    source = S3Source(connect_s3(s3.endpoint_url, s3.aws_profile), address, problems.report, s3.requester_pays)
    listing = Listing(source, selection.deliveries)
    listed = listed_bytes = 0

    def objects() -> Iterator[S3Object]:
        nonlocal listed, listed_bytes
        start = str(address._replace(prefix=""))
        again = [
            S3Object(name.removeprefix(start), 0, time) for name, time in selection.again if name.startswith(start)
        ]
        for each in chain(again, listing):
            name = f"{start}{each.key}"
            if each in again or selection.is_new(name, each.modified):
                if selection.remembers:
                    selection.objects[name] = each.modified
                listed += 1
                listed_bytes += each.size
                bar.expect(1, each.size)
                yield each

    download = Download(
        source,
        on_unread=lambda each: selection.unread.add(source.name_of(each.key)),
    )
    others: list[object] = []
    for portion in download.portions(objects()):
        copies: list[Path] = []
        files = [file for file in portion.files if listed == 1 or is_log(file, copies.append)]
        others.extend(map(portion.name_of, copies))
        yield portion._replace(files=files)
    selection.all_listed = selection.all_listed and listing.is_complete
    if others or listing.left_out:
        note(not_read([*listing.left_out, *others]))
    if not listing.found_any:
        raise S3Error(f"{address}: nothing is there, or not for this identity")
    note(f"{address}: {plural(download.done, 'object')} of {listed:,} read, {listed_bytes:,} bytes")
