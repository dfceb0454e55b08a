"""``certcore import``: import the certificates and accounts of another ACME client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from attrs import evolve, frozen

from certcore.adapters.takeover import Client, Found, FoundAccount, FoundCertificate, Unreadable, read_folder
from certcore.cli.arguments import expanded
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import cell, plain, table
from certcore.cli.session import Session, open_session
from certcore.cli.takeover_profiles import Profile, add_command, matching, profiles_of
from certcore.errors import CertCoreError, TakeoverError
from certcore.model.certificate import Certificate
from certcore.model.hints import Facts
from certcore.model.renewal import RenewalPolicy
from certcore.serialization import moment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["take_over"]

_AUTO: Final = "auto"
_IMPORT_KEY: Final = "import_account_key"
#: Names per certificate that the report shows.
_MAX_NAMES: Final = 4


class _Outcome(StrEnum):
    """The result for a certificate or account, or with ``--dry-run`` the planned one."""

    IMPORTED = "imported"
    PLANNED = "would be imported"
    #: The certificate existed without a CA profile, and was bound to one.
    BOUND = "bound"
    TO_BE_BOUND = "would be bound"
    THERE = "already there"
    LEFT_OUT = "left out"
    FAILED = "failed"

    @property
    def style(self) -> str:
        """The colour of the result."""
        match self:
            case _Outcome.IMPORTED | _Outcome.BOUND:
                return "green"
            case _Outcome.PLANNED | _Outcome.TO_BE_BOUND:
                return "cyan"
            case _Outcome.FAILED:
                return "bold red"
            case _:
                return "dim"


@frozen(kw_only=True)
class _Request:
    """The options of the command."""

    profiles: Sequence[Profile]
    #: True if ``--authority`` named the profiles; False if `profiles` are all profiles of the store.
    named: bool
    owner: str
    dry_run: bool


@frozen(kw_only=True)
class _Row:
    """A line of the report."""

    source: FoundCertificate | FoundAccount
    outcome: _Outcome
    profile: Profile | None = None
    #: The certificate's ID in the store.
    id: str = ""
    detail: str = ""
    #: The command that adds a missing CA profile.
    command: str = ""


def take_over(  # noqa: PLR0917 - Typer gives them all by name
    client: Annotated[
        str, typer.Argument(metavar="CLIENT", help="One of certbot, lego, acme.sh, caddy; or auto to detect it.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Its data directory, for example /etc/letsencrypt.")],
    authorities: Annotated[
        list[str] | None,
        typer.Option(
            "--authority",
            metavar="NAME",
            help="The CA profile to bind the certificates to, by name or id. May be repeated: each certificate is then "
            "bound to the profile for its own CA, or else to the first. By default each is bound to the profile for "
            "its CA, if there is exactly one.",
        ),
    ] = None,
    owner: Annotated[str, typer.Option("--owner", metavar="OWNER", help="The tenant that owns the certificates.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report what would be done; no CA is contacted.")
    ] = False,
    without_accounts: Annotated[
        bool, typer.Option("--without-accounts", help="Do not import the ACME accounts.")
    ] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Import the certificates and ACME accounts of another client. Its directory is only read.

    It may be run repeatedly: a certificate that exists already is not imported again, only bound to its CA profile if
    it has none yet. An account is imported into the CA profile for the same ACME directory; nothing is created at the
    CA.

    Exit code 1 when a usable certificate or account was not imported.
    """
    chosen_client = None if client == _AUTO else client
    if chosen_client is not None and chosen_client not in set(Client):
        raise typer.BadParameter(f"{client[:40]!r} is none of {', '.join((_AUTO, *Client))}.", param_hint="CLIENT")
    with open_session(database, keyring, as_json=as_json) as session:
        profiles = profiles_of(session.core, authorities or (), actor=session.actor)
        result = read_folder(expanded(folder, "FOLDER"), chosen_client, now=session.core.now())
        if not (result.certificates or result.accounts or result.unreadable):
            raise TakeoverError(
                f"There is nothing of {result.client} in {folder}.", advice="Check the path of the directory."
            )
        accounts = () if without_accounts else tuple(_accounts(session, result, profiles, dry_run=dry_run))
        request = _Request(profiles=profiles, named=bool(authorities), owner=owner, dry_run=dry_run)
        rows = tuple(_certificate(session, certificate, request) for certificate in result.certificates)
        document = {
            "client": str(result.client),
            "folder": str(folder),
            "dry_run": dry_run,
            "certificates": [_document(row) for row in rows],
            "accounts": [_document(row) for row in accounts],
            "left_out": [
                {"path": item.path, "reason": item.reason, "needless": item.needless} for item in result.unreadable
            ],
        }
        session.output.result(document, lambda to: _draw(to, result, rows, accounts, dry_run=dry_run))
        failed = any(row.outcome is _Outcome.FAILED for row in (*rows, *accounts))
        if failed or not all(item.needless for item in result.unreadable):
            raise typer.Exit(FAILED)


