"""Place an order (RFC 8555 section 7.4) when the records are correct and the CA's limits permit it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from attrs import evolve

from certcore.messages import Message
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import WaitingFor
from certcore_puq_acme.accounts.known_directory import KnownDirectory, known_directory
from certcore_puq_acme.accounts.pool import Opened
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.owner_records import (
    are_correct,
    are_known_correct,
    checked_for,
    forbidding_records,
    lasting_records,
)
from certcore_puq_acme.orders.preflight import wait_for_owner
from certcore_puq_acme.orders.priority import goes_first, is_near_its_end
from certcore_puq_acme.orders.renewal_info import certificate_id, is_of_directory
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain
from certcore_puq_acme.orders.state import Findings, OrderState, SeenRecord, Stage
from certcore_puq_acme.profile.settings import ChallengeType
from certcore_puq_acme.protocol.error_types import BUSY, CLIENT_ERRORS, TOO_MANY_REQUESTS
from certcore_puq_acme.protocol.errors import NOT_REACHED, AcmeError, AcmeProblemError, TransportError
from certcore_puq_acme.protocol.metering import NewOrder, current_meter
from certcore_puq_acme.protocol.resources import Order
from certcore_puq_acme.protocol.signed_requests import Sending
from certcore_puq_acme.rate_limits.limiter import OrderRequest, Turn, Why

__all__ = ["place_order"]

#: Refusals of an order that have nothing to do with the leaf that it replaces.
_NOT_OF_REPLACES: Final = frozenset({"badNonce", "rateLimited"})
#: The longest pause before the engine is asked again whether it permits another order.
_LONGEST_HOLD: Final = timedelta(hours=1)
#: How many of the permitted newOrder requests are kept for later if the CA refuses one nonce after the other.
_KEPT_REQUESTS: Final = 5
#: How many characters of a problem are kept while the next order waits.
_LONGEST_CAUSE: Final = 500
_VALIDITY: Final = Message(
    "puq_acme.order.validity.advice",
    "If this CA does not let its customers choose how long a certificate is valid, set validity_days in the CA profile "
    "to 0. It is retried slowly.",
)


def place_order(attempt: Attempt) -> LookAgain | AttemptFailed:
    """Check the requirements that the CA's directory and the account state, take a turn, and place the order."""
    if (pause := attempt.paused()) is not None:
        # Before the account is checked: the CA may refuse to open accounts now.
        return _wait_for_turn(attempt, pause)
    opened = attempt.opened()
    directory = known_directory(attempt.work) or KnownDirectory()
    if (problem := _unsupported(attempt, directory)) is not None:
        return AttemptFailed(
            state=OrderState(), findings=attempt.findings, problem=problem, retry=Retry.NEVER, of_authority=True
        )
    if are_known_correct(attempt):
        attempt = evolve(attempt, findings=attempt.findings.lasting())
    else:
        records = _records(attempt, opened, directory)
        if not are_correct(records):
            return wait_for_owner(attempt, records)
        findings = Findings(
            checked_at=attempt.now,
            checked_for=checked_for(attempt),
            records=records,
            hosted=attempt.findings.hosted,
        )
        attempt = evolve(attempt, findings=findings)
    if attempt.work.orders_left <= 0:
        return _wait_for_engine(attempt)
    if attempt.state.unclear:
        _check_ca(opened)
    return _take_turn(attempt, opened)


def _records(attempt: Attempt, opened: Opened, directory: KnownDirectory) -> tuple[SeenRecord, ...]:
    """All records of the owner, with those whose content depends on the account or the CA's directory."""
    known = attempt.findings.records
    if attempt.challenge is ChallengeType.DNS_PERSIST:
        known = lasting_records(attempt, opened.record, directory)
    return (*known, *forbidding_records(attempt, opened.record, directory))


