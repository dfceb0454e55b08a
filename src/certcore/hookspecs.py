"""The hooks that a plugin may implement. Read this file first; then `certcore.plugin.CAModule`.

A plugin is a module or an object with functions marked `hookimpl`. It is found through the entry-point group
``certcore``, or passed to ``CertCore.open(plugins=[…])``. Hooks are called with keyword arguments; declare only the
arguments that you need. Hooks are plain functions, not coroutines or wrappers.

No plugin can stop certcore. A plugin that cannot be loaded is left out, with the reason in `CertCore.plugin_failures`.
An exception that a hook raises later, even `SystemExit`, is reported under the plugin's name. If two plugins have the
same name, the first one keeps it. The names of certcore's own plugins, CA modules and export formats are reserved.

A plugin may declare the version of this interface that it was written for: ``certcore_api = 1`` beside its hooks. The
default is 1. A plugin that declares a newer version than this certcore has is left out.
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

#: The version of the plugin interface: these hooks, `certcore.plugin` and `certcore.hints`. It is incremented with each
#: change that breaks existing plugins.
API_LEVEL: Final = 1
#: Marks the functions of a plugin: ``@certcore.hookimpl``.
hookimpl = pluggy.HookimplMarker("certcore")
#: Marks the specifications below.
hookspec = pluggy.HookspecMarker("certcore")


@hookspec
def certcore_ca_modules() -> Iterable[CAModule[Any, Any]]:  # type: ignore[empty-body]
    """Register CA modules: return one object per module. One module serves many CA profiles.

    The hook is called once, when the plugin is loaded. Each module is checked then: its name, title and forms, the
    signature of every method, and that no power (`SupportsRevocation` and so on) is implemented only in part.
    """


@hookspec
def certcore_catalogues() -> Iterable[Catalogue]:  # type: ignore[empty-body]
    """Register translations of the plugin's own texts, see `certcore.plugin.Catalogue`.

    The hook is called once, when the plugin is loaded. If several catalogues translate the same key, certcore's own
    takes precedence, then that of the plugin that was registered first.
    """


@hookspec
def certcore_controls_name(owner: str, name: str) -> bool | None:
    """Return whether an owner controls a domain name according to the panel's own records; None for no opinion.

    If the panel itself can set the DNS records that prove control, the CA's validation proves nothing about the owner.
    In this case the hook is called before each such record is set, and before each order that relies on one, so that a
    domain that has moved to another owner is noticed. The hook should be fast.

    Every plugin that implements the hook is called. The result is False if one of them returns False, or if none
    returns True. An exception, or a value other than True, False or None, counts as False; it is logged and shown on
    the certificate's page.

    Args:
        owner: The owner of the certificate, exactly as the panel set it; empty for a certificate without an owner.
        name: The domain name as A-labels in lower case, without ``*.`` and without a trailing dot.
    """


@hookspec
def certcore_hints(view: CertificateView) -> Iterable[Hint]:  # type: ignore[empty-body]
    """Add hints to the right column of a certificate's page. They follow the hints of the CA module.

    A plugin may return at most 200 hints, and at most 256 KiB as JSON. If it returns more, or anything else, all its
    hints are left out.

    Args:
        view: The certificate, as its page shows it.
    """


@hookspec
def certcore_export_formats() -> Iterable[ExportFormat]:  # type: ignore[empty-body]
    """Register export formats. The hook is called once, when the plugin is loaded.

    A format whose name certcore or an earlier plugin uses is refused, and reported in `CertCore.plugin_failures`.
    """


@hookspec
def certcore_on_event(event: Event, certificates: CertificateSource) -> None:
    """Receive a committed event, for example to deploy a certificate or to notify somebody.

    Each event is delivered at least once, by any process, and in order for each certificate. If the hook raises an
    exception, the same event is delivered again, after pauses that grow from 5 seconds to an hour. Later events of that
    certificate wait until it succeeds. The engine and the other plugins do not wait. If handling an event twice would
    do harm, store ``event.number`` and skip the numbers that you have handled.

    Args:
        event: What happened.
        certificates: Gives access to the certificate and its files. They may be newer than the event, and the
            certificate may have been deleted.
    """


@hookspec
def certcore_check_targets(certificate_id: str, certificates: CertificateSource) -> Iterable[Finding]:  # type: ignore[empty-body]
    """Return what would prevent this plugin from deploying the next leaf of a certificate.

    The hook is called about once a week for each certificate in service, and more often while there are findings. It
    must not change anything: check whether a directory is writable, or whether a server answers. A finding with
    ``Severity.ERROR`` is reported to the administrator. Its texts may name paths and users of the server, because they
    are shown only to actors with the permission to see deliveries. An exception counts as such a finding.

    Args:
        certificate_id: The ID of the certificate.
        certificates: Gives access to the certificate. Do not export anything.

    Returns:
        The findings; empty if the leaf could be deployed.
    """


@hookspec(firstresult=True)
def certcore_authorize(actor: str, action: str, subject: str, owner: str) -> bool | None:
    """Return whether an actor may do something; None leaves the decision to the next plugin. The default is True.

    Every call of the services calls this hook, so it should be fast. An exception, or a value other than True, False or
    None, counts as False and is logged. If a policy cannot be used, for example because of its signature, this is
    reported in `CertCore.plugin_failures`, and everything is denied until the policy is repaired.

    certcore cannot know that a package contains a policy if the package is disabled or cannot be imported; then the
    policy is not in force. So pass your policy to ``CertCore.open(plugins=[…])``. `certcore.RolePolicy` is a ready-made
    policy.

    Args:
        actor: The user, as the panel named it in the call; ``system`` by default.
        action: A value of `certcore.plugin.Permission`, for example ``certificate.reveal_key``.
        subject: The ID of the certificate or CA profile; empty for new ones and for lists.
        owner: The owner of the certificate, or the owner that a list is limited to; otherwise empty.
    """


@hookspec(firstresult=True)
def certcore_open_keyring(url: str) -> Keyring | None:
    """Open a keyring, for example in a KMS or an HSM, by its URL; None if the URL's scheme is not yours.

    certcore opens paths and URLs with ``file:`` and ``env:`` itself. For other URLs, its own plugins are called first.

    Args:
        url: The URL as the administrator configured it.
    """


@hookspec
def certcore_zone_writers() -> Iterable[ZoneWriter]:  # type: ignore[empty-body]
    """Register writers of TXT values for a DNS server that the panel already runs, see `certcore.plugin.ZoneWriter`.

    A CA profile refers to a writer by its name. The hook is called once, when the plugin is loaded. Each writer is
    checked then; a writer whose name is taken is refused, and reported in `CertCore.plugin_failures`. If the server
    also has the zones of customers, the writer may set their CNAMEs: see `certcore.plugin.WritesCnames` and
    `certcore_controls_name`.
    """
