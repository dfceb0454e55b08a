"""The ACME directories that a CA profile can be filled in from.

A preset only fills in the form: the profile stores the URL, so a preset that changes later changes no profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

__all__ = ["PRESETS", "DirectoryPreset"]


@frozen(kw_only=True)
class DirectoryPreset:
    """A public ACME server (RFC 8555 section 7.1.1), so that users need not look up its URL.

    Whether external account binding is required is decided by the CA's directory. With ``eab_required``, a form can ask
    for the credentials before the directory has been fetched.
    """

    #: The preset's name in settings and on the command line.
    name: str
    #: The name that users see.
    title: str
    #: The directory URL.
    url: str
    #: Whether new accounts need external account binding (RFC 8555 section 7.3.4).
    eab_required: bool = False
    #: The URL that issues credentials for external account binding for an e-mail address; empty if there is none.
    eab_by_email: str = ""
    #: Its published limits, as `certcore_puq_acme.profile.limits.Limit` reads them.
    limits: tuple[str, ...] = ()
    #: Whether its certificates are for tests only, and are not trusted by clients.
    staging: bool = False


#: Preset name to preset, in the order in which a form shows them.
PRESETS: Final[Mapping[str, DirectoryPreset]] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            DirectoryPreset(
                name="letsencrypt",
                title="Let's Encrypt",
                url="https://acme-v02.api.letsencrypt.org/directory",
                # As published by Let's Encrypt. Renewals with ARI are exempt from all of these limits.
                limits=(
                    "orders 300 per 3h except renewals and ari",
                    "registered_domain 50 per 7d except renewals and ari",
                    "same_names 5 per 7d except ari",
                    "failed_authorizations 5 per 1h except ari",
                ),
            ),
            DirectoryPreset(
                name="letsencrypt_staging",
                title="Let's Encrypt (staging)",
                url="https://acme-staging-v02.api.letsencrypt.org/directory",
                staging=True,
            ),
            DirectoryPreset(
                name="zerossl",
                title="ZeroSSL",
                url="https://acme.zerossl.com/v2/DV90",
                eab_required=True,
                eab_by_email="https://api.zerossl.com/acme/eab-credentials-email",
            ),
            DirectoryPreset(
                name="google",
                title="Google Trust Services",
                url="https://dv.acme-v02.api.pki.goog/directory",
                eab_required=True,
            ),
        )
    }
)
