"""``certcore import``: take the certificates and accounts of another ACME client along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from attrs import evolve, frozen

from certcore.adapters.takeover import Client, Found, FoundAccount, FoundCertificate, Unreadable, read_folder
from certcore.cli.documents import moment
from certcore.cli.given import expanded
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import cell, plain, table
from certcore.cli.store import Session, session
from certcore.cli.takeover_profiles import Profile, add_command, matching, profiles_of
from certcore.errors import CertCoreError
from certcore.model.certificate import Certificate
from certcore.model.hints import Facts
from certcore.model.renewal import RenewalPolicy

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["take_over"]

_AUTO: Final = "auto"
_IMPORT_KEY: Final = "import_account_key"
#: How many names of a certificate a line shows.
_MOST_NAMES: Final = 4


class Outcome(StrEnum):
    """What became of a thing that was found, or would become of it."""

    IMPORTED = "imported"
    PLANNED = "would be imported"
    #: It was there already, without a CA profile, and has one now.
    BOUND = "bound"
    TO_BE_BOUND = "would be bound"
    THERE = "already there"
    LEFT_OUT = "left out"
    FAILED = "failed"

    @property
    def style(self) -> str:
        """Its colour."""
        match self:
            case Outcome.IMPORTED | Outcome.BOUND:
                return "green"
            case Outcome.PLANNED | Outcome.TO_BE_BOUND:
                return "cyan"
            case Outcome.FAILED:
                return "bold red"
            case _:
                return "dim"


@frozen(kw_only=True)
class _Wish:
    """What was asked for."""

    profiles: Sequence[Profile]
    #: Whether they were named, and are not all that there are.
    named: bool
    owner: str
    dry_run: bool


@frozen(kw_only=True)
class _Row:
    """A line of the report."""

    found: FoundCertificate | FoundAccount
    outcome: Outcome
    profile: Profile | None = None
    #: The certificate's id in the store.
    id: str = ""
    detail: str = ""
    #: What to type, where there is no CA profile.
    command: str = ""


def take_over(  # noqa: PLR0917 - Typer gives them all by name
    client: Annotated[
        str, typer.Argument(metavar="CLIENT", help="One of certbot, lego, acme.sh, caddy; or auto to find out.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Its data folder, for example /etc/letsencrypt.")],
    authorities: Annotated[
        list[str] | None,
        typer.Option(
            "--authority",
            metavar="NAME",
            help="The CA profile to bind the certificates to, by name or id. May be repeated: each is then bound to "
            "the one for its own CA, or to the first. By default each is bound to the profile for its CA, if there "
            "is exactly one.",
        ),
    ] = None,
    owner: Annotated[str, typer.Option("--owner", metavar="OWNER", help="Whose the certificates are.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; no CA is asked.")] = False,
    without_accounts: Annotated[
        bool, typer.Option("--without-accounts", help="Leave the ACME accounts where they are.")
    ] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Take the certificates and ACME accounts of another client along. Its folder is read and not changed.

    It may be run as often as you like: what is there already is not imported again, and is bound to its CA profile when
    it has none yet. An account is taken into the CA profile for the same directory; nothing is created at the CA.

    Exit code 1 when something of use was not imported.
    """
    wanted = None if client == _AUTO else client
    if wanted is not None and wanted not in set(Client):
        raise typer.BadParameter(f"{client[:40]!r} is none of {', '.join((_AUTO, *Client))}.", param_hint="CLIENT")
    with session(database, keyring, as_json=as_json) as now:
        profiles = profiles_of(now.core, authorities or (), actor=now.actor)
        found = read_folder(expanded(folder, "FOLDER"), wanted, now=now.core.engine.environment.now())
        if not (found.certificates or found.accounts or found.unreadable):
            raise CertCoreError(f"There is nothing of {found.client} in {folder}.", advice="Is it the right folder?")
        accounts = () if without_accounts else tuple(_accounts(now, found, profiles, dry_run=dry_run))
        wish = _Wish(profiles=profiles, named=bool(authorities), owner=owner, dry_run=dry_run)
        rows = tuple(_certificate(now, one, wish) for one in found.certificates)
        document = {
            "client": str(found.client),
            "folder": str(folder),
            "dry_run": dry_run,
            "certificates": [_document(one) for one in rows],
            "accounts": [_document(one) for one in accounts],
            "left_out": [
                {"path": one.path, "reason": one.reason, "needless": one.needless} for one in found.unreadable
            ],
        }
        now.output.result(document, lambda to: _draw(to, found, rows, accounts, dry_run=dry_run))
        failed = any(one.outcome is Outcome.FAILED for one in (*rows, *accounts))
        if failed or not all(one.needless for one in found.unreadable):
            raise typer.Exit(FAILED)


