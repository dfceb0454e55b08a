"""Write to hosted DNS services with dns-lexicon, which runs in a separate process: see `lexicon_process`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from certcore.errors import ZoneWriteError
from certcore.messages import Message
from certcore.model.secret import Secret
from certcore.net.foreign_text import decode_json, printable
from certcore.ports.zone_writers import TxtChange, ZoneServer

__all__ = ["LexiconWriter", "provider_options"]

_MODULE: Final = "certcore_puq_acme.techzone.writers.lexicon_process"
#: Seconds for one call, which may be about a hundred names.
_LONGEST_CALL: Final = 50.0
_LONGEST_KIND: Final = 60
#: Values that all services store unchanged. Other values are quoted differently by different services.
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z0-9_.=-]{1,255}")
_OPTION: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,59})\s*[=:]\s*(\S.*)")
_MOST_OPTIONS: Final = 20
#: The environment variables that the process gets. Variables that configure dns-lexicon are not among them.
_ENVIRONMENT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)

#: The reason and the advice, by HTTP status.
_STATUSES: Final[Mapping[int, tuple[Message, Message]]] = MappingProxyType(
    {
        401: (
            Message("puq_acme.lexicon.unauthorized", "refuses the credentials (401)"),
            Message(
                "puq_acme.lexicon.unauthorized.advice", "Set the provider's options again, as dns-lexicon names them."
            ),
        ),
        403: (
            Message("puq_acme.lexicon.forbidden", "forbids this (403)"),
            Message(
                "puq_acme.lexicon.forbidden.advice",
                "Allow the credentials to read and change the records of this zone.",
            ),
        ),
        404: (
            Message("puq_acme.lexicon.no_zone", "does not have this zone (404)"),
            Message(
                "puq_acme.lexicon.no_zone.advice",
                "Use the service's name for the zone, and check the provider's options.",
            ),
        ),
        429: (
            Message("puq_acme.lexicon.too_many", "refuses because of too many requests (429)"),
            Message("puq_acme.lexicon.too_many.advice", "It is retried automatically; fewer orders at once may help."),
        ),
    }
)
#: The reason and the advice, by the kind of error.
_KINDS: Final[Mapping[str, tuple[Message, Message]]] = MappingProxyType(
    {
        "not_installed": (
            Message("puq_acme.lexicon.not_installed", "needs dns-lexicon"),
            Message("puq_acme.lexicon.not_installed.advice", "Install it: pip install 'certcore[lexicon]'."),
        ),
        "ProviderNotAvailableError": (
            Message("puq_acme.lexicon.no_provider", "is not a provider of dns-lexicon, or needs another package"),
            Message(
                "puq_acme.lexicon.no_provider.advice",
                "Name it as `lexicon --help` does; some need dns-lexicon with the extra of the provider's name.",
            ),
        ),
        "AuthenticationError": (
            Message("puq_acme.lexicon.refused", "refuses the credentials, or does not have this zone"),
            Message(
                "puq_acme.lexicon.refused.advice",
                "Set the provider's options again, as dns-lexicon names them, and use the service's name for the zone.",
            ),
        ),
        "ConnectionError": (
            Message("puq_acme.lexicon.unreachable", "could not be reached"),
            Message(
                "puq_acme.lexicon.unreachable.advice",
                "Check the provider's options, and that this machine reaches the service.",
            ),
        ),
    }
)
_OTHER: Final = Message(
    "puq_acme.lexicon.failed.advice",
    "Check the provider's options, and try them with the command `lexicon`, which says more.",
)


def provider_options(options: Secret | None) -> Mapping[str, str] | None:
    """The options of a provider, each in a line like ``auth_token = …``; None if a line is malformed.

    Args:
        options: The lines; None for none.
    """
    lines = [line.strip() for line in options.reveal_text().splitlines() if line.strip()] if options else []
    matches = [_OPTION.fullmatch(line) for line in lines]
    if len(lines) > _MOST_OPTIONS or not all(matches):
        return None
    return {match[1]: match[2] for match in matches if match}


@frozen(kw_only=True)
class LexiconWriter:
    """Adds and removes values one by one; implements `certcore.ports.zone_writers.ZoneWriter`."""

    #: The provider's name in dns-lexicon.
    provider: str
    options: Secret | None = field(default=None, repr=False)
    #: The timeout of one call, in seconds.
    timeout: float = _LONGEST_CALL
    name: str = "lexicon"
    #: Some providers read all values of a name and replace them, so concurrent calls would lose values.
    one_at_a_time: bool = True

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        """See `certcore.ports.zone_writers.ZoneWriter.write`.

        Raises:
            ZoneWriteError: The service cannot be reached, or refuses.
        """
        if not changes:
            return
        if not all(
            _PLAIN_VALUE.fullmatch(value) for change in changes for value in (*change.values, *change.withdrawn)
        ):
            reason = Message("puq_acme.lexicon.plain_values", "takes plain values only")
            advice = Message("puq_acme.lexicon.plain_values.advice", "Use another writer for such values.")
            raise self._refused(zone, reason, advice)
        for change in changes:
            if not change.name.endswith(f".{zone}"):
                text = "was to get the name {name}, which is not in the zone"
                reason = Message("puq_acme.lexicon.outside", text, {"name": change.name})
                advice = Message("puq_acme.lexicon.outside.advice", "Name the zone that the tech zone lies in.")
                raise self._refused(zone, reason, advice)
        order = {
            "provider": self.provider,
            "options": dict(provider_options(self.options) or {}),
            "zone": zone,
            "ttl": ttl,
            "changes": [
                {"name": change.name, "values": list(change.values), "withdrawn": list(change.withdrawn)}
                for change in changes
            ],
        }
        answer = self._run(zone, order)
        if "error" in answer:
            raise self._failure(zone, answer)

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        """An empty sequence, because dns-lexicon does not know the name servers."""
        del zone
        return ()

    def _run(self, zone: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter, and a module of ours
                [_python(), "-m", _MODULE],
                input=json.dumps(order).encode(),
                capture_output=True,
                check=False,
                timeout=self.timeout,
                env=environment,
                start_new_session=True,  # so that Ctrl-C does not interrupt it
            )
        except subprocess.TimeoutExpired:
            text = "did not answer within {seconds} seconds"
            params = {"seconds": f"{self.timeout:g}"}
            advice = "It is tried again. Check that this machine reaches the service."
            raise self._refused(
                zone,
                Message("puq_acme.lexicon.late", text, params),
                Message("puq_acme.lexicon.late.advice", advice),
            ) from None
        except OSError as error:
            text = "could not be asked: no process can be started ({kind})"
            params = {"kind": type(error).__name__}
            raise self._refused(zone, Message("puq_acme.lexicon.no_process", text, params), _OTHER) from None
        answer = decode_json(done.stdout)
        return answer if isinstance(answer, dict) else {"error": f"exit code {done.returncode}"}

    def _failure(self, zone: str, answer: Mapping[str, Any]) -> ZoneWriteError:
        kind, status = printable(answer.get("error"), _LONGEST_KIND), answer.get("status")
        if isinstance(status, int) and status in _STATUSES:
            return self._refused(zone, *_STATUSES[status])
        if kind in _KINDS:
            return self._refused(zone, *_KINDS[kind])
        if isinstance(status, int):
            text = "failed ({kind}, HTTP status {status})"
            params = {"kind": kind, "status": status}
            return self._refused(zone, Message("puq_acme.lexicon.failed_with_status", text, params), _OTHER)
        return self._refused(zone, Message("puq_acme.lexicon.failed", "failed ({kind})", {"kind": kind}), _OTHER)

    def _refused(self, zone: str, reason: Message, advice: Message) -> ZoneWriteError:
        return ZoneWriteError(f"{self.provider} (by dns-lexicon)", zone, reason, advice=advice)


def _python() -> str:
    """The path of the Python interpreter. In a server such as uWSGI, `sys.executable` is the server."""
    if "python" in Path(sys.executable or "").name:
        return sys.executable
    return str(Path(sys.prefix) / "bin" / "python3")
