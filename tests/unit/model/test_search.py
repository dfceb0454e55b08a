"""A search box takes whatever people paste into it."""

from hypothesis import example, given
from hypothesis import strategies as st

from certcore.model.names import DnsName
from certcore.model.search import Search, reversed_labels

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
NAMES = st.lists(LABELS, min_size=2, max_size=5).map(".".join)


@given(st.text())
@example("0x")
@example("٣")
@example("²")
@example("9" * 10_000)
def test_anything_can_be_typed(text):
    """No text raises; what is made of it is plain lower-case ASCII."""
    search = Search.parse(text)
    for part in (search.name_prefix, search.domain, search.fingerprint, *search.serials):
        assert part.isascii()
        assert part == part.lower()
    assert "" not in search.serials
    assert len(search.fingerprint) in (0, 40, 64)


@given(st.integers(1, 2**160), st.sampled_from(["", ":", " ", "-"]), st.booleans())
def test_a_serial_number_is_known_in_every_form(number, separator, upper):
    """Hex with separators and leading zeros, with 0x, in either case, and decimal are the same number."""
    plain = f"{number:x}"
    padded = f"{number:0{len(plain) + len(plain) % 2 + 2}x}"
    typed = separator.join(padded[at : at + 2] for at in range(0, len(padded), 2))
    for form in (typed.upper() if upper else typed, f"0x{plain}", str(number), f"  {plain}\n"):
        assert plain in Search.parse(form).serials


@given(NAMES, NAMES)
def test_a_domain_finds_what_is_below_it(name, domain):
    """Reversed labels begin with the domain's exactly for the domain itself and what is below it."""
    below = reversed_labels(name).startswith(reversed_labels(domain))
    assert below == (name == domain or name.endswith(f".{domain}"))
    assert reversed_labels(f"{name}.{domain}").startswith(reversed_labels(domain))
    assert Search.parse(f"*.{domain}.").domain == Search.parse(domain.upper()).domain == DnsName.parse(domain).ascii
