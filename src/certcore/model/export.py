"""What an export is: the material that goes in, the formats that there are, and the files that come out.

A format is a value with a function. This is all that a plugin has to write for one more::

    def _combined(material, options):
        both = material.fullchain_pem.encode() + material.reveal_private_key()
        return [ExportedFile(name=f"{material.file_stem}.pem", content=both, secret=True)]


    COMBINED = ExportFormat(name="combined", title="One file", private_key=Use.REQUIRED, make=_combined)

What the format declares is checked by `ExportFormat.export` before ``make`` is called: it never gets a password that
it does not take, and a format without the key never sees it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from attrs import Attribute, evolve, field, frozen

from certcore.errors import InvalidInput, PluginError
from certcore.model.conform import Misfit, conform
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret

__all__ = ["ExportFormat", "ExportOptions", "ExportedFile", "Material", "Use", "file_stem"]

_FORMAT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Never a dot in front, so that no exported file is hidden or taken for one of a writer's own; 25 bytes are for those.
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,229}")
#: What Windows takes for a device, whatever comes after the dot.
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])(\.|$)")
#: File systems end at 255 bytes; an ending and a writer's additions have to fit, too.
_LONGEST_STEM: Final = 200
_DIGEST: Final = 16
#: In bytes. OpenSSL reads no longer ones.
_LONGEST_PASSWORD: Final = 1000
_LONGEST_FRIENDLY_NAME: Final = 200
_LONGEST_FOLDER: Final = 1000
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Use(StrEnum):
    """Whether a format has a use for something: the private key, or a password."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


def file_stem(name: str) -> str:
    """A file's name without its ending, for a domain name or an IP address.

    Safe in every file system: lower case, ``_wildcard.`` for ``*.``, hyphens for an address's colons, an underscore in
    front of what Windows takes for a device (``con.example``). What is too long, or has other characters than names in
    A-labels have, gets a part of its digest, so that two names never share a file.

    Args:
        name: In A-labels.
    """
    lowered = name.strip().lower()
    known = lowered.replace(":", "-")
    if known.startswith("*."):
        known = f"_wildcard.{known[2:]}"
    stem = re.sub(r"[^a-z0-9._-]", "_", known).strip(".-") or "_"
    if stem != known or len(stem) > _LONGEST_STEM:
        digest = hashlib.sha256(lowered.encode("utf-8", "replace")).hexdigest()[:_DIGEST]
        stem = f"{stem[: _LONGEST_STEM - _DIGEST - 1]}-{digest}"
    return f"_{stem}" if _DEVICE.match(stem) else stem


def _names(names: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(name) for name in names)


def _block(text: str | None) -> str:
    """PEM that can be put before other PEM."""
    lines = (text or "").replace("\r\n", "\n").strip()
    return f"{lines}\n" if lines else ""


def _require_names(_: object, __: Attribute[Any], names: tuple[str, ...]) -> None:
    if not names or not all(name.strip() for name in names):
        raise InvalidInput("names", "a certificate has at least one name, and none is empty.")
    if any(_UNPRINTABLE.search(name) for name in names):
        raise InvalidInput("names", "a name has a line break or another control character.")


@frozen(kw_only=True)
class Material:
    """A certificate with all that an export may hold."""

    #: The names of the certificate in A-labels, the primary one first; names of other types are turned into text.
    names: tuple[str, ...] = field(converter=_names, validator=_require_names)
    #: The leaf alone.
    leaf_pem: str = field(converter=_block)
    #: The intermediates in order; empty when a root signed the leaf.
    chain_pem: str = field(default="", converter=_block)
    #: What the chain ends at; empty or None leaves it out. Servers do not send it.
    root_pem: str = field(default="", converter=_block)
    #: Unencrypted PEM; None for an export without it.
    private_key: Secret | None = None

    @property
    def domain(self) -> str:
        """The primary name."""
        return self.names[0]

    @property
    def file_stem(self) -> str:
        """What files that are named after the certificate are called, without the ending."""
        return file_stem(self.domain)

    @property
    def fullchain_pem(self) -> str:
        """The leaf followed by its intermediates: what a server presents (RFC 8446 section 4.4.2)."""
        return self.leaf_pem + self.chain_pem

    def reveal_private_key(self) -> bytes:
        """The private key's PEM, fit to be put after other PEM: only for the content of a secret file.

        Raises:
            InvalidInput: There is none.
        """
        if self.private_key is None:
            raise InvalidInput("private_key", "this export has none.")
        return self.private_key.reveal().strip() + b"\n"


