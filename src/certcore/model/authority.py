"""A CA profile: one configured way to obtain certificates, through one CA module."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from certcore.model.read_only import read_only

__all__ = ["CertificateAuthority", "UsableAuthority"]


@frozen(kw_only=True)
class CertificateAuthority:
    """A stored CA profile, without its secret settings, which are sealed separately."""

    id: str
    #: Unique among the CA profiles.
    name: str
    description: str = ""
    #: The name of the CA module.
    module: str
    #: The module's settings for this CA profile as plain JSON, without the secret fields.
    settings: Mapping[str, Any] = field(factory=dict, converter=read_only, repr=False)
    #: The names of the secret fields that have a value.
    secrets_set: frozenset[str] = frozenset()
    version: int = 1
    created_at: datetime
    updated_at: datetime


@frozen(kw_only=True)
class UsableAuthority:
    """A CA profile without its settings, for actors who may only use it."""

    id: str
    name: str
    #: The title of its CA module.
    title: str
