"""Exports: a leaf with its chain and private key, and the formats that convert them to files.

A format is a value with a function. A complete format of a plugin::

    def _combined(exported, options):
        content = exported.fullchain_pem.encode() + exported.reveal_private_key()
        return [ExportedFile(name=f"{exported.file_stem}.pem", content=content, secret=True)]


    COMBINED = ExportFormat(name="combined", title="One file", private_key=Use.REQUIRED, make=_combined)

`ExportFormat.export` checks the arguments against the format's declaration before it calls ``make``. So ``make`` never
gets a password if the format takes none, and never gets the private key if the format does not contain it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from attrs import Attribute, evolve, field, frozen

from certcore.errors import InvalidInputError, PluginError
from certcore.messages import Message, as_message
from certcore.model.input_limits import too_long
from certcore.model.plugin_calls import call_plugin
from certcore.model.plugin_results import SHORT_NAME, UnexpectedResultError, conform
from certcore.model.secret import Secret

__all__ = ["ExportFormat", "ExportOptions", "Exported", "ExportedFile", "Use", "file_stem", "is_safe_file_name"]

#: At most 230 characters, as writers of files add up to 25 bytes. No leading dot, so that no file is hidden or mistaken
#: for a writer's temporary file.
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,229}")
#: Device names of Windows, reserved with any extension.
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])(\.|$)")
#: File names have at most 255 bytes, with the extension and a writer's additions.
_LONGEST_STEM: Final = 200
_DIGEST: Final = 16
#: In bytes: the limit of OpenSSL.
_LONGEST_PASSWORD: Final = 1000
_LONGEST_FRIENDLY_NAME: Final = 200
_LONGEST_FOLDER: Final = 1000
#: The name of the function in errors of a format.
_MAKE: Final = "ExportFormat.make"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Use(StrEnum):
    """Whether a format uses the private key, or a password."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


