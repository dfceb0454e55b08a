"""Test the tech zone of a CA profile: write a TXT value, look for it at every server, and remove it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from typing import Final

from attrs import frozen

from certcore.messages import Message, sentences
from certcore.model.finding import Finding, Severity
from certcore.ports.ca_module import CheckItem
from certcore_puq_acme.dns.asking import BRIEF
from certcore_puq_acme.dns.checks import DnsAccess, DnsChecks
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.port import Question
from certcore_puq_acme.orders.check_value import CheckValue, trial_value, trials_name, withdraw
from certcore_puq_acme.profile.settings import AcmeContext, NameServer, PuqAcmeProfile, ZoneWriterKind
from certcore_puq_acme.profile.zone_writer import publication_of, servers_that_show, written_server
from certcore_puq_acme.techzone.publication import Publication, Unwritten
from certcore_puq_acme.techzone.records import TechZoneRecords

__all__ = ["Pause", "trial_of_zone"]

#: A function that waits for a number of seconds.
Pause = Callable[[float], object]

#: Seconds before each further look: servers that copy the zone need a moment, and a user waits for the page.
_PAUSES: Final = (0.25, 0.5, 1.0, 2.0, 2.0)
_SECONDS: Final = f"{sum(_PAUSES):g}"


def trial_of_zone(context: AcmeContext, dns: DnsAccess, pause: Pause) -> Generator[CheckItem, None, None]:
    """Test whether every server of the tech zone shows a new value; yields each step as soon as its result is known.

    A caller that stops before the last step has to close the generator, so that the trial value is removed from the
    store.

    Args:
        context: The CA profile.
        dns: The access to the DNS.
        pause: Called to wait between two looks.
    """
    profile = context.profile
    records, publication = TechZoneRecords(context.documents), publication_of(context, dns.connections)
    trial = trial_value(records, profile.tech_zone.ascii, context.environment.now(), context.environment.new_id)
    steps = _Trial(profile=profile, checks=DnsChecks.of(profile, dns), trial=trial, pause=pause)
    is_withdrawn = False
    try:
        if publication is None:
            yield steps.in_the_dns(trial)
            return
        unwritten = steps.told(publication, {trial.name})
        yield _written(profile, unwritten)
        if unwritten is not None:
            yield steps.in_the_dns(None)
            return
        yield from steps.read_back(servers_that_show(profile, publication))
        yield steps.in_the_dns(trial)
        withdraw(records, trial)
        is_withdrawn = True
        # Earlier tests may have left values: the server was down, or was not permitted to remove them.
        leftovers = publication.names_below(trials_name(profile.tech_zone.ascii))
        yield _removed(profile, steps.told(publication, leftovers))
    finally:
        if not is_withdrawn:
            withdraw(records, trial)


@frozen(kw_only=True)
class _Trial:
    """The test of one trial value."""

    profile: PuqAcmeProfile
    checks: DnsChecks
    trial: CheckValue
    pause: Pause

    def told(self, publication: Publication, names: Collection[str]) -> Unwritten | None:
        """Write the stored values to the zone's server, if necessary after another process has finished writing."""
        unwritten = publication.update(names)
        for seconds in _PAUSES:
            if unwritten is None or not unwritten.is_busy:
                break
            self.pause(seconds)
            unwritten = publication.update(names)
        return unwritten

    def read_back(self, servers: tuple[NameServer, ...]) -> Iterator[CheckItem]:
        """Check the servers that the profile names one after the other, within a common time limit."""
        pauses = list(_PAUSES)
        for server in servers:
            while (why_missing := self._missing_at(server)) and pauses:
                self.pause(pauses.pop(0))
            yield self._shown(server, why_missing)

    def in_the_dns(self, trial: CheckValue | None) -> CheckItem:
        """Check the zone as the public DNS shows it, including the trial value if there is one."""
        findings = self._findings(trial)
        for seconds in _PAUSES:
            if not any(finding.code == DnsCode.TECH_ZONE_OLD_SERVER for finding in findings):
                break
            # A resolver would answer the same from its cache; an authoritative server may copy the zone meanwhile.
            if not self.checks.asks_directly():
                break
            self.pause(seconds)
            findings = self._findings(trial)
        zone = self.profile.written_zone.ascii
        title = Message("puq_acme.check.zone", "The tech zone {zone} in the DNS", {"zone": zone})
        is_ok = all(finding.severity is not Severity.ERROR for finding in findings)
        return CheckItem(
            title=title,
            ok=is_ok,
            detail=sentences(*(finding.cause for finding in findings)),
            advice="" if is_ok else _delegation_advice(self.profile),
            findings=findings,
        )

    def _findings(self, trial: CheckValue | None) -> tuple[Finding, ...]:
        zone = self.profile.written_zone.ascii
        if trial is None:
            return self.checks.tech_zone(zone)
        return self.checks.tech_zone(zone, trial.value, trial.name)

    def _missing_at(self, server: NameServer) -> Message | None:
        """What a server shows instead of the value; None if it shows the value."""
        question = Question(name=self.trial.name, kind="TXT", recursive=False)
        answer = self.checks.access.dns.query(server, question, BRIEF)
        if not answer.is_positive:
            return answer.in_words
        values = answer.values("TXT")
        if self.trial.value in values:
            return None
        if values:
            return Message("puq_acme.dns.other_values", "it shows other values")
        return Message("puq_acme.dns.no_value", "it shows no value")

    def _shown(self, server: NameServer, why_missing: Message | None) -> CheckItem:
        title = Message(
            "puq_acme.check.zone_shown", "The name server {server} shows the value", {"server": str(server)}
        )
        if why_missing is None:
            return CheckItem(title=title, ok=True)
        detail = Message(
            "puq_acme.check.zone_not_shown",
            "It does not show the TXT value at {name} within {seconds} seconds: {seen}.",
            {"name": self.trial.name, "seconds": _SECONDS, "seen": why_missing},
        )
        advice = Message(
            "puq_acme.check.zone_not_shown.advice",
            "Check that it runs, that it serves the zone {zone}, and that it copies each change from {primary}: it "
            "must receive NOTIFY and be permitted to transfer the zone.",
            {"zone": self.profile.written_zone.ascii, "primary": written_server(self.profile)},
        )
        return CheckItem(title=title, ok=False, detail=detail, advice=advice)


