"""Every address of the SSL section, read from its URLconf: an address that is added is tried by itself."""

import re
from urllib.parse import quote

from attrs import frozen

from certcore import Action

__all__ = ["Address", "addresses", "everything_posted"]

_PEMS = ("leaf", "chain", "fullchain", "csr", "public_key", "private_key")
#: What stands for a parameter of an address, by its name, or by the name of the address and its own.
_VALUES = {
    "certificate_action.action": (*(str(action) for action in Action), "preflight", "approve", "unknown"),
    "authority_action.action": ("greet", "unknown"),
    "part": _PEMS,
    "name": ("terms.txt", "unknown.txt"),
}


@frozen
class Address:
    """One address of the section."""

    #: What it is called in the URLconf.
    name: str
    path: str
    #: The names of its parameters.
    parameters: tuple = ()


def addresses(**ids):
    """Every address, with each value of its other parameters.

    Args:
        ids: What stands for ``certificate_id`` and ``authority_id``, as it is; a path quotes it.
    """
    return [
        Address(pattern.name, path, tuple(pattern.pattern.converters))
        for pattern in _patterns()
        for path in _paths(pattern, ids)
    ]


def everything_posted(certificate_id, authority_id, owner):
    """What each form of the section would post to do harm, all at once: a view takes what it knows."""
    return {
        "action": "delete",
        "ids": certificate_id,
        "confirmed": "yes",
        "observer": "",
        "reason": "superseded",
        "to": owner,
        "domain": "copy.example",
        "aliases": "",
        "authority": authority_id,
        "format": "pem",
        "with_key": "yes",
        "password": "",
        "auto": "yes",
        "days_before": "5",
        "keep_key": "yes",
        "name": "Taken over",
        "lifetime_days": "9",
        "region": "us",
        "whom": "x",
        "fallback": "",
        "then": "",
        "for_owner": owner,
        "module": "scripted",
        "reference": "x",
        "reissue": "yes",
    }


def _patterns():
    from certcore.contrib.django.urls import urlpatterns

    return urlpatterns


def _paths(pattern, ids):
    paths = [f"/ssl/{pattern.pattern}"]
    for parameter in pattern.pattern.converters:
        own = f"{pattern.name}.{parameter}"
        if parameter in ids:
            values = (ids[parameter],)
        else:
            assert own in _VALUES or parameter in _VALUES, f"say in {__file__} what stands for {own}"
            values = _VALUES.get(own) or _VALUES[parameter]
        paths = [
            re.sub(rf"<\w+:{parameter}>", lambda _, value=value: quote(value, safe=""), path)
            for path in paths
            for value in values
        ]
    return paths
