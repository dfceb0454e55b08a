"""`PuqAcme`: certcore's words to ACME's, and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from attrs import evolve

from certcore.errors import CertCoreError, InvalidInput, InvalidName
from certcore.model.form import Choice, FieldKind, FormField, fields_of
from certcore.model.hints import Hint, Level, Message
from certcore.model.issuance import Issuance
from certcore.model.names import DnsName
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.ca_module import (
    CAModule,
    CheckItem,
    CheckReport,
    Documents,
    ModuleContext,
    ProfileAction,
    Step,
    Work,
)
from certcore.ports.dns import DnsServer, Zone, ZoneSource
from certcore.ports.environment import Environment
from certcore.ports.forks import renew_after_fork
from certcore_puq_acme.account_actions import profile_actions, run_action
from certcore_puq_acme.account_records import records_of
from certcore_puq_acme.delegation import VALIDATION_LABEL
from certcore_puq_acme.directory_records import known_directory
from certcore_puq_acme.hints import right_column
from certcore_puq_acme.network import Network, NetworkPort
from certcore_puq_acme.owner_records import with_lasting_records
from certcore_puq_acme.profile_column import profile_column
from certcore_puq_acme.settings import PuqAcmeProfile, PuqAcmeSettings, check_profile

__all__ = ["PuqAcme"]

_MAX_NAME: Final = 253


class PuqAcme(CAModule):
    """Certificates from any ACME CA (RFC 8555), validated with dns-01 through one CNAME into the tech zone.

    Args:
        network: HTTP and DNS; the real ones by default. A simulation hands in its own.
    """

    name: ClassVar[str] = "puq_acme"
    title: ClassVar[str] = "PUQ ACME"
    profile_type: ClassVar[type] = PuqAcmeProfile
    certificate_type: ClassVar[type] = PuqAcmeSettings

    def __init__(self, network: NetworkPort | None = None) -> None:
        self._network: NetworkPort = network or Network()
        self._lock = threading.Lock()
        self._accounts: Any = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.ports.forks`."""
        self._lock = threading.Lock()

    def advance(self, work: Work) -> Step:
        """Take the next step towards the leaf; see `certcore_puq_acme.steps`."""
        from certcore_puq_acme import steps  # noqa: PLC0415 - keeps the ACME client out of the host's start-up

        return steps.advance(work, self._client_pool())

    def clean_up(self, work: Work) -> datetime | None:
        """Take the TXT values of an issuance out of the tech zone."""
        from certcore_puq_acme import steps  # noqa: PLC0415 - see advance

        steps.clean_up(work)
        return None

    def revoke(
        self,
        issuance: Issuance,
        reason: RevocationReason,
        private_key: Callable[[], Secret | None],
        context: ModuleContext,
    ) -> None:
        """Revoke by the profile's account, else by the certificate's key."""
        from certcore_puq_acme.revocation import revoke  # noqa: PLC0415 - see advance

        revoke(issuance, reason, private_key, context, self._client_pool())

    def hints(self, view: CertificateView, context: ModuleContext) -> Sequence[Hint]:
        """The right column: what is going on, the CNAMEs with what was seen, the terms of service, the timeline.

        Only lasting records that end soon are looked at in the DNS for it: their owner may have set new ones.
        """
        return right_column(with_lasting_records(view, context, self._network), context)

    def check_profile(self, profile: Any) -> None:
        """Refuse settings that do not fit together."""
        check_profile(profile)

    def check_request(self, context: ModuleContext, names: Sequence[DnsName], settings: Any) -> None:
        """Refuse wildcards where the profile forbids them, and names too long to be validated."""
        profile: PuqAcmeProfile = context.profile
        wanted: PuqAcmeSettings = settings
        if wanted.challenge and wanted.challenge not in profile.challenge_types:
            allowed = ", ".join(profile.challenge_types)
            raise InvalidInput("challenge", f"this CA profile allows {allowed} only.")
        _check_certificate_profile(context, wanted)
        if wanted.account_email:
            from certcore_puq_acme.account_limits import check_wanted_account  # noqa: PLC0415 - see advance

            check_wanted_account(context, wanted)
        for position, name in enumerate(names):
            field = "domain" if position == 0 else "aliases"
            if name.is_wildcard and not profile.allow_wildcard:
                by_switch = position == 1 and name.base == names[0]
                raise InvalidName(
                    "wildcard" if by_switch else field,
                    f"{name} is a wildcard, and this CA profile does not allow wildcards.",
                    advice="Use another CA profile, or leave the wildcard out.",
                )
            if len(VALIDATION_LABEL) + 1 + len(name.base.ascii) > _MAX_NAME:
                raise InvalidName(
                    field, f"{name.base} is too long for dns-01: {VALIDATION_LABEL}. goes in front of it."
                )
            if name.base == profile.tech_zone or name.ascii.endswith(f".{profile.tech_zone}"):
                raise InvalidName(field, f"{name} lies in the tech zone itself, which cannot be delegated into itself.")

    def profile_form(self, context: ModuleContext) -> Sequence[FormField]:
        """The form of a profile; the certificate profiles that its CA offers are choices, with their descriptions."""
        return _with_choices(fields_of(self.profile_type), context, "The CA's default")

    def certificate_form(self, context: ModuleContext) -> Sequence[FormField]:
        """What a certificate is asked; as in `profile_form`, and only the ways of validation that are allowed."""
        fields = []
        for one in _with_choices(fields_of(self.certificate_type), context, "As the CA profile says"):
            if one.name == "challenge":
                allowed = ("", *context.profile.challenge_types)
                fields.append(evolve(one, choices=tuple(choice for choice in one.choices if choice.value in allowed)))
            else:
                fields.append(one)
        return fields

    def profile_actions(self, context: ModuleContext) -> Sequence[ProfileAction]:
        """Rolling the account's key over, closing it, opening one, taking one along, agreeing to changed terms."""
        return profile_actions(context)

    def run_action(self, name: str, values: Any, context: ModuleContext, *, actor: str) -> Message:
        """Run one of the actions on the profile's accounts."""
        return run_action(name, values, context, self._client_pool(), actor=actor)

    def profile_hints(self, context: ModuleContext) -> Sequence[Hint]:
        """The right column of a profile: its accounts, terms, certificate profiles, limits and pauses."""
        return profile_column(context)

    def renewal_info(self, issuance: Issuance, context: ModuleContext) -> SuggestedWindow | None:
        """Ask the CA when it wants a leaf to be renewed (RFC 9773)."""
        from certcore_puq_acme.renewal_info import renewal_window  # noqa: PLC0415 - see advance

        return renewal_window(issuance, context, self._client_pool())

    def check(self, context: ModuleContext) -> CheckReport:
        """Test the profile: directory, terms, account and tech zone. Opens the account if there is none."""
        return CheckReport(items=(*self._check_ca(context), self._check_zone(context)))

    def dns_server(
        self,
        *,
        listen: tuple[str, int],
        documents: Documents,
        environment: Environment,
        profiles: Callable[[], Sequence[Any]],
        also: Sequence[ZoneSource] = (),
        before_serving: Callable[[], object] | None = None,
    ) -> DnsServer:
        """Start the embedded authoritative server for the tech zones of all profiles."""
        from certcore_puq_acme.techzone.records import DocumentsZoneSource  # noqa: PLC0415 - dnspython costs 0.1 s
        from certcore_puq_acme.techzone.server import ZoneServer  # noqa: PLC0415

        source = DocumentsZoneSource(documents, lambda: _zones(profiles()), environment)
        return ZoneServer(listen, [source, *also], environment, before_serving=before_serving)

    def _client_pool(self) -> Any:
        from certcore_puq_acme.accounts import Accounts  # noqa: PLC0415 - see advance

        with self._lock:
            if self._accounts is None:
                self._accounts = Accounts(network=self._network)
            return self._accounts

    def _check_ca(self, context: ModuleContext) -> list[CheckItem]:
        pool = self._client_pool()
        reached = Message("puq_acme.check.directory", "The CA's directory {url}", {"url": context.profile.directory})
        account = Message("puq_acme.check.account", "The account at the CA")
        items: list[CheckItem] = []
        try:
            directory = pool.read_directory(context)
            terms = f"Terms of service: {directory.terms_of_service}" if directory.terms_of_service else ""
            items.append(CheckItem(title=reached, ok=True, detail=terms))
        except CertCoreError as error:
            return [CheckItem(title=reached, ok=False, detail=error.message, advice=error.advice)]
        try:
            opened = pool.opened(context)
            if pool.has_changed(context, opened):  # closed, moved or lost at the CA since it was used last
                opened = pool.opened(context)
            items.append(CheckItem(title=account, ok=True, detail=opened.client.account().url))
        except CertCoreError as error:
            items.append(CheckItem(title=account, ok=False, detail=str(error.message), advice=error.advice))
        return [*items, *_check_history(context)]

    def _check_zone(self, context: ModuleContext) -> CheckItem:
        from certcore_puq_acme.propagation import Resolvers  # noqa: PLC0415 - dnspython costs 0.1 s

        profile: PuqAcmeProfile = context.profile
        title = Message("puq_acme.check.zone", "The tech zone {zone} in the DNS", {"zone": profile.tech_zone.ascii})
        resolvers = Resolvers.of(profile.dns_servers, profile.api_timeout, self._network.dns())
        trouble = resolvers.zone_answers(profile.tech_zone.ascii)
        servers = ", ".join(server.host for server in profile.zone_servers)
        advice = f"Delegate {profile.tech_zone} to {servers} and run `certcore dns serve` there."
        return CheckItem(title=title, ok=not trouble, detail=trouble, advice=advice if trouble else "")


