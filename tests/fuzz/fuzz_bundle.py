"""Fuzz `certcore.x509.import_bundle.read_bundle`; see the README beside this file.

An input is a byte of options, then up to three fields with `SEPARATOR` between them.
"""

import sys
import warnings
from datetime import UTC, datetime

import atheris

with atheris.instrument_imports(include=["certcore"]):
    from certcore.errors import CertCoreError
    from certcore.x509.chain import parse_chain
    from certcore.x509.import_bundle import read_bundle

from oracle import check_error
from seeds import AS_TEXT, PASSWORD, SEPARATOR, WITH_PASSWORD

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def arguments(data):
    """What an input stands for."""
    options, *fields = data[0], *data[1:].split(SEPARATOR, 2)
    if options & AS_TEXT:
        fields = [field.decode("utf-8", "surrogateescape") for field in fields]
    fields += [None] * (3 - len(fields))
    return fields, PASSWORD if options & WITH_PASSWORD else None


def one_input(data):
    """Errors of ours, or a bundle that is the same when it is read again."""
    if not data:
        return
    fields, password = arguments(data)
    try:
        bundle = read_bundle(*fields, password=password, now=NOW)
    except CertCoreError as error:
        check_error(error, *(field for field in fields if isinstance(field, str)))
        return
    key = bundle.private_key.reveal() if bundle.private_key else None
    again = read_bundle(bundle.leaf_pem, key, bundle.chain_pem, now=NOW)
    assert (again.leaf_pem, again.chain_pem, again.private_key) == (
        bundle.leaf_pem,
        bundle.chain_pem,
        bundle.private_key,
    )
    assert again.leaf == bundle.leaf
    assert bundle.names
    assert all(warning.text.isprintable() and warning.key.startswith("bundle.") for warning in bundle.warnings)
    if not any(warning.key in {"bundle.ca_leaf", "bundle.chain_sha1"} for warning in bundle.warnings):
        assert parse_chain(bundle.leaf_pem + bundle.chain_pem).leaf == bundle.leaf


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