def _take_turn(attempt: Attempt, opened: Opened) -> LookAgain:
    replaces = _replaces(attempt, opened)
    active = attempt.work.active
    request = OrderRequest(
        issuance_id=attempt.work.issuance.id,
        owner=attempt.work.certificate.owner,
        names=tuple(attempt.names),
        renewal=_is_renewal(attempt),
        ari=bool(replaces),
        urgent=active is None or active.leaf is None or is_near_its_end(attempt.work),
        near_end=goes_first(attempt.work),
        ends=active.leaf.not_after if active and active.leaf else None,
        patience=attempt.patience,
        looks=attempt.state.looks_for_place,
    )
    turn = attempt.budget.take(request, attempt.now)
    if turn.why is not None:
        return _wait_for_turn(attempt, turn)
    try:
        order = _new_order(attempt, opened, replaces)
    except AcmeProblemError as problem:
        if not replaces or not _may_be_about_replaces(problem):
            raise
        # Another order has already replaced the leaf, the leaf belongs to another account, or the CA no longer knows
        # it. Then this order counts like one that replaces nothing.
        turn = attempt.budget.take(evolve(request, ari=False, counted_as_ari=True), attempt.now)
        if turn.why is not None:
            attempt.budget.leave(attempt.work.issuance.id)
            return _wait_for_turn(evolve(attempt, state=evolve(attempt.state, names_leaf=False)), turn)
        order = _new_order(attempt, opened, "")
    return _placed(attempt, opened, order)


def _placed(attempt: Attempt, opened: Opened, order: Order) -> LookAgain:
    state = OrderState(
        # Validations of an earlier order may be reused (RFC 8555 section 7.1.3).
        stage=Stage.ANSWERED if order.status in ("ready", "processing", "valid") else Stage.ORDERED,
        since=attempt.now,
        targets={delegation.base: delegation.target for delegation in attempt.delegations},
        challenge=attempt.challenge,
        account=attempt.ref.key,
        account_url=opened.record.url,
        directory=attempt.profile.directory,
        foreign_orders=attempt.state.foreign_orders,
    )
    return LookAgain(
        state=state.with_order(order),
        findings=attempt.findings,
        until=attempt.now,
        waiting_for=WaitingFor.AUTHORITY,
        holds=True,
        ordered=True,
    )


def _check_ca(opened: Opened) -> None:
    """Check with a harmless request that the CA works, before another order is requested.

    The last order may exist although the CA has not confirmed it. Without this check, an outage of days would use up
    the remaining orders one after the other.

    Raises:
        AcmeError: The CA does not work.
    """
    try:
        opened.client.account()
    except AcmeProblemError as error:
        if error.status not in CLIENT_ERRORS or error.status in BUSY:
            raise


def _new_order(attempt: Attempt, opened: Opened, replaces: str) -> Order:
    profile, meter = attempt.profile, current_meter()
    until = attempt.now + timedelta(days=profile.validity_days) if profile.validity_days else None
    repeated = meter.repeated
    sending = Sending(repeats=max(attempt.work.refusals_left - 1 - _KEPT_REQUESTS, 0))
    meter.new_order = None
    try:
        return opened.client.new_order(
            attempt.names,
            replaces=replaces,
            profile=_certificate_profile(attempt),
            not_after=until,
            sending=sending,
        )
    except AcmeError as error:
        if sending.is_sent and not _was_not_reached(error):
            meter.new_order = NewOrder.REFUSED if _is_refusal(error) else NewOrder.UNCLEAR
            meter.orders_refused += meter.new_order is NewOrder.REFUSED
        if until is None or not isinstance(error, AcmeProblemError) or error.acme_type != "malformed":
            raise
        raise error.with_advice(_VALIDITY) from None
    finally:
        meter.orders_refused += meter.repeated - repeated


def _was_not_reached(error: AcmeError) -> bool:
    return isinstance(error, TransportError) and error.kind in NOT_REACHED


def _is_refusal(error: AcmeError) -> bool:
    """Whether the CA itself says that it has not done what was requested (RFC 8555 section 6.7)."""
    return isinstance(error, AcmeProblemError) and error.status in CLIENT_ERRORS and bool(error.acme_type)


