"""The hooks that a plugin may implement. Read this file first; then `certcore.ports.ca_module`.

A plugin is a module or an object with functions marked `hookimpl`, found through the entry-point group ``certcore``
or handed to ``CertCore.open(plugins=[…])``. All hooks are keyword-only; take the arguments that you need. Hooks are
plain functions: no coroutines, no wrappers. A plugin that cannot work is left out when it is loaded, with the reason in
`CertCore.plugin_failures`; one that raises later, `SystemExit` too, is reported under its own name. Neither takes the
core down. Of two with one name the first keeps it; those of certcore's own plugins, modules and formats are reserved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from certcore.model.events import Event
    from certcore.model.export import ExportFormat
    from certcore.model.hints import Hint
    from certcore.model.views import CertificateView
    from certcore.ports.ca_module import CAModule
    from certcore.ports.plugins import CertificateSource
    from certcore.ports.sealing import Keyring

__all__ = [
    "certcore_authorize",
    "certcore_ca_modules",
    "certcore_export_formats",
    "certcore_hints",
    "certcore_on_event",
    "certcore_open_keyring",
    "hookimpl",
    "hookspec",
]

#: Marks the functions of a plugin: ``@certcore.hookimpl``.
hookimpl = pluggy.HookimplMarker("certcore")
#: Marks the specifications below.
hookspec = pluggy.HookspecMarker("certcore")


@hookspec
def certcore_ca_modules() -> Iterable[CAModule]:  # type: ignore[empty-body]
    """Register CA modules: return one object per module. One module serves many CA profiles.

    It is asked once, when the plugin is loaded, and each module is checked then: its name, title and forms, the
    signature of every method, and that it has all of a power that it has a part of.
    """


@hookspec
def certcore_hints(view: CertificateView) -> Iterable[Hint]:  # type: ignore[empty-body]
    """Add to the right column of a certificate; what is returned comes after the CA module's own hints.

    At most 200 hints of 256 KiB as JSON; the hints of a plugin that returns more, or anything else, are left out.
    """


@hookspec
def certcore_export_formats() -> Iterable[ExportFormat]:  # type: ignore[empty-body]
    """Add formats that certificates can be exported in. It is asked once, when the plugin is loaded.

    A name that is taken, by certcore or by an earlier plugin, is refused and told in `CertCore.plugin_failures`.
    """


@hookspec
def certcore_on_event(event: Event, certificates: CertificateSource) -> None:
    """Learn of a committed event: deploy, notify, count.

    Each event comes at least once, from any process, and in order per certificate. A hook that raises gets the same
    event again, after pauses that grow from 5 seconds to an hour; until it takes it, it gets no later one of that
    certificate. Neither the engine nor the other plugins wait for it. Keep ``event.number`` where twice would hurt.

    Args:
        event: What happened.
        certificates: To look at the certificate, and to take its files out. What is found there may be newer than the
            event; the certificate may be gone.
    """


@hookspec(firstresult=True)
def certcore_authorize(actor: str, action: str, subject: str, owner: str) -> bool | None:
    """Say whether an actor may do something; None leaves it to the next plugin, and at last to the default (yes).

    It is asked at every call of a service, so it should be quick. One that raises, or answers anything but True, False
    or None, counts as a no, and is logged. A policy that cannot be used from the start (its signature does not fit,
    say) is told in `CertCore.plugin_failures`, and nobody may do anything until it is repaired; only one whose package
    cannot even be imported cannot be known for a policy, so hand yours to ``CertCore.open(plugins=[…])``.
    `certcore.RolePolicy` is one that is ready.

    Args:
        actor: The user as the panel named it in the call; ``system`` when it named none.
        action: One of `certcore.model.permissions.Permission`, for example ``certificate.reveal_key``.
        subject: The id of the certificate or CA profile; empty for a new one and for lists.
        owner: The owner of the certificate; for lists, the one that they are limited to. Else empty.
    """


@hookspec(firstresult=True)
def certcore_open_keyring(url: str) -> Keyring | None:
    """Open a keyring (KMS, HSM) whose URL scheme is yours; None when it is not.

    Paths, ``file:`` and ``env:`` are certcore's own, and of other URLs certcore's own plugins are asked first.
    """
