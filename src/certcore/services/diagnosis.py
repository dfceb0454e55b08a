"""Check what would prevent the validation of names, before there is a certificate for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.finding import Finding, most_severe
from certcore.model.identifiers import check_owner
from certcore.model.names import MAX_NAMES, DnsName
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.ports.ca_module import SupportsDiagnosis
from certcore.services.access import Access

__all__ = ["Diagnosing"]


@frozen(kw_only=True, eq=False)
class Diagnosing:
    """Asks a CA module about names."""

    contexts: Contexts
    access: Access

    def diagnose(
        self, names: Iterable[str], *, authority: str, owner: str, thorough: bool, actor: str
    ) -> Sequence[Finding]:
        """See `certcore.CertCore.diagnose`."""
        owner = check_owner(owner)
        self.access.require(actor, Permission.CERTIFICATE_CREATE, owner=owner)
        profile = self.access.usable_authority(actor, authority, owner=owner)
        self.access.require(actor, Permission.AUTHORITY_USE, profile.id, owner=owner)
        listed = [names] if isinstance(names, str) else list(names)
        if not 1 <= len(listed) <= MAX_NAMES:
            raise InvalidInputError(
                "names", Message("input.not_some_names", "must be 1 to {most} names.", {"most": MAX_NAMES})
            )
        parsed = list(dict.fromkeys(DnsName.parse(name, field="names") for name in listed))
        module, context = self.contexts.context(profile)
        if not isinstance(module, SupportsDiagnosis):
            raise InvalidInputError(
                "authority",
                Message("core.no_diagnosis", "the module {module} cannot diagnose names.", {"module": module.title}),
            )
        findings: tuple[Finding, ...] = call_plugin(
            profile.module,
            "diagnose",
            module.diagnose,
            parsed,
            evolve(context, owner=owner),
            returns=tuple[Finding, ...],
            thorough=thorough,
        )
        return most_severe(findings)
