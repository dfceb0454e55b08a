"""`PuqAcme`: the CA module, which maps certcore's interface to ACME."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, ClassVar, Final

from attrs import evolve

from certcore.errors import CertCoreError, InvalidInputError, InvalidNameError
from certcore.forks import renew_after_fork
from certcore.model.certificate import Certificate
from certcore.model.field_errors import FieldErrors
from certcore.model.finding import Finding
from certcore.model.form import Choice, FieldKind, FormField, fields_of
from certcore.model.hints import Hint, Level, Message
from certcore.model.issuance import Issuance
from certcore.model.names import DnsName
from certcore.model.readiness import Readiness
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.transfer_keys import TransferKey
from certcore.model.views import CertificateView
from certcore.ports.ca_module import (
    CAModule,
    CheckItem,
    CheckReport,
    Documents,
    StepResult,
    SupportsCheck,
    SupportsCleanUp,
    SupportsDeletion,
    SupportsDiagnosis,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
)
from certcore.ports.dns import DnsServer, ServesZones, Zone, ZoneSource
from certcore.ports.environment import Environment
from certcore.ports.module_actions import ProfileAction, SupportsActions
from certcore.ports.module_budgets import BudgetUse, SupportsBudgets
from certcore_puq_acme.accounts.actions import profile_actions, run_action
from certcore_puq_acme.accounts.known_directory import known_directory
from certcore_puq_acme.accounts.own_account_form import check_consent, with_own_account
from certcore_puq_acme.accounts.records import records_of
from certcore_puq_acme.dns.delegation import VALIDATION_LABEL, adopted_target
from certcore_puq_acme.dns.name_owners import RELEASE_NAME, is_bound_to_another, release_name
from certcore_puq_acme.hints.certificate import right_column
from certcore_puq_acme.hints.dns_records import with_lasting_records
from certcore_puq_acme.hints.profile import budgets_of, profile_column
from certcore_puq_acme.hints.recent_looks import RecentLooks
from certcore_puq_acme.network import Network, NetworkPort
from certcore_puq_acme.profile.combinations import check_profile
from certcore_puq_acme.profile.settings import (
    AcmeContext,
    AcmeWork,
    PuqAcmeProfile,
    PuqAcmeSettings,
    ZoneWriterKind,
)

__all__ = ["PuqAcme", "served_zones"]

_MAX_NAME: Final = 253


class PuqAcme(
    CAModule[PuqAcmeProfile, PuqAcmeSettings],
    SupportsActions,
    SupportsBudgets,
    SupportsCheck,
    SupportsCleanUp,
    SupportsDeletion,
    SupportsDiagnosis,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
    ServesZones,
):
    """Certificates from any ACME CA (RFC 8555), validated with dns-01 through a CNAME into the tech zone.

    Args:
        network: HTTP and DNS; by default the real network. Simulations pass another one.
        pause: Waits for a number of seconds during the test of a CA profile.
    """

    name: ClassVar[str] = "puq_acme"
    title: ClassVar[str] = "PUQ ACME"

    def __init__(
        self,
        network: NetworkPort | None = None,
        pause: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds),
    ) -> None:
        self._network: NetworkPort = network or Network()
        self._pause = pause
        self._lock = threading.Lock()
        self._accounts: Any = None
        self._dns: Any = None
        self._looks = RecentLooks()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`."""
        self._lock = threading.Lock()

    def advance(self, work: AcmeWork) -> StepResult:
        """Take the next step towards the leaf; see `certcore_puq_acme.orders.advance`."""
        from certcore_puq_acme.orders import advance  # noqa: PLC0415 - keeps the ACME client out of the host's start-up

        return advance.advance(work, self._client_pool(), self._dns_access())

    def clean_up(self, work: AcmeWork) -> datetime | None:
        """Release what an issuance holds: its TXT values, and its place among the orders in flight."""
        from certcore_puq_acme.orders import advance  # noqa: PLC0415 - see advance

        return advance.clean_up(work, self._client_pool(), self._dns_access())

    def certificate_deleted(self, certificate: Certificate, context: AcmeContext) -> None:
        """Remove its CNAMEs. `clean_up` has recorded the TXT values that must still be removed."""
        from certcore_puq_acme.orders.leftovers import give_back_cnames  # noqa: PLC0415 - see advance

        give_back_cnames(certificate.id, context, self._dns_access())

    def revoke(
        self,
        issuance: Issuance,
        reason: RevocationReason,
        private_key: Callable[[], Secret | None],
        context: AcmeContext,
    ) -> None:
        """Revoke with the CA profile's account, or else with the certificate's key."""
        from certcore_puq_acme.orders.revocation import revoke  # noqa: PLC0415 - see advance

        revoke(issuance, reason, private_key, context, self._client_pool())

    def hints(self, view: CertificateView, context: AcmeContext) -> Sequence[Hint]:
        """The right column: the state of the issuance, the CNAMEs with their observed state, and the terms of service.

        It only queries the DNS for dns-persist-01 records that expire soon, once a minute, because their owner may have
        set new ones.
        """
        return right_column(with_lasting_records(view, context, self._dns_access, self._looks), context)

    def check_profile(self, profile: Any) -> None:
        """Refuse settings that contradict each other."""
        check_profile(profile)

    def check_request(self, context: AcmeContext, names: Sequence[DnsName], settings: Any) -> None:
        """Refuse wildcards if the CA profile forbids them, and names that are too long to be validated."""
        profile = context.profile
        requested: PuqAcmeSettings = settings
        errors = FieldErrors()
        if requested.challenge and requested.challenge not in profile.challenge_types:
            allowed = ", ".join(profile.challenge_types)
            errors.add(
                InvalidInputError(
                    "challenge",
                    Message(
                        "puq_acme.challenge.not_allowed", "this CA profile allows only {allowed}.", {"allowed": allowed}
                    ),
                )
            )
        with errors.collecting():
            _check_certificate_profile(context, requested)
        if requested.account_email:
            from certcore_puq_acme.accounts.permission import check_wanted_account  # noqa: PLC0415 - see advance

            with errors.collecting():
                check_wanted_account(context, requested)
            with errors.collecting():
                check_consent(context, requested)
        for position, name in enumerate(names):
            field = "domain" if position == 0 else "aliases"
            if name.is_wildcard and position == 1 and name.base == names[0]:
                field = "wildcard"
            for reason, advice in _unfit_name(name, profile):
                errors.add(InvalidNameError(field, reason, advice=advice or ""))
            if is_bound_to_another(context, name.base.ascii):
                text = "{name} was validated for another owner first."
                advice_text = (
                    "If the domain now belongs to this owner, an administrator can release it with an action of the CA "
                    "profile."
                )
                errors.add(
                    InvalidNameError(
                        field,
                        Message("puq_acme.name_bound", text, {"name": name.base.ascii}),
                        advice=Message("puq_acme.name_bound.advice", advice_text),
                    )
                )
        errors.refuse()

    def profile_form(self, context: AcmeContext) -> Sequence[FormField]:
        """The form of a CA profile, with the CA's certificate profiles and their descriptions as choices."""
        return _with_choices(
            fields_of(self.profile_type), context, Message("puq_acme.certificate_profile.default", "The CA's default")
        )

    def certificate_form(self, context: AcmeContext) -> Sequence[FormField]:
        """The form of a certificate, with choices as in `profile_form` and the fields that the CA profile permits."""
        fields = []
        for field in _with_choices(
            with_own_account(fields_of(self.certificate_type), context),
            context,
            Message("puq_acme.certificate_profile.of_profile", "As the CA profile says"),
        ):
            if field.name == "challenge":
                allowed = ("", *context.profile.challenge_types)
                fields.append(
                    evolve(field, choices=tuple(choice for choice in field.choices if choice.value in allowed))
                )
            else:
                fields.append(field)
        return fields

    def profile_actions(self, context: AcmeContext) -> Sequence[ProfileAction]:
        """The actions on the CA profile's accounts, and on names that are bound to their owners."""
        actions = profile_actions(context)
        return [*actions, RELEASE_NAME] if context.profile.adopt_labels else actions

    def run_action(self, name: str, values: Any, context: AcmeContext, *, actor: str) -> Message:
        """Run one of the actions."""
        if name == RELEASE_NAME.name:
            return release_name(context, values.domain.ascii)
        return run_action(name, values, context, self._client_pool(), actor=actor)

    def budgets(self, context: AcmeContext) -> Sequence[BudgetUse]:
        """The orders in flight and of the last hours of the CA profile's own account."""
        return budgets_of(context)

    def profile_hints(self, context: AcmeContext) -> Sequence[Hint]:
        """The right column of a CA profile: its accounts, terms, certificate profiles, limits and pauses."""
        return profile_column(context)

    def renewal_info(self, issuance: Issuance, context: AcmeContext) -> SuggestedWindow | None:
        """Ask the CA when a leaf should be renewed (RFC 9773)."""
        from certcore_puq_acme.orders.leftovers import take_leftovers_away  # noqa: PLC0415 - see advance
        from certcore_puq_acme.orders.renewal_info import renewal_window  # noqa: PLC0415 - see advance

        take_leftovers_away(context, self._dns_access())
        return renewal_window(issuance, context, self._client_pool())

    def check(self, context: AcmeContext) -> CheckReport:
        """Test a CA profile: directory, terms, account and tech zone. Opens the account if there is none."""
        items: list[CheckItem] = []
        with closing(self._checks(context)) as checks:
            for item in checks:
                context.on_checked(item)
                items.append(item)
        return CheckReport(items=tuple(items))

    def diagnose(self, names: Sequence[DnsName], context: AcmeContext, *, thorough: bool) -> Sequence[Finding]:
        """Check CNAMEs, CAA records and the tech zone as before an order, see `certcore_puq_acme.orders.doctor`."""
        from certcore_puq_acme.orders.doctor import diagnose  # noqa: PLC0415 - see advance

        return diagnose(names, context, self._dns_access(), thorough=thorough)

    def wants_preflights(self, context: AcmeContext) -> bool:
        """Whether the CA profile has preflights switched on."""
        return context.profile.preflights

    def preflight(self, work: AcmeWork) -> Readiness:
        """Check as if the certificate were renewed now, see `certcore_puq_acme.orders.readiness`."""
        from certcore_puq_acme.orders.readiness import readiness  # noqa: PLC0415 - see advance

        return readiness(work, self._client_pool(), self._dns_access())

    def dns_server(
        self,
        *,
        listen: tuple[str, int],
        documents: Documents,
        environment: Environment,
        profiles: Callable[[], Sequence[Any]],
        also: Sequence[ZoneSource] = (),
        before_serving: Callable[[], object] | None = None,
        transfer_keys: Sequence[TransferKey] = (),
    ) -> DnsServer:
        """Start the embedded authoritative DNS server for the tech zones of all CA profiles."""
        from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource  # noqa: PLC0415 - dnspython costs 0.1 s
        from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer  # noqa: PLC0415

        source = DocumentsZoneSource(documents, lambda: served_zones(profiles(), listen[0]), environment)
        options = ServerOptions(transfer_keys=tuple(transfer_keys))
        return ZoneServer(listen, [source, *also], environment, options=options, before_serving=before_serving)

    def _client_pool(self) -> Any:
        from certcore_puq_acme.accounts.pool import Accounts  # noqa: PLC0415 - see advance

        with self._lock:
            if self._accounts is None:
                self._accounts = Accounts(network=self._network)
            return self._accounts

    def _dns_access(self) -> Any:
        from certcore_puq_acme.dns.checks import DnsAccess  # noqa: PLC0415 - dnspython costs 0.1 s

        with self._lock:
            if self._dns is None:
                self._dns = DnsAccess(self._network.dns())
            return self._dns

    def _checks(self, context: AcmeContext) -> Generator[CheckItem, None, None]:
        """The tests of a CA profile, one after the other."""
        from certcore_puq_acme.orders.zone_trial import trial_of_zone  # noqa: PLC0415 - see advance

        yield from self._check_ca(context)
        yield from self._check_name_servers(context)
        yield from trial_of_zone(context, self._dns_access(), self._pause)

    def _check_ca(self, context: AcmeContext) -> Iterator[CheckItem]:
        pool = self._client_pool()
        reached = Message("puq_acme.check.directory", "The CA's directory {url}", {"url": context.profile.directory})
        account = Message("puq_acme.check.account", "The account at the CA")
        try:
            directory = pool.read_directory(context)
        except CertCoreError as error:
            yield CheckItem(title=reached, ok=False, detail=error.text, advice=error.advice_text)
            return
        page = directory.terms_of_service
        terms = Message("puq_acme.check.terms", "Terms of service: {url}", {"url": page}) if page else ""
        yield CheckItem(title=reached, ok=True, detail=terms)
        try:
            opened = pool.opened(context)
            if pool.has_changed(context, opened):  # closed, moved or lost at the CA since its last use
                opened = pool.opened(context)
            url = opened.client.account().url
        except CertCoreError as error:
            yield CheckItem(title=account, ok=False, detail=error.text, advice=error.advice_text)
        else:
            yield CheckItem(title=account, ok=True, detail=url)
        yield from _check_history(context)

    def _check_name_servers(self, context: AcmeContext) -> list[CheckItem]:
        """A finding about name servers inside the zone without an address, which many resolvers need."""
        from certcore_puq_acme.dns.checks import DnsChecks  # noqa: PLC0415 - dnspython costs 0.1 s

        profile = context.profile
        checks = DnsChecks.of(profile, self._dns_access())
        title = "The address of the tech zone's name server {host}"
        return [
            CheckItem(
                title=Message("puq_acme.check.name_server", title, {"host": host}),
                ok=False,
                detail=Message(
                    "puq_acme.check.name_server.no_address",
                    "the name lies inside the tech zone but has no address there",
                ),
                advice=Message(
                    "puq_acme.check.name_server.advice",
                    "Set tech_zone_nameservers to: {host} followed by its address, as in the delegation.",
                    {"host": host},
                ),
            )
            for host in profile.servers_without_address
            if not checks.has_address(host)
        ]