def _check_password(_: object, __: Attribute[Any], password: Secret | None) -> None:
    if password is None:
        return
    if not isinstance(password, Secret):
        raise InvalidInput("password", "must be a Secret.")
    if not password:
        raise InvalidInput("password", "it is empty.", advice="Give one, or leave it out.")
    if len(password.reveal()) > _LONGEST_PASSWORD:
        raise InvalidInput("password", f"it is longer than {_LONGEST_PASSWORD} bytes.")
    try:
        text = password.reveal_text()
    except UnicodeDecodeError:
        raise InvalidInput("password", "it is not text in UTF-8.") from None
    if _UNPRINTABLE.search(text):
        raise InvalidInput("password", "it has a line break or another control character, which nobody can type.")


def _check_friendly_name(_: object, __: Attribute[Any], name: str) -> None:
    if len(name) > _LONGEST_FRIENDLY_NAME or _UNPRINTABLE.search(name):
        raise InvalidInput("friendly_name", f"one line of at most {_LONGEST_FRIENDLY_NAME} characters is needed.")


def _check_folder(_: object, __: Attribute[Any], folder: str) -> None:
    # It goes into the configuration of servers, whose ways of quoting differ; what needs none is safe in all of them.
    if len(folder) > _LONGEST_FOLDER:
        raise InvalidInput("folder", f"is longer than {_LONGEST_FOLDER} characters.")
    if folder and not (folder.startswith("/") and all(one.isalnum() or one in "/._@+~-" for one in folder)):
        raise InvalidInput(
            "folder",
            f"{folder[:200]!r} cannot stand in a server's configuration.",
            advice="Use a whole path of letters, digits and / . _ @ + ~ -",
        )


def _check_moment(_: object, __: Attribute[Any], moment: datetime) -> None:
    if moment.utcoffset() is None:
        raise InvalidInput("at", "a moment needs its time zone.")


@frozen(kw_only=True)
class ExportOptions:
    """How the user wants it."""

    #: The present moment, from the caller's clock: what is written into archives.
    at: datetime = field(validator=_check_moment)
    #: Encrypts the private key, or the file that holds it.
    password: Secret | None = field(default=None, validator=_check_password)
    #: Ask for the older form of a format that has one, for programs that do not read the present one.
    legacy: bool = False
    #: What a key store calls the certificate; empty for its domain.
    friendly_name: str = field(default="", validator=_check_friendly_name)
    #: Where the files will be, for the lines of a server's configuration; empty for a folder below /etc/ssl.
    folder: str = field(default="", validator=_check_folder)


def _check_file_name(_: object, __: Attribute[Any], name: str) -> None:
    if not _FILE_NAME.fullmatch(name):
        raise InvalidInput(
            "name",
            f"{name[:100]!r} is not the name of an exported file.",
            advice="Use letters, digits and . _ @ + - and no folders; file_stem makes such names.",
        )


def _check_mode(file: ExportedFile, _: Attribute[Any], mode: int) -> None:
    if not 0 <= mode <= 0o777:  # noqa: PLR2004 - all permission bits and no others
        raise InvalidInput("mode", "only the nine permission bits can be set.")
    if file.secret and mode & 0o007:
        raise InvalidInput("mode", f"{mode:04o} opens a secret file to everybody.", advice="Use 0600 or 0640.")


@frozen(kw_only=True)
class ExportedFile:
    """One file of an export."""

    name: str = field(validator=_check_file_name)
    content: bytes = field(repr=False)
    #: Whether it holds the private key, encrypted or not.
    secret: bool = False
    #: Its permissions: 0600 when it is secret, else 0644.
    mode: int = field(validator=_check_mode, repr=oct)

    @mode.default
    def _usual_mode(self) -> int:
        return 0o600 if self.secret else 0o644


