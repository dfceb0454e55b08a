"""Which network an address belongs to, and connections that are made to permitted addresses only."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.net import AddressKind, AddressRefusedError, address_kind, connect, is_loopback


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.215.14", AddressKind.PUBLIC),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", AddressKind.PUBLIC),
        ("127.0.0.1", AddressKind.LOOPBACK),
        ("127.255.255.254", AddressKind.LOOPBACK),
        ("::1", AddressKind.LOOPBACK),
        ("0.0.0.0", AddressKind.LOOPBACK),
        ("0.1.2.3", AddressKind.LOOPBACK),
        ("::", AddressKind.LOOPBACK),
        ("10.1.2.3", AddressKind.PRIVATE),
        ("172.31.0.1", AddressKind.PRIVATE),
        ("192.168.0.1", AddressKind.PRIVATE),
        ("100.100.100.200", AddressKind.PRIVATE),
        ("192.0.0.192", AddressKind.PRIVATE),
        ("fd00:ec2::254", AddressKind.PRIVATE),
        ("169.254.169.254", AddressKind.LINK_LOCAL),
        ("168.63.129.16", AddressKind.LINK_LOCAL),
        ("fe80::1%eth0", AddressKind.LINK_LOCAL),
        ("224.0.0.1", AddressKind.UNUSABLE),
        ("ff02::1", AddressKind.UNUSABLE),
        ("255.255.255.255", AddressKind.UNUSABLE),
        ("nonsense", AddressKind.UNUSABLE),
    ],
)
def test_the_kind_of_an_address(address, kind):
    """Loopback, link-local, private and public addresses are told apart, those of metadata services included."""
    assert address_kind(address) is kind


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_of_the_same_kind(address):
    """An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4) is judged by what it carries."""
    number = int(address)
    carried = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | number))]
    carried.append(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))
    assert {address_kind(one) for one in carried} == {address_kind(str(address))}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.9", True),
        ("[::1]", True),
        ("::1", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_by_name(host, expected):
    """Whether a host is this machine is told by its name alone."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
def test_no_way_of_writing_an_address_gets_around_the_rule(host):
    """What is judged is the address that would be connected to, however the host is written."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        port = listening.getsockname()[1]
        with pytest.raises(AddressRefusedError):
            connect(host, port, timeout=2, permits=lambda one: address_kind(one) is AddressKind.PUBLIC)
        with pytest.raises(TimeoutError):
            listening.accept()
        connect(host, port, timeout=2, permits=lambda one: address_kind(one) is AddressKind.LOOPBACK).close()
        listening.accept()[0].close()
