"""The CA module: places an order, waits for its approval, fetches the chain, revokes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from attrs import frozen
from cryptography import x509

from certcore.hints import Fact, Facts, Hint, Message
from certcore.plugin import (
    CAError,
    CAModule,
    CertificateView,
    CheckItem,
    CheckReport,
    Failed,
    InvalidInputError,
    Issuance,
    Issued,
    ModuleContext,
    NoSettings,
    Problem,
    Purpose,
    Retry,
    RevocationReason,
    Secret,
    StepResult,
    SupportsCheck,
    SupportsCleanUp,
    SupportsRevocation,
    Waiting,
    WaitingFor,
    Work,
    form,
)
from certcore_rest_ca.client import (
    Order,
    OrderNotFoundError,
    OrderRefusedError,
    OrderStatus,
    RestClient,
    TokenRefusedError,
    UnreachableError,
)

__all__ = ["RestCA", "RestCAProfile"]

#: The pauses between two looks at an order: doubled each time, between these bounds.
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
#: An order counts as lost when the CA has said this often that it does not know it.
_LOST_AFTER: Final = 2
_CLEAN_UP_AGAIN: Final = timedelta(minutes=10)


def _api_url(text: str, field: str) -> str:
    parts = urlsplit(text)
    host = parts.hostname or ""
    is_private = (parts.scheme == "https" and host) or (parts.scheme == "http" and _is_loopback(host))
    if is_private and not parts.query and not parts.fragment and not parts.username:
        return text.rstrip("/") + "/"
    raise InvalidInputError(field, Message("rest_ca.url", "must be an https URL without user, query and fragment."))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _roots(text: str, field: str) -> str:
    if text.strip():
        try:
            x509.load_pem_x509_certificates(text.encode())
        except ValueError:
            raise InvalidInputError(field, Message("rest_ca.roots", "has no certificate that can be read.")) from None
    return text


@frozen(kw_only=True)
class RestCAProfile:
    """What the administrator fills in."""

    url: str = form.text("URL of the API", parse=_api_url, placeholder="https://ca.example/api/")
    token: Secret = form.secret("Token", help="Says to the CA who orders.")
    trusted_roots: str = form.text(
        "Roots of the server",
        default="",
        multiline=True,
        maximum=65536,
        parse=_roots,
        advanced=True,
        help="PEM. Empty: the roots that this system trusts.",
    )

    @property
    def client(self) -> RestClient:
        """The API of this CA."""
        return RestClient(url=self.url, token=self.token, roots_pem=self.trusted_roots)


class RestCA(CAModule[RestCAProfile, NoSettings], SupportsCleanUp, SupportsRevocation, SupportsCheck):
    """Orders at a CA that approves each request.

    The name of an order is made of the issuance's id, so a step that is repeated after a crash finds its order instead
    of placing another one. An order that is no longer needed is cancelled.
    """

    name = "rest_ca"
    title = "CA with approval"
    #: A step whose result is lost in a crash may have placed an order already.
    needs_clean_up: ClassVar[bool] = True

    def check_profile(self, profile: RestCAProfile) -> None:
        """Refuse an empty token."""
        if not profile.token.reveal():
            raise InvalidInputError("token", Message("rest_ca.no_token", "is needed."))

    def advance(self, work: Work[RestCAProfile, NoSettings]) -> StepResult:
        """Place the order, or look at it."""
        state = dict(work.state or {})
        try:
            if not state.get("placed"):
                return self._place(work, state)
            return _result(work, state, work.profile.client.get_order(_order_name(work, state)))
        except OrderNotFoundError:
            return _missing(work, state)
        except CAError as error:
            return _failed(error, state, work.environment.now())

    def _place(self, work: Work[RestCAProfile, NoSettings], state: dict[str, Any]) -> StepResult:
        is_new = not state.get("asked")  # else the same order is asked for again, which the CA counts once
        if is_new:
            if work.orders_left == 0:
                return Waiting(state=state, look_again=work.next_order_at or _later(work), waiting_for=WaitingFor.TURN)
            work.documents.put_many({}, announces_order=True)
        names = [name.ascii for name in work.issuance.names]
        try:
            order = work.profile.client.put_order(_order_name(work, state), work.issuance.csr_pem, names)
        except (UnreachableError, TokenRefusedError) as error:
            return _failed(error, state, work.environment.now(), ordered=False)
        except OrderRefusedError as error:
            return _failed(error, state, work.environment.now(), ordered=False, orders_refused=1)
        except CAError as error:  # it may have been placed
            return _failed(error, {**state, "asked": True}, work.environment.now(), ordered=is_new)
        return _result(work, {**state, "placed": True}, order, ordered=is_new)

    def clean_up(self, work: Work[RestCAProfile, NoSettings]) -> datetime | None:
        """Cancel the order, if it still waits."""
        try:
            work.profile.client.cancel_order(_order_name(work, work.state or {}))
        except CAError:
            return work.environment.now() + _CLEAN_UP_AGAIN
        return None

    def revoke(
        self,
        issuance: Issuance,
        reason: RevocationReason,
        private_key: Callable[[], Secret | None],
        context: ModuleContext[RestCAProfile],
    ) -> None:
        """Have the CA revoke a leaf that was ordered here.

        Raises:
            CAError: The CA did not confirm, or the leaf was imported, for which the token proves nothing.
        """
        del private_key
        if issuance.purpose is Purpose.IMPORT:
            raise CAError(
                Message("rest_ca.imported", "Only certificates that were ordered here can be revoked at this CA.")
            )
        context.profile.client.revoke(issuance.leaf_pem or "", reason)

    def check(self, context: ModuleContext[RestCAProfile]) -> CheckReport:
        """Ask the CA for its name."""
        title = Message("rest_ca.check", "The CA answers, and accepts the token")
        try:
            name = context.profile.client.status()
        except CAError as error:
            return CheckReport(items=(CheckItem(title=title, ok=False, detail=error.text, advice=error.advice_text),))
        return CheckReport(items=(CheckItem(title=title, ok=True, detail=name),))

    def hints(self, view: CertificateView, context: ModuleContext[RestCAProfile]) -> Sequence[Hint]:
        """The hints that every module shows, and the name of the order at the CA."""
        hints = list(super().hints(view, context))
        if view.under_way and view.issuance is not None and (view.issuance.module_state or {}).get("placed"):
            name = _name_of(view.issuance.id, view.issuance.module_state or {})
            hints.append(Facts((Fact(Message("rest_ca.order", "Order at the CA"), name),)))
        return hints


def _order_name(work: Work[RestCAProfile, NoSettings], state: Mapping[str, Any]) -> str:
    return _name_of(work.issuance.id, state)


def _name_of(issuance_id: str, state: Mapping[str, Any]) -> str:
    return f"{issuance_id}-{state.get('number', 1)}"


def _later(work: Work[RestCAProfile, NoSettings]) -> datetime:
    return work.environment.now() + _LONGEST_PAUSE


def _result(
    work: Work[RestCAProfile, NoSettings], state: dict[str, Any], order: Order, *, ordered: bool = False
) -> StepResult:
    """What an order means for the issuance."""
    match order.status:
        case OrderStatus.PENDING:
            looks = int(state.get("looks", 0))
            pause = min(_FIRST_PAUSE * 2 ** min(looks, 10), _LONGEST_PAUSE)
            if order.retry_after is not None:
                pause = timedelta(seconds=order.retry_after)
            return Waiting(
                state={**state, "looks": looks + 1, "missing": 0},
                look_again=work.environment.now() + pause,
                waiting_for=WaitingFor.ADMINISTRATOR,
                ordered=ordered,
                repeatable=not ordered,
            )
        case OrderStatus.ISSUED:
            return Issued(state=state, chain_pem=order.chain, ordered=ordered, needs_clean_up=False)
        case OrderStatus.REFUSED:
            problem = Problem(title=Message("rest_ca.refused", "The CA has refused the request."), detail=order.reason)
        case OrderStatus.CANCELLED:
            problem = Problem(title=Message("rest_ca.cancelled", "The order was cancelled at the CA."))
    return Failed(state=_next(state), problem=problem, retry=Retry.NEVER, ordered=ordered, needs_clean_up=False)


def _missing(work: Work[RestCAProfile, NoSettings], state: dict[str, Any]) -> StepResult:
    """The CA does not know the order: it is looked up once more, then placed again under another name."""
    missing = int(state.get("missing", 0)) + 1
    lost = missing >= _LOST_AFTER
    return Waiting(
        state=_next(state) if lost else {**state, "missing": missing},
        look_again=work.environment.now() + _FIRST_PAUSE,
        waiting_for=WaitingFor.AUTHORITY,
    )


def _next(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"number": int(state.get("number", 1)) + 1}


def _failed(
    error: CAError, state: Mapping[str, Any], now: datetime, *, ordered: bool = False, orders_refused: int = 0
) -> Failed:
    """A failure of the CA is retried soon, a refused token slowly, a refused request not automatically."""
    match error:
        case OrderRefusedError():
            retry = Retry.NEVER
        case TokenRefusedError():
            retry = Retry.SLOW
        case _:
            retry = Retry.SOON
    return Failed(
        state=state,
        problem=Problem(title=error.text, detail=error.detail, advice=error.advice_text),
        retry=retry,
        retry_at=None if error.retry_after is None else now + timedelta(seconds=error.retry_after),
        of_authority=retry is not Retry.NEVER,
        ordered=ordered,
        orders_refused=orders_refused,
    )
