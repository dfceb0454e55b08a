"""PUQ ACME: certificates from any ACME CA, validated with dns-01 through one CNAME into the tech zone.

An installed certcore finds the module automatically. For those who build profiles in Python, its settings are public::

    from certcore_puq_acme import PRESETS, PuqAcmeProfile

    assert "letsencrypt" in PRESETS
    assert "tech_zone" in {field.name for field in PuqAcmeProfile.__attrs_attrs__}
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certcore_puq_acme.module import PuqAcme
    from certcore_puq_acme.profile.presets import PRESETS, DirectoryPreset
    from certcore_puq_acme.profile.settings import PuqAcmeProfile, PuqAcmeSettings

__all__ = ["PRESETS", "DirectoryPreset", "PuqAcme", "PuqAcmeProfile", "PuqAcmeSettings"]

if not TYPE_CHECKING:
    from certcore.lazy import lazy_names

    #: The same names and modules as in the imports above.
    __getattr__ = lazy_names(
        __name__,
        {
            "PRESETS": "certcore_puq_acme.profile.presets",
            "DirectoryPreset": "certcore_puq_acme.profile.presets",
            "PuqAcme": "certcore_puq_acme.module",
            "PuqAcmeProfile": "certcore_puq_acme.profile.settings",
            "PuqAcmeSettings": "certcore_puq_acme.profile.settings",
        },
    )