# -- certificates -------------------------------------------------------------------------------------------------


def _certificate(now: Session, found: FoundCertificate, wish: _Wish) -> _Row:
    own = matching(wish.profiles, found.directory_url, found.server)
    present = _present(now, found, wish.owner)
    row = _Row(found=found, outcome=Outcome.THERE, id="" if present is None else present.id)
    if present is not None and present.authority_id is not None:
        (bound,) = profiles_of(now.core, [present.authority_id], actor=now.actor)
        return evolve(row, profile=bound)
    if len(own) == 1 or wish.named:
        row = evolve(row, profile=(own or wish.profiles)[0])
    else:
        row = _unbound(now, row, len(own))
    if wish.dry_run:
        planned = Outcome.PLANNED if present is None else Outcome.TO_BE_BOUND
        return row if present is not None and row.profile is None else evolve(row, outcome=planned)
    try:
        if present is None:
            return evolve(row, outcome=Outcome.IMPORTED, id=_import(now, found, row.profile, wish.owner))
        if row.profile is None:
            return row
        now.core.certificates.edit(present.id, authority=row.profile.id, actor=now.actor)
        return evolve(row, outcome=Outcome.BOUND)
    except CertCoreError as error:
        return evolve(row, outcome=Outcome.FAILED, detail=str(error), command="")


def _present(now: Session, found: FoundCertificate, owner: str) -> Certificate | None:
    """The certificate of this owner that has, or had, this leaf."""
    fingerprint = found.bundle.leaf.fingerprint_sha256
    return next(iter(now.core.certificates.search(fingerprint, owner=owner, limit=1, actor=now.actor)), None)


def _import(now: Session, found: FoundCertificate, profile: Profile | None, owner: str) -> str:
    """Store one certificate; returns its id."""
    return now.core.certificates.import_certificate(
        found.bundle.leaf_pem,
        found.private_key.reveal(),
        found.bundle.chain_pem or None,
        authority=None if profile is None else profile.id,
        owner=owner,
        renewal=RenewalPolicy(auto=found.renews),
        actor=now.actor,
    ).id


def _unbound(now: Session, row: _Row, matches: int) -> _Row:
    """The same, with why no CA profile renews it and what to do."""
    place = row.found.directory_url or row.found.server
    if not place:
        reason = "the folder does not tell which CA it is from; name a CA profile with --authority"
    elif matches:
        reason = f"{matches} CA profiles are for {place}; name one with --authority"
    else:
        reason = f"there is no CA profile for {place}"
    return evolve(row, detail=f"not renewed: {reason}", command="" if matches else _command(now, row.found))


# -- accounts -----------------------------------------------------------------------------------------------------


def _accounts(now: Session, found: Found, profiles: Sequence[Profile], *, dry_run: bool) -> Iterator[_Row]:
    """The accounts that most certificates came from first: a profile has one of its own."""
    uses = Counter(one.account for one in found.certificates)
    taken: set[str] = set()
    for account in sorted(found.accounts, key=lambda one: -uses[one.reference]):
        own = matching(profiles, account.directory_url, account.server)
        place = account.directory_url or account.server
        if not own:
            detail = f"there is no CA profile for {place}" if place else "the folder does not tell which CA it is for"
            yield _Row(found=account, outcome=Outcome.LEFT_OUT, detail=detail, command=_command(now, account))
        elif len(own) > 1:
            detail = f"{len(own)} CA profiles are for {place}; name one with --authority"
            yield _Row(found=account, outcome=Outcome.LEFT_OUT, detail=detail)
        elif own[0].id in taken:
            detail = "a CA profile has one account, and more certificates are of the other one"
            yield _Row(found=account, outcome=Outcome.LEFT_OUT, profile=own[0], detail=detail)
        else:
            taken.add(own[0].id)
            yield _account(now, account, own[0], dry_run=dry_run)


def _account(now: Session, found: FoundAccount, profile: Profile, *, dry_run: bool) -> _Row:
    offered = {one.name: one for one in now.core.authorities.actions(profile.id, actor=now.actor)}
    # An import that a person is asked about first would take the place of an account that is in use.
    if _IMPORT_KEY not in offered or offered[_IMPORT_KEY].confirm is not None:
        if found.url and found.url in _shown_facts(now, profile):
            return _Row(found=found, outcome=Outcome.THERE, profile=profile)
        detail = "the CA profile has an account already, and keeps it"
        return _Row(found=found, outcome=Outcome.LEFT_OUT, profile=profile, detail=detail)
    if dry_run:
        return _Row(found=found, outcome=Outcome.PLANNED, profile=profile)
    try:
        now.core.authorities.act(
            profile.id, _IMPORT_KEY, {"account_key": found.private_key.reveal_text()}, actor=now.actor
        )
    except CertCoreError as error:
        return _Row(found=found, outcome=Outcome.FAILED, profile=profile, detail=str(error))
    return _Row(found=found, outcome=Outcome.IMPORTED, profile=profile)


