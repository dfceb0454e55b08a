"""A certificate's page as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from certcore.cli.output import facts, plain, shown_moment, status_cell, table, time_left
from certcore.model.events import Event, EventKind
from certcore.model.leaf import Leaf
from certcore.model.views import CertificateView

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["draw_leaf", "draw_timeline", "draw_view"]

#: How many entries of the timeline `draw_view` prints.
_ENTRIES: Final = 15


def draw_view(to: Console, view: CertificateView) -> None:
    """Print a certificate with its leaf, its problem, and the last entries of its timeline."""
    certificate = view.certificate
    to.print(
        facts(
            [
                ("status", status_cell(certificate.status)),
                ("names", "\n".join(_both_forms(view))),
                ("authority", view.authority.name if view.authority else "none"),
                ("owner", certificate.owner),
                ("key type", certificate.key_type),
                ("renewal", _renewal(view)),
                ("next look", "" if view.schedule is None else shown_moment(view.schedule.due_at)),
                ("id", certificate.id),
            ]
        )
    )
    if certificate.problem is not None:
        to.print()
        to.print(plain(certificate.problem), style="red")
        if certificate.problem.advice:
            to.print(plain(certificate.problem.advice))
    if view.leaf is not None:
        to.print()
        draw_leaf(to, view.leaf, view.now)
    to.print()
    draw_timeline(to, view.events[-_ENTRIES:])


def draw_leaf(to: Console, leaf: Leaf, now: datetime) -> None:
    """Print the details of an issued certificate."""
    to.print(
        facts(
            [
                ("names in leaf", ", ".join(leaf.names)),
                ("subject", leaf.subject),
                ("issuer", leaf.issuer),
                ("serial", leaf.serial_hex),
                ("not before", shown_moment(leaf.not_before)),
                ("not after", f"{shown_moment(leaf.not_after)} ({time_left(leaf.not_after, now)})"),
                ("public key", f"{leaf.public_key_algorithm}, {leaf.key_size} bits"),
                ("signature", leaf.signature_algorithm),
                ("SHA-256", leaf.fingerprint_sha256),
                ("SHA-1", leaf.fingerprint_sha1),
            ]
        )
    )


def draw_timeline(to: Console, events: Iterable[Event]) -> None:
    """Print the entries of a timeline with their details."""
    rows = [
        (
            shown_moment(event.at),
            str(event.kind).replace("_", " "),
            "" if event.to_status is None else event.to_status,
            event.actor,
            "; ".join(_details(event)),
        )
        for event in events
    ]
    to.print(table(("WHEN", "WHAT", "STATUS", "BY", "DETAILS"), rows))


def _details(event: Event) -> Iterator[str]:
    """The details of an event: CA profiles, changed fields, reason and problem."""
    data = event.data
    if event.kind is EventKind.FELL_BACK:
        yield f"from {_value(data.get('from'))} to {_value(data.get('to'))}"
    for field, change in data.get("changes", {}).items():
        yield from _changed(field, change["from"], change["to"])
    if event.kind is EventKind.NOTED:
        yield _value(data.get("text"))
    if data.get("reason"):
        yield _value(data["reason"])
    if event.problem is not None:
        yield str(event.problem)


def _changed(field: str, before: object, after: object) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                yield from _changed(name, before.get(name), after.get(name))
    elif before == after:  # both are "…": of some fields the timeline only records that they changed
        yield field
    else:
        yield f"{field}: {_value(before)} → {_value(after)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return "nothing" if value in (None, "") else str(value)


def _both_forms(view: CertificateView) -> list[str]:
    return [
        name.ascii if name.unicode == name.ascii else f"{name.ascii} ({name.unicode})"
        for name in view.certificate.names
    ]


def _renewal(view: CertificateView) -> str:
    if not view.certificate.renewal.auto:
        return "off"
    if view.certificate.authority_id is None:
        return "off until a CA profile is chosen"
    return "automatic" if view.renews_at is None else f"automatic, from {shown_moment(view.renews_at)}"
