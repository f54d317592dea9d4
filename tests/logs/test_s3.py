"""Reading of log files from S3."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from sigma_stellar_aws.base.errors import S3Error
from sigma_stellar_aws.logs.deliveries import EVER, deliveries_of
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.s3.address import S3Address, is_region, s3_address
from sigma_stellar_aws.logs.s3.client import S3Client, S3Source, connect_s3
from sigma_stellar_aws.logs.s3.download import Download
from sigma_stellar_aws.logs.s3.listing import Listing
from tests.support.s3_server import BUCKET, ENVIRONMENT, S3Server, s3_server

ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("eu-west-1", "us-gov-east-1")
DAYS = ("04", "05", "06", "07", "08")
SERVICES = ("CloudTrail", "CloudTrail-Insight", "CloudTrail-NetworkActivity")
ROOT = S3Address(BUCKET, "")


def key(service: str = "CloudTrail", region: str = "eu-west-1", day: str = "05", account: str = ACCOUNTS[0]) -> str:
    """The key of a log file as CloudTrail delivers it at noon of a day in January 2026."""
    folder = f"AWSLogs/o-exampleorg1/{account}/{service}/{region}/2026/01/{day}"
    return f"{folder}/{account}_{service}_{region}_202601{day}T1200Z_0123456789abcdef.json.gz"


ALL = sorted(
    key(service, region, day, account)
    for service in SERVICES
    for region in REGIONS
    for day in DAYS
    for account in ACCOUNTS
)


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    """A server that all tests share."""
    with s3_server() as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, empty, and credentials for it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    running.clear()
    return running


@pytest.fixture
def client(server: S3Server) -> S3Client:
    """A client of the server."""
    return connect_s3(server.url)


def refuse(problem: Problem) -> None:
    """Where nothing may be told."""
    pytest.fail(str(problem))


def day(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def keys(client: S3Client, address: S3Address, since: str | None = None, until: str | None = None) -> list[str]:
    """What is listed, in order."""
    wanted = deliveries_of(day(since) if since else None, day(until) if until else None)
    return sorted(each.key for each in Listing(S3Source(client, address, refuse), wanted))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://example", S3Address("example", "")),
        ("S3://example/", S3Address("example", "")),
        ("s3://example/a b/c", S3Address("example", "a b/c")),
        ("s3:///a", None),
        ("s3:/example", None),
        ("example/a", None),
    ],
)
def test_addresses(text: str, address: S3Address | None) -> None:
    """Addresses are those of the AWS command line."""
    assert s3_address(text) == address


def test_every_trail_is_listed_but_nothing_else(server: S3Server, client: S3Client) -> None:
    """All accounts, regions and kinds of events are found, below any prefix; digests and other services are not."""
    others = (
        key("CloudTrail-Digest"),
        key("vpcflowlogs"),
        "AWSLogs/o-exampleorg1/111122223333/CloudTrail/",
        "AWSLogs/111122223333/Config/eu-west-1/2026/1/5/x.json.gz",
    )
    logs = [*ALL, "other/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/a.json.gz", "firehose/2026/01/05/12/a-1"]
    server.put(*logs, *others, "picture.png")
    listing = Listing(S3Source(client, ROOT, refuse), EVER)
    assert sorted(each.key for each in listing) == sorted(logs)
    assert listing.left_out == ["picture.png"]
    for prefix in ("AWSLogs/o-ex", "AWSLogs/o-exampleorg1/111122223333/CloudTrail/", key()[:-30], key()):
        below = [each for each in ALL if each.startswith(prefix)]
        assert keys(client, S3Address(BUCKET, prefix)) == below != []
    region = key().partition("eu-west-1/")[0] + "eu-west-1"
    assert keys(client, S3Address(BUCKET, region)) == keys(client, S3Address(BUCKET, region + "/")) != []
    assert is_region(region + "/")


@pytest.mark.parametrize(
    ("since", "until", "days", "first_listed"),
    [
        # A file may have the events of the minutes, and rarely of the hours, before it was delivered.
        ("2026-01-06T11:00", None, ["06", "07", "08"], "2026/01/06/"),
        ("2026-01-06T14:00", None, ["07", "08"], "2026/01/06/"),
        ("2026-01-05T00:30", "2026-01-05T11:00", ["05"], "2026/01/04/"),
        (None, "2026-01-05T12:00", ["04", "05", "06"], ""),
        ("2027-01-01T02:00", None, [], "2027/01/01/"),
        (None, "2025-12-01T00:00", [], ""),
    ],
)
def test_only_the_days_asked_for_are_listed(
    server: S3Server, client: S3Client, since: str | None, until: str | None, days: list[str], first_listed: str
) -> None:
    """Files from which events of the time can come are found, and earlier days are not even listed."""
    server.put(*(key(day=each) for each in DAYS))
    server.asked.clear()
    assert keys(client, ROOT, since, until) == [key(day=each) for each in days]
    folder = key().partition("2026")[0]
    assert ("list", f"{folder} {folder}{first_listed}" if first_listed else folder) in server.asked


def copies(client: S3Client, objects: Sequence[str], report: list[Problem]) -> dict[str, bytes]:
    """The content of what is read, by its name."""
    listed = [each for each in Listing(S3Source(client, ROOT, refuse), EVER) if each.key in objects]
    download = Download(S3Source(client, ROOT, report.append), wait_seconds=0.001)
    return {
        portion.name_of(file): file.read_bytes()
        for portion in download.portions(sorted(listed))
        for file in portion.files
    }


def test_portions(server: S3Server, client: S3Client) -> None:
    """Objects are read in portions, whose copies are gone with them, also where reading ends early."""
    bodies = {f"{number}/a b.json": b"x" * 1000 * number for number in range(9)}
    for name, body in bodies.items():
        server.put(name, body=body)
    assert copies(client, list(bodies), []) == {f"s3://{BUCKET}/{name}": body for name, body in bodies.items()}
    # As long as keys may be, of which a file system would not take the name.
    long = "\N{NERD FACE}" * 200 + ".json"
    server.put(long, body=b"x")
    assert copies(client, [long], []) == {f"s3://{BUCKET}/{long}": b"x"}
    listing = Listing(S3Source(client, ROOT, refuse), EVER)
    folders: list[Path] = []
    for portion in Download(S3Source(client, ROOT, refuse), first_portion=1000).portions(sorted(listing)):
        assert all(not folder.exists() for folder in folders)
        folders.append(portion.files[0].parent)
        assert all(file.suffix == ".json" and file.exists() for file in portion.files)
        if len(folders) == 3:
            break
    portion = next(Download(S3Source(client, ROOT, refuse), first_portion=1000).portions(sorted(listing)))
    assert not portion.files[0].exists()


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (["cut", "cut", ""], None),
        (["503 SlowDown wait", ""], None),
        (["500 InternalError sorry", ""], None),
        (["cut"], "IncompleteReadError|read, but total bytes expected|Connection broken"),
        (["403 AccessDenied no"], r"s3:GetObject.*kms:Decrypt.*--requester-pays"),
        (["403 AccessDenied User is not authorized to perform: kms:Decrypt"], r"\(kms:Decrypt\)"),
        (["400 KMS.DisabledException arn:aws:kms:example is disabled."], "encrypts it"),
        (["404 NoSuchKey gone"], "gone since it was listed"),
        (["403 InvalidObjectState archived"], "restore it first"),
        (["418 Teapot short and stout"], "Teapot: short and stout"),
    ],
)
def test_what_cannot_be_read_is_told_and_all_else_is_read(
    server: S3Server, client: S3Client, faults: list[str], told: str | None
) -> None:
    """What a busy store or network fails at is tried again; what stays unread is told by its name, with a remedy."""
    server.put("a.json", "b.json", "c.json", body=b"{}" * 50_000)
    server.faults["b.json"] = faults
    problems: list[Problem] = []
    read = copies(client, ["a.json", "b.json", "c.json"], problems)
    expected = "ac" if told else "abc"
    assert read == {f"s3://{BUCKET}/{name}.json": b"{}" * 50_000 for name in expected}
    assert [problem.file for problem in problems] == [f"s3://{BUCKET}/b.json"] * bool(told)
    if told:
        problem = problems[0].reason
        assert problem.startswith("cannot be read: ")
        assert re.search(told, problem), problem


def test_many_that_cannot_be_read_are_told_together(server: S3Server, client: S3Client) -> None:
    """The first of a kind are told, and how many others; where nothing can be read, nothing more is tried."""
    names = [f"{number:03}.json" for number in range(120)]
    server.put(*names)
    server.faults.update((name, ["403 AccessDenied no"]) for name in names)
    problems: list[Problem] = []
    with pytest.raises(S3Error, match=r"the first 100 objects, such as 099\.json, cannot be read: "):
        copies(client, names, problems)
    server.faults.pop(names[0])
    problems.clear()
    assert len(copies(client, names, problems)) == 1
    assert len(problems) == 4
    assert "116 more objects" in problems[-1].reason


def test_a_folder_that_cannot_be_listed_is_told(server: S3Server, client: S3Client) -> None:
    """Other folders are read all the same; a bucket of which nothing can be listed is an error."""
    server.put(*(key(account=account) for account in ACCOUNTS))
    folder = "AWSLogs/o-exampleorg1/111122223333/"
    server.faults[folder] = ["403 AccessDenied no"]
    problems: list[Problem] = []
    assert [each.key for each in Listing(S3Source(client, ROOT, problems.append), EVER)] == [key(account=ACCOUNTS[1])]
    assert [problem.file for problem in problems] == [f"s3://{BUCKET}/{folder}"]
    assert "s3:ListBucket" in problems[0].reason
    with pytest.raises(S3Error, match="s3:ListBucket"):
        list(Listing(S3Source(client, S3Address(BUCKET, folder), refuse), EVER))
    with pytest.raises(S3Error, match="there is no such bucket"):
        list(Listing(S3Source(client, S3Address("example-none", ""), refuse), EVER))


def test_who_asks_may_pay(server: S3Server, client: S3Client) -> None:
    """With our word that we pay, it is said in every request."""
    server.put("a.json")
    server.asked.clear()
    listing = Listing(S3Source(client, ROOT, refuse, requester_pays=True), EVER)
    [portion] = Download(S3Source(client, ROOT, refuse, requester_pays=True)).portions(listing)
    assert len(portion.files) == 1
    assert server.payers == {"requester"}
    assert [kind for kind, _ in server.asked] == ["list", "get"]


def test_who_has_no_credentials_is_told_what_to_do(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, or with a profile that is not there, the error names the commands that help."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(S3Error, match="aws configure or aws sso login"):
        list(Listing(S3Source(connect_s3(server.url), ROOT, refuse), EVER))
    with pytest.raises(S3Error, match="list-profiles"):
        connect_s3(server.url, "none")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    with pytest.raises(S3Error, match="--endpoint-url right"):
        list(Listing(S3Source(connect_s3("http://127.0.0.1:9"), ROOT, refuse), EVER))