def _unfit_name(name: DnsName, profile: PuqAcmeProfile) -> Iterator[tuple[Message, Message | None]]:
    """The reasons why this CA profile cannot issue for a name, each with advice."""
    if name.is_wildcard and not profile.allow_wildcard:
        text = "{name} is a wildcard, and this CA profile does not allow wildcards."
        advice = Message("puq_acme.name.wildcard.advice", "Use another CA profile, or leave the wildcard out.")
        yield Message("puq_acme.name.wildcard", text, {"name": name}), advice
    if len(VALIDATION_LABEL) + 1 + len(name.base.ascii) > _MAX_NAME:
        text = "{name} is too long for dns-01: {label}. goes in front of it."
        yield Message("puq_acme.name.too_long", text, {"name": name.base, "label": VALIDATION_LABEL}), None
    if profile.adopt_labels and len(adopted_target(name.base.ascii, profile.tech_zone.ascii)) > _MAX_NAME:
        text = "{name} is too long to be a label of the tech zone {zone}."
        yield Message("puq_acme.name.too_long_label", text, {"name": name.base, "zone": profile.tech_zone}), None
    if name.base == profile.tech_zone or name.ascii.endswith(f".{profile.tech_zone}"):
        text = "{name} lies in the tech zone itself, which cannot be delegated into itself."
        yield Message("puq_acme.name.in_tech_zone", text, {"name": name}), None


