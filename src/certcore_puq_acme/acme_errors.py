"""What can go wrong while talking to an ACME server: three kinds, all under :class:`certcore.errors.CAError`.

::

    CAError
    └── AcmeError
        ├── AcmeProblem        the server answered with an error: a problem document or any 4xx or 5xx status
        ├── TransportFailed    no usable answer: refused, timed out, not TLS, not JSON …; ``kind`` says which
        └── ProtocolError      an answer that RFC 8555 does not allow: a field or header that we need is missing

Messages are worded for the user of a panel. They name the server, never a secret or a key authorization.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import evolve

from certcore.errors import CAError
from certcore.model.problem import Problem
from certcore_puq_acme.meanings import GONE, advice_by_hand

__all__ = [
    "BUSY",
    "CLIENT_ERRORS",
    "NOT_REACHED",
    "TRANSPORT_KINDS",
    "WORDS",
    "AcmeError",
    "AcmeProblem",
    "ProtocolError",
    "TransportFailed",
]

#: Every word that :attr:`TransportFailed.kind` can hold. They are stable: code may branch on them.
TRANSPORT_KINDS: Final = frozenset(
    {
        "bad_url",  # not an https URL (plain http is allowed on loopback only)
        "foreign_address",  # a host on loopback or in a private network, named by a CA that is not there itself
        "unresolvable",  # the server's name has no address
        "refused",  # nothing listens there
        "unreachable",  # no route, or another error while connecting
        "tls",  # no TLS, or a certificate that does not verify
        "timeout",  # no complete answer in time
        "reset",  # the connection broke in the middle
        "too_large",  # a body over the limit
        "redirect",  # a redirect where none is allowed, or too many
        "empty",  # a success without the body that it needs
        "html",  # a web page where JSON was due
        "not_json",  # some other body where JSON was due
    }
)

#: The words among them that mean: no connection was made, so that the server cannot have done anything.
NOT_REACHED: Final = frozenset({"bad_url", "foreign_address", "unresolvable", "refused", "unreachable", "tls"})

_ADVICE: Final = {
    "bad_url": "Check the directory URL in the CA's settings: it starts with https://.",
    "foreign_address": (
        "The CA's directory names servers of this host or network. Do not use this CA, or, if it is your own, set the "
        "directory URL to its address in that network."
    ),
    "unresolvable": "Check the directory URL for a typing error, and this server's DNS resolver.",
    "refused": (
        "Check the directory URL's host and port. If they are right, the CA is down. Issuances and renewals are tried "
        "again by themselves; a revocation or a test has to be called again."
    ),
    "unreachable": "Check this server's network and firewall.",
    "tls": "If this is a CA of your own, add its root certificate to the CA's settings.",
    "timeout": "Issuances and renewals are tried again by themselves. If it stays so, check this server's firewall.",
    "reset": "Issuances and renewals are tried again by themselves.",
    "redirect": "Check the directory URL in the CA's settings.",
    "html": "Check that the URL is that of the ACME directory, not of the CA's web site.",
}

#: What the CA did, by ACME error type; a clause after "The CA".
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "accountDoesNotExist": "knows no account for this account key",
        "alreadyReplaced": "says that the certificate to be replaced has been replaced already",
        "alreadyRevoked": "says that the certificate is revoked already",
        "badCSR": "does not accept the certificate signing request",
        "badNonce": "kept refusing the requests as replays",
        "badPublicKey": "does not accept the public key",
        "compound": "found several problems",
        "connection": "could not reach the name servers",
        "dns": "could not look the name up",
        "incorrectResponse": "did not find the expected answer to its challenge",
        "tls": "had trouble with TLS",
        "badRevocationReason": "does not accept this revocation reason",
        "badSignatureAlgorithm": "does not accept the type of the account key",
        "caa": "may not issue for this name: a CAA record forbids it",
        "externalAccountRequired": "asks for external account binding: a key id and an HMAC key from the CA",
        "invalidContact": "does not accept the account's e-mail address",
        "invalidProfile": "does not know the requested certificate profile",
        "malformed": "could not make sense of the request",
        "orderNotReady": "is not ready to issue this order",
        "rateLimited": "refuses because too many requests were made",
        "rejectedIdentifier": "will not issue for this name",
        "serverInternal": "failed for a reason of its own",
        "unauthorized": "does not authorise this request",
        "unsupportedContact": "does not accept this kind of contact address",
        "unsupportedIdentifier": "does not issue for this kind of name",
        "userActionRequired": "wants a person to visit one of its pages first",
    }
)


#: Statuses of a refusal (RFC 9110 section 15.5).
CLIENT_ERRORS: Final = range(400, 500)
#: Those among them that say nothing about the request: later it may be granted (RFC 6585, RFC 8470).
BUSY: Final = frozenset({408, 425, 429})


class AcmeError(CAError):
    """The root of this tree: anything that goes wrong between us and an ACME server.

    Args:
        message: What happened, in the words of a panel's user.
        host: The server's name, with its port when that is not the usual one; empty when unknown.
        retry_after: Seconds that the server asks to wait (RFC 9110 section 10.2.3), None when it did not say.
        problem_type: The problem type as an URI, ``about:blank`` when there is none.
        detail: The CA's own text, untouched.
        advice: What to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str = "",
        retry_after: float | None = None,
        problem_type: str = "about:blank",
        detail: str = "",
        advice: str = "",
    ) -> None:
        super().__init__(message, problem_type=problem_type, detail=detail, retry_after=retry_after, advice=advice)
        self.host = host


