"""`CertCore`: the one object that a panel or a script holds. It wires everything and decides nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from attrs import evolve, field, frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.keyrings.guarded import guarded
from certcore.adapters.keyrings.opening import check_keyring, keyring_of
from certcore.adapters.keyrings.vault import (
    EnvelopeVault,
    StaticKeyring,
    create_keyring_file,
    new_record_key,
)
from certcore.adapters.logged_storage import LoggedStorage
from certcore.adapters.plugins.loaded import load_plugins
from certcore.engine.module_context import Contexts
from certcore.engine.outbox import Outbox
from certcore.engine.preflight_pace import PreflightPace
from certcore.engine.preflights import Preflights
from certcore.engine.reconcile import Engine, Reconciled
from certcore.engine.worker import Worker
from certcore.forks import renew_after_fork
from certcore.model.input_limits import true_or_false, whole_number
from certcore.model.notice_policy import NoticePolicy
from certcore.model.plugin_calls import call_plugin
from certcore.model.transfer_keys import TransferKey
from certcore.ports.dns import DnsServer, ZoneSource
from certcore.ports.environment import Environment
from certcore.ports.plugins import PluginFailure, PluginInfo, Plugins
from certcore.ports.sealing import Keyring
from certcore.ports.storage import Storage
from certcore.services.access import Access
from certcore.services.actor_calls import ActorCalls
from certcore.services.authorities import Authorities
from certcore.services.certificates import Certificates
from certcore.services.sealing_keys import SealingKeys
from certcore.services.timeline_seal_key import use_record_key
from certcore.translations import OWN_CATALOGUE, Catalogue, Translator, translator
from certcore.zone_serving import find_zone_module

__all__ = ["CertCore"]

#: What a store looks through at most to find the most urgent.
_MOST_DUE: Final = 1000
#: The bound of `CertCore.open`'s ``pool_size`` and ``max_overflow``.
_MOST_CONNECTIONS: Final = 1000


@frozen(kw_only=True, eq=False)
class CertCore(ActorCalls):
    """Certificates as a library: open one per process and share it between threads.

    ::

        with CertCore.open("sqlite:///certcore.db", keyring="keyring.json") as core:
            ...

    Build one with `open` or `in_memory`.
    """

    #: The CA profiles.
    authorities: Authorities
    #: The certificates.
    certificates: Certificates
    #: The keys that secrets are sealed with: adding, re-wrapping, retiring.
    sealing_keys: SealingKeys
    _engine: Engine = field(repr=False)
    _outbox: Outbox = field(repr=False)
    _preflights: Preflights = field(repr=False)
    _access: Access = field(repr=False)
    _storage: Storage = field(repr=False)

    @classmethod
    def open(  # noqa: PLR0913 - options by name, each on its own
        cls,
        url: str,
        *,
        keyring: str | os.PathLike[str] | Keyring,
        plugins: Iterable[object] = (),
        installed_plugins: bool = True,
        disabled_plugins: Iterable[str] = (),
        environment: Environment | None = None,
        notices: NoticePolicy | None = None,
        pool_size: int = 10,
        max_overflow: int = 50,
        migrate: bool = True,
    ) -> Self:
        """Open a store, creating or migrating its database.

        Args:
            url: The database: ``sqlite:///certcore.db``, ``postgresql://user:password@host/name`` or
                ``mysql://user:password@host/name`` (MariaDB). A server's database has to be there; its tables are made.
            keyring: Where the sealing keys are: a path, ``file:PATH``, ``env:VARIABLE``, a URL that a plugin knows, or
                a `Keyring`. See `create_keyring`.
            plugins: Plugins to use besides the installed ones.
            installed_plugins: Whether to load what is installed under the entry-point group ``certcore``.
            disabled_plugins: The names of plugins that are not to be imported or used, as `plugins` of an open core
                spells them; the environment variable ``CERTCORE_DISABLED_PLUGINS`` has more, separated by commas. What
                they bring is missing then. A policy that is handed in with ``plugins`` is not disabled.
            environment: Clock, ID generator and random source. Defaults to the system's.
            notices: When an event is recorded, and delivered to plugins, because a leaf ends soon or its renewal keeps
                failing.
            pool_size: How many connections to the database this process keeps open between transactions, 1 to 1000. On
                SQLite one more counts the commits of other connections.
            max_overflow: How many more it may open at once, 0 to 1000; they are closed after their transaction. A
                thread uses one connection at a time, and waits up to 30 seconds where all are in use.
            migrate: Whether tables are created or migrated. With False, for panels whose database is migrated when they
                are deployed, they have to be those of this version: see `migrate`.

        Raises:
            InvalidInputError: ``pool_size`` or ``max_overflow`` is out of range, or ``disabled_plugins`` is not a list.
            DatabaseOutdatedError: With ``migrate=False``: the tables are not there, or of an older version.
            KeyringError: The keyring is missing, malformed, or readable by others.
            UnknownSealingKeyError: Secrets are sealed with keys that the keyring lacks; the error names them.
            WrongSealingKeyError: Its key of that id is not the one of this database.
            DatabaseTooNewError: A newer certcore wrote the database.
            StorageUnavailableError: The database cannot be reached or created.
        """
        from certcore.adapters.sql import Pool, open_storage  # noqa: PLC0415 - SQLAlchemy costs 0.2 s to import

        pool = Pool(
            size=whole_number("pool_size", pool_size, 1, _MOST_CONNECTIONS),
            max_overflow=whole_number("max_overflow", max_overflow, 0, _MOST_CONNECTIONS),
        )
        migrate = true_or_false("migrate", migrate)
        loaded = load_plugins(plugins, installed=installed_plugins, disabled=disabled_plugins)
        if isinstance(keyring, str | os.PathLike):
            keyring = keyring_of(os.fspath(keyring), loaded.open_keyring)
        storage = open_storage(url, migrate=migrate, pool=pool)
        try:
            return cls._wire(storage, keyring, loaded, environment or SystemEnvironment(), notices or NoticePolicy())
        except BaseException:  # boundary: a store that nobody will hold is closed, whatever went wrong
            storage.close()
            raise

    @staticmethod
    def migrate(url: str) -> bool:
        """Create the tables of a database, or migrate them to this version; harmless when there is nothing to do.

        Several processes may call it at once: one of them does it, the others wait for it. See ``migrate`` of `open`.

        Args:
            url: The database, as for `open`. No keyring is needed.

        Returns:
            Whether anything was to be done.

        Raises:
            DatabaseTooNewError: A newer certcore wrote the database.
            StorageUnavailableError: The database cannot be reached or created.
        """
        from certcore.adapters.sql import migrate_storage  # noqa: PLC0415 - as in `open`

        before, after = migrate_storage(url)
        return before != after

    @classmethod
    def in_memory(
        cls,
        *,
        plugins: Iterable[object] = (),
        installed_plugins: bool = True,
        disabled_plugins: Iterable[str] = (),
        environment: Environment | None = None,
        keyring: Keyring | None = None,
        notices: NoticePolicy | None = None,
    ) -> Self:
        """A store that lives as long as the object: for tests and for trying things out."""
        from certcore.adapters.memory import MemoryStorage  # noqa: PLC0415 - for tests, mostly

        loaded = load_plugins(plugins, installed=installed_plugins, disabled=disabled_plugins)
        ring = keyring or StaticKeyring.generate()
        return cls._wire(MemoryStorage(), ring, loaded, environment or SystemEnvironment(), notices or NoticePolicy())

    @staticmethod
    def create_keyring(path: str | os.PathLike[str]) -> None:
        """Create a keyring file with one new key, readable by its owner alone. Keep a copy where the database is not.

        Raises:
            KeyringError: There is a file already, or it cannot be written.
        """
        create_keyring_file(Path(path))

    @classmethod
    def _wire(
        cls, storage: Storage, keyring: Keyring, plugins: Plugins, environment: Environment, notices: NoticePolicy
    ) -> Self:
        storage = LoggedStorage(storage)
        keyring = guarded(keyring)
        vault = EnvelopeVault(keyring)
        contexts = Contexts(storage=storage, vault=vault, plugins=plugins, environment=environment)
        check_keyring(storage, vault)
        use_record_key(storage, vault, new_record_key())
        access = Access(plugins=plugins, storage=storage)
        engine = Engine(
            storage=storage,
            vault=vault,
            plugins=plugins,
            environment=environment,
            contexts=contexts,
            notices=notices,
        )
        certificates = Certificates(contexts=contexts, access=access)
        seen_by_observers = Certificates(contexts=contexts, access=evolve(access, hides=False))
        return cls(
            authorities=Authorities(contexts=contexts, access=access),
            certificates=certificates,
            sealing_keys=SealingKeys(storage=storage, vault=vault, keyring=keyring, access=access),
            engine=engine,
            outbox=Outbox(
                storage=storage,
                plugins=plugins,
                environment=environment,
                leases=engine.leases,
                certificates=seen_by_observers,
            ),
            preflights=Preflights(contexts=contexts, certificates=seen_by_observers),
            access=access,
            storage=storage,
        )

    def reconcile(self, certificate_id: str) -> Reconciled:
        """Look at one certificate and take at most one step; harmless at any time, from any process."""
        return self._engine.reconcile(certificate_id)

    def due(self, limit: int = 100) -> Sequence[str]:
        """The ids of certificates whose next step is due and that no process works on, most urgent first.

        A scheduler of your own calls `reconcile` for each. Nothing is reserved: the same id may be returned to two
        processes, and `reconcile` lets one of them work.

        Args:
            limit: How many at most, 1 to 1000.

        Raises:
            InvalidInputError: The limit is out of range.
            StorageError: The store cannot be used now.
        """
        return self._engine.due(whole_number("limit", limit, 1, _MOST_DUE))

    def queue_age(self) -> timedelta:
        """For how long the certificate that is longest overdue has waited for a worker; zero when none is due.

        Raises:
            StorageError: The store cannot be used now.
        """
        now = self.now()
        with self._storage.read() as transaction:
            due_at = transaction.schedules.next_due(now=now)
        return timedelta(0) if due_at is None else max(now - due_at, timedelta(0))

    def deliver_events(self) -> int:
        """Hand committed events to the plugins' ``certcore_on_event``; a running worker does so automatically.

        It takes as long as the observers do. One that raises does not end it: see `failed_deliveries`.

        Returns:
            How many certificates there were events of; 0 when no plugin of this process observes.

        Raises:
            StorageError: The store cannot be used now.
        """
        return self._outbox.deliver()

    def run_preflights(self, limit: int = 20) -> int:
        """Check certificates in service, whose turn it is, as if they were renewed now; a running worker does so.

        Each is checked about once a week and before its renewal is due; see `Certificates.preflight` for one now. It
        takes as long as the DNS does. Certificates that have no check planned get one.

        Args:
            limit: How many at most, 1 to 1000.

        Returns:
            How many were checked.

        Raises:
            InvalidInputError: The limit is out of range.
            StorageError: The store cannot be used now.
        """
        whole_number("limit", limit, 1, _MOST_DUE)
        self._preflights.plan(_MOST_DUE)
        return self._preflights.run_due(limit)

    @property
    def failed_deliveries(self) -> Mapping[str, Mapping[str, str]]:
        """Why observers of this process refused events that they have not taken since: by observer, by certificate id.

        It is read from the store, at most 10,000 at once, and says also what they refused from an earlier process.
        `Certificates.deliveries` tells of the observers of all processes.

        Raises:
            StorageError: The store cannot be used now.
        """
        return self._outbox.failing()

    @property
    def observers(self) -> frozenset[str]:
        """The names of this process's plugins that observe events."""
        return frozenset(self._engine.plugins.observers)

    def now(self) -> datetime:
        """The time by the clock that this object was opened with; UTC, timezone-aware."""
        return self._engine.environment.now()

    def worker(
        self, *, threads: int = 4, in_flight: int = 8, poll_interval: float = 1.0, preflights: bool = True
    ) -> Worker:
        """A worker for this process, not started yet.

        Args:
            threads: How many threads take steps.
            in_flight: How many certificates are in hand at once.
            poll_interval: Seconds between two looks into the store when nothing is known to be due.
            preflights: Whether it checks certificates in service as if they were renewed, see `run_preflights`: one at
                a time, at most 60 a minute, and only while a thread has nothing to do.
        """
        worker = Worker(
            engine=self._engine,
            outbox=self._outbox,
            threads=threads,
            in_flight=in_flight,
            poll_interval=poll_interval,
            preflights=PreflightPace(preflights=self._preflights, outage=self._engine.leases.outage)
            if preflights
            else None,
        )
        renew_after_fork(worker)
        return worker

    def dns_server(
        self,
        *,
        listen: tuple[str, int],
        module: str = "",
        also: Sequence[ZoneSource] = (),
        transfer_keys: Sequence[TransferKey] = (),
    ) -> DnsServer:
        """Start the authoritative DNS server of a CA module, for the zones of all its profiles.

        In a process of its own, `certcore.serve_zones` does so without the keyring.

        Args:
            listen: Address and port; port 0 takes a free one.
            module: The CA module's name; empty for the only one that brings a DNS server.
            also: Further zones to serve from the same address.
            transfer_keys: As in `certcore.serve_zones`.

        Raises:
            UnknownModuleError: The module is not loaded.
            InvalidInputError: The module brings no DNS server; or none is named, and not exactly one brings a server.
            CertCoreError: The address cannot be listened on.
        """
        name, server_module = find_zone_module(self._engine.plugins, module)
        contexts = self._engine.contexts

        def profiles() -> Sequence[object]:
            with self._storage.read() as transaction:
                authorities = transaction.authorities.list()
            return [contexts.profile(authority) for authority in authorities if authority.module == name]

        server: DnsServer = call_plugin(
            name,
            "dns_server",
            server_module.dns_server,
            returns=Any,
            listen=listen,
            documents=contexts.documents(self._engine.plugins.module(name)),
            environment=self._engine.environment,
            profiles=profiles,
            also=also,
            **({"transfer_keys": tuple(transfer_keys)} if transfer_keys else {}),
        )
        return server

    def translator(self, language: str, *, catalogues: Iterable[Catalogue] = ()) -> Translator:
        """Give the texts of hints, errors, findings, forms and actions in a language.

        Call it with a `Message` (``error.text``, ``notice.text``), or use `Translator.document` for a JSON document.
        Make it once for a language and keep it: it reads files.

        Args:
            language: A language and perhaps a territory: ``uk``, ``de-AT``. What has no translation stays English.
            catalogues: The panel's own; their translations count before those of certcore and of the plugins.
        """
        return translator(language, (*catalogues, OWN_CATALOGUE, *self._engine.plugins.catalogues()))

    @property
    def languages(self) -> Sequence[str]:
        """The languages that certcore's own texts are translated into, and English; sorted."""
        return sorted({"en", *OWN_CATALOGUE.languages})

    @property
    def plugins(self) -> Sequence[PluginInfo]:
        """Every plugin that is installed or was handed in: where it comes from, what it brings, what is wrong with it.

        Without a store: ``CertCore.in_memory().plugins``.
        """
        return self._engine.plugins.infos

    @property
    def plugin_failures(self) -> Sequence[PluginFailure]:
        """The plugins that could not be used, with the reason."""
        return self._engine.plugins.failures

    def close(self) -> None:
        """Close the store. Stop workers and servers first."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
