"""Zone files that `certcore dns serve --zone` serves."""

import logging
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certcore.cli.zone_file import ZoneFile
from certcore.errors import InvalidInputError

ZONE = """\
$ORIGIN shop.test.
$TTL 600
@     IN SOA ns1.shop.test. hostmaster.shop.test. 7 3600 600 86400 20
@     IN NS  ns1
@     IN NS  ns.elsewhere.test.
ns1   IN A   192.0.2.1
ns1   IN AAAA 2001:db8::1
WWW   60 IN CNAME ns1
a.b   IN TXT "one " "value"
a.b   IN TXT "another \\"one\\""
"""
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@pytest.fixture
def path(tmp_path):
    """A zone file."""
    path = tmp_path / "shop.test.zone"
    path.write_text(ZONE)
    return path


def _write(path, text, number):
    """Write with a modification time of its own, however coarse the file system's clock is."""
    path.write_text(text)
    os.utime(path, ns=(number * 10**9, number * 10**9))


def test_what_the_file_says_is_served(path):
    """Apex, name servers, times and records come from the file; relative names are completed."""
    source = ZoneFile("Shop.test.", path)
    (zone,) = source.zones()
    assert zone.apex == "shop.test"
    assert sorted(zone.nameservers) == ["ns.elsewhere.test", "ns1.shop.test"]
    assert (zone.ttl, zone.negative_ttl) == (60, 20)
    assert source.records(zone, "ns1.shop.test") == {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}
    assert source.records(zone, "www.shop.test") == {"CNAME": ["ns1.shop.test."]}
    assert sorted(source.records(zone, "a.b.shop.test")["TXT"]) == ['another "one"', "one value"]
    assert source.records(zone, "shop.test") == {}
    assert source.records(zone, "none.shop.test") == {}
    assert source.has_names_below(zone, "b.shop.test")
    assert not source.has_names_below(zone, "a.b.shop.test")


def test_a_zone_of_two_lines_is_enough(tmp_path):
    """SOA and NS may be missing: the server has its own."""
    path = tmp_path / "zone"
    path.write_text("$TTL 30\nwww IN A 192.0.2.7\n")
    source = ZoneFile("tiny.test", path)
    (zone,) = source.zones()
    assert zone.nameservers == ("ns1.tiny.test",)
    assert source.records(zone, "www.tiny.test") == {"A": ["192.0.2.7"]}


def test_a_changed_file_is_read_again(path):
    """An edit is served without a restart."""
    source = ZoneFile("shop.test", path)
    _write(path, ZONE + "_acme-challenge IN CNAME x.acme.panel.test.\n", 1)
    (zone,) = source.zones()
    assert source.records(zone, "_acme-challenge.shop.test") == {"CNAME": ["x.acme.panel.test."]}
    _write(path, ZONE, 2)
    assert source.records(zone, "_acme-challenge.shop.test") == {}


@pytest.mark.parametrize("mistake", ["www IN A not-an-address\n", "$INCLUDE /etc/passwd\n", "\udcff"])
def test_a_mistake_does_not_take_the_zone_down(path, caplog, mistake):
    """After a bad edit the last good content is served, and the log says why, once."""
    source = ZoneFile("shop.test", path)
    path.write_bytes(ZONE.encode() + mistake.encode(errors="surrogateescape"))
    os.utime(path, ns=(3 * 10**9, 3 * 10**9))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert source.records(source.zones()[0], "ns1.shop.test")["A"] == ["192.0.2.1"]
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    _write(path, ZONE.replace("192.0.2.1", "192.0.2.2"), 4)
    assert source.records(source.zones()[0], "ns1.shop.test")["A"] == ["192.0.2.2"]
    path.unlink()
    assert source.records(source.zones()[0], "ns1.shop.test")["A"] == ["192.0.2.2"]


@pytest.mark.parametrize(
    ("apex", "text"),
    [
        ("", ZONE),
        (".", ZONE),
        ("a..b", ZONE),
        ("shop.test", "www 30 IN A x\n"),
        ("shop.test", "www IN A 192.0.2.7\n"),
        ("shop.test", "$INCLUDE other\n"),
        ("shop.test", None),
    ],
)
def test_a_bad_start_is_refused(tmp_path, apex, text):
    """A zone without a name, a file that is not there, and one with a mistake are refused with a sentence."""
    path = tmp_path / "zone"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"^--zone: ") as refused:
        ZoneFile(apex, path)
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        ZONE.replace("shop.test", "other.test"),
        "$TTL 30\n$ORIGIN other.test.\nwww IN A 192.0.2.7\n",
        "www.notshop.test. 30 IN A 192.0.2.7\n",
        "test. 30 IN A 192.0.2.7\n",
    ],
)
def test_a_file_of_another_zone_is_refused(tmp_path, text):
    """Whoever names the wrong zone, or the wrong file, learns it at the start, and not from missing answers."""
    path = tmp_path / "zone"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"which is not in the zone shop\.test") as refused:
        ZoneFile("shop.test", path)
    assert str(path) in refused.value.reason


def test_records_of_another_zone_do_not_take_the_zone_down(path, caplog):
    """An edit that adds names of another zone is not served, and the log names the first of them."""
    source = ZoneFile("shop.test", path)
    with caplog.at_level(logging.WARNING):
        _write(path, ZONE + "www.other.test. IN A 192.0.2.7\n", 5)
        assert source.records(source.zones()[0], "ns1.shop.test")["A"] == ["192.0.2.1"]
    assert "www.other.test" in caplog.text


@settings(max_examples=25)
@given(names=st.lists(LABEL, min_size=1, max_size=5, unique=True), address=st.ip_addresses(v=4))
def test_every_record_of_the_file_is_found_by_its_full_name(tmp_path_factory, names, address):
    """Whatever names a file has, each is served under its full name in lower case, and nothing else is."""
    path = tmp_path_factory.mktemp("zone") / "zone"
    path.write_text("".join(f"{name.upper()} 30 IN A {address}\n" for name in names))
    source = ZoneFile("shop.test", path)
    (zone,) = source.zones()
    for name in names:
        assert source.records(zone, f"{name}.shop.test") == {"A": [str(address)]}
    assert source.records(zone, "no_such_name.shop.test") == {}
    assert source.has_names_below(zone, "shop.test")