class AcmeProblem(AcmeError):
    """The server answered, and the answer is an error (RFC 8555 section 6.7, RFC 9457).

    Its message holds the CA's own text. Without an advice in the problem, its advice is for somebody who has asked by
    hand; `certcore_puq_acme.diagnosis.diagnose` has that for an issuance, which is tried again.

    Args:
        problem: The problem document; ``about:blank`` when the error came without one.
        status: The HTTP status code of the reply, which counts over the one that the document claims.
        host: The server's name.
        retry_after: Seconds from the reply's Retry-After, None without.
        location: The reply's Location: the account that already has the new key (409, RFC 8555 section 7.3.5).
        url: What was asked; empty when it is not known.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        status: int,
        host: str,
        retry_after: float | None = None,
        location: str = "",
        url: str = "",
    ) -> None:
        said = WORDS.get(problem.acme_type)
        if status in GONE and problem.acme_type in ("", "malformed"):
            said = f"does not know (any more) what it was asked about (HTTP status {status})"
        if said is None:
            said = "failed" if status >= 500 else "refused the request"  # noqa: PLR2004 - RFC 9110 section 15.6
            said += f" (HTTP status {status})"
        told = evolve(problem, title=f"The CA at {host} {said}.", status=status)
        super().__init__(
            str(told),
            host=host,
            retry_after=retry_after,
            problem_type=problem.type,
            detail=problem.detail,
            advice=problem.advice or advice_by_hand(problem, status),
        )
        #: The problem with our words as its title, fit to be kept with the issuance.
        self.problem = told
        #: The HTTP status code.
        self.status = status
        #: The URL in the reply's Location header, empty without.
        self.location = location
        #: The URL that answered so, empty when it is not known.
        self.url = url

    @property
    def acme_type(self) -> str:
        """The short ACME error type (``rateLimited``, RFC 8555 section 6.7), empty for other types."""
        return self.problem.acme_type

    def with_advice(self, advice: str) -> AcmeProblem:
        """The same refusal with an advice of its own."""
        return AcmeProblem(
            evolve(self.problem, advice=advice),
            status=self.status,
            host=self.host,
            retry_after=self.retry_after,
            location=self.location,
            url=self.url,
        )

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, for JSON; ``problem`` is the whole document."""
        return {
            **super().as_dict(),
            "status": self.status,
            "retry_after": self.retry_after,
            "problem": self.problem.to_json(),
        }


class TransportFailed(AcmeError):
    """There is no usable answer; the request may or may not have reached the server.

    Args:
        kind: One of :data:`TRANSPORT_KINDS`.
        message: What happened, in the words of a panel's user.
        host: The server's name.
        retry_after: Seconds from the reply's Retry-After, where there was a reply.
    """

    def __init__(self, kind: str, message: str, *, host: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, host=host, retry_after=retry_after, advice=_ADVICE.get(kind, ""))
        #: A stable word for what went wrong: one of :data:`TRANSPORT_KINDS`.
        self.kind = kind
        #: What was asked, where that may have reached the server; empty when it is not known.
        self.url = ""

    def at(self, url: str) -> TransportFailed:
        """The same failure, of the request to this URL."""
        self.url = url
        return self

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, for JSON."""
        return {**super().as_dict(), "kind": self.kind}


class ProtocolError(AcmeError):
    """The server's answer lacks something that RFC 8555 requires and that we cannot do without.

    Args:
        resource: What was being read: ``directory``, ``order``, ``authorization`` ….
        field: The JSON member or the header that is missing or unusable; empty when it is the whole.
        host: The server's name, empty when only a document was looked at.
    """

    def __init__(self, resource: str, field: str = "", *, host: str = "", retry_after: float | None = None) -> None:
        who = f"The CA at {host}" if host else "The CA"
        what = f"without a usable {field!r}" if field else "that is not the JSON object it should be"
        article = "an" if resource[:1] in "aeiouE" else "a"
        super().__init__(
            f"{who} sent {article} {resource} {what}.",
            host=host,
            retry_after=retry_after,
            advice="Check the directory URL." if resource == "directory" else "This is a fault of the CA's server.",
        )
        self.resource = resource
        self.field = field