def _shown_facts(now: Session, profile: Profile) -> set[str]:
    """What a profile's page says of its account."""
    hints = now.core.authorities.hints(profile.id, actor=now.actor)
    return {row.value for hint in hints if isinstance(hint, Facts) for row in hint.rows}


def _command(now: Session, found: FoundCertificate | FoundAccount) -> str:
    if not (found.directory_url or found.server):
        return ""
    emails = found.emails if isinstance(found, FoundAccount) else (found.email,)
    return add_command(now.core, found.directory_url, found.server, next(iter(emails), ""))


# -- the report ---------------------------------------------------------------------------------------------------


def _document(row: _Row) -> dict[str, Any]:
    """A line of the report as JSON; never a key."""
    found = row.found
    shared = {
        "path": found.path,
        "directory_url": found.directory_url,
        "server": found.server,
        "outcome": row.outcome.replace(" ", "_"),
        "authority": None if row.profile is None else row.profile.name,
        "detail": row.detail,
        "command": row.command,
    }
    if isinstance(found, FoundAccount):
        return {**shared, "url": found.url, "emails": list(found.emails)}
    leaf = found.bundle.leaf
    return {
        **shared,
        "id": row.id or None,
        "name": found.name,
        "names": list(found.names),
        "not_after": moment(leaf.not_after),
        "fingerprint_sha256": leaf.fingerprint_sha256,
        "renews": found.renews,
        "email": found.email,
        "warnings": [one.text for one in found.bundle.warnings],
    }


def _draw(to: Console, found: Found, rows: Sequence[_Row], accounts: Sequence[_Row], *, dry_run: bool) -> None:
    if rows:
        lines = ((one.found.path, _names(one.found), _bound(one), _said(one), _noted(one)) for one in rows)
        to.print(table(("CERTIFICATE", "NAMES", "CA PROFILE", "OUTCOME", ""), lines))
        to.print()
    if accounts:
        lines = ((one.found.path, _names(one.found), _bound(one), _said(one), _noted(one)) for one in accounts)
        to.print(table(("ACCOUNT", "CONTACT", "CA PROFILE", "OUTCOME", ""), lines))
        to.print()
    if found.unreadable:
        to.print(table(("LEFT OUT", "WHY"), ((one.path, _why(one)) for one in found.unreadable)))
        to.print()
    to.print(plain(_summary((*rows, *accounts), found)), soft_wrap=True)
    for command in dict.fromkeys(one.command for one in (*rows, *accounts) if one.command):
        to.print("Where a CA profile is missing, add it, then run this again:")
        to.print(f"  {plain(command)}", soft_wrap=True)
    if dry_run:
        to.print("Nothing was changed: this was a dry run.")
    elif any(one.outcome in {Outcome.IMPORTED, Outcome.BOUND} and one.profile is not None for one in rows):
        to.print(
            "Renew each once: certcore cert renew NAME; then certcore cert hints NAME shows what to set in the DNS."
        )
        to.print(f"Then stop {found.client} from renewing them.")


def _names(found: FoundCertificate | FoundAccount) -> str:
    names = found.names if isinstance(found, FoundCertificate) else found.emails
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _bound(row: _Row) -> str:
    return "" if row.profile is None else row.profile.name


def _said(row: _Row) -> Text:
    return cell(row.outcome, row.outcome.style)


def _noted(row: _Row) -> str:
    notes = [row.detail]
    if isinstance(row.found, FoundCertificate):
        off = f"renewal is off, as it was with {row.found.client}"
        notes += [off if not row.found.renews and row.outcome in {Outcome.IMPORTED, Outcome.PLANNED} else ""]
        notes += [one.text for one in row.found.bundle.warnings]
    return "; ".join(filter(None, notes))


def _why(one: Unreadable) -> Text:
    return cell(one.reason, "dim" if one.needless else "yellow")


def _summary(rows: Iterable[_Row], found: Found) -> str:
    counts = Counter(str(one.outcome) for one in rows)
    counts[str(Outcome.LEFT_OUT)] += len(found.unreadable)
    return "; ".join(f"{counts[one]} {one}" for one in Outcome if counts[one]) + "."
