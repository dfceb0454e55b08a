"""Fuzz `certcore.x509.chain.parse_chain`, which reads what CAs send; see the README beside this file."""

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["certcore"]):
    from certcore.errors import CertCoreError
    from certcore.x509.chain import parse_chain

from oracle import check_error


def one_input(data):
    """Errors of ours, or a chain that is the same when it is read again."""
    try:
        chain = parse_chain(data)
    except CertCoreError as error:
        check_error(error, data.decode("latin-1"))
        return
    assert parse_chain(chain.leaf_pem + chain.chain_pem) == chain
    assert chain.leaf.serial_decimal.isdigit()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