def _written(profile: PuqAcmeProfile, unwritten: Unwritten | None) -> CheckItem:
    title = Message(
        "puq_acme.check.zone_written",
        "{server} takes a TXT value for the zone {zone}",
        {"server": written_server(profile), "zone": profile.written_zone.ascii},
    )
    return _told(title, unwritten)


def _removed(profile: PuqAcmeProfile, unwritten: Unwritten | None) -> CheckItem:
    title = Message(
        "puq_acme.check.zone_removed", "{server} removes the value again", {"server": written_server(profile)}
    )
    return _told(title, unwritten)


def _told(title: Message, unwritten: Unwritten | None) -> CheckItem:
    if unwritten is None:
        return CheckItem(title=title, ok=True)
    if unwritten.is_busy:
        detail = Message("puq_acme.check.zone_busy", "Another process is writing to it.")
        advice = Message("puq_acme.check.zone_busy.advice", "Test again in a minute.")
        return CheckItem(title=title, ok=False, detail=detail, advice=advice)
    return CheckItem(title=title, ok=False, detail=unwritten.said, advice=unwritten.advice)


def _delegation_advice(profile: PuqAcmeProfile) -> Message:
    servers = ", ".join(server.host for server in profile.zone_servers)
    if profile.zone_writer == ZoneWriterKind.EMBEDDED:
        return Message(
            "puq_acme.check.zone.advice",
            "Delegate {zone} to {servers} and run `certcore dns serve` there.",
            {"zone": profile.tech_zone.ascii, "servers": servers},
        )
    return Message(
        "puq_acme.check.zone.advice.foreign",
        "Delegate {zone} to the name servers that copy it from {server}, and bring all of them up to date.",
        {"zone": profile.written_zone.ascii, "server": written_server(profile)},
    )
