"""The process in which dns-lexicon runs: reads one request as JSON from stdin, and writes the result to stdout.

dns-lexicon runs in a separate process because its providers set no timeouts and some of them print. It also guesses
zones with a list of public suffixes that it fetches from the Internet; here that is replaced, and the zone is given.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

__all__ = ["carry_out", "main"]


def main() -> None:
    """Carry out the request from stdin."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the output of providers goes to stderr
    logging.disable()  # some providers log their credentials
    answers.write(json.dumps(carry_out(json.load(sys.stdin))))
    answers.flush()


def carry_out(order: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a request. For an error, this is its kind and HTTP status; its text may contain secrets."""
    try:
        _write(order)
    except ImportError as error:
        return {"error": "not_installed" if error.name in ("lexicon", "tldextract") else type(error).__name__}
    except Exception as error:  # isolation: providers may raise anything
        status = getattr(getattr(error, "response", None), "status_code", None)
        return {"error": type(error).__name__, "status": status if isinstance(status, int) else None}
    return {}


def _write(order: Mapping[str, Any]) -> None:
    provider, zone = order["provider"], order["zone"]
    client = _offline(zone)
    # On dns-lexicon's command line, options have dashes instead of underscores; both are accepted here.
    options = {**order["options"], **{name.replace("-", "_"): value for name, value in order["options"].items()}}
    config = importlib.import_module("lexicon.config").ConfigResolver()
    config.with_dict({"provider_name": provider, "domain": zone, "ttl": order["ttl"], provider: options})
    with client(config) as operations:
        for change in order["changes"]:
            name = change["name"]
            values_present = {str(record["content"]).strip('"') for record in operations.list_records("TXT", name)}
            for value in change["values"]:
                if value not in values_present:
                    operations.create_record("TXT", name, value)
            for value in change["withdrawn"]:
                if value in values_present:
                    operations.delete_record(None, "TXT", name, value)


def _offline(zone: str) -> Any:
    """The client of dns-lexicon for a given zone. It fetches no list of public suffixes.

    Args:
        zone: The zone.
    """
    tldextract: Any = importlib.import_module("tldextract")
    bundled = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    # Two providers call tldextract themselves.
    tldextract.extract = bundled
    head, _, tail = zone.partition(".")
    # The client joins domain and suffix to the zone's name.
    tldextract.TLDExtract = lambda **_: lambda _domain: SimpleNamespace(domain=head, suffix=tail)
    return importlib.import_module("lexicon.client").Client


if __name__ == "__main__":
    main()
