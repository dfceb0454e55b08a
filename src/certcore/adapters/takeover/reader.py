"""Helpers of all readers: read each entry in isolation, and choose the entries to import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from certcore.adapters.takeover.directories import is_staging
from certcore.adapters.takeover.results import Client, Found, FoundAccount, FoundCertificate, Unreadable
from certcore.adapters.takeover.source_directory import Tree, shown
from certcore.errors import CertCoreError, InvalidInputError, TakeoverError
from certcore.messages import Message
from certcore.model.subject import parse_email
from certcore.x509.import_bundle import read_bundle

__all__ = [
    "ACCOUNT_DEACTIVATED",
    "KEY_MISSING",
    "SEVERAL_KEYS",
    "Entry",
    "attempt",
    "certificate",
    "collected",
    "emails_of",
    "member",
    "refusals",
]

#: An entry of a directory.
Entry = FoundCertificate | FoundAccount | Unreadable

#: The reasons why an account is not imported.
ACCOUNT_DEACTIVATED: Final = Message("takeover.account_deactivated", "The account was deactivated.")
KEY_MISSING: Final = Message("takeover.key_missing", "The account's private key is missing.")
SEVERAL_KEYS: Final = Message("takeover.several_keys", "There are several private keys for one account.")
#: The most certificates and accounts that are read, because all are held in memory.
_MOST: Final = 20_000
_MOST_EMAILS: Final = 10


def attempt(path: str, read: Callable[[], Entry]) -> Entry:
    """Read one entry. An error is returned as `Unreadable`, so that the other entries are still read."""
    try:
        return read()
    except CertCoreError as error:
        return Unreadable(path=path, reason=str(error))
    except Exception as error:  # isolation: an unexpected file must not prevent the others from being read
        return Unreadable(
            path=path, reason=f"Reading it raised {type(error).__name__}, which is a bug in certcore; please report it."
        )


def certificate(  # noqa: PLR0913 - one argument per stored value
    client: Client,
    *,
    path: str,
    name: str,
    leaf: bytes,
    private_key: bytes | None,
    chain: bytes | None,
    now: datetime,
    directory_url: str = "",
    server: str = "",
    account: str = "",
    email: str = "",
    renews: bool = True,
) -> FoundCertificate:
    """Check a certificate with its key and chain.

    Raises:
        CertCoreError: They do not belong together or cannot be deployed, or the private key is missing.
    """
    try:
        bundle = read_bundle(leaf, private_key, chain or None, now=now)
    except InvalidInputError as error:
        raise TakeoverError(_unusable(error), advice=error.advice_text) from None
    if bundle.private_key is None:
        raise TakeoverError(
            Message("takeover.without_key", "Its private key is missing, so it cannot be deployed."),
            advice=Message(
                "takeover.without_key.advice", "It may have been issued for a CSR whose key is stored elsewhere."
            ),
        )
    return FoundCertificate(
        path=path,
        client=client,
        name=shown(name),
        bundle=bundle,
        private_key=bundle.private_key,
        directory_url=directory_url,
        server=server,
        account=account,
        email=email,
        renews=renews,
    )


def _unusable(error: InvalidInputError) -> Message:
    """The text of an error, naming the part of the certificate that is wrong instead of a field of the form."""
    params = {"reason": error.reason_text}
    match error.field:
        case "private_key":
            return Message("takeover.key_unusable", "Its private key cannot be used: {reason}", params)
        case "ca_bundle":
            return Message("takeover.chain_unusable", "Its chain cannot be used: {reason}", params)
        case _:
            return Message("takeover.unusable", "It cannot be used: {reason}", params)


def collected(client: Client, entries: Iterable[Entry], *, now: datetime) -> Found:
    """The certificates and accounts to import, and the reasons why others are left out."""
    certificates: list[FoundCertificate] = []
    accounts: dict[tuple[str, str, str], FoundAccount] = {}
    unreadable: list[Unreadable] = []
    for entry in _bounded(entries):
        needless = "" if isinstance(entry, Unreadable) else _needless(entry, now)
        if isinstance(entry, Unreadable):
            unreadable.append(entry)
        elif needless:
            unreadable.append(Unreadable(path=entry.path, reason=needless, needless=True))
        elif isinstance(entry, FoundCertificate):
            certificates.append(entry)
        else:
            # Two directories may contain the same account, as certbot's do since ACME v2.
            accounts.setdefault((entry.directory_url, entry.server, entry.private_key.reveal_text()), entry)
    newest, older = _newest(certificates)
    return Found(
        client=client,
        certificates=newest,
        accounts=tuple(accounts.values()),
        unreadable=(*unreadable, *older),
    )


def refusals(tree: Tree, *parts: str) -> Iterator[Unreadable]:
    """Report a directory that cannot be read, or not completely."""
    if reason := tree.refusal(*parts):
        yield Unreadable(path=shown(*parts) or ".", reason=reason)


def member(document: object, *names: str) -> Any:
    """The member of nested JSON objects under these names; None if it does not exist."""
    for name in names:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def emails_of(*values: object) -> tuple[str, ...]:
    """The e-mail addresses among contacts (RFC 8555 section 7.1.2), each once; other contacts are left out."""
    emails: dict[str, None] = {}
    for value in values:
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or len(emails) >= _MOST_EMAILS:
                continue
            try:
                address = parse_email(text.strip().removeprefix("mailto:"))
            except InvalidInputError:
                continue
            if address:
                emails[address] = None
    return tuple(emails)


def _bounded(entries: Iterable[Entry]) -> Iterator[Entry]:
    rest = iter(entries)
    yield from islice(rest, _MOST)
    if next(rest, None) is not None:
        reason = f"There are more than {_MOST} certificates and accounts; the rest was not read."
        yield Unreadable(path=".", reason=reason)


def _needless(entry: FoundCertificate | FoundAccount, now: datetime) -> str:
    staging = is_staging(entry.server)
    if isinstance(entry, FoundAccount):
        return "It is an account at a staging server, whose certificates are not trusted." if staging else ""
    leaf = entry.bundle.leaf
    if staging or "(STAGING)" in leaf.issuer:
        return "It is from a staging server and not trusted."
    if leaf.not_after <= now:
        return f"It expired on {leaf.not_after:%Y-%m-%d}: it is no longer in use."
    return ""


def _newest(certificates: Iterable[FoundCertificate]) -> tuple[tuple[FoundCertificate, ...], list[Unreadable]]:
    """Choose the newest certificate for each set of names and type of key; a server may use one of each type.

    Returns:
        The newest certificates, and the reports of the others.
    """
    best: dict[tuple[frozenset[str], str], FoundCertificate] = {}
    candidates = list(certificates)
    for certificate in candidates:
        key = (frozenset(certificate.names), certificate.bundle.leaf.public_key_algorithm)
        if key not in best or _age(certificate) > _age(best[key]):
            best[key] = certificate
    kept = {id(certificate) for certificate in best.values()}
    older = [
        Unreadable(
            path=certificate.path,
            reason="There is a newer certificate for the same names: "
            + best[frozenset(certificate.names), certificate.bundle.leaf.public_key_algorithm].path,
            needless=True,
        )
        for certificate in candidates
        if id(certificate) not in kept
    ]
    return tuple(certificate for certificate in candidates if id(certificate) in kept), older


def _age(certificate: FoundCertificate) -> tuple[datetime, datetime]:
    return certificate.bundle.leaf.not_before, certificate.bundle.leaf.not_after
