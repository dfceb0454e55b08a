"""certcore: TLS certificates as a library, for panels, services and scripts.

`CertCore` is the central object. Its arguments and results are frozen values::

    import certcore

    with certcore.CertCore.in_memory() as core:
        assert core.certificates.list().items == ()

The names of this package are for panels and scripts. Four more namespaces are public: `certcore.plugin` for plugins,
`certcore.hints` for pages, `certcore.serialization` for REST interfaces, and `certcore.testing` for tests. All
exceptions are in `certcore.errors`. Everything else may change without notice.

Names are loaded on first use, so that importing the package is fast.
"""

from typing import TYPE_CHECKING

from certcore.version import __version__

if TYPE_CHECKING:
    from certcore import errors, hints, plugin, serialization
    from certcore.adapters.export_files import write_plain, write_versioned
    from certcore.core import CertCore
    from certcore.errors import (
        AccessDeniedError,
        CertCoreError,
        InvalidInputError,
        NotFoundError,
        NotObtainedError,
        StaleWriteError,
        TransitionNotAllowedError,
    )
    from certcore.hookspecs import hookimpl
    from certcore.model.authority import CertificateAuthority, UsableAuthority
    from certcore.model.certificate import Certificate
    from certcore.model.certificate_form import CertificateChanges, CertificateOptions
    from certcore.model.conditions import Condition
    from certcore.model.counts import CertificateCounts
    from certcore.model.events import Event, EventKind, EventPage, FeedEvent
    from certcore.model.export import Exported
    from certcore.model.keys import KeyType
    from certcore.model.lifecycle import Action, Status
    from certcore.model.listing import CertificateFilter, SortKey
    from certcore.model.notice_policy import NoticePolicy
    from certcore.model.permissions import Permission, Role
    from certcore.model.renewal import RenewalPolicy, RenewalReason
    from certcore.model.revocation import RevocationReason
    from certcore.model.rows import CertificateRow, RowPage
    from certcore.model.secret import Secret, SecretName
    from certcore.model.standing import Attempt, ConditionStatus, ConditionType
    from certcore.model.subject import Subject
    from certcore.model.views import CertificateView, Page
    from certcore.scripts import obtain
    from certcore.services.actor_calls import ActingCore
    from certcore.services.bulk import BulkResult
    from certcore.services.certificate_list import ListOptions
    from certcore.services.roles import RolePolicy
    from certcore.services.transfers import TransferPreview
    from certcore.zone_serving import serve_zones

__all__ = [
    "AccessDeniedError",
    "ActingCore",
    "Action",
    "Attempt",
    "BulkResult",
    "CertCore",
    "CertCoreError",
    "Certificate",
    "CertificateAuthority",
    "CertificateChanges",
    "CertificateCounts",
    "CertificateFilter",
    "CertificateOptions",
    "CertificateRow",
    "CertificateView",
    "Condition",
    "ConditionStatus",
    "ConditionType",
    "Event",
    "EventKind",
    "EventPage",
    "Exported",
    "FeedEvent",
    "InvalidInputError",
    "KeyType",
    "ListOptions",
    "NotFoundError",
    "NotObtainedError",
    "NoticePolicy",
    "Page",
    "Permission",
    "RenewalPolicy",
    "RenewalReason",
    "RevocationReason",
    "Role",
    "RolePolicy",
    "RowPage",
    "Secret",
    "SecretName",
    "SortKey",
    "StaleWriteError",
    "Status",
    "Subject",
    "TransferPreview",
    "TransitionNotAllowedError",
    "UsableAuthority",
    "__version__",
    "errors",
    "hints",
    "hookimpl",
    "obtain",
    "plugin",
    "serialization",
    "serve_zones",
    "write_plain",
    "write_versioned",
]

if not TYPE_CHECKING:
    from certcore.lazy import lazy_names

    #: The same names and modules as in the imports above.
    __getattr__ = lazy_names(
        __name__,
        {
            "AccessDeniedError": "certcore.errors",
            "ActingCore": "certcore.services.actor_calls",
            "Action": "certcore.model.lifecycle",
            "Attempt": "certcore.model.standing",
            "BulkResult": "certcore.services.bulk",
            "CertCore": "certcore.core",
            "CertCoreError": "certcore.errors",
            "Certificate": "certcore.model.certificate",
            "CertificateAuthority": "certcore.model.authority",
            "CertificateChanges": "certcore.model.certificate_form",
            "CertificateCounts": "certcore.model.counts",
            "CertificateFilter": "certcore.model.listing",
            "CertificateOptions": "certcore.model.certificate_form",
            "CertificateRow": "certcore.model.rows",
            "CertificateView": "certcore.model.views",
            "Condition": "certcore.model.conditions",
            "ConditionStatus": "certcore.model.standing",
            "ConditionType": "certcore.model.standing",
            "Event": "certcore.model.events",
            "EventKind": "certcore.model.events",
            "EventPage": "certcore.model.events",
            "Exported": "certcore.model.export",
            "FeedEvent": "certcore.model.events",
            "InvalidInputError": "certcore.errors",
            "KeyType": "certcore.model.keys",
            "ListOptions": "certcore.services.certificate_list",
            "NotFoundError": "certcore.errors",
            "NotObtainedError": "certcore.errors",
            "NoticePolicy": "certcore.model.notice_policy",
            "Page": "certcore.model.views",
            "Permission": "certcore.model.permissions",
            "RenewalPolicy": "certcore.model.renewal",
            "RenewalReason": "certcore.model.renewal",
            "RevocationReason": "certcore.model.revocation",
            "Role": "certcore.model.permissions",
            "RolePolicy": "certcore.services.roles",
            "RowPage": "certcore.model.rows",
            "Secret": "certcore.model.secret",
            "SecretName": "certcore.model.secret",
            "SortKey": "certcore.model.listing",
            "StaleWriteError": "certcore.errors",
            "Status": "certcore.model.lifecycle",
            "Subject": "certcore.model.subject",
            "TransferPreview": "certcore.services.transfers",
            "TransitionNotAllowedError": "certcore.errors",
            "UsableAuthority": "certcore.model.authority",
            "errors": "certcore.errors",
            "hints": "certcore.hints",
            "hookimpl": "certcore.hookspecs",
            "obtain": "certcore.scripts",
            "plugin": "certcore.plugin",
            "serialization": "certcore.serialization",
            "serve_zones": "certcore.zone_serving",
            "write_plain": "certcore.adapters.export_files",
            "write_versioned": "certcore.adapters.export_files",
        },
    )
