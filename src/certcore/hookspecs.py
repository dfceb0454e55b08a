"""The hooks that a plugin may implement. Read this file first; then `certcore.plugin.CAModule`.

A plugin is a module or an object with functions marked `hookimpl`, found through the entry-point group ``certcore``
or handed to ``CertCore.open(plugins=[…])``. All hooks are keyword-only; take the arguments that you need. Hooks are
plain functions: no coroutines, no wrappers. A plugin that cannot work is left out when it is loaded, with the reason in
`CertCore.plugin_failures`; one that raises later, `SystemExit` too, is reported under its own name. Neither takes the
core down. Of two with one name the first keeps it; those of certcore's own plugins, modules and formats are reserved.

A plugin may say which version of this interface it was written for: ``certcore_api = 1`` beside its hooks. One that
asks for a version which this certcore does not have is left out; without it a plugin is taken as written for version 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from certcore.model.events import Event
    from certcore.model.export import ExportFormat
    from certcore.model.finding import Finding
    from certcore.model.hints import Hint
    from certcore.model.views import CertificateView
    from certcore.ports.ca_module import CAModule
    from certcore.ports.plugins import CertificateSource
    from certcore.ports.sealing import Keyring
    from certcore.ports.zone_writers import ZoneWriter
    from certcore.translations import Catalogue

__all__ = [
    "API_LEVEL",
    "certcore_authorize",
    "certcore_ca_modules",
    "certcore_catalogues",
    "certcore_check_targets",
    "certcore_controls_name",
    "certcore_export_formats",
    "certcore_hints",
    "certcore_on_event",
    "certcore_open_keyring",
    "certcore_zone_writers",
    "hookimpl",
    "hookspec",
]

#: The version of the plugin interface: these hooks, `certcore.plugin` and `certcore.hints`. It grows when a plugin that
#: was right before would not work any more.
API_LEVEL: Final = 1
#: Marks the functions of a plugin: ``@certcore.hookimpl``.
hookimpl = pluggy.HookimplMarker("certcore")
#: Marks the specifications below.
hookspec = pluggy.HookspecMarker("certcore")


@hookspec
def certcore_ca_modules() -> Iterable[CAModule[Any, Any]]:  # type: ignore[empty-body]
    """Register CA modules: return one object per module. One module serves many CA profiles.

    It is asked once, when the plugin is loaded, and each module is checked then: its name, title and forms, the
    signature of every method, and that it has all of a power that it has a part of.
    """


@hookspec
def certcore_catalogues() -> Iterable[Catalogue]:  # type: ignore[empty-body]
    """Bring translations of the plugin's own texts: see `certcore.plugin.Catalogue`.

    It is asked once, when the plugin is loaded. Where two catalogues have the same key, that of certcore counts, then
    that of the plugin which was registered first.
    """


@hookspec
def certcore_controls_name(owner: str, name: str) -> bool | None:
    """Say whether an owner controls a domain name, by what the panel itself knows; None is no opinion.

    It is asked where the panel can set the records that prove control: then the CA's validation proves nothing about
    the owner. It is asked each time before a record is set, and before an order that relies on one, so that a domain
    that has moved to another owner is noticed: it should be quick.

    Every plugin that implements it is called. The answer is no if one returns False, or if none returns True. If one
    raises, or returns anything but True, False or None, this counts as False, is logged, and is shown on the
    certificate's page.

    Args:
        owner: The owner of the certificate, exactly as the panel named it; empty for a certificate without one.
        name: The domain name as A-labels in lower case, without ``*.`` and without a trailing dot.
    """


@hookspec
def certcore_hints(view: CertificateView) -> Iterable[Hint]:  # type: ignore[empty-body]
    """Add to the right column of a certificate; what is returned comes after the CA module's own hints.

    At most 200 hints of 256 KiB as JSON; the hints of a plugin that returns more, or anything else, are left out.
    """


@hookspec
def certcore_export_formats() -> Iterable[ExportFormat]:  # type: ignore[empty-body]
    """Add formats that certificates can be exported in. It is asked once, when the plugin is loaded.

    A name that certcore or an earlier plugin uses is refused and reported in `CertCore.plugin_failures`.
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


@hookspec
def certcore_check_targets(certificate_id: str, certificates: CertificateSource) -> Iterable[Finding]:  # type: ignore[empty-body]
    """Say what would keep this plugin from deploying the next leaf of a certificate; nothing when all is well.

    It is asked about once a week for each certificate in service, and while something is in the way more often. Change
    nothing: look whether a directory can be written, whether a server answers. A finding with ``Severity.ERROR`` is
    told to the administrator; its texts may name paths and users of the server, since only who may see deliveries sees
    them. A hook that raises counts as such a finding.

    Args:
        certificate_id: The certificate.
        certificates: To look at the certificate; nothing is to be exported.
    """


@hookspec(firstresult=True)
def certcore_authorize(actor: str, action: str, subject: str, owner: str) -> bool | None:
    """Say whether an actor may do something; None leaves it to the next plugin, and at last to the default (yes).

    It is called for every call of a service, so it should be quick. If it raises, or returns anything but True, False
    or None, this counts as False and is logged. A policy that cannot be used (for example because of its signature) is
    reported in `CertCore.plugin_failures`, and everything is denied until it is repaired. A package that cannot be
    imported, or is disabled by its name, is not known to be a policy, and then it does not decide: so pass yours to
    ``CertCore.open(plugins=[…])``, where it stays in force. `certcore.RolePolicy` is a ready-made policy.

    Args:
        actor: The user as the panel named it in the call; ``system`` when it named none.
        action: One of `certcore.plugin.Permission`, for example ``certificate.reveal_key``.
        subject: The id of the certificate or CA profile; empty for a new one and for lists.
        owner: The owner of the certificate; for lists, the one that they are limited to. Else empty.
    """


@hookspec(firstresult=True)
def certcore_open_keyring(url: str) -> Keyring | None:
    """Open a keyring (KMS, HSM) whose URL scheme is yours; None when it is not.

    Paths, ``file:`` and ``env:`` are certcore's own, and of other URLs certcore's own plugins are asked first.
    """


@hookspec
def certcore_zone_writers() -> Iterable[ZoneWriter]:  # type: ignore[empty-body]
    """Register writers of TXT values, for a DNS server that the panel already runs: see `certcore.plugin.ZoneWriter`.

    A CA profile names one of them. It is asked once, when the plugin is loaded; each writer is checked then, and one
    whose name is taken is refused and reported in `CertCore.plugin_failures`. A writer of a server that has the zones
    of customers, too, may set their CNAMEs: see `certcore.plugin.WritesCnames` and `certcore_controls_name`.
    """
