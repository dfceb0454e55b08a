"""The errors of requests to an ACME server: three kinds, all under :class:`certcore.errors.CAError`.

::

    CAError
    └── AcmeError
        ├── AcmeProblemError   the server answered with an error: a problem document, or a 4xx or 5xx status
        ├── TransportError     no usable answer: refused, timed out, not TLS, not JSON …; ``kind`` says which
        └── ProtocolError      the answer violates RFC 8555: a required field or header is missing

Messages are for users of a panel. They contain the name of the server, but no secrets or key authorizations.
"""

from __future__ import annotations

from typing import ClassVar, Final, Self

from attrs import evolve

from certcore.errors import CAError
from certcore.messages import Message, as_message, sentences
from certcore_puq_acme.protocol.error_types import advice_for_caller, sentence
from certcore_puq_acme.protocol.problem_document import ProblemDocument

__all__ = [
    "NOT_REACHED",
    "TRANSPORT_KINDS",
    "AcmeError",
    "AcmeProblemError",
    "ProtocolError",
    "TransportError",
]

#: All values of `TransportError.kind`. They are stable.
TRANSPORT_KINDS: Final = frozenset(
    {
        "bad_url",  # not an https URL (plain http is allowed on loopback only)
        "foreign_address",  # a host on loopback or in a private network, in a URL from a CA on another network
        "unresolvable",  # the server's name has no address
        "refused",  # nothing listens there
        "unreachable",  # no route, or another error while connecting
        "tls",  # no TLS, or a certificate that does not verify
        "timeout",  # no complete answer in time
        "reset",  # the connection broke in the middle
        "too_large",  # a body over the limit
        "redirect",  # a redirect where none is allowed, or too many
        "empty",  # a success without the body that it needs
        "html",  # a web page instead of JSON
        "not_json",  # another body instead of JSON
    }
)

#: The kinds without a connection, so that the request did not reach the server.
NOT_REACHED: Final = frozenset({"bad_url", "foreign_address", "unresolvable", "refused", "unreachable", "tls"})

_ADVICE: Final = {
    "bad_url": Message(
        "puq_acme.transport.bad_url.advice", "Check the directory URL in the CA's settings: it starts with https://."
    ),
    "foreign_address": Message(
        "puq_acme.transport.foreign_address.advice",
        (
            "The CA's directory names servers of this host or network. Do not use this CA, or, if it "
            "is your own, set the directory URL to its address in that network."
        ),
    ),
    "unresolvable": Message(
        "puq_acme.transport.unresolvable.advice",
        "Check the directory URL for a typing error, and this server's DNS resolver.",
    ),
    "refused": Message(
        "puq_acme.transport.refused.advice",
        (
            "Check the directory URL's host and port. If they are right, the CA is down. Issuances "
            "and renewals are retried automatically; a revocation or a test has to be called "
            "again."
        ),
    ),
    "unreachable": Message("puq_acme.transport.unreachable.advice", "Check this server's network and firewall."),
    "tls": Message(
        "puq_acme.transport.tls.advice", "If this is a CA of your own, add its root certificate to the CA's settings."
    ),
    "timeout": Message(
        "puq_acme.transport.timeout.advice",
        "Issuances and renewals are retried automatically. If it persists, check this server's firewall.",
    ),
    "reset": Message("puq_acme.transport.reset.advice", "Issuances and renewals are retried automatically."),
    "redirect": Message("puq_acme.transport.redirect.advice", "Check the directory URL in the CA's settings."),
    "html": Message(
        "puq_acme.transport.html.advice", "Check that the URL is that of the ACME directory, not of the CA's web site."
    ),
}


#: The names of resources with their article.
_RESOURCES: Final = {
    "EAB reply": Message("puq_acme.resource.eab", "an EAB reply"),
    "account": Message("puq_acme.resource.account", "an account"),
    "authorization": Message("puq_acme.resource.authorization", "an authorization"),
    "certificate chain": Message("puq_acme.resource.certificate_chain", "a certificate chain"),
    "challenge": Message("puq_acme.resource.challenge", "a challenge"),
    "directory": Message("puq_acme.resource.directory", "a directory"),
    "newNonce reply": Message("puq_acme.resource.new_nonce", "a newNonce reply"),
    "order": Message("puq_acme.resource.order", "an order"),
}


def _called(resource: str) -> Message:
    return _RESOURCES.get(resource) or as_message(f"{'an' if resource[:1] in 'aeiouE' else 'a'} {resource}")


class AcmeError(CAError):
    """The base class of errors of requests to an ACME server.

    Args:
        message: What happened, in one sentence for a panel's user.
        host: The server's name, with its port if that is not the default; empty if unknown.
        retry_after: How many seconds the server asks to wait (RFC 9110 section 10.2.3); None if it does not say.
        problem_type: The problem type as a URI; ``about:blank`` if there is none.
        detail: The CA's own text, unchanged.
        advice: What to do about it.
    """

    code = "acme_error"
    param_names: ClassVar[tuple[str, ...]] = ("host",)

    def __init__(
        self,
        message: str | Message,
        *,
        host: str = "",
        retry_after: float | None = None,
        problem_type: str = "about:blank",
        detail: str = "",
        advice: str | Message = "",
    ) -> None:
        super().__init__(message, problem_type=problem_type, detail=detail, retry_after=retry_after, advice=advice)
        self.host = host
        #: The requested URL; empty if unknown, or if the request cannot have reached the server.
        self.url = ""

    def at(self, url: str) -> Self:
        """Set the requested URL, and return the error."""
        self.url = url
        return self