def file_stem(name: str) -> str:
    """A file name without extension for a domain name or an IP address.

    The result is safe in every file system: lower case, ``_wildcard.`` for ``*.``, hyphens for the colons of an
    address, and an underscore before device names of Windows (``con.example``). Names that are too long or contain
    unusual characters get a part of their digest appended, so that two names never have the same file name.

    Args:
        name: The name in A-labels, or the address.
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
    """PEM that ends with a line end, so that other PEM can follow it."""
    lines = (text or "").replace("\r\n", "\n").strip()
    return f"{lines}\n" if lines else ""


def _require_names(_: object, __: Attribute[Any], names: tuple[str, ...]) -> None:
    if not names or not all(name.strip() for name in names):
        reason = Message("export.no_name", "a certificate needs at least one name, and no name may be empty.")
        raise InvalidInputError("names", reason)
    if any(_UNPRINTABLE.search(name) for name in names):
        reason = Message("export.unprintable_name", "a name contains a line break or another control character.")
        raise InvalidInputError("names", reason)


def _check_password(_: object, __: Attribute[Any], password: Secret | None) -> None:
    if password is None:
        return
    if not isinstance(password, Secret):
        raise InvalidInputError("password", Message("export.password.not_secret", "must be a Secret."))
    if not password:
        advice = Message("export.password.empty.advice", "Give one, or leave it out.")
        raise InvalidInputError("password", Message("export.password.empty", "it is empty."), advice=advice)
    if len(password.reveal()) > _LONGEST_PASSWORD:
        params = {"count": _LONGEST_PASSWORD}
        reason = Message("export.password.too_long", "it is longer than {count} bytes.", params)
        raise InvalidInputError("password", reason)
    try:
        text = password.reveal_text()
    except UnicodeDecodeError:
        raise InvalidInputError("password", Message("export.password.not_utf8", "it is not text in UTF-8.")) from None
    if _UNPRINTABLE.search(text):
        text = "it contains a line break or another control character."
        raise InvalidInputError("password", Message("export.password.unprintable", text))


def _check_friendly_name(_: object, __: Attribute[Any], name: str) -> None:
    if len(name) > _LONGEST_FRIENDLY_NAME or _UNPRINTABLE.search(name):
        text = "one line of at most {count} characters is needed."
        reason = Message("export.friendly_name", text, {"count": _LONGEST_FRIENDLY_NAME})
        raise InvalidInputError("friendly_name", reason)


def _check_folder(_: object, __: Attribute[Any], folder: str) -> None:
    # The folder is written into the configuration of servers, which have different rules of quoting. So only paths that
    # need no quoting are accepted.
    if len(folder) > _LONGEST_FOLDER:
        raise too_long("folder", _LONGEST_FOLDER)
    if folder and not (
        folder.startswith("/") and all(character.isalnum() or character in "/._@+~-" for character in folder)
    ):
        params = {"folder": repr(folder[:200])}
        raise InvalidInputError(
            "folder",
            Message("export.folder", "{folder} cannot be used in a server's configuration.", params),
            advice=Message("export.folder.advice", "Use a whole path of letters, digits and / . _ @ + ~ -"),
        )


def _check_moment(_: object, __: Attribute[Any], moment: datetime) -> None:
    if moment.utcoffset() is None:
        raise InvalidInputError("at", Message("export.no_time_zone", "a datetime needs a time zone."))


@frozen(kw_only=True)
class ExportOptions:
    """The options of an export.

    Raises:
        InvalidInputError: A value is invalid; ``field`` names it.
    """

    #: The present moment with its time zone, which is written into archives.
    at: datetime = field(validator=_check_moment)
    #: Encrypts the private key, or the file that contains it; None for no encryption.
    password: Secret | None = field(default=None, validator=_check_password)
    #: Whether to use the format's legacy variant, for programs that cannot read the present one.
    legacy: bool = False
    #: The certificate's name in a key store; empty for its domain.
    friendly_name: str = field(default="", validator=_check_friendly_name)
    #: The directory of the files, for configuration snippets of servers; empty for a directory below /etc/ssl.
    folder: str = field(default="", validator=_check_folder)


def is_safe_file_name(name: str) -> bool:
    """Whether a file name is allowed on every system: no directory, no device name of Windows, not hidden."""
    return _FILE_NAME.fullmatch(name) is not None and not name.endswith(".") and not _DEVICE.match(name.lower())


def _check_file_name(_: object, __: Attribute[Any], name: str) -> None:
    if not _FILE_NAME.fullmatch(name):
        text = "Use letters, digits and . _ @ + - and no folders; file_stem makes such names."
        raise InvalidInputError(
            "name",
            Message("export.file_name", "{name} is not the name of an exported file.", {"name": repr(name[:100])}),
            advice=Message("export.file_name.advice", text),
        )


def _check_mode(file: ExportedFile, _: Attribute[Any], mode: int) -> None:
    if not 0 <= mode <= 0o777:  # noqa: PLR2004 - all permission bits and no others
        raise InvalidInputError("mode", Message("export.mode.bits", "only the nine permission bits can be set."))
    if file.secret and mode & 0o007:
        reason = Message("export.mode.open", "{mode} lets everybody read a secret file.", {"mode": f"{mode:04o}"})
        raise InvalidInputError("mode", reason, advice=Message("export.mode.open.advice", "Use 0600 or 0640."))


@frozen(kw_only=True)
class ExportedFile:
    """One file of an export."""

    #: The file name, see `is_safe_file_name`.
    name: str = field(validator=_check_file_name)
    content: bytes = field(repr=False)
    #: Whether it contains the private key, encrypted or not.
    secret: bool = False
    #: The permissions: by default 0600 for a secret file and 0644 for others.
    mode: int = field(validator=_check_mode, repr=oct)

    @mode.default
    def _usual_mode(self) -> int:
        return 0o600 if self.secret else 0o644


@frozen(kw_only=True)
class Exported:
    """An exported certificate: leaf, chain, and the private key unless it was left out."""

    #: The names of the certificate in A-labels, the primary name first. Values of other types are converted to text.
    names: tuple[str, ...] = field(converter=_names, validator=_require_names)
    #: The leaf in PEM.
    leaf_pem: str = field(converter=_block)
    #: The intermediates in PEM, in order; empty if a root signed the leaf.
    chain_pem: str = field(default="", converter=_block)
    #: The root in PEM; empty to leave it out, because servers do not send it.
    root_pem: str = field(default="", converter=_block)
    #: The private key in unencrypted PKCS#8 PEM; None if it was left out.
    private_key: Secret | None = None
    #: The files of the requested format.
    files: tuple[ExportedFile, ...] = ()

    @property
    def domain(self) -> str:
        """The primary name."""
        return self.names[0]

    @property
    def file_stem(self) -> str:
        """The file name without extension for files that are named after the certificate."""
        return file_stem(self.domain)

    @property
    def fullchain_pem(self) -> str:
        """The leaf followed by its intermediates: what a server presents (RFC 8446 section 4.4.2)."""
        return self.leaf_pem + self.chain_pem

    def reveal_private_key(self) -> bytes:
        """The private key in PEM. Use it only for the content of a secret file.

        Raises:
            InvalidInputError: The export has no private key.
        """
        if self.private_key is None:
            raise InvalidInputError("private_key", Message("export.no_private_key", "this export has none."))
        return self.private_key.reveal().strip() + b"\n"


def _exported_files(returned: object) -> tuple[ExportedFile, ...]:
    try:
        files: tuple[ExportedFile, ...] = conform(returned, tuple[ExportedFile, ...])
    except UnexpectedResultError as error:
        raise UnexpectedResultError(f"{error}; it has to return at least one ExportedFile") from None
    return files


def _check_format_name(_: object, __: Attribute[Any], name: str) -> None:
    if not SHORT_NAME.fullmatch(name):
        text = "{name} must be lower-case letters, digits and underscores."
        raise InvalidInputError("name", Message("export.format_name", text, {"name": repr(name)}))


@frozen(kw_only=True)
class ExportFormat:
    """A format in which certificates can be exported."""

    #: The identifier: lower-case letters, digits and underscores.
    name: str = field(validator=_check_format_name)
    #: The displayed title: a text or a translatable message.
    title: Message = field(converter=as_message)
    #: Whether the format contains the private key. An optional key is left out if there is none.
    private_key: Use
    #: Whether the format takes a password.
    password: Use = Use.NEVER
    #: Whether the format has a legacy variant.
    legacy: bool = False
    #: Makes the files. A pure function: the same arguments give the same files, apart from the salts of encryption.
    make: Callable[[Exported, ExportOptions], Iterable[ExportedFile]] = field(repr=False)

    @property
    def contains_key(self) -> bool:
        """Whether the format can contain the private key."""
        return self.private_key is not Use.NEVER

    def takes_key(self, *, with_key: bool) -> bool:
        """Whether the private key is exported.

        Args:
            with_key: Whether the user wants the private key.

        Raises:
            InvalidInputError: The user does not want the private key, but the format requires it.
        """
        if self.private_key is Use.REQUIRED and not with_key:
            raise InvalidInputError(
                "with_key",
                Message(
                    "export.format.always_key",
                    "the format {format} always contains the private key.",
                    {"format": self.name},
                ),
                advice=Message(
                    "export.format.always_key.advice", "Choose a format that works without it: pem, der, zip or pkcs7."
                ),
            )
        return with_key and self.contains_key

    def check(self, options: ExportOptions) -> None:
        """Refuse invalid options, before the private key is exported.

        Raises:
            InvalidInputError: A password is missing, or the format does not support an option.
        """
        if self.password is Use.REQUIRED and options.password is None:
            reason = Message("export.format.needs_password", "the format {format} needs one.", {"format": self.name})
            raise InvalidInputError("password", reason)
        if self.password is Use.NEVER and options.password is not None:
            text = "the format {format} takes no password: nothing in it is encrypted."
            advice = "Leave it out, or choose a format that takes one."
            raise InvalidInputError(
                "password",
                Message("export.format.no_password", text, {"format": self.name}),
                advice=Message("export.format.no_password.advice", advice),
            )
        if options.legacy and not self.legacy:
            text = "the format {format} has no legacy variant."
            raise InvalidInputError(
                "legacy",
                Message("export.format.no_older_form", text, {"format": self.name}),
                advice=Message("export.format.no_older_form.advice", "Leave it out."),
            )

    def export(self, exported: Exported, options: ExportOptions) -> tuple[ExportedFile, ...]:
        """Make the files.

        Args:
            exported: The certificate. Its private key is removed for a format without private key.
            options: The options that the user chose.

        Raises:
            InvalidInputError: The private key or a password is missing, or the format does not support an option.
            X509Error: Leaf, chain and private key cannot be read, or do not belong together.
            PluginError: The format failed, or did not return files.
        """
        if self.private_key is Use.REQUIRED and exported.private_key is None:
            text = "the format {format} contains the private key, but none was given."
            reason = Message("export.format.key_missing", text, {"format": self.name})
            raise InvalidInputError("private_key", reason)
        self.check(options)
        material = exported if self.contains_key else evolve(exported, private_key=None)
        files = call_plugin(self.name, _MAKE, self.make, material, options, returns=_exported_files)
        return self._checked(files, material.private_key)

    def _checked(self, files: tuple[ExportedFile, ...], key: Secret | None) -> tuple[ExportedFile, ...]:
        if not files:
            reason = Message("plugin.export.no_file", "it must return at least one ExportedFile.")
            raise PluginError(self.name, _MAKE, reason)
        names = [file.name for file in files]
        if len({name.lower() for name in names}) < len(names):
            reason = Message("plugin.export.same_name", "two files share a name: {names}.", {"names": ", ".join(names)})
            raise PluginError(self.name, _MAKE, reason)
        # A file with the private key that is not marked as secret would be readable by everybody.
        if key and any(key.reveal().strip() in file.content for file in files if not file.secret):
            reason = Message("plugin.export.open_key", "a file holds the private key and is not marked secret.")
            raise PluginError(self.name, _MAKE, reason)
        return files