def _with_choices(fields: Sequence[FormField], context: ModuleContext, none: str) -> Sequence[FormField]:
    """The form with the certificate profiles as choices, where it is known which the CA offers."""
    directory = known_directory(context)
    if directory is None or not directory.profiles:
        return fields
    offered = [Choice(name, f"{name}: {text}" if text else name) for name, text in directory.profiles.items()]
    choices = (Choice("", none), *offered)
    return [
        evolve(one, kind=FieldKind.CHOICE, choices=choices) if one.name == "certificate_profile" else one
        for one in fields
    ]


def _check_certificate_profile(context: ModuleContext, settings: PuqAcmeSettings) -> None:
    directory = known_directory(context)
    wanted = settings.certificate_profile
    if wanted and directory is not None and wanted not in directory.profiles:
        offered = ", ".join(directory.profiles) or "none"
        raise InvalidInput("certificate_profile", f"the CA does not offer {wanted!r}.", advice=f"It offers: {offered}.")


def _check_history(context: ModuleContext) -> list[CheckItem]:
    """What is to be said of the clocks, and of an account that has taken the place of another one."""
    from certcore_puq_acme.account_hints import clock_notice, replaced_notice  # noqa: PLC0415 - see advance

    clock = Message("puq_acme.check.clock", "The clocks of this machine and of the CA")
    items = [CheckItem(title=clock, ok=False, detail=str(notice.text)) for notice in clock_notice(context)]
    replaced = Message("puq_acme.check.replaced", "The account that was used before")
    advice = "Change such records, then run the profile's action accept_account."
    for record in records_of(context.documents, context.authority_id):
        for notice in replaced_notice(record, context):
            wanted = notice.level is Level.INFO
            item = CheckItem(title=replaced, ok=wanted, detail=str(notice.text), advice="" if wanted else advice)
            items.append(item)
    return items


def _zones(profiles: Sequence[Any]) -> list[Zone]:
    return [
        Zone(
            apex=one.tech_zone.ascii,
            nameservers=tuple(server.host for server in one.zone_servers),
            addresses={server.host: server.addresses for server in one.zone_servers if server.addresses},
            ttl=one.ttl,
        )
        for one in profiles
        if isinstance(one, PuqAcmeProfile)
    ]