class AcmeProblemError(AcmeError):
    """The server answered with an error (RFC 8555 section 6.7, RFC 9457).

    The message contains the CA's own text. By default, the advice is for the caller of a single request.
    `certcore_puq_acme.orders.diagnosis.diagnose` has the advice for an issuance, which is retried.

    Args:
        problem: The problem document; an empty one if the reply has none.
        status: The HTTP status code of the reply, which overrides that of the document.
        host: The server's name.
        retry_after: The seconds of the reply's Retry-After; None if it has none.
        location: The reply's Location header: the account that already has the new key (409, RFC 8555 section 7.3.5).
        title: What happened, in one sentence; by default that of the problem type.
        advice: What to do about it; by default that of the problem type.
    """

    code = "acme_problem"
    param_names = ("status",)

    def __init__(
        self,
        problem: ProblemDocument,
        *,
        status: int,
        host: str,
        retry_after: float | None = None,
        location: str = "",
        title: Message | None = None,
        advice: str | Message = "",
    ) -> None:
        #: What happened, without the CA's text; `title` is the English text.
        self.title_text = title or sentence(problem, status, host)
        #: The advice that was passed to the error; may be empty.
        self.own_advice = advice
        #: The problem document of the CA, with the status of the reply.
        self.problem = evolve(problem, status=status)
        #: The HTTP status code.
        self.status = status
        #: The URL in the reply's Location header; may be empty.
        self.location = location
        super().__init__(
            _message(self.title_text, problem),
            host=host,
            retry_after=retry_after,
            problem_type=problem.type,
            detail=problem.detail,
            advice=advice or advice_for_caller(problem, status),
        )

    @property
    def title(self) -> str:
        """What happened, in English, without the CA's text."""
        return str(self.title_text)

    @property
    def acme_type(self) -> str:
        """The short ACME error type (``rateLimited``, RFC 8555 section 6.7), empty for other types."""
        return self.problem.acme_type

    def with_advice(self, advice: str | Message) -> AcmeProblemError:
        """A copy with other advice."""
        return AcmeProblemError(
            self.problem,
            status=self.status,
            host=self.host,
            retry_after=self.retry_after,
            location=self.location,
            title=self.title_text,
            advice=advice,
        ).at(self.url)

    @property
    def params(self) -> dict[str, object]:
        """The values in the message; ``subproblems`` has identifier and text of each (RFC 8555 section 6.7.1)."""
        return {
            **super().params,
            "instance": self.problem.instance,
            "subproblems": [
                {"type": problem.type, "identifier": problem.identifier, "detail": problem.detail}
                for problem in self.problem.subproblems
            ],
        }


def _message(title: Message, problem: ProblemDocument) -> Message:
    parts = [title]
    if problem.detail:
        parts.append(Message("puq_acme.refusal.said", "The CA said: {detail}", {"detail": problem.detail}))
    for name in problem.subproblems:
        params = {"name": name.identifier, "problem": name.detail or name.title or name.type}
        parts.append(Message("puq_acme.refusal.of_name", "{name}: {problem}", params))
    return sentences(*parts)


class TransportError(AcmeError):
    """There is no usable answer. The request may have reached the server.

    Args:
        kind: One of `TRANSPORT_KINDS`.
        message: What happened, in one sentence for a panel's user.
        host: The server's name.
        retry_after: The seconds of the reply's Retry-After; None if there is none.
    """

    code = "acme_transport"
    param_names = ("kind",)

    def __init__(self, kind: str, message: str | Message, *, host: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, host=host, retry_after=retry_after, advice=_ADVICE.get(kind, ""))
        #: The kind of failure, one of `TRANSPORT_KINDS`.
        self.kind = kind


class ProtocolError(AcmeError):
    """The server's answer lacks something that RFC 8555 requires.

    Args:
        resource: The resource that was read: ``directory``, ``order``, ``authorization`` ….
        field: The JSON member or header that is missing or invalid; empty for the whole answer.
        host: The server's name; empty if unknown.
    """

    code = "acme_protocol"
    param_names = ("resource", "field")

    def __init__(self, resource: str, field: str = "", *, host: str = "", retry_after: float | None = None) -> None:
        params = {"resource": _called(resource), "field": repr(field), "host": host}
        match bool(host), bool(field):
            case True, True:
                text = "The CA at {host} sent {resource} without a usable {field}."
                message = Message("puq_acme.protocol.at_host.field", text, params)
            case True, False:
                text = "The CA at {host} sent {resource} that is not the JSON object it should be."
                message = Message("puq_acme.protocol.at_host", text, params)
            case False, True:
                text = "The CA sent {resource} without a usable {field}."
                message = Message("puq_acme.protocol.field", text, params)
            case _:
                text = "The CA sent {resource} that is not the JSON object it should be."
                message = Message("puq_acme.protocol", text, params)
        of_directory = Message("puq_acme.protocol.directory.advice", "Check the directory URL.")
        of_others = Message("puq_acme.protocol.advice", "This is a fault of the CA's server.")
        super().__init__(
            message,
            host=host,
            retry_after=retry_after,
            advice=of_directory if resource == "directory" else of_others,
        )
        self.resource = resource
        self.field = field
