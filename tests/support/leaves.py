"""Leaves of a CA that nobody knows here, with their private keys."""

from datetime import timedelta

from certcore.testing.local_ca import LittleAuthority, make_request


def bought(*names, now, lifetime=timedelta(days=90), issuer="Little CA"):
    """A leaf with its chain, and its private key, both PEM; it is valid from an hour before that moment."""
    request, key = make_request(*names)
    return LittleAuthority(now, name=issuer).issue(request, now=now, lifetime=lifetime), key
