"""Where source addresses are, out of databases in MaxMind's format (GeoLite2, GeoIP2, DB-IP and others).

Fields are named as in https://dev.maxmind.com/geoip/docs/databases/city-and-country and
https://dev.maxmind.com/geoip/docs/databases/asn.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import maxminddb

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.source_location import SourceLocation
from sigma_stellar_aws.base.errors import UserError

_LARGEST_CACHE = 10_000


class AddressDatabases:
    """Say where the source addresses of alerts are, from databases that stay open until they are closed.

    Needs the extra ``geoip``. For each of country, city and network, the first database that knows it counts::

        search = alerts_of_files(["logs"], load_rules())
        with AddressDatabases(["GeoLite2-City.mmdb", "GeoLite2-ASN.mmdb"]) as databases:
            for alert in databases.located(search.alerts):
                print(alert.rule.title, *(location.place() for location in alert.source_locations))
            print(*databases.take_problems(), sep="\\n")
    """

    def __init__(self, files: Sequence[str | Path]) -> None:
        """Open them.

        Args:
            files: databases in MaxMind's format (.mmdb).

        Raises:
            UserError: a file cannot be read, or is not such a database.
        """
        self._damage: dict[Path, str] = {}
        self._closing = ExitStack()
        self._readers: dict[Path, maxminddb.Reader] = {}
        self.location_of = lru_cache(_LARGEST_CACHE)(self._location_of)
        try:
            for file in map(Path, files):
                self._readers[file] = self._closing.enter_context(maxminddb.open_database(file))
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            self.close()
            raise UserError(f"{file} is not a database in MaxMind's format (.mmdb), or is damaged: {error}") from error

    def close(self) -> None:
        """Close them."""
        self._closing.close()

    def take_problems(self) -> list[str]:
        """Return what could not be looked up since the last call, the first of each database."""
        problems = [*self._damage.values()]
        self._damage.clear()
        return problems

    def __enter__(self) -> "AddressDatabases":
        """Return these."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        self.close()

    def located(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        """Yield alerts with ``source_locations``: those of their source addresses that a database knows."""
        for alert in alerts:
            found = (self.location_of(address) for address in alert.source_addresses)
            yield alert._replace(source_locations=tuple(filter(None, found)))

    def _location_of(self, address: str) -> SourceLocation | None:
        """Return what is known about an address; nothing if the text is no address, such as the name of a service."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return None
        if isinstance(ip, ipaddress.IPv6Address):
            # Link-local ones may name an interface.
            ip = ip.ipv4_mapped or ipaddress.IPv6Address(int(ip))
        location = SourceLocation(address)
        for file, reader in self._readers.items():
            if ip.version == 6 and reader.metadata().ip_version == 4:
                continue
            location = self._with_answer(location, ip, file, reader)
        return location if location != SourceLocation(address) else None

    def _with_answer(
        self,
        location: SourceLocation,
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
        file: Path,
        reader: maxminddb.Reader,
    ) -> SourceLocation:
        try:
            answer, length = reader.get_with_prefix_len(ip)
        except (ValueError, maxminddb.InvalidDatabaseError) as error:
            self._damage.setdefault(file, f"{file} is damaged, so some source addresses have no place: {error}")
            return location
        if not isinstance(answer, dict):
            return location
        number = answer.get("autonomous_system_number")
        asn = number if isinstance(number, int) and not isinstance(number, bool) else None
        network = str(ipaddress.ip_network((ip, length), strict=False)) if asn is not None else ""
        return SourceLocation(
            location.address,
            location.country or _text(answer, "country", "iso_code"),
            location.country_name or _text(answer, "country", "names", "en"),
            location.city or _text(answer, "city", "names", "en"),
            location.network or network,
            asn if location.asn is None else location.asn,
            location.organization or _text(answer, "autonomous_system_organization"),
        )


def _text(answer: object, *keys: str) -> str:
    """Return a text inside of objects; nothing where it is not there."""
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer if isinstance(answer, str) else ""