def _with_choices(fields: Sequence[FormField], context: AcmeContext, none: Message) -> Sequence[FormField]:
    """The form with the certificate profiles as choices, if the CA's certificate profiles are known."""
    directory = known_directory(context)
    if directory is None or not directory.profiles:
        return fields
    offered = [Choice(name, f"{name}: {text}" if text else name) for name, text in directory.profiles.items()]
    choices = (Choice("", none), *offered)
    return [
        evolve(field, kind=FieldKind.CHOICE, choices=choices) if field.name == "certificate_profile" else field
        for field in fields
    ]


def _check_certificate_profile(context: AcmeContext, settings: PuqAcmeSettings) -> None:
    directory = known_directory(context)
    certificate_profile = settings.certificate_profile
    if certificate_profile and directory is not None and certificate_profile not in directory.profiles:
        offered = ", ".join(directory.profiles) or "none"
        raise InvalidInputError(
            "certificate_profile",
            Message(
                "puq_acme.certificate_profile.not_offered",
                "the CA does not offer {certificate_profile}.",
                {"certificate_profile": repr(certificate_profile)},
            ),
            advice=Message(
                "puq_acme.certificate_profile.not_offered.advice", "It offers: {offered}.", {"offered": offered}
            ),
        )


def _check_history(context: AcmeContext) -> list[CheckItem]:
    """Findings about the clocks, and about an account that has replaced another one."""
    from certcore_puq_acme.hints.account import clock_notice, replaced_notice  # noqa: PLC0415 - see advance

    clock = Message("puq_acme.check.clock", "The clocks of this machine and of the CA")
    items = [CheckItem(title=clock, ok=False, detail=notice.text) for notice in clock_notice(context)]
    replaced = Message("puq_acme.check.replaced", "The account that was used before")
    text = "Change such records, then run the profile's action accept_account."
    advice = Message("puq_acme.check.replaced.advice", text)
    for record in records_of(context.documents, context.authority_id):
        for notice in replaced_notice(record, context):
            is_expected = notice.level is Level.INFO
            item = CheckItem(title=replaced, ok=is_expected, detail=notice.text, advice="" if is_expected else advice)
            items.append(item)
    return items


