"""Where source addresses are, out of small databases that are made here."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft7Validator
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from opensearchpy import OpenSearch

from sigma_stellar_aws import AddressDatabases, alerts_of_files, load_rules
from sigma_stellar_aws.alerts.source_location import SourceLocation
from sigma_stellar_aws.base.errors import UserError
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.store.client import connect
from tests.support.pages import data_of
from tests.support.records import record

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/alert.schema.json").read_text(encoding="utf-8"))
BERLIN = {
    "country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
    "city": {"names": {"de": "Berlin", "en": "Berlin"}},
    "location": {"latitude": 52.5, "longitude": 13.4},
}
FRANCE = {"country": {"iso_code": "FR", "names": {"en": "France"}}}
EXAMPLE = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example <b>Net</b>"}
ADDRESSES = ("198.51.100.7", "2001:db8::7", "cloudtrail.amazonaws.com", "10.0.0.1", "203.0.113.9")


class Databases(NamedTuple):
    """Files of databases."""

    city: Path
    asn: Path
    asn_of_ipv4: Path
    damaged: Path


def made(file: Path, version: int, networks: dict[str, Any], kind: str) -> Path:
    """Write a database."""
    writer = MMDBWriter(version, kind, ipv4_compatible=version == 6)
    for network, data in networks.items():
        writer.insert_network(IPSet([network]), data)
    writer.to_db_file(str(file))
    return file


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """A database of cities, two of networks, and one whose search tree leads nowhere."""
    folder = tmp_path_factory.mktemp("databases")
    city = made(folder / "city.mmdb", 6, {"198.51.100.0/24": BERLIN, "2001:db8::/32": FRANCE}, "GeoLite2-City")
    asn = made(folder / "asn.mmdb", 6, {"198.51.0.0/16": EXAMPLE, "2001:db8::/48": EXAMPLE}, "GeoLite2-ASN")
    of_ipv4 = made(folder / "ipv4.mmdb", 4, {"198.51.100.0/25": EXAMPLE}, "GeoLite2-ASN")
    data = bytearray(city.read_bytes())
    data[:600] = b"\xff" * 600
    (folder / "damaged.mmdb").write_bytes(data)
    return Databases(city, asn, of_ipv4, folder / "damaged.mmdb")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An event that matches from each of the addresses, in one alert, and one from a service alone."""
    event = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}
    records = [record({**event, "sourceIPAddress": address}, number=n) for n, address in enumerate(ADDRESSES)]
    file = tmp_path / "log.json"
    file.write_text(json.dumps({"Records": records}), encoding="utf-8")
    return file


def run(log: Path | str, *arguments: str | Path, columns: int = 160) -> Result:
    """Run the command alerts, so that all addresses are in one alert."""
    options = ["--suppress-by", "userIdentity.arn", *map(str, arguments)]
    return CliRunner().invoke(main, ["alerts", str(log), *options], env={"COLUMNS": str(columns)})


def geoip(*files: Path) -> list[str]:
    """The options that name databases."""
    return [word for file in files for word in ("--geoip", str(file))]


def test_what_is_known_of_an_address(databases: Databases) -> None:
    """Place and network come from different databases; IPv6 has both, and IPv4 written as IPv6 is IPv4."""
    with AddressDatabases([databases.city, databases.asn]) as known:
        berlin = ("DE", "Germany", "Berlin", "198.51.0.0/16", 64500, "Example <b>Net</b>")
        for address in ("198.51.100.7", "::ffff:198.51.100.7"):
            assert known.location_of(address) == SourceLocation(address, *berlin)
        france = ("FR", "France", "", "2001:db8::/48", 64500, "Example <b>Net</b>")
        assert known.location_of("2001:db8::7") == SourceLocation("2001:db8::7", *france)
        partly = known.location_of("198.51.7.7")
        assert partly == SourceLocation("198.51.7.7", "", "", "", "198.51.0.0/16", 64500, "Example <b>Net</b>")
        for nothing in ("cloudtrail.amazonaws.com", "AWS Internal", "", "10.0.0.1", "fe80::1%eth0", "203.0.113.9"):
            assert known.location_of(nothing) is None
        assert known.take_problems() == []


def test_alerts_are_located_in_python(log: Path, databases: Databases) -> None:
    """As the docstring shows it; files are named by texts or paths."""
    search = alerts_of_files([log], load_rules())
    with AddressDatabases([str(databases.city), databases.asn]) as known:
        places = {place.place() for alert in known.located(search.alerts) for place in alert.source_locations}
    assert places == {"DE Berlin", "FR"}


def test_an_earlier_database_counts(databases: Databases, tmp_path: Path) -> None:
    """What the first knows is not replaced; the second adds what it does not know. IPv6 is not asked of IPv4's."""
    other = {"country": {"iso_code": "XX"}, "city": "no object", "autonomous_system_number": "text"}
    odd = made(tmp_path / "odd.mmdb", 6, {"198.51.100.0/24": other, "203.0.113.0/24": "text"}, "Odd")
    with AddressDatabases([odd, databases.city, databases.asn_of_ipv4]) as known:
        found = known.location_of("198.51.100.7")
        assert found is not None
        assert (found.country, found.country_name, found.city) == ("XX", "Germany", "Berlin")
        assert (found.network, found.asn) == ("198.51.100.0/25", 64500)
        assert known.location_of("203.0.113.9") is None
        assert known.location_of("2001:db8::7") == SourceLocation("2001:db8::7", "FR", "France")
        assert known.take_problems() == []


