"""Serve the tech zones from a process that can neither read secrets nor write to the database.

The DNS server is exposed to the Internet. It only needs the modules' documents and the settings of the CA profiles. So
it has no keyring, opens the database for reading, and can use a login that may only read three tables (see
docs/how-to/run-the-tech-zone.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn, cast

from attrs import define, field, frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.plugins.loaded import load_plugins
from certcore.engine.module_context import read_settings
from certcore.errors import InvalidInputError, PluginError, StorageReadOnlyError, StorageUnavailableError
from certcore.messages import Message
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.model.transfer_keys import TransferKey
from certcore.ports.ca_module import CAModule
from certcore.ports.dns import DnsServer, ServesZones, ZoneSource
from certcore.ports.documents import DocumentChanges, Documents
from certcore.ports.plugins import PluginFailure, Plugins
from certcore.ports.storage import Document, Storage

__all__ = ["ServedZones", "find_zone_module", "serve_zones"]

#: The placeholder for secrets of a CA profile, which are not read here.
_UNREAD: Secret = Secret(b"")


@frozen(eq=False)
class ServedZones:
    """A running DNS server with its own store; implements `certcore.ports.dns.DnsServer`."""

    _server: DnsServer
    _store: _ReadOnlyStore
    #: The plugins that could not be used, with the reasons.
    plugin_failures: Sequence[PluginFailure]

    @property
    def address(self) -> tuple[str, int]:
        """The address and port on which it listens, UDP and TCP."""
        return self._server.address

    def close(self) -> None:
        """Stop the server and close the store. Further calls do nothing."""
        self._server.close()
        self._store.close()


def serve_zones(  # noqa: PLR0913 - each is one option of `certcore dns serve`
    url: str,
    *,
    listen: tuple[str, int],
    module: str = "",
    plugins: Iterable[object] = (),
    installed_plugins: bool = True,
    also: Sequence[ZoneSource] = (),
    before_serving: Callable[[], object] | None = None,
    transfer_keys: Sequence[TransferKey] = (),
) -> ServedZones:
    """Start the authoritative DNS server of a CA module without a keyring. The database is only read.

    `CertCore.dns_server` starts it in a process that has the keyring.

    Args:
        url: The database, as in `CertCore.open`. Its tables must exist.
        listen: Address and port; port 0 chooses a free port.
        module: The name of the CA module; empty for the only module with a DNS server.
        plugins: Plugins to use in addition to the installed ones.
        installed_plugins: Whether to load the installed plugins of the entry-point group ``certcore``.
        also: Additional zones to serve on the same address.
        before_serving: Called once after the address is bound, before the database is opened and the first query is
            answered, for example to drop privileges.
        transfer_keys: The TSIG keys (RFC 8945) of the zones' secondaries, see `certcore.plugin.parse_transfer_keys`.

    Raises:
        InvalidInputError: The module has no DNS server; or ``module`` is empty, and not exactly one module has one.
        UnknownModuleError: The module is not loaded.
        StorageUnavailableError: The database cannot be read, or its tables are not those of this version.
        CertCoreError: The server cannot listen on the address.
    """
    from certcore.adapters.sql.databases import find_database  # noqa: PLC0415 - SQLAlchemy costs 0.2 s to import

    # Reports a wrong URL or a missing driver early, and loads files that the later user may not be allowed to read.
    find_database(url, read_only=True)
    loaded = load_plugins(plugins, installed=installed_plugins)
    name, ca_module = find_zone_module(loaded, module)
    store = _ReadOnlyStore(url)

    def prepare() -> None:
        if before_serving is not None:
            before_serving()
        store.open()

    def profiles() -> Sequence[object]:
        with store.storage.read() as transaction:
            authorities = transaction.authorities.list()
        return [
            read_settings(
                name,
                cast("CAModule[Any, Any]", ca_module).profile_type,
                {**authority.settings, **dict.fromkeys(authority.secrets_set, _UNREAD)},
            )
            for authority in authorities
            if authority.module == name
        ]

    documents: Documents = _ReadOnlyDocuments(store, name)
    try:
        server: DnsServer = call_plugin(
            name,
            "dns_server",
            ca_module.dns_server,
            returns=Any,
            listen=listen,
            documents=documents,
            environment=SystemEnvironment(),
            profiles=profiles,
            also=also,
            before_serving=prepare,
            **({"transfer_keys": tuple(transfer_keys)} if transfer_keys else {}),
        )
        store.require_open(name, server)
    except BaseException:  # boundary: close the store after any error, because the caller does not get it
        store.close()
        raise
    return ServedZones(server, store, loaded.failures)


def find_zone_module(plugins: Plugins, name: str) -> tuple[str, ServesZones]:
    """Find the CA module with a DNS server.

    Args:
        plugins: The loaded plugins.
        name: The name of the CA module; empty for the only module with a DNS server.

    Returns:
        The module's name, and the module.

    Raises:
        UnknownModuleError: The module is not loaded.
        InvalidInputError: The module has no DNS server; or ``name`` is empty, and not exactly one module has one.
    """
    if name:
        chosen = plugins.module(name)
        if not isinstance(chosen, ServesZones):
            raise InvalidInputError(
                "module",
                Message("core.no_dns_server", "the CA module {module} has no DNS server.", {"module": repr(name)}),
            )
        return name, chosen
    able = {name: module for name, module in plugins.modules.items() if isinstance(module, ServesZones)}
    if len(able) != 1:
        choices = ", ".join(sorted(able)) or "none"
        raise InvalidInputError(
            "module",
            Message(
                "core.which_dns_server",
                "several CA modules have a DNS server; name one of: {choices}.",
                {"choices": choices},
            ),
        )
    return next(iter(able.items()))


@define(eq=False)
class _ReadOnlyStore:
    """A database that is opened after the process has dropped its privileges, later than the objects that use it."""

    _url: str = field(repr=False)
    _storage: Storage | None = field(default=None, init=False, repr=False)

    def require_open(self, module: str, server: DnsServer) -> None:
        """Close the server and raise an error if the module has not opened the store."""
        if self._storage is None:
            server.close()
            raise PluginError(module, "dns_server", "it did not call before_serving.")

    @property
    def storage(self) -> Storage:
        if self._storage is None:
            raise StorageUnavailableError(Message("core.database_not_open", "The database is not open yet."))
        return self._storage

    def open(self) -> None:
        from certcore.adapters.sql import open_storage  # noqa: PLC0415 - SQLAlchemy costs 0.2 s to import

        self._storage = open_storage(self._url, read_only=True)

    def close(self) -> None:
        if self._storage is not None:
            self._storage.close()


@frozen(eq=False)
class _ReadOnlyDocuments:
    """Read-only documents of a module; implements `certcore.ports.ca_module.Documents`."""

    _store: _ReadOnlyStore
    _namespace: str

    @property
    def with_outcome(self) -> DocumentChanges:
        self._refuse()

    def get(self, key: str) -> Document | None:
        with self._store.storage.read() as transaction:
            return transaction.documents.get(self._namespace, key)

    def get_many(self, keys: Collection[str]) -> Mapping[str, Document]:
        with self._store.storage.read() as transaction:
            return transaction.documents.get_many(self._namespace, keys)

    def change_mark(self) -> object | None:
        return self._store.storage.change_mark()

    def refresh(self) -> None:
        """Does nothing, because each call reads from the database."""

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        with self._store.storage.read() as transaction:
            return transaction.documents.list(self._namespace, prefix=prefix, after=after)

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        self._refuse()

    def put_many(
        self,
        values: Mapping[str, Mapping[str, Any]],
        *,
        versions: Mapping[str, int] | None = None,
        announces_order: bool = False,
        change: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]] | None = None,
        delete: Collection[str] = (),
    ) -> None:
        self._refuse()

    def delete(self, *keys: str) -> None:
        self._refuse()

    def seal(self, key: str, secret: bytes) -> bool:
        self._refuse()

    def unseal(self, key: str) -> bytes | None:
        self._refuse()

    def delete_secret(self, key: str) -> None:
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise StorageReadOnlyError(
            Message("core.serves_zones_only", "This process only serves DNS zones; it cannot write or read secrets.")
        )
