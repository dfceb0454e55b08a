"""Hints about late and early renewals, and about unexpected leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certcore.engine.issued_leaf import LEAF_KEPT
from certcore.engine.look_again import STALLED
from certcore.engine.order_limit import ORDER_LIMIT
from certcore.messages import shown_moment
from certcore.model.hints import ActionButton, Hint, Level, Message, Notice
from certcore.model.issuance import Issuance, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action
from certcore.model.renewal import RenewalReason
from certcore.model.renewal_danger import Danger, danger_of, what_keeps_it
from certcore.model.renewal_moment import begins_early
from certcore.model.views import CertificateView
from certcore.x509.leaf_checks import CLOCK_TOLERANCE

__all__ = ["renewal_hints"]

#: The problem types of the engine.
_OF_THE_ENGINE: Final = frozenset({LEAF_KEPT, STALLED, ORDER_LIMIT})
_MOST_NAMES: Final = 5


def renewal_hints(view: CertificateView) -> Iterator[Hint]:
    """Hints about the renewals of a certificate.

    Args:
        view: The certificate.
    """
    problem = view.certificate.problem
    danger = danger_of(view.certificate, view.active, view.now)
    if danger is not Danger.NONE:
        yield from _late(view, danger)
    elif problem is not None and problem.type in _OF_THE_ENGINE:
        text = "{title} {advice}"
        facts = {"title": problem.title_text, "advice": problem.advice_text}
        yield Notice(Level.WARNING, Message("core.attempt_problem", text, facts))
    if view.active is not None and view.active.leaf is not None:
        yield from _of_leaf(view, view.active, view.active.leaf)


def _late(view: CertificateView, danger: Danger) -> Iterator[Hint]:
    why = what_keeps_it(view.certificate, view.issuance)
    ended = view.active is not None and view.active.leaf is not None and view.active.leaf.not_after <= view.now
    facts = {"ends": shown_moment(view.certificate.not_after), "why": why.text, "advice": why.advice_text}
    if ended:
        text = "The renewal was not completed, and the leaf in service expired on {ends}. {why} {advice}"
        message = Message("core.renewal_missed", text, facts)
    else:
        text = "The renewal is late, and the leaf in service ends on {ends}. {why} {advice}"
        message = Message("core.renewal_late", text, facts)
    yield Notice(Level.ERROR if danger is Danger.ERROR else Level.WARNING, message)
    if view.under_way and Action.CHECK_NOW in view.actions:
        yield ActionButton(name="check_now", label=Message("core.check_now", "Check now"))
    elif not view.under_way and Action.RENEW in view.actions:
        yield ActionButton(name="renew", label=Message("core.renew_now", "Renew now"))


def _of_leaf(view: CertificateView, active: Issuance, leaf: Leaf) -> Iterator[Hint]:
    if leaf.not_before > view.now + CLOCK_TOLERANCE:
        text = (
            "The leaf in service is not valid before {begins}: the clock of this machine is behind, or the CA's is "
            "ahead. Check the clock of this machine; it shows {now}."
        )
        facts = {"begins": shown_moment(leaf.not_before), "now": shown_moment(view.now)}
        yield Notice(Level.WARNING, Message("core.leaf_from_future", text, facts))
    extra = sorted(set(leaf.names) - {name.ascii for name in active.names})
    if extra and active.purpose is not Purpose.IMPORT:
        text = "The CA has added names that were not requested: {names}."
        yield Notice(Level.INFO, Message("core.extra_names", text, {"names": ", ".join(extra[:_MOST_NAMES])}))
    renews_at = view.renews_at
    if renews_at is None or renews_at <= view.now or view.under_way:
        return
    policy = view.certificate.renewal
    if policy.is_capped(leaf):
        text = (
            "The renewal policy asks for a renewal {days} days before the end, but this leaf lives {lifetime} days. "
            "Renewal begins after half of the lifetime at the earliest: at {renews_at}."
        )
        facts = {
            "days": str(policy.days_before),
            "lifetime": str(leaf.lifetime.days),
            "renews_at": shown_moment(renews_at),
        }
        yield Notice(Level.INFO, Message("core.days_before_capped", text, facts))
    if policy.days_before is not None and view.renews_because is RenewalReason.BEFORE_END:
        text = (
            "The renewal policy asks for a renewal {days} days before the end, but this leaf lives {lifetime} days, "
            "and the renewal of such a leaf begins {margin} days before its end at the latest: at {renews_at}."
        )
        facts = {
            "days": str(policy.days_before),
            "lifetime": str(leaf.lifetime.days),
            "margin": str(policy.end_margin(leaf).days),
            "renews_at": shown_moment(renews_at),
        }
        yield Notice(Level.INFO, Message("core.days_before_too_few", text, facts))
    is_braked = begins_early(view.certificate, active, renews_at)
    if is_braked or active.engine_state.early:
        text = (
            "Renewals of this certificate come early: the leaf was old, or the CA asked for another one, soon after it "
            "was installed. The pauses between early renewals grow; the next one begins at {renews_at}. Check the "
            "clock of this machine, and what the CA issues."
        )
        yield Notice(Level.WARNING, Message("core.early_renewals", text, {"renews_at": shown_moment(renews_at)}))
