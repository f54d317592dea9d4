"""Networks as conditions on the text of addresses, for fields that are no ``ip`` fields."""

from ipaddress import IPv4Network, IPv6Network

from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"


def in_network(field: str, network: IPv4Network | IPv6Network, *, as_regexp: bool = False) -> Clause:
    """Match addresses of the network in their canonical text (dotted IPv4; IPv6 as RFC 5952 writes it).

    >>> in_network("sourceIPAddress", IPv4Network("10.0.0.0/8"))
    {'prefix': {'sourceIPAddress': {'value': '10.'}}}

    Args:
        field: the field with the address.
        network: the network.
        as_regexp: ask for an IPv4 network by one regular expression, not by its up to 128 beginnings or addresses.

    Raises:
        ValueError: the canonical texts of the network have no common form; the message is a reason for people.
    """
    if network.prefixlen == 0:
        # The field may hold names of hosts and services too.
        if network.version == 6:
            raise ValueError(f"{network} holds every IPv6 address; ask for the colons of one: |re: '.*:.*:'")
        return dsl.regexp(field, rf"({_OCTET}\.){{3}}{_OCTET}")
    if isinstance(network, IPv4Network):
        return _ipv4_regexp(field, network) if as_regexp else _in_ipv4_network(field, network)
    return _in_ipv6_network(field, network)


def _in_ipv4_network(field: str, network: IPv4Network) -> Clause:
    octets = -(-network.prefixlen // 8)
    subnets = [str(subnet.network_address) for subnet in network.subnets(new_prefix=octets * 8)]
    if octets == 4:
        return dsl.any_of(dsl.term(field, address) for address in subnets)
    return dsl.any_of(dsl.prefix(field, "".join(f"{o}." for o in address.split(".")[:octets])) for address in subnets)


def _ipv4_regexp(field: str, network: IPv4Network) -> Clause:
    whole, bits = divmod(network.prefixlen, 8)
    octets = [str(octet) for octet in network.network_address.packed]
    parts = octets[:whole]
    if bits:
        first = int(octets[whole])
        parts.append(f"({'|'.join(str(octet) for octet in range(first, first + 2 ** (8 - bits)))})")
    return dsl.regexp(field, "\\.".join(parts) + ("\\..*" if len(parts) < 4 else ""))


def _in_ipv6_network(field: str, network: IPv6Network) -> Clause:
    if network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{network} holds IPv4 addresses in IPv6 form, which has two texts; name the IPv4 network")
    if network.prefixlen == 128:
        return dsl.term(field, str(network.network_address), case_insensitive=True)
    whole, bits = divmod(network.prefixlen, 16)
    digits = f"{int(network.network_address):032x}"
    groups = [digits[i : i + 4] for i in range(0, 32, 4)]
    fixed, partial = [group.lstrip("0") for group in groups[:whole]], groups[whole]
    # A group that is zero may vanish in "::".
    if not all(fixed) or (bits and partial == "0000"):
        raise ValueError(f"{network} has groups of zeros at its start, which IPv6 texts abbreviate in several ways")
    start = "".join(f"{group}:" for group in fixed)
    if not bits:
        return dsl.prefix(field, start, case_insensitive=True)
    known, part = divmod(bits, 4)
    pattern = partial[:known].lstrip("0")
    if part:
        first = int(partial[known], 16)
        pattern += f"[{''.join(f'{digit:x}' for digit in range(first, first + (1 << (4 - part))))}]"
    pattern += "[0-9a-f]" * (4 - known - bool(part))
    after = ":.*" if whole < 7 else ""
    return dsl.regexp(field, f"{start}{pattern}{after}", case_insensitive=True)
