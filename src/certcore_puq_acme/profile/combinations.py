"""Check that the settings of a CA profile fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.field_errors import FieldErrors
from certcore_puq_acme.profile.limits import NoLimits
from certcore_puq_acme.profile.presets import PRESETS
from certcore_puq_acme.profile.settings import CUSTOM, PuqAcmeProfile
from certcore_puq_acme.profile.values import ZoneWriterKind, base64url_bytes
from certcore_puq_acme.techzone.tsig import tsig_secret
from certcore_puq_acme.techzone.writers.lexicon import provider_options

__all__ = ["check_profile"]

_API_KEY: Final = re.compile(r"[!-~]{1,200}")
#: The fields that each way of writing the tech zone requires.
_ZONE_WRITER_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        ZoneWriterKind.RFC2136: ("zone_primary", "zone_tsig_name", "zone_tsig_secret"),
        ZoneWriterKind.POWERDNS: ("zone_api_url", "zone_api_key"),
        ZoneWriterKind.LEXICON: ("zone_provider", "zone_provider_options"),
    }
)


def check_profile(profile: PuqAcmeProfile) -> None:
    """Refuse settings that do not fit together.

    Raises:
        InvalidInputError: Fields do not fit together; the error names all of them.
    """
    errors = FieldErrors()
    for name, reason, advice in _misfits(profile):
        errors.add(InvalidInputError(name, reason, advice=advice or ""))
    errors.refuse()


def _misfits(profile: PuqAcmeProfile) -> Iterator[tuple[str, Message, Message | None]]:
    """The fields that do not fit the others, each with the reason and advice."""
    if profile.ca == CUSTOM and not profile.directory_url:
        yield "directory_url", Message("puq_acme.directory_url.required", "is required for another ACME CA."), None
    if profile.ca != CUSTOM and profile.directory_url:
        yield "directory_url", _only_for_custom(), None
    key = profile.eab_hmac_key
    if bool(profile.eab_kid) != bool(key):
        missing = "eab_hmac_key" if profile.eab_kid else "eab_kid"
        yield (
            missing,
            Message("puq_acme.eab.both", "external account binding needs both the key id and the HMAC key."),
            None,
        )
    if key and not base64url_bytes(key):
        yield (
            "eab_hmac_key",
            Message("puq_acme.eab.not_base64url_form", "is not base64url, the format that CAs use."),
            None,
        )
    preset = PRESETS.get(profile.ca)
    if preset is not None and preset.eab_required and not key:
        if not preset.eab_by_email:
            text = "{ca} needs external account binding: create the pair on its site."
            yield "eab_kid", Message("puq_acme.eab.required", text, {"ca": preset.title}), None
        elif not profile.email:
            text = "{ca} needs an account e-mail, for which it issues EAB credentials, or the key id and HMAC key."
            yield "email", Message("puq_acme.email.or_eab", text, {"ca": preset.title}), None
    if profile.eab_url and profile.ca != CUSTOM:
        yield "eab_url", _only_for_custom(), None
    if profile.eab_url and not key and not profile.email:
        yield (
            "email",
            Message("puq_acme.email.for_eab", "is needed: EAB credentials are issued for the account e-mail."),
            None,
        )
    if profile.tech_zone_nameservers and (hosts := profile.servers_without_address):
        text = "{host} lies inside the tech zone, so its address has to follow its name."
        params = {"host": hosts[0]}
        reason = Message("puq_acme.nameserver.without_address", text, params)
        advice = Message("puq_acme.nameserver.without_address.advice", "Write it as: {host} 192.0.2.53", params)
        yield "tech_zone_nameservers", reason, advice
    yield from _zone_writer_misfits(profile)
    if any(isinstance(limit, NoLimits) for limit in profile.limits) and len(profile.limits) > 1:
        yield "limits", Message("puq_acme.limit.none_alone", "none stands alone."), None


def _only_for_custom() -> Message:
    text = "is only for another ACME CA; set ca to {custom} or leave it empty."
    return Message("puq_acme.only_for_custom", text, {"custom": CUSTOM})


def _zone_writer_misfits(profile: PuqAcmeProfile) -> Iterator[tuple[str, Message, Message | None]]:
    title = ZoneWriterKind(profile.zone_writer).label
    for name in _ZONE_WRITER_FIELDS.get(profile.zone_writer, ()):
        if not getattr(profile, name):
            text = "is needed for a tech zone at: {place}."
            yield name, Message("puq_acme.writer.needed", text, {"place": title}), None
    zone = profile.written_zone
    if profile.tech_zone != zone and not profile.tech_zone.ascii.endswith(f".{zone}"):
        text = "the tech zone {tech_zone} does not lie in {zone}."
        params = {"tech_zone": profile.tech_zone, "zone": zone}
        yield "zone_at_server", Message("puq_acme.zone.not_inside", text, params), None
    if profile.zone_writer == ZoneWriterKind.EMBEDDED and profile.zone_at_server:
        text = "cannot be used with certcore's own DNS server, which serves the tech zone itself."
        yield "zone_at_server", Message("puq_acme.zone.not_for_own", text), None
    if profile.zone_writer == ZoneWriterKind.EMBEDDED and profile.set_cnames:
        text = "cannot be used with certcore's own DNS server, which does not serve the domains' zones."
        yield "set_cnames", Message("puq_acme.cnames.not_for_own", text), None
    if profile.zone_writer == ZoneWriterKind.LEXICON and profile.set_cnames:
        text = "cannot be used with dns-lexicon, which cannot tell who has set a record."
        yield "set_cnames", Message("puq_acme.cnames.not_for_lexicon", text), None
    if provider_options(profile.zone_provider_options) is None:
        text = "has a line that is not an option, or too many lines."
        advice = Message("puq_acme.provider_options.advice", "Write one option per line: auth_token = …")
        yield "zone_provider_options", Message("puq_acme.provider_options.unreadable", text), advice
    if profile.zone_tsig_secret and tsig_secret(profile.zone_tsig_secret) is None:
        yield (
            "zone_tsig_secret",
            Message("puq_acme.tsig.not_base64", "is not base64, the format that servers use."),
            None,
        )
    if profile.zone_api_key and not _API_KEY.fullmatch(profile.zone_api_key.reveal_text()):
        yield "zone_api_key", Message("puq_acme.api_key.not_printable", "must be printable ASCII without spaces."), None