def _wait_for_engine(attempt: Attempt) -> LookAgain:
    """Wait because the engine permits no order for this certificate now."""
    until = attempt.work.next_order_at or attempt.now + _LONGEST_HOLD
    waiting = _wait_for_turn(attempt, Turn(why=Why.ORDERS, until=until, detail=_why_it_orders_again(attempt)))
    # The certificate may not order anywhere: no other CA is to be tried because of a long wait.
    return evolve(waiting, until=min(until, attempt.now + _LONGEST_HOLD))


def _why_it_orders_again(attempt: Attempt) -> str:
    """The result of the last order, which the page shows until the next order is placed."""
    turn = Findings.of(attempt.work.issuance).turn
    if turn is not None and turn.why is Why.ORDERS:
        return turn.detail
    problem = attempt.work.certificate.problem
    return "" if problem is None else str(problem)[:_LONGEST_CAUSE]


def _wait_for_turn(attempt: Attempt, turn: Turn) -> LookAgain:
    state = OrderState(
        foreign_orders=attempt.state.foreign_orders,
        names_leaf=attempt.state.names_leaf,
        unclear=attempt.state.unclear,
        looks=attempt.state.looks_for_place + 1 if turn.why is Why.IN_FLIGHT else 0,
    )
    return attempt.wait_for_turn(state, turn, holds=True)  # from the next call on, the order counts as in flight


def _may_be_about_replaces(problem: AcmeProblemError) -> bool:
    """Whether the CA may have refused the leaf that the order replaces.

    RFC 9773 section 5 defines an error type for this, but CAs also use others.
    """
    if not _is_refusal(problem):  # the order may exist, so a second one must not follow at once
        return False
    passing = problem.status == TOO_MANY_REQUESTS or problem.acme_type in _NOT_OF_REPLACES
    return not passing


def _replaces(attempt: Attempt, opened: Opened) -> str:
    """The ID of the leaf that this order replaces (RFC 9773 section 5); empty unless this account has ordered it."""
    active = attempt.work.active
    if active is None or not attempt.state.names_leaf:
        return ""
    if not is_of_directory(active, attempt.profile.directory) or not opened.client.directory().renewal_info:
        return ""
    ordered = OrderState.of(active)
    # Older versions did not keep the account's URL.
    is_of_ref = not ordered.account_url and ordered.account == attempt.ref.key
    is_ours = is_of_ref or ordered.account_url == opened.record.url
    return certificate_id(active.leaf_pem or "") if is_ours else ""


def _is_renewal(attempt: Attempt) -> bool:
    """Whether the order is for the same names as the leaf in service, which is from the same CA."""
    active = attempt.work.active
    if active is None or active.leaf is None or not is_of_directory(active, attempt.profile.directory):
        return False
    return set(active.leaf.names) == set(attempt.names)


def _certificate_profile(attempt: Attempt) -> str:
    return attempt.settings.certificate_profile or attempt.profile.certificate_profile


def _unsupported(attempt: Attempt, directory: KnownDirectory) -> Problem | None:
    """A setting of the certificate that the CA does not offer; found before an order is wasted."""
    profile = _certificate_profile(attempt)
    if profile and profile not in directory.profiles:
        offered = ", ".join(directory.profiles) or "none"
        return Problem(
            type="urn:ietf:params:acme:error:invalidProfile",
            title=Message(
                "puq_acme.order.profile_not_offered",
                "The CA does not offer the certificate profile {profile}.",
                {"profile": repr(profile)},
            ),
            advice=Message(
                "puq_acme.order.profile_not_offered.advice",
                "Choose one that it offers ({offered}), or leave the profile empty.",
                {"offered": offered},
            ),
        )
    if attempt.challenge is ChallengeType.DNS_PERSIST and not directory.record_issuers:
        return Problem(
            type="urn:certcore:no-issuer-name",
            title=Message(
                "puq_acme.order.no_issuer_name",
                "The CA's directory does not give the issuer name for dns-persist-01 records.",
            ),
            advice=Message(
                "puq_acme.order.no_issuer_name.advice",
                "Use dns-01 for this certificate, or ask the CA whether it supports dns-persist-01.",
            ),
        )
    return None
