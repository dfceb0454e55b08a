"""The built-in export formats, for people, key stores and servers.

Each format is a pure function from `Exported` to `ExportedFile` values. Without a password, the same input gives the
same bytes; encrypted files contain a random salt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import evolve, frozen
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from certcore.errors import InvalidInputError, KeyMismatchError, UnreadablePemError
from certcore.messages import Message
from certcore.model.export import Exported, ExportedFile, ExportFormat, ExportOptions, Use
from certcore.x509.archive import readme, zip_archive
from certcore.x509.chain import certificate_pem, parse_certificates
from certcore.x509.der import pem_block
from certcore.x509.encryption import encrypted_private_key, key_store
from certcore.x509.keys import PrivateKey, load_private_key, private_key_der, private_key_pem, spki_sha256
from certcore.x509.leaf import leaf_details

__all__ = ["EXPORT_FORMATS", "find_format"]

#: The parent of the default folder of a certificate in server configurations, as on Debian.
_USUAL_FOLDER: Final = "/etc/ssl"


@frozen(kw_only=True)
class _Parts:
    """The parsed parts of an export. The key, if there is one, belongs to the leaf."""

    leaf: x509.Certificate
    #: The intermediates.
    chain: tuple[x509.Certificate, ...]
    #: At most one certificate.
    root: tuple[x509.Certificate, ...]
    key: PrivateKey | None

    @property
    def everything(self) -> tuple[x509.Certificate, ...]:
        return (self.leaf, *self.chain, *self.root)


def _read(exported: Exported) -> _Parts:
    """Parse what is to be exported.

    Raises:
        UnreadablePemError: A part cannot be read.
        KeyMismatchError: The key is not the leaf's.
    """
    text = "There are {count} certificates where the leaf alone is needed."
    leaf = _only(exported.leaf_pem, Message("export.several_leaves", text))
    key = None
    if exported.private_key is not None:
        # The key was made here, or was validated when it was imported.
        key = load_private_key(exported.private_key.reveal(), trusted=True)
        if spki_sha256(key.public_key()) != spki_sha256(leaf.public_key()):
            text = "The private key does not belong to the certificate of {domain}."
            raise KeyMismatchError(
                Message("export.key_mismatch", text, {"domain": exported.domain}),
                advice=Message("export.key_mismatch.advice", "Export key and certificate of the same issuance."),
            )
    return _Parts(
        leaf=leaf,
        chain=tuple(parse_certificates(exported.chain_pem)) if exported.chain_pem else (),
        root=_root(exported.root_pem),
        key=key,
    )


def _root(pem: str) -> tuple[x509.Certificate, ...]:
    text = "There are {count} certificates where the root alone is needed."
    return (_only(pem, Message("export.several_roots", text)),) if pem else ()


def _only(pem: str, refusal: Message) -> x509.Certificate:
    certificates = parse_certificates(pem)
    if len(certificates) != 1:
        raise UnreadablePemError(evolve(refusal, params={"count": len(certificates)}))
    return certificates[0]


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return "".join(map(certificate_pem, certificates)).encode()


def _required(key: PrivateKey | None) -> PrivateKey:
    if key is None:
        raise InvalidInputError("private_key", Message("export.needs_key", "this export needs it."))
    return key


# ------------------------------------------------------------------------------------------------------------- files


def _cert(parts: _Parts) -> ExportedFile:
    return ExportedFile(name="cert.pem", content=_pem([parts.leaf]))


def _chain(parts: _Parts) -> ExportedFile:
    # Written even if it is empty: otherwise the chain of an earlier certificate would stay beside the new leaf.
    return ExportedFile(name="chain.pem", content=_pem(parts.chain))


def _fullchain(parts: _Parts) -> ExportedFile:
    return ExportedFile(name="fullchain.pem", content=_pem([parts.leaf, *parts.chain]))


def _private_key(parts: _Parts) -> ExportedFile:
    return ExportedFile(name="privkey.pem", content=private_key_pem(_required(parts.key)), secret=True)


def _locked_private_key(parts: _Parts, options: ExportOptions) -> ExportedFile:
    if options.password is None:
        return _private_key(parts)
    content = pem_block("ENCRYPTED PRIVATE KEY", encrypted_private_key(_required(parts.key), options.password))
    return ExportedFile(name="privkey.pem", content=content, secret=True)


def _pem_files(parts: _Parts, options: ExportOptions) -> Iterator[ExportedFile]:
    yield from (_cert(parts), _chain(parts), _fullchain(parts))
    if parts.root:
        yield ExportedFile(name="root.pem", content=_pem(parts.root))
    if parts.key is not None:
        yield _locked_private_key(parts, options)


def _der_files(parts: _Parts, options: ExportOptions) -> Iterator[ExportedFile]:
    yield ExportedFile(name="cert.der", content=parts.leaf.public_bytes(serialization.Encoding.DER))
    yield _bundle(parts, "fullchain.p7b")
    if parts.key is None:
        return
    if options.password is None:
        content = private_key_der(parts.key)
    else:
        content = encrypted_private_key(parts.key, options.password)
    yield ExportedFile(name="privkey.der", content=content, secret=True)


def _bundle(parts: _Parts, name: str) -> ExportedFile:
    """A PKCS#7 bundle without signatures. Its certificates are a set without order (RFC 2315 section 9.1)."""
    content = pkcs7.serialize_certificates(list(parts.everything), serialization.Encoding.DER)
    return ExportedFile(name=name, content=content)


