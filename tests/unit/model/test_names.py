"""Names: what a person types becomes one canonical A-label form, or is refused with a reason."""

import ipaddress
import itertools
import string

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from certcore.errors import CertCoreError, InvalidNameError
from certcore.model.names import (
    MAX_NAMES,
    DnsName,
    IpAddress,
    certificate_names,
    common_name,
    parse_identifier,
)

LETTERS_DIGITS = string.ascii_lowercase + string.digits
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9]{0,20}|-?[a-z0-9]{1,10})", fullmatch=True).filter(
    lambda label: not label.startswith("xn--") and label[2:4] != "--"
)
NAMES = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(LABELS, min_size=1, max_size=5),
    st.text(string.ascii_lowercase, min_size=2, max_size=10),
)
PEOPLE_TYPE = st.text() | st.text("ab*._-xn@:/[]0189 \tä日\u200d\u3002A\uff0e", max_size=40) | NAMES.map(str.upper)


@given(NAMES, st.booleans(), st.booleans(), st.booleans())
def test_a_name_has_one_form(name, upper, dot, wildcard):
    """Case, a final dot and white space around it make no difference."""
    plain = f"*.{name}" if wildcard else name
    typed = (plain.upper() if upper else plain) + ("." if dot else "")
    parsed = DnsName.parse(f" {typed}\n")
    assert parsed.ascii == plain
    assert parsed.is_wildcard == wildcard
    assert parsed.base.ascii == name
    assert DnsName.parse(str(parsed)) == parsed


@given(PEOPLE_TYPE)
@example("*.")
@example("\uff0e")
@example("xn--")
@example("a." * 127)
@example("١٢٧.0.0.1")
@example("127。0。0。1")
@example("0。")
@example("shop.example。")
@example("shop.example。.")
def test_whatever_is_typed_becomes_a_name_or_a_sentence(text):
    """No input raises anything else; an accepted name is one that DNS and a certificate can hold, for good."""
    refused = None
    try:
        name = DnsName.parse(text, field="aliases")
    except InvalidNameError as error:
        refused = error
    if refused is not None:
        assert refused.field == "aliases"
        assert refused.reason.endswith(".")
        assert len(str(refused)) < 400
        return
    labels = name.base.ascii.split(".")
    assert len(labels) >= 2
    assert len(name.ascii) <= 253
    assert all(1 <= len(label) <= 63 and set(label) <= set(LETTERS_DIGITS + "-") for label in labels)
    assert not any(label.startswith("-") or label.endswith("-") for label in labels)
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        ipaddress.ip_address(name.ascii)
    assert DnsName.parse(name.ascii) == name
    assert DnsName.parse(name.unicode) == name


@pytest.mark.parametrize(
    ("typed", "a_labels"),
    [
        ("bücher.example", "xn--bcher-kva.example"),  # RFC 5891's own example of a label
        ("BÜCHER.Example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2008 keeps ß; IDNA 2003 made ss of it
        ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"),  # IANA's test name
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),  # IANA's test name, with an ideographic full stop
        ("*.bücher.example", "*.xn--bcher-kva.example"),
    ],
)
def test_international_names(typed, a_labels):
    """U-labels become A-labels by UTS 46 and IDNA 2008."""
    parsed = DnsName.parse(typed)
    assert parsed.ascii == a_labels
    assert DnsName.parse(parsed.unicode) == parsed


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "empty"),
        ("a" * 64 + ".example", "63 characters"),
        (".".join(["a" * 60] * 5), "253"),
        ("*." + ".".join(["a" * 63, *["b" * 62] * 3]), "253"),
        ("x" * 5000, "longer than"),
        ("sh*p.example", "first label"),
        ("a.*.example", "first label"),
        ("*.*.example", "first label"),
        ("*", "first label"),
        ("_dmarc.example.com", "underscore"),
        ("8.8.8.8", "IP address"),
        ("127.0.0.1.", "IP address|number"),
        ("[::1]", "IP address"),
        ("example.123", "number"),
        ("localhost", "no dot"),
        ("https://example.com", "URL"),
        ("example.com/path", "URL"),
        ("example.com:8443", "colon"),
        ("me@example.com", "e-mail"),
        ("a b.example", "white space"),
        ("a..example", "empty label"),
        (".example.com", "empty label"),
        ("-a.example", "not a valid"),
        ("a-.example", "not a valid"),
        ("xn--a.example", "not a valid"),
    ],
)
def test_the_reason_says_which_rule(typed, says):
    """A refused name comes with the rule that it breaks."""
    with pytest.raises(InvalidNameError, match=says):
        DnsName.parse(typed)


def test_the_longest_name_is_allowed():
    """63 octets a label and 253 in all, wildcard label included (RFC 1035 section 2.3.4)."""
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert len(longest) == 253
    assert DnsName.parse(longest).ascii == longest
    with pytest.raises(InvalidNameError, match="253"):
        DnsName.parse("*." + longest)


