"""Fuzz `certcore.model.names.DnsName`, which reads what people type; see the README beside this file."""

import sys

import atheris

with atheris.instrument_imports(include=["certcore", "idna"]):
    from certcore.errors import CertCoreError
    from certcore.model.names import DnsName, IpAddress, parse_identifier

from oracle import check_error

_LONGEST_NAME, _LONGEST_LABEL = 253, 63


def attempt(parse, text):
    """What was read, or None when it was refused in words."""
    try:
        return parse(text)
    except CertCoreError as error:
        # A name may be shown again, so only the form of the sentence is checked.
        check_error(error)
        return None


def one_input(data):
    """A name that was taken is plain, normal, and itself when it is read again."""
    text = data.decode("utf-8", "surrogateescape")
    name = attempt(DnsName.parse, text)
    if name is not None:
        assert name.ascii.isascii()
        assert name.ascii == name.ascii.lower()
        assert len(name.ascii) <= _LONGEST_NAME
        assert all(0 < len(label) <= _LONGEST_LABEL for label in name.ascii.split("."))
        assert DnsName.parse(name.ascii) == name
        assert DnsName.parse(name.base.ascii) == name.base
        assert name.unicode
    address = attempt(IpAddress.parse, text)
    if address is not None:
        assert IpAddress.parse(address.address) == address
    attempt(parse_identifier, text)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
