"""The conformance suite of export formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from certcore.model.export import Exported, ExportedFile, ExportFormat, ExportOptions, Use
from certcore.model.secret import Secret
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.conformance.hooks import HookEvidence
from certcore.testing.conformance.values import (
    ConformanceCheck,
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)
from certcore.testing.local_ca import LittleAuthority, make_request

__all__ = ["EXPORT_FORMAT_CHECKS", "ExportFormatEvidence"]

_PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - a sample


@cache
def _exported(*names: str, key_type: str = "ec-p256", with_chain: bool = True) -> Exported:
    """A certificate for these names, with its private key."""
    now = FrozenEnvironment().now()
    authority = LittleAuthority(now)
    request, private_key = make_request(*names, key_type=key_type)
    leaf, end, chain = authority.issue(request, now=now).partition("-----END CERTIFICATE-----\n")
    return Exported(
        names=names,
        leaf_pem=leaf + end,
        chain_pem=chain if with_chain else "",
        root_pem=authority.root_pem,
        private_key=Secret(private_key),
    )


class ExportFormatEvidence(HookEvidence):
    """An export format, and certificates to export.

    Args:
        export_format: The format to check.
    """

    def __init__(self, export_format: ExportFormat) -> None:
        super().__init__(export_format)
        self.format = export_format

    @property
    def options(self) -> ExportOptions:
        """The required options only."""
        password = Secret(_PASSWORD) if self.format.password is Use.REQUIRED else None
        return ExportOptions(at=self.environment.now(), password=password)

    def files(self, exported: Exported, options: ExportOptions | None = None) -> Sequence[ExportedFile]:
        """The files of a certificate, made as certcore makes them.

        Raises:
            RuleBrokenError: The format raised an exception or did not return files.
        """
        if self.format.private_key is Use.NEVER:
            # certcore removes the private key for such formats, too.
            exported = Exported(
                names=exported.names,
                leaf_pem=exported.leaf_pem,
                chain_pem=exported.chain_pem,
                root_pem=exported.root_pem,
            )
        call = self.run("export", self.format.export, {}, exported, options or self.options)
        if call.raised is not None:
            raise RuleBrokenError(f"For {exported.domain} {call.failure}")
        return tuple(call.returned)


def _files(evidence: ExportFormatEvidence) -> None:
    for key_type in ("ec-p256", "rsa-2048"):
        evidence.files(_exported("www.shop.test", "shop.test", key_type=key_type))


def _wildcards(evidence: ExportFormatEvidence) -> None:
    long = ".".join(["a" * 60, "b" * 60, "c" * 60, "shop.test"])
    for name in ("*.shop.test", "xn--mnchen-3ya.test", long):
        evidence.files(_exported(name))


def _no_chain(evidence: ExportFormatEvidence) -> None:
    evidence.files(_exported("www.shop.test", with_chain=False))


def _without_key(evidence: ExportFormatEvidence) -> None:
    if evidence.format.private_key is not Use.OPTIONAL:
        raise NotApplicableError(f"The private key is {evidence.format.private_key} in this format.")
    exported = _exported("www.shop.test")
    bare = Exported(names=exported.names, leaf_pem=exported.leaf_pem, chain_pem=exported.chain_pem)
    for file in evidence.files(bare):
        require(b"PRIVATE KEY" not in file.content, f"{file.name} holds a private key that was left out.")


def _leaf(evidence: ExportFormatEvidence) -> None:
    first, second = (evidence.files(_exported(name)) for name in ("one.shop.test", "two.shop.test"))
    same = [file.content for file in first] == [file.content for file in second]
    require(not same, "Two certificates have the same files: the format does not export the leaf.")


def _encrypted(evidence: ExportFormatEvidence) -> None:
    if evidence.format.password is Use.NEVER:
        raise NotApplicableError("The format takes no password.")
    exported = _exported("www.shop.test")
    options = ExportOptions(at=evidence.environment.now(), password=Secret(_PASSWORD))
    key = exported.private_key.reveal().splitlines()[1] if exported.private_key else b""
    for file in evidence.files(exported, options):
        require(
            key not in file.content, f"{file.name} holds the private key in the open, although there is a password."
        )
        require(_PASSWORD.encode() not in file.content, f"{file.name} holds the password.")


def _steady(evidence: ExportFormatEvidence) -> None:
    if evidence.options.password is not None:
        raise NotApplicableError("Encryption adds something at random.")
    exported = _exported("www.shop.test")
    first, again = evidence.files(exported), evidence.files(exported)
    require(first == again, "The same certificate exported twice, with the same moment, has different files.")


def _checks() -> Iterator[ConformanceCheck]:
    check = check_of(Suite.EXPORT_FORMAT)
    yield check(
        "files",
        "make returns at least one ExportedFile, for EC and RSA keys; files with the private key are marked secret.",
        "A file that is not marked is written so that everybody on the server can read it.",
        _files,
    )
    yield check(
        "leaf",
        "The files are about the certificate that is exported.",
        "A server would go on with another one.",
        _leaf,
        needs=("files",),
    )
    yield check(
        "names",
        "Wildcards, internationalised and long names have files, too, with names that are safe on every system.",
        "`*` and long names are no file names: use Exported.file_stem.",
        _wildcards,
        needs=("files",),
    )
    yield check(
        "no-chain",
        "A leaf without intermediates can be exported.",
        "Private CAs sign with their root.",
        _no_chain,
        needs=("files",),
    )
    yield check(
        "without-key",
        "Where the private key is optional, the files can be made without it.",
        "Users export the certificate alone, and the key may be in another place.",
        _without_key,
        needs=("files",),
    )
    yield check(
        "password",
        "With a password the private key is in no file in the open, and the password is in none.",
        "Whoever gives a password relies on it.",
        _encrypted,
        needs=("files",),
    )
    yield check(
        "steady",
        "The same certificate at the same moment has the same files, unless they are encrypted.",
        "A deployment would see a change where there is none, and reload the server.",
        _steady,
        needs=("files",),
    )
    yield check(
        "quiet",
        "make prints nothing.",
        "What is printed ends up in the output of `certcore cert export`.",
        HookEvidence.require_quiet,
        needs=("files",),
    )


#: In the order in which they are run.
EXPORT_FORMAT_CHECKS: Final = tuple(_checks())