def _exported_files(returned: object) -> tuple[ExportedFile, ...]:
    try:
        files: tuple[ExportedFile, ...] = conform(returned, tuple[ExportedFile, ...])
    except Misfit as error:
        raise Misfit(f"{error}; it has to return at least one ExportedFile") from None
    return files


def _check_format_name(_: object, __: Attribute[Any], name: str) -> None:
    if not _FORMAT_NAME.fullmatch(name):
        raise InvalidInput("name", f"{name!r} must be lower-case letters, digits and underscores.")


@frozen(kw_only=True)
class ExportFormat:
    """A format that certificates can be exported in."""

    #: What the user types: lower-case letters, digits and underscores.
    name: str = field(validator=_check_format_name)
    #: What the user reads.
    title: str
    #: Whether it holds the private key; an optional one is left out when the material has none.
    private_key: Use
    #: Whether it takes a password.
    password: Use = Use.NEVER
    #: Whether it has an older form, too.
    legacy: bool = False
    #: Makes the files. Pure: the same in, the same out, but for what encryption adds at random.
    make: Callable[[Material, ExportOptions], Iterable[ExportedFile]] = field(repr=False)

    @property
    def contains_key(self) -> bool:
        """Whether it may hold the private key."""
        return self.private_key is not Use.NEVER

    def takes_key(self, *, with_key: bool) -> bool:
        """Whether the private key is taken out for it, by whether the user wants it.

        Raises:
            InvalidInput: The user does not want it, and the format cannot do without.
        """
        if self.private_key is Use.REQUIRED and not with_key:
            raise InvalidInput(
                "with_key",
                f"the format {self.name} always holds the private key.",
                advice="Choose one that can do without: pem, der, zip or pkcs7.",
            )
        return with_key and self.contains_key

    def check(self, options: ExportOptions) -> None:
        """Refuse options that do not fit, before a private key is taken out for nothing.

        Raises:
            InvalidInput: A password is missing, or something was asked for that this format lacks.
        """
        if self.password is Use.REQUIRED and options.password is None:
            raise InvalidInput("password", f"the format {self.name} needs one.")
        if self.password is Use.NEVER and options.password is not None:
            raise InvalidInput(
                "password",
                f"the format {self.name} has none: nothing in it would be encrypted.",
                advice="Leave it out, or choose a format that takes one.",
            )
        if options.legacy and not self.legacy:
            raise InvalidInput("legacy", f"the format {self.name} has no older form.", advice="Leave it out.")

    def export(self, material: Material, options: ExportOptions) -> tuple[ExportedFile, ...]:
        """Make the files.

        Args:
            material: The certificate. For a format without the private key it may hold one: it is not handed on.
            options: How the user wants it.

        Raises:
            InvalidInput: The private key or a password is missing, or something was asked for that this format lacks.
            X509Error: The material cannot be read, or does not belong together.
            PluginError: The format made something else than files.
        """
        if self.private_key is Use.REQUIRED and material.private_key is None:
            raise InvalidInput("private_key", f"the format {self.name} holds the private key, and it is not given.")
        self.check(options)
        given = material if self.contains_key else evolve(material, private_key=None)
        files = call_plugin(self.name, "ExportFormat.make", self.make, given, options, returns=_exported_files)
        return self._checked(files, given.private_key)

    def _checked(self, files: tuple[ExportedFile, ...], key: Secret | None) -> tuple[ExportedFile, ...]:
        if not files:
            raise PluginError(self.name, "ExportFormat.make", "it has to return at least one ExportedFile.")
        names = [file.name for file in files]
        if len({name.lower() for name in names}) < len(names):
            raise PluginError(self.name, "ExportFormat.make", f"two files share a name: {', '.join(names)}.")
        # The mistake that is made most easily, and seen last.
        if key and any(key.reveal().strip() in file.content for file in files if not file.secret):
            raise PluginError(self.name, "ExportFormat.make", "a file holds the private key and is not marked secret.")
        return files