def _store(parts: _Parts, name: str, exported: Exported, options: ExportOptions) -> ExportedFile:
    if options.password is None:
        raise InvalidInputError("password", Message("export.key_store.password", "a key store needs one."))
    if not options.password.reveal_text().isascii():
        # Java cannot open a key store with such a password, and programs encode the other characters differently.
        text = "a key store (PKCS#12) opens everywhere only with letters, digits and signs of ASCII."
        advice = "Choose another password, for example a longer one without accents."
        raise InvalidInputError(
            "password",
            Message("export.key_store.ascii", text),
            advice=Message("export.key_store.ascii.advice", advice),
        )
    content = key_store(
        _required(parts.key),
        parts.everything,
        password=options.password,
        name=options.friendly_name or exported.domain,
        legacy=options.legacy,
    )
    return ExportedFile(name=name, content=content, secret=True)


# -------------------------------------------------------------------------------------- formats for people and stores


def _make_pem(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
    return _pem_files(_read(exported), options)


def _make_der(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
    return _der_files(_read(exported), options)


def _make_pkcs7(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
    yield _bundle(_read(exported), f"{exported.file_stem}.p7b")


def _make_pkcs12(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
    yield _store(_read(exported), f"{exported.file_stem}.p12", exported, options)


def _make_zip(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
    parts = _read(exported)
    files = [*_pem_files(parts, options), *_der_files(parts, options)]
    if parts.key is not None and options.password is not None:
        files.append(_store(parts, "cert.p12", exported, options))
    elif options.legacy:
        reason = Message("export.older_form", "only the key store has a legacy variant, and it needs a password.")
        raise InvalidInputError("legacy", reason)
    text = readme(
        leaf_details(parts.leaf),
        [file.name for file in files],
        title=f"The certificate of {exported.domain}",
        at=options.at,
        encrypted=options.password is not None,
    )
    files.append(ExportedFile(name="README.txt", content=text.encode()))
    content = zip_archive(exported.file_stem, files, options.at)
    yield ExportedFile(name=f"{exported.file_stem}.zip", content=content, secret=any(file.secret for file in files))


# --------------------------------------------------------------------------------------------------------- for servers


def _place(exported: Exported, options: ExportOptions) -> str:
    return (options.folder or f"{_USUAL_FOLDER}/{exported.file_stem}").rstrip("/")


def _server(name: str, snippet: str, *files: Callable[[_Parts], ExportedFile]) -> Callable[..., Iterator[ExportedFile]]:
    """Make a format for a server that reads PEM: the files, and a configuration snippet that names them."""

    def make(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
        parts = _read(exported)
        yield from (file(parts) for file in files)
        lines = snippet.format(domain=exported.domain, folder=_place(exported, options))
        yield ExportedFile(name=name, content=lines.encode())

    return make


def _make_haproxy(exported: Exported, options: ExportOptions) -> Iterator[ExportedFile]:
    # Exactly one file: HAProxy loads every file of a folder as a certificate.
    parts = _read(exported)
    content = _pem([parts.leaf, *parts.chain]) + private_key_pem(_required(parts.key))
    yield ExportedFile(name=f"{exported.file_stem}.pem", content=content, secret=True)


_NGINX: Final = """\
# {domain}: include this file in the server block that says "listen 443 ssl".
ssl_certificate     {folder}/fullchain.pem;
ssl_certificate_key {folder}/privkey.pem;
"""
_APACHE: Final = """\
# {domain}: include this file in the VirtualHost of port 443.
# Apache before 2.4.8 wants cert.pem as SSLCertificateFile, and chain.pem as SSLCertificateChainFile.
SSLEngine on
SSLCertificateFile    {folder}/fullchain.pem
SSLCertificateKeyFile {folder}/privkey.pem
"""
_LIGHTTPD: Final = """\
# {domain}: include this file in the block of port 443; lighttpd 1.4.53 or newer.
ssl.engine  = "enable"
ssl.pemfile = "{folder}/fullchain.pem"
ssl.privkey = "{folder}/privkey.pem"
"""
_POSTFIX: Final = """\
# {domain}: these lines go into main.cf; Postfix 3.4 or newer.
smtpd_tls_security_level = may
smtpd_tls_chain_files = {folder}/privkey.pem, {folder}/fullchain.pem
"""

#: The built-in formats, in the order in which they are offered.
EXPORT_FORMATS: Final[tuple[ExportFormat, ...]] = (
    ExportFormat(
        name="pem",
        title=Message("export.title.pem", "PEM files"),
        private_key=Use.OPTIONAL,
        password=Use.OPTIONAL,
        make=_make_pem,
    ),
    ExportFormat(
        name="zip",
        title=Message("export.title.zip", "ZIP archive with everything"),
        private_key=Use.OPTIONAL,
        password=Use.OPTIONAL,
        legacy=True,
        make=_make_zip,
    ),
    ExportFormat(
        name="pkcs12",
        title=Message("export.title.pkcs12", "PKCS#12 (PFX) for Windows and Java"),
        private_key=Use.REQUIRED,
        password=Use.REQUIRED,
        legacy=True,
        make=_make_pkcs12,
    ),
    ExportFormat(
        name="pkcs7",
        title=Message("export.title.pkcs7", "PKCS#7 (P7B), certificates only"),
        private_key=Use.NEVER,
        make=_make_pkcs7,
    ),
    ExportFormat(
        name="der",
        title=Message("export.title.der", "DER, binary files"),
        private_key=Use.OPTIONAL,
        password=Use.OPTIONAL,
        make=_make_der,
    ),
    ExportFormat(
        name="nginx",
        title="nginx",
        private_key=Use.REQUIRED,
        make=_server("nginx-ssl.conf", _NGINX, _fullchain, _private_key),
    ),
    ExportFormat(
        name="apache",
        title="Apache HTTP Server",
        private_key=Use.REQUIRED,
        make=_server("apache-ssl.conf", _APACHE, _cert, _chain, _fullchain, _private_key),
    ),
    ExportFormat(name="haproxy", title="HAProxy", private_key=Use.REQUIRED, make=_make_haproxy),
    ExportFormat(
        name="lighttpd",
        title="lighttpd",
        private_key=Use.REQUIRED,
        make=_server("lighttpd-ssl.conf", _LIGHTTPD, _fullchain, _private_key),
    ),
    ExportFormat(
        name="postfix",
        title="Postfix",
        private_key=Use.REQUIRED,
        make=_server("postfix-ssl.cf", _POSTFIX, _fullchain, _private_key),
    ),
)


def find_format(name: str, formats: Iterable[ExportFormat] = EXPORT_FORMATS) -> ExportFormat:
    """Find a format by its name.

    Args:
        name: The name as the user typed it; case and surrounding spaces do not matter.
        formats: The formats to choose from, including those of plugins.

    Raises:
        InvalidInputError: No format has that name.
    """
    offered = {export_format.name: export_format for export_format in formats}
    chosen = offered.get(name.strip().lower())
    if chosen is None:
        reason = Message("export.no_such_format", "there is no format {format}.", {"format": repr(name[:40])})
        choices = Message("export.formats", "Choose from: {formats}.", {"formats": ", ".join(offered)})
        raise InvalidInputError("format", reason, advice=choices)
    return chosen
