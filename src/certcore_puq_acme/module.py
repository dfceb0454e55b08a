"""`PuqAcme`: certcore's words to ACME's, and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from certcore.errors import CertCoreError, InvalidName
from certcore.model.hints import Hint, Message
from certcore.model.issuance import Issuance
from certcore.model.names import DnsName
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule, CheckItem, CheckReport, Documents, ModuleContext, Step, Work
from certcore.ports.dns import DnsServer, Zone, ZoneSource
from certcore.ports.environment import Environment
from certcore_puq_acme.delegation import VALIDATION_LABEL
from certcore_puq_acme.hints import right_column
from certcore_puq_acme.settings import PuqAcmeProfile, check_profile

__all__ = ["PuqAcme"]

_MAX_NAME: Final = 253


class PuqAcme(CAModule):
    """Certificates from any ACME CA (RFC 8555), validated with dns-01 through one CNAME into the tech zone."""

    name: ClassVar[str] = "puq_acme"
    title: ClassVar[str] = "PUQ ACME"
    profile_type: ClassVar[type] = PuqAcmeProfile

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: Any = None

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
        """The right column: what is going on, the CNAMEs with what was seen, the terms of service, the timeline."""
        return right_column(view, context)

    def check_profile(self, profile: Any) -> None:
        """Refuse settings that do not fit together."""
        check_profile(profile)

    def check_request(self, context: ModuleContext, names: Sequence[DnsName], settings: Any) -> None:
        """Refuse wildcards where the profile forbids them, and names too long to be validated."""
        del settings
        profile: PuqAcmeProfile = context.profile
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
    ) -> DnsServer:
        """Start the embedded authoritative server for the tech zones of all profiles."""
        from certcore_puq_acme.techzone.records import DocumentsZoneSource  # noqa: PLC0415 - dnspython costs 0.1 s
        from certcore_puq_acme.techzone.server import ZoneServer  # noqa: PLC0415

        source = DocumentsZoneSource(documents, lambda: _zones(profiles()), environment)
        return ZoneServer(listen, [source, *also], environment)

    def _client_pool(self) -> Any:
        from certcore_puq_acme.accounts import Accounts  # noqa: PLC0415 - see advance

        with self._lock:
            if self._accounts is None:
                self._accounts = Accounts()
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
            client = pool.client(context)
            items.append(CheckItem(title=account, ok=True, detail=client.account().url))
        except CertCoreError as error:
            items.append(CheckItem(title=account, ok=False, detail=str(error.message), advice=error.advice))
        return items

    def _check_zone(self, context: ModuleContext) -> CheckItem:
        from certcore_puq_acme.propagation import Resolvers  # noqa: PLC0415 - dnspython costs 0.1 s

        profile: PuqAcmeProfile = context.profile
        title = Message("puq_acme.check.zone", "The tech zone {zone} in the DNS", {"zone": profile.tech_zone.ascii})
        trouble = Resolvers.of(profile.dns_servers, profile.api_timeout).zone_answers(profile.tech_zone.ascii)
        servers = ", ".join(server.host for server in profile.zone_servers)
        advice = f"Delegate {profile.tech_zone} to {servers} and run `certcore dns serve` there."
        return CheckItem(title=title, ok=not trouble, detail=trouble, advice=advice if trouble else "")


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