# -- certificates -------------------------------------------------------------------------------------------------


def _certificate(session: Session, certificate: FoundCertificate, request: _Request) -> _Row:
    own = matching(request.profiles, certificate.directory_url, certificate.server)
    present = _present(session, certificate, request.owner)
    row = _Row(source=certificate, outcome=_Outcome.THERE, id="" if present is None else present.id)
    if present is not None and present.authority_id is not None:
        (bound,) = profiles_of(session.core, [present.authority_id], actor=session.actor)
        return evolve(row, profile=bound)
    if len(own) == 1 or request.named:
        row = evolve(row, profile=(own or request.profiles)[0])
    else:
        row = _unbound(session, row, len(own))
    if request.dry_run:
        planned = _Outcome.PLANNED if present is None else _Outcome.TO_BE_BOUND
        return row if present is not None and row.profile is None else evolve(row, outcome=planned)
    try:
        if present is None:
            return evolve(row, outcome=_Outcome.IMPORTED, id=_import(session, certificate, row.profile, request.owner))
        if row.profile is None:
            return row
        session.core.certificates.edit(present.id, authority=row.profile.id, actor=session.actor)
        return evolve(row, outcome=_Outcome.BOUND)
    except CertCoreError as error:
        return evolve(row, outcome=_Outcome.FAILED, detail=str(error), command="")


def _present(session: Session, certificate: FoundCertificate, owner: str) -> Certificate | None:
    """The owner's stored certificate that has or had this leaf; None if there is none."""
    fingerprint = certificate.bundle.leaf.fingerprint_sha256
    return next(iter(session.core.certificates.search(fingerprint, owner=owner, limit=1, actor=session.actor)), None)


def _import(session: Session, certificate: FoundCertificate, profile: Profile | None, owner: str) -> str:
    """Store one certificate; returns its ID."""
    return session.core.certificates.import_certificate(
        certificate.bundle.leaf_pem,
        certificate.private_key.reveal(),
        certificate.bundle.chain_pem or None,
        authority=None if profile is None else profile.id,
        owner=owner,
        renewal=RenewalPolicy(auto=certificate.renews),
        actor=session.actor,
    ).id


def _unbound(session: Session, row: _Row, matches: int) -> _Row:
    """The row, with the reason why no CA profile renews the certificate, and with the command that adds a profile."""
    place = row.source.directory_url or row.source.server
    if not place:
        reason = "the directory does not show which CA issued it; name a CA profile with --authority"
    elif matches:
        reason = f"{matches} CA profiles use {place}; name one with --authority"
    else:
        reason = f"there is no CA profile for {place}"
    return evolve(row, detail=f"not renewed: {reason}", command="" if matches else _command(session, row.source))


# -- accounts -----------------------------------------------------------------------------------------------------


def _accounts(session: Session, result: Found, profiles: Sequence[Profile], *, dry_run: bool) -> Iterator[_Row]:
    """Import the accounts. A profile has only one account, so those with the most certificates come first."""
    uses = Counter(certificate.account for certificate in result.certificates)
    assigned: set[str] = set()
    for account in sorted(result.accounts, key=lambda item: -uses[item.reference]):
        own = matching(profiles, account.directory_url, account.server)
        place = account.directory_url or account.server
        if not own:
            detail = (
                f"there is no CA profile for {place}" if place else "the directory does not show which CA it is for"
            )
            yield _Row(source=account, outcome=_Outcome.LEFT_OUT, detail=detail, command=_command(session, account))
        elif len(own) > 1:
            detail = f"{len(own)} CA profiles use {place}; name one with --authority"
            yield _Row(source=account, outcome=_Outcome.LEFT_OUT, detail=detail)
        elif own[0].id in assigned:
            detail = "a CA profile has only one account, and another account has more certificates"
            yield _Row(source=account, outcome=_Outcome.LEFT_OUT, profile=own[0], detail=detail)
        else:
            assigned.add(own[0].id)
            yield _account(session, account, own[0], dry_run=dry_run)


def _account(session: Session, account: FoundAccount, profile: Profile, *, dry_run: bool) -> _Row:
    offered = {action.name: action for action in session.core.authorities.actions(profile.id, actor=session.actor)}
    # The action asks for confirmation if it would replace an account that is in use.
    if _IMPORT_KEY not in offered or offered[_IMPORT_KEY].confirm is not None:
        if account.url and account.url in _shown_facts(session, profile):
            return _Row(source=account, outcome=_Outcome.THERE, profile=profile)
        detail = "the CA profile already has an account, which is kept"
        return _Row(source=account, outcome=_Outcome.LEFT_OUT, profile=profile, detail=detail)
    if dry_run:
        return _Row(source=account, outcome=_Outcome.PLANNED, profile=profile)
    try:
        session.core.authorities.run_action(
            profile.id, _IMPORT_KEY, {"account_key": account.private_key.reveal_text()}, actor=session.actor
        )
    except CertCoreError as error:
        return _Row(source=account, outcome=_Outcome.FAILED, profile=profile, detail=str(error))
    return _Row(source=account, outcome=_Outcome.IMPORTED, profile=profile)


