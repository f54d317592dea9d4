"""Networks as conditions on the text of addresses."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.query.networks import in_network


def v6_regexp(pattern: str) -> Clause:
    """The clause of an IPv6 network whose start is no whole number of groups."""
    return {"regexp": {"f": {"value": pattern, "flags": "NONE", "case_insensitive": True}}}


NETWORKS: list[tuple[str, Clause]] = [
    ("192.0.2.7/32", {"term": {"f": {"value": "192.0.2.7"}}}),
    ("192.0.2.0/24", {"prefix": {"f": {"value": "192.0.2."}}}),
    ("198.51.0.0/16", {"prefix": {"f": {"value": "198.51."}}}),
    ("10.0.0.0/8", {"prefix": {"f": {"value": "10."}}}),
    ("198.51.100.16/30", {"terms": {"f": [f"198.51.100.{last}" for last in (16, 17, 18, 19)]}}),
    (
        "172.16.0.0/14",
        {
            "bool": {
                "should": [{"prefix": {"f": {"value": f"172.{second}."}}} for second in (16, 17, 18, 19)],
                "minimum_should_match": 1,
            }
        },
    ),
    ("2001:db8::5/128", {"term": {"f": {"value": "2001:db8::5", "case_insensitive": True}}}),
    ("2001:db8::/32", {"prefix": {"f": {"value": "2001:db8:", "case_insensitive": True}}}),
    ("2001:db8::/31", v6_regexp("2001:db[89]:.*")),
    ("2001:db80::/28", v6_regexp("2001:db8[0-9a-f]:.*")),
    ("fe80::/10", v6_regexp("fe[89ab][0-9a-f]:.*")),
    ("fc00::/7", v6_regexp("f[cd][0-9a-f][0-9a-f]:.*")),
    ("2001:db8:1:2:3:4:5:ab00/120", v6_regexp("2001:db8:1:2:3:4:5:ab[0-9a-f][0-9a-f]")),
]


@pytest.mark.parametrize(("network", "clause"), NETWORKS)
def test_network_becomes_the_simplest_clause(network: str, clause: Clause) -> None:
    """Whole octets and groups become prefixes, single addresses exact values, the rest lists or patterns."""
    assert in_network("f", ip_network(network)) == clause


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("::/0", "holds every IPv6 address; ask for the colons"),
        ("::/8", "zeros"),
        ("2001:db8::/48", "zeros"),
        ("2001:db8::/33", "zeros"),
        ("::ffff:0:0/96", "two texts"),
        ("::ffff:192.0.2.1/128", "two texts"),
    ],
)
def test_network_without_a_common_text_is_refused(network: str, reason: str) -> None:
    """A network that every address is in, or whose addresses are abbreviated in different ways, is refused."""
    with pytest.raises(ValueError, match=reason) as error:
        in_network("f", ip_network(network))
    assert str(ip_network(network)) in str(error.value)


@pytest.mark.parametrize(
    ("value", "is_address"),
    [
        *(("0.0.0.0", True), ("192.0.2.7", True), ("255.255.255.255", True), ("256.0.0.1", False)),
        *(("192.0.2", False), ("192.0.2.07", False), ("2001:db8::1", False), ("AWS Internal", False)),
        ("lambda.amazonaws.com", False),
    ],
)
def test_every_ipv4_address_is_what_is_an_address(value: str, is_address: bool) -> None:
    """CloudTrail writes names of services where it has no address, so that a value alone is not one."""
    assert compile_query(in_network("f", ip_network("0.0.0.0/0")))({"f": value}) is is_address


@given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_ipv4_clause_matches_exactly_the_addresses_of_the_network(
    start: int, length: int, same: int, other: int
) -> None:
    """For any IPv4 network and any address that shares some first bits with it, the clause says what ipaddress says."""
    network = ip_network((start, length), strict=False)
    address = IPv4Address(_sharing_first_bits(start, other, same, 32))
    assert compile_query(in_network("f", network))({"f": str(address)}) == (address in network)


# Groups that are written whole, shortened or not at all.
GROUPS = st.sampled_from([0, 1, 0xA, 0xDB8, 0x2001, 0xF00, 0xFE80, 0xFFFF])


@given(
    st.lists(GROUPS.filter(bool), min_size=8, max_size=8),
    st.integers(1, 128),
    st.integers(0, 128),
    st.lists(GROUPS, min_size=8, max_size=8),
)
def test_ipv6_clause_matches_exactly_the_addresses_of_the_network(
    groups: list[int], length: int, same: int, others: list[int]
) -> None:
    """For any IPv6 network of groups that are not zero, the clause says what ipaddress says of canonical addresses."""
    start, other = (int("".join(f"{group:04x}" for group in some), 16) for some in (groups, others))
    network = IPv6Network((start, length), strict=False)
    address = IPv6Address(_sharing_first_bits(start, other, same, 128))
    try:
        clause = in_network("f", network)
    except ValueError:
        # The bits that were cut off may have been the only ones of the last group of the network.
        assert network.network_address.exploded.split(":")[(length - 1) // 16] == "0000"
        return
    assert compile_query(clause)({"f": str(address)}) == (address in network)


def _sharing_first_bits(number: int, other: int, same: int, bits: int) -> int:
    rest = bits - same
    return number >> rest << rest | other & ((1 << rest) - 1)