@given(st.ip_addresses())
def test_an_address_is_never_a_name(address):
    """IP addresses are a type of their own."""
    assert parse_identifier(f" {address} ") == IpAddress(str(address))
    with pytest.raises(InvalidNameError):
        DnsName.parse(str(address))


def test_an_identifier_is_one_or_the_other():
    """A text that is not an IP address is read as a DNS name; an invalid address is refused."""
    assert parse_identifier("Example.com") == DnsName("example.com")
    with pytest.raises(InvalidNameError, match="not an IP address"):
        IpAddress.parse("example.com")
    assert IpAddress.parse("2001:DB8:0::1").address == "2001:db8::1"


@given(st.lists(NAMES, unique=True, min_size=1, max_size=8), st.booleans())
def test_the_names_of_a_certificate(names, wildcard):
    """The domain first, its wildcard next, the aliases in their order; nothing lost, nothing twice."""
    domain, *aliases = (DnsName(name) for name in names)
    found = certificate_names(domain, aliases, wildcard=wildcard)
    assert found[0] == domain
    assert [name for name in found if name in aliases] == aliases
    assert len(set(found)) == len(found) == len(names) + wildcard
    for again in names:
        with pytest.raises(InvalidNameError) as caught:
            certificate_names(domain, [*aliases, DnsName(again)], wildcard=wildcard)
        assert caught.value.field == "aliases"


def test_a_hundred_names_and_no_more():
    """The limit counts the wildcard too."""
    domain = DnsName("example.com")
    aliases = [DnsName(f"a{number}.example.com") for number in range(MAX_NAMES - 1)]
    assert len(certificate_names(domain, aliases, wildcard=False)) == 100
    with pytest.raises(InvalidNameError, match="at most 100"):
        certificate_names(domain, aliases, wildcard=True)


def test_a_wildcard_of_a_wildcard():
    """``*.*.example.com`` cannot be asked for."""
    with pytest.raises(InvalidNameError) as caught:
        certificate_names(DnsName("*.example.com"), [], wildcard=True)
    assert caught.value.field == "wildcard"


@given(NAMES)
def test_the_common_name_is_64_octets_at_most(name):
    """A longer first name leaves the common name empty; it is never cut."""
    assert common_name([DnsName(name)]) == (name if len(name) <= 64 else "")


def test_common_name_at_the_limit():
    """64 octets fit, 65 do not, and no name gives none."""
    fits = DnsName("a" * 52 + ".example.com")
    assert len(fits.ascii) == 64
    assert common_name([fits, DnsName("b.example")]) == fits.ascii
    assert common_name([DnsName("a" + fits.ascii), DnsName("b.example")]) == ""
    assert common_name([]) == ""


@given(st.text(string.ascii_lowercase + "äöüßéñ日本", min_size=1, max_size=20))
def test_we_agree_with_idna(label):
    """What the idna package takes as a U-label is the name that it says, or is refused; never another one."""
    try:
        expected = idna.encode(label + ".example").decode()
    except idna.IDNAError:
        return
    try:
        assert DnsName.parse(label + ".example").ascii == expected
    except CertCoreError as refused:
        pytest.fail(f"{label!r} is a good label: {refused}")


@pytest.mark.parametrize("name", ["xn--ls8h.la", "*.xn--ls8h.la", "www.xn--i-7iq.ws", "XN--LS8H.la."])
def test_names_in_use_that_idna_has_no_letters_for(name):
    """Emoji in A-labels: registries sell them, and CAs certify them."""
    assert DnsName.parse(name).ascii == name.lower().removesuffix(".")
    assert DnsName.parse(DnsName.parse(name).ascii) == DnsName.parse(name)


@pytest.mark.parametrize(
    "name",
    [
        "xn--zz--.com",
        "xn--.la",
        "xn--a-.la",
        "xn--99999999999.la",
        "xn--ls8h-.la",
        "ab--cd.xn--ls8h.la",
        "-a.xn--ls8h.la",
        f"xn--{'a' * 60}.la",
        "xn--ls8h",
        "\U0001f4a9.la",
    ],
)
def test_labels_that_decode_to_nothing_are_refused(name):
    """What is not LDH, does not decode, decodes to ASCII, or encodes to another label; and emoji typed as such."""
    with pytest.raises(InvalidNameError):
        DnsName.parse(name)


def test_too_many_names_are_not_looked_at():
    """Of an endless list no more is taken than is needed to see that it is too long."""
    numbers = itertools.count()
    endless = (DnsName(f"a{number}.example.com") for number in numbers)
    with pytest.raises(InvalidNameError, match="too many names"):
        certificate_names(DnsName("example.com"), endless, wildcard=True)
    assert next(numbers) <= MAX_NAMES