def served_zones(profiles: Sequence[Any], listen: str) -> list[Zone]:
    """The tech zones of CA profiles.

    Args:
        profiles: The settings of the CA profiles. Those of other modules are ignored.
        listen: The address on which the server listens. If it is public, it becomes the address of name servers inside
            a zone without an address in the CA profile.
    """
    here = (listen,) if _is_public(listen) else ()
    zones = []
    for profile in profiles:
        if not isinstance(profile, PuqAcmeProfile) or profile.zone_writer != ZoneWriterKind.EMBEDDED:
            continue
        lacking = profile.servers_without_address
        servers = [(each.host, here if each.host in lacking else each.addresses) for each in profile.zone_servers]
        zones.append(
            Zone(
                apex=profile.tech_zone.ascii,
                nameservers=tuple(host for host, _ in servers),
                addresses={host: addresses for host, addresses in servers if addresses},
                ttl=profile.ttl,
                apex_ttl=profile.zone_ttl,
                mailbox=_mailbox_name(profile.tech_zone_mailbox),
                secondaries=profile.tech_zone_secondaries,
            )
        )
    return zones


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _mailbox_name(email: str) -> str:
    """An e-mail address as a domain name: dots of the local part are escaped (RFC 1035 section 8)."""
    local, _, domain = email.rpartition("@")
    escaped = local.replace("\\", "\\\\").replace(".", "\\.")
    return f"{escaped}.{domain}" if email else ""