def _shown_facts(session: Session, profile: Profile) -> set[str]:
    """The values in the `Facts` hints of a profile, such as its account URL."""
    hints = session.core.authorities.hints(profile.id, actor=session.actor)
    return {str(row.value) for hint in hints if isinstance(hint, Facts) for row in hint.rows}


def _command(session: Session, source: FoundCertificate | FoundAccount) -> str:
    if not (source.directory_url or source.server):
        return ""
    emails = source.emails if isinstance(source, FoundAccount) else (source.email,)
    return add_command(session.core, source.directory_url, source.server, next(iter(emails), ""))


# -- the report ---------------------------------------------------------------------------------------------------


def _document(row: _Row) -> dict[str, Any]:
    """A row of the report as JSON, without private keys."""
    source = row.source
    shared = {
        "path": source.path,
        "directory_url": source.directory_url,
        "server": source.server,
        "outcome": row.outcome.replace(" ", "_"),
        "authority": None if row.profile is None else row.profile.name,
        "detail": row.detail,
        "command": row.command,
    }
    if isinstance(source, FoundAccount):
        return {**shared, "url": source.url, "emails": list(source.emails)}
    leaf = source.bundle.leaf
    return {
        **shared,
        "id": row.id or None,
        "name": source.name,
        "names": list(source.names),
        "not_after": moment(leaf.not_after),
        "fingerprint_sha256": leaf.fingerprint_sha256,
        "renews": source.renews,
        "email": source.email,
        "warnings": [warning.text for warning in source.bundle.warnings],
    }


def _draw(to: Console, result: Found, rows: Sequence[_Row], accounts: Sequence[_Row], *, dry_run: bool) -> None:
    if rows:
        lines = ((row.source.path, _names(row.source), _bound(row), _said(row), _noted(row)) for row in rows)
        to.print(table(("CERTIFICATE", "NAMES", "CA PROFILE", "OUTCOME", ""), lines))
        to.print()
    if accounts:
        lines = ((row.source.path, _names(row.source), _bound(row), _said(row), _noted(row)) for row in accounts)
        to.print(table(("ACCOUNT", "CONTACT", "CA PROFILE", "OUTCOME", ""), lines))
        to.print()
    if result.unreadable:
        to.print(table(("LEFT OUT", "WHY"), ((item.path, _why(item)) for item in result.unreadable)))
        to.print()
    to.print(plain(_summary((*rows, *accounts), result)), soft_wrap=True)
    for command in dict.fromkeys(row.command for row in (*rows, *accounts) if row.command):
        to.print("Add the missing CA profile, then run this command again:")
        to.print(f"  {plain(command)}", soft_wrap=True)
    if dry_run:
        to.print("Nothing was changed: this was a dry run.")
    elif any(row.outcome in {_Outcome.IMPORTED, _Outcome.BOUND} and row.profile is not None for row in rows):
        to.print(
            "Renew each once with certcore cert renew NAME; certcore cert hints NAME shows the DNS records to set."
        )
        to.print(f"Then disable the renewal in {result.client}.")


def _names(source: FoundCertificate | FoundAccount) -> str:
    names = source.names if isinstance(source, FoundCertificate) else source.emails
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _bound(row: _Row) -> str:
    return "" if row.profile is None else row.profile.name


def _said(row: _Row) -> Text:
    return cell(row.outcome, row.outcome.style)


def _noted(row: _Row) -> str:
    notes = [row.detail]
    if isinstance(row.source, FoundCertificate):
        off = f"renewal is off, as it was with {row.source.client}"
        notes += [off if not row.source.renews and row.outcome in {_Outcome.IMPORTED, _Outcome.PLANNED} else ""]
        notes += [warning.text for warning in row.source.bundle.warnings]
    return "; ".join(filter(None, notes))


def _why(item: Unreadable) -> Text:
    return cell(item.reason, "dim" if item.needless else "yellow")


def _summary(rows: Iterable[_Row], result: Found) -> str:
    counts = Counter(str(row.outcome) for row in rows)
    counts[str(_Outcome.LEFT_OUT)] += len(result.unreadable)
    return "; ".join(f"{counts[outcome]} {outcome}" for outcome in _Outcome if counts[outcome]) + "."