def test_damage(databases: Databases, tmp_path: Path) -> None:
    """A file that is not such a database is refused at once; damage that shows later is told once."""
    (tmp_path / "words.mmdb").write_text("words", encoding="utf-8")
    for file in (tmp_path / "words.mmdb", tmp_path / "gone.mmdb"):
        with pytest.raises(UserError, match=rf"{file.name} is not a database in MaxMind's format"):
            AddressDatabases([databases.city, file])
    with AddressDatabases([databases.damaged, databases.asn]) as known:
        for address in ("198.51.100.7", "198.51.100.8"):
            found = known.location_of(address)
            assert found is not None
            assert (found.country, found.asn) == ("", 64500)
        [problem] = known.take_problems()
        assert problem.startswith(f"{databases.damaged} is damaged")
        assert known.take_problems() == []


def test_every_form_says_so(log: Path, databases: Databases, tmp_path: Path) -> None:
    """JSON, CSV, OCSF, the table and the page say where the addresses are that are known, and only of those."""
    both = geoip(databases.city, databases.asn)
    [alert] = map(json.loads, run(log, "--json", *both).stdout.splitlines())
    Draft7Validator(SCHEMA).validate(alert)
    assert alert["source_addresses"] == [*ADDRESSES]
    assert [(each["address"], each["country"], each["city"], each["asn"]) for each in alert["source_locations"]] == [
        ("198.51.100.7", "DE", "Berlin", 64500),
        ("2001:db8::7", "FR", "", 64500),
    ]
    columns = "source_countries,source_cities,source_networks"
    [row] = csv.DictReader(io.StringIO(run(log, "--csv", "--fields", columns, *both).stdout))
    assert row == {
        "source_countries": "DE, FR",
        "source_cities": "Berlin",
        "source_networks": "AS64500 Example <b>Net</b>",
    }
    finding: Any = json.loads(run(log, "--output", "ocsf", *both).stdout)
    assert finding["evidences"][0]["src_endpoint"] == {
        "ip": "198.51.100.7",
        "location": {"country": "DE", "city": "Berlin"},
        "autonomous_system": {"number": 64500, "name": "Example <b>Net</b>"},
    }
    wide = run(log, *both).stdout
    assert "198.51.100.7" in wide
    assert "DE Berlin" in wide
    assert "AS64500" in run(log, *geoip(databases.asn)).stdout
    narrow = run(log, *both, columns=100).stdout
    assert "198.51.100.7 (DE Berlin), 2001:db8::7 (FR)," in " ".join(narrow.split())
    assert "cloudtrail.amazonaws.com (" not in narrow
    page = tmp_path / "page.html"
    assert run(log, "--html", page, *both).exit_code == 0
    assert data_of(page.read_bytes())[0] == [alert]


def test_without_databases(log: Path) -> None:
    """Nothing is said of places, and no form has other fields."""
    [alert] = map(json.loads, run(log, "--json").stdout.splitlines())
    assert "source_locations" not in alert
    [row] = csv.DictReader(io.StringIO(run(log, "--csv").stdout))
    assert (row["source_countries"], row["source_networks"]) == ("", "")


def test_what_is_wrong_is_told(log: Path, databases: Databases, tmp_path: Path) -> None:
    """A file that is not there is misuse, one that is not a database an error, and damage leaves the alerts alone."""
    assert run(log, "--geoip", tmp_path / "gone.mmdb").exit_code == 2
    refused = run(log, "--geoip", log)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is not a database in MaxMind's format (.mmdb)" in refused.stderr
    damaged = run(log, "--json", *geoip(databases.damaged))
    assert damaged.exit_code == 3
    assert "source_locations" not in json.loads(damaged.stdout)
    assert damaged.stderr.count("is damaged, so some source addresses have no place") == 1
    program = "import sys; sys.modules['maxminddb'] = None; from sigma_stellar_aws.cli import main; main()"
    command = [sys.executable, "-c", program, "alerts", str(log), *geoip(databases.city)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "install it with: pip install 'sigma-stellar-aws[geoip]'" in ended.stderr


def test_databases_of_the_file_of_options(
    log: Path, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of options names databases as a list."""
    monkeypatch.chdir(tmp_path)
    options = f'[alerts]\ngeoip = ["{databases.city.as_posix()}", "{databases.asn.as_posix()}"]\n'
    (tmp_path / "sigma-stellar-aws.toml").write_text(options, encoding="utf-8")
    found = run(log, "--json")
    assert json.loads(found.stdout)["source_locations"][0]["asn"] == 64500
    assert "note: options of sigma-stellar-aws.toml: geoip\n" in found.stderr


@pytest.fixture
def client(engine_url: str) -> OpenSearch:
    """A data store without the index of this module."""
    connected = connect(engine_url, None, {})
    connected.indices.delete(index="geoip-alerts", params={"ignore_unavailable": "true"})
    return connected


def test_the_index_of_alerts(log: Path, databases: Databases, engine_url: str, client: OpenSearch) -> None:
    """What is kept can be searched by country and by number; a run without databases does not take it away."""
    write = ["--url", engine_url, "--write", "geoip-alerts"]
    assert run(log, *write, *geoip(databases.city, databases.asn)).exit_code == 0
    event = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms", "sourceIPAddress": "10.0.0.2"}
    records = json.loads(log.read_text(encoding="utf-8"))["Records"]
    log.write_text(json.dumps({"Records": [*records, record(event, number=9)]}), encoding="utf-8")
    assert ", 1 updated" in run(log, *write).stderr
    wanted = [{"term": {"source_locations.country": "DE"}}, {"range": {"source_locations.asn": {"gte": 64500}}}]
    found = client.search(index="geoip-alerts", body={"query": {"bool": {"filter": wanted}}})["hits"]["hits"]
    assert [each["_source"]["event_count"] for each in found] == [len(ADDRESSES) + 1]
    assert "10.0.0.2" in found[0]["_source"]["source_addresses"]
    client.indices.delete(index="geoip-alerts")
