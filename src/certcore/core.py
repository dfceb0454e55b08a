"""`CertCore`, the central object of panels and scripts. It wires the parts of certcore and contains no rules."""

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

#: The largest ``limit`` of `CertCore.due`.
_MOST_DUE: Final = 1000
#: The largest ``pool_size`` and ``max_overflow`` of `CertCore.open`.
_MOST_CONNECTIONS: Final = 1000


@frozen(kw_only=True, eq=False)
class CertCore(ActorCalls):
    """The entry point of certcore. Open one for each process and share it between threads.

    ::

        with CertCore.open("sqlite:///certcore.db", keyring="keyring.json") as core:
            ...

    Use `open` or `in_memory` to make one.
    """

    #: The CA profiles.
    authorities: Authorities
    #: The certificates.
    certificates: Certificates
    #: The keys with which secrets are sealed.
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
        """Open a store, and create or migrate its tables.

        Args:
            url: The database: ``sqlite:///certcore.db``, ``postgresql://user:password@host/name`` or
                ``mysql://user:password@host/name`` (MariaDB). On a server, the database must exist.
            keyring: The sealing keys: a path, ``file:PATH``, ``env:VARIABLE``, a URL of a plugin's keyring, or a
                `Keyring`. See `create_keyring`.
            plugins: Plugins to use in addition to the installed ones.
            installed_plugins: Whether to load the installed plugins of the entry-point group ``certcore``.
            disabled_plugins: The names of plugins that are neither imported nor used, as in `plugins`. The environment
                variable ``CERTCORE_DISABLED_PLUGINS`` adds names, separated by commas. A policy in ``plugins`` cannot
                be disabled.
            environment: Clock, ID generator and random source. Defaults to the system's.
            notices: When events are recorded because a leaf expires soon or its renewal keeps failing.
            pool_size: How many connections to the database this process keeps open between transactions, 1 to 1000. On
                SQLite, there is one more connection, which counts the commits of other connections.
            max_overflow: How many additional connections may be open at the same time, 0 to 1000. They are closed after
                their transaction. A thread uses one connection at a time, and waits up to 30 seconds if all are in use.
            migrate: Whether to create or migrate the tables. Pass False if the database is migrated during deployment,
                see the method `migrate`. Then the tables must be those of this version.

        Raises:
            InvalidInputError: ``pool_size`` or ``max_overflow`` is out of range, or ``disabled_plugins`` is not a list.
            DatabaseOutdatedError: With ``migrate=False``, the tables are missing or those of an older version.
            KeyringError: The keyring is missing, malformed, or readable by other users.
            UnknownSealingKeyError: Secrets are sealed with keys that the keyring lacks; the error names them.
            WrongSealingKeyError: A key of the keyring has the ID of another key that sealed secrets of the database.
            DatabaseTooNewError: A newer version of certcore has migrated the database.
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
        except BaseException:  # boundary: close the store after any error, because the caller does not get it
            storage.close()
            raise

    @staticmethod
    def migrate(url: str) -> bool:
        """Create the tables of a database, or migrate them to this version.

        Several processes may call this at the same time: one of them migrates, and the others wait. No keyring is
        needed. See also the argument ``migrate`` of `open`.

        Args:
            url: The database, as in `open`.

        Returns:
            Whether anything was changed.

        Raises:
            DatabaseTooNewError: A newer version of certcore has migrated the database.
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
        """Open a store in memory, for tests and experiments. Its contents are lost when it is closed.

        The arguments are those of `open`. By default there is a new random keyring.
        """
        from certcore.adapters.memory import MemoryStorage  # noqa: PLC0415 - for tests, mostly

        loaded = load_plugins(plugins, installed=installed_plugins, disabled=disabled_plugins)
        ring = keyring or StaticKeyring.generate()
        return cls._wire(MemoryStorage(), ring, loaded, environment or SystemEnvironment(), notices or NoticePolicy())

    @staticmethod
    def create_keyring(path: str | os.PathLike[str]) -> None:
        """Create a keyring file with one new key, readable only by its owner. Keep a copy apart from the database.

        Raises:
            KeyringError: The file exists already, or cannot be written.
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
        """Look at one certificate and take at most one step. Any process may call this at any time.

        Raises:
            StorageError: The store cannot be used now.
        """
        return self._engine.reconcile(certificate_id)

    def due(self, limit: int = 100) -> Sequence[str]:
        """The IDs of certificates whose next step is due and that no process works on, most urgent first.

        Call `reconcile` for each of them if you use your own scheduler instead of a `worker`. Nothing is reserved: two
        processes may get the same ID, and `reconcile` lets only one of them take the step.

        Args:
            limit: The largest number of IDs, 1 to 1000.

        Raises:
            InvalidInputError: The limit is out of range.
            StorageError: The store cannot be used now.
        """
        return self._engine.due(whole_number("limit", limit, 1, _MOST_DUE))

    def queue_age(self) -> timedelta:
        """How long the longest overdue certificate has waited for a worker; zero if none is due.

        Raises:
            StorageError: The store cannot be used now.
        """
        now = self.now()
        with self._storage.read() as transaction:
            due_at = transaction.schedules.next_due(now=now)
        return timedelta(0) if due_at is None else max(now - due_at, timedelta(0))

    def deliver_events(self) -> int:
        """Deliver committed events to the plugins' ``certcore_on_event``. A running worker does so automatically.

        The call lasts as long as the observers take. It continues after an exception of an observer, see
        `failed_deliveries`.

        Returns:
            The number of certificates with delivered events; 0 if no plugin of this process observes events.

        Raises:
            StorageError: The store cannot be used now.
        """
        return self._outbox.deliver()

    def run_preflights(self, limit: int = 20) -> int:
        """Run the due preflights: check certificates in service as if they were renewed now.

        A running worker does so automatically. Each certificate is checked about once a week, and before its renewal
        is due. `Certificates.preflight` checks a certificate at once. The call lasts as long as the DNS queries take.

        Args:
            limit: The largest number of certificates, 1 to 1000.

        Returns:
            How many certificates were checked.

        Raises:
            InvalidInputError: The limit is out of range.
            StorageError: The store cannot be used now.
        """
        whole_number("limit", limit, 1, _MOST_DUE)
        self._preflights.plan(_MOST_DUE)
        return self._preflights.run_due(limit)

    @property
    def failed_deliveries(self) -> Mapping[str, Mapping[str, str]]:
        """The failed deliveries to observers of this process.

        They are read from the store, at most 10,000, and include failures in earlier processes.
        `Certificates.deliveries` has the observers of all processes.

        Returns:
            For each observer, the reasons by the ID of the certificate.

        Raises:
            StorageError: The store cannot be used now.
        """
        return self._outbox.failing()

    @property
    def observers(self) -> frozenset[str]:
        """The names of this process's plugins that observe events."""
        return frozenset(self._engine.plugins.observers)

    def now(self) -> datetime:
        """The present moment of the clock that this object was opened with, UTC."""
        return self._engine.environment.now()

    def worker(
        self, *, threads: int = 4, in_flight: int = 8, poll_interval: float = 1.0, preflights: bool = True
    ) -> Worker:
        """Make a worker for this process. It must be started.

        Args:
            threads: How many threads take steps.
            in_flight: How many certificates are leased at the same time.
            poll_interval: The seconds between two queries of the store while nothing is known to be due.
            preflights: Whether the worker runs preflights, see `run_preflights`: one at a time, at most 60 a minute,
                and only while a thread is idle.

        Raises:
            InvalidInputError: A value is out of range.
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
        """Start the authoritative DNS server of a CA module, for the zones of all its CA profiles.

        `certcore.serve_zones` starts it in another process, which needs no keyring.

        Args:
            listen: Address and port; port 0 chooses a free port.
            module: The name of the CA module; empty for the only module with a DNS server.
            also: Additional zones to serve on the same address.
            transfer_keys: As in `certcore.serve_zones`.

        Raises:
            UnknownModuleError: The module is not loaded.
            InvalidInputError: The module has no DNS server; or ``module`` is empty, and not exactly one module has one.
            CertCoreError: The server cannot listen on the address.
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
        """Make a translator for the texts of hints, errors, findings, forms and actions.

        Call the translator with a `Message` (``error.text``, ``notice.text``), or use `Translator.document` for a JSON
        document. Make one translator for each language and keep it, because this reads files.

        Args:
            language: A language with an optional territory: ``uk``, ``de-AT``. Texts without a translation stay
                English.
            catalogues: The panel's own catalogues. They take precedence over those of certcore and of plugins.
        """
        return translator(language, (*catalogues, OWN_CATALOGUE, *self._engine.plugins.catalogues()))

    @property
    def languages(self) -> Sequence[str]:
        """English and the languages into which certcore's own texts are translated, sorted."""
        return sorted({"en", *OWN_CATALOGUE.languages})

    @property
    def plugins(self) -> Sequence[PluginInfo]:
        """All plugins that are installed or were passed in, with their origin, state and failures.

        To list them without a database, use ``CertCore.in_memory().plugins``.
        """
        return self._engine.plugins.infos

    @property
    def plugin_failures(self) -> Sequence[PluginFailure]:
        """The plugins that could not be used, with the reasons."""
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
