"""`CertCore`: the one object that a panel or a script holds. It wires everything and decides nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from attrs import evolve, field, frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.guarded_keyring import guarded
from certcore.adapters.plugins import load_plugins
from certcore.adapters.sealing import EnvelopeVault, StaticKeyring, create_keyring_file, new_record_key, open_keyring
from certcore.engine.contexts import Contexts
from certcore.engine.outbox import Outbox
from certcore.engine.reconcile import Engine, Reconciled
from certcore.engine.worker import Worker
from certcore.errors import (
    InvalidInput,
    KeyringRefused,
    NotObtained,
    UnknownSealingKey,
    UnsealFailed,
    WrongSealingKey,
)
from certcore.model.notices import NoticePolicy
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret, SecretName
from certcore.model.views import CertificateView
from certcore.ports.dns import DnsServer, ZoneSource
from certcore.ports.environment import Environment
from certcore.ports.forks import renew_after_fork
from certcore.ports.plugins import PluginFailure, Plugins
from certcore.ports.sealing import Keyring
from certcore.ports.storage import Storage
from certcore.services.access import Access
from certcore.services.authorities import Authorities
from certcore.services.certificates import Certificates
from certcore.services.obtaining import CertificateForm, Obtaining
from certcore.services.record_key import use_record_key
from certcore.services.sealing_keys import SealingKeys
from certcore.zone_serving import find_zone_module

__all__ = ["CertCore", "obtain"]

_KEYRING_CHECK = SecretName("keyring-check", "1")


@frozen(kw_only=True, eq=False)
class CertCore:
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
    #: Reconciles; `reconcile` and `worker` are what most callers need.
    engine: Engine = field(repr=False)
    #: Tells the plugins what happened; a running worker does so by itself.
    outbox: Outbox = field(repr=False)
    _storage: Storage = field(repr=False)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        keyring: str | os.PathLike[str] | Keyring,
        plugins: Iterable[object] = (),
        installed_plugins: bool = True,
        environment: Environment | None = None,
        notices: NoticePolicy | None = None,
    ) -> Self:
        """Open a store, creating or migrating its database.

        Args:
            url: The database: ``sqlite:///certcore.db``, ``postgresql://user:password@host/name`` or
                ``mysql://user:password@host/name`` (MariaDB). A server's database has to be there; its tables are made.
            keyring: Where the sealing keys are: a path, ``file:PATH``, ``env:VARIABLE``, a URL that a plugin knows, or
                a `Keyring`. See `create_keyring`.
            plugins: Plugins to use besides the installed ones.
            installed_plugins: Whether to load what is installed under the entry-point group ``certcore``.
            environment: Clock, ids and dice; the system's by default.
            notices: When the record, and the plugins, are told that a leaf ends soon or that its renewal keeps failing.

        Raises:
            KeyringRefused: The keyring is missing, malformed, or readable by others.
            UnknownSealingKey: Secrets are sealed with keys that the keyring lacks; the error names them.
            WrongSealingKey: Its key of that id is not the one of this database.
            DatabaseTooNew: A newer certcore wrote the database.
            StorageUnavailable: The database cannot be reached or created.
        """
        from certcore.adapters.sql import open_storage  # noqa: PLC0415 - SQLAlchemy costs 0.2 s to import

        loaded = load_plugins(plugins, installed=installed_plugins)
        if isinstance(keyring, str | os.PathLike):
            keyring = _open_keyring(os.fspath(keyring), loaded.open_keyring)
        storage = open_storage(url)
        try:
            return cls._wire(storage, keyring, loaded, environment or SystemEnvironment(), notices or NoticePolicy())
        except BaseException:  # boundary: a store that nobody will hold is closed, whatever went wrong
            storage.close()
            raise

    @classmethod
    def in_memory(
        cls,
        *,
        plugins: Iterable[object] = (),
        installed_plugins: bool = True,
        environment: Environment | None = None,
        keyring: Keyring | None = None,
        notices: NoticePolicy | None = None,
    ) -> Self:
        """A store that lives as long as the object: for tests and for trying things out."""
        from certcore.adapters.memory import MemoryStorage  # noqa: PLC0415 - for tests, mostly

        loaded = load_plugins(plugins, installed=installed_plugins)
        ring = keyring or StaticKeyring.generate()
        return cls._wire(MemoryStorage(), ring, loaded, environment or SystemEnvironment(), notices or NoticePolicy())

    @staticmethod
    def create_keyring(path: str | os.PathLike[str]) -> None:
        """Create a keyring file with one new key, readable by its owner alone. Keep a copy where the database is not.

        Raises:
            KeyringRefused: There is a file already, or it cannot be written.
        """
        create_keyring_file(Path(path))

    @classmethod
    def _wire(
        cls, storage: Storage, keyring: Keyring, plugins: Plugins, environment: Environment, notices: NoticePolicy
    ) -> Self:
        keyring = guarded(keyring)
        vault = EnvelopeVault(keyring)
        contexts = Contexts(storage=storage, vault=vault, plugins=plugins, environment=environment)
        _check_keyring(storage, vault)
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
            storage=storage,
        )

    def reconcile(self, certificate_id: str) -> Reconciled:
        """Look at one certificate and take at most one step; harmless at any time, from any process."""
        return self.engine.reconcile(certificate_id)

    def obtain(
        self,
        domain: str | None = None,
        *,
        authority: str,
        owner: str = "",
        timeout: float = 600.0,
        progress: Callable[[CertificateView], object] | None = None,
        actor: str = "system",
        **form: Unpack[CertificateForm],
    ) -> CertificateView:
        """Block until there is a certificate in service for these names, or a clear error. For scripts.

        One that is here already (the same names, owner, CA profile and CSR) is used: when its leaf in service is for
        these names this returns at once, else it is taken up where it stands. Two calls at the same moment make one
        certificate. A renewal that is due is carried out, too; when it fails, the leaf that is still good is returned,
        and ``certificate.problem`` says why. At the end the observers are told what is due for them: targets of
        deployments, say.

        What the domain's owner has to do first is in its hints; ``progress`` is called whenever it gets further. The
        work is done in this thread, whether a worker runs elsewhere or not; in asyncio:
        ``await asyncio.to_thread(core.obtain, …)``.

        Args:
            domain: The primary name; None with a ``csr``.
            authority: The id of the CA profile; or its name, for an actor who may see it (``authority.view``).
            owner: The tenant.
            timeout: Seconds.
            progress: Called with the certificate's view after each change.
            actor: Who asks. A certificate that the actor may not see is not there.
            form: The other fields of `Certificates.create`: ``aliases``, ``wildcard``, ``csr``, ``key_type`` …; here
                the fallbacks, too, by id or by name.

        Raises:
            NotObtained: The time is over, or the CA refused for good. What was begun stays.
            InvalidInput: A field is wrong, or the certificate that is here has another value in it.
            AccessDenied: The policy said no: to create one, or to have the one that is here looked at.
        """
        obtaining = Obtaining(certificates=self.certificates, engine=self.engine)
        try:
            view = obtaining.obtain(
                domain, authority=authority, owner=owner, timeout=timeout, progress=progress, actor=actor, form=form
            )
        except NotObtained:
            self.outbox.deliver()
            raise
        self.outbox.deliver()
        return view

    def worker(self, *, threads: int = 4, in_flight: int = 8, poll_interval: float = 1.0) -> Worker:
        """A worker for this process, not started yet.

        Args:
            threads: How many threads take steps.
            in_flight: How many certificates are in hand at once.
            poll_interval: Seconds between two looks into the store when nothing is known to be due.
        """
        if threads < 1 or in_flight < 1 or poll_interval <= 0:
            raise InvalidInput("worker", "threads and in_flight are at least 1, poll_interval is above 0.")
        worker = Worker(
            engine=self.engine,
            outbox=self.outbox,
            threads=threads,
            in_flight=in_flight,
            poll_interval=poll_interval,
        )
        renew_after_fork(worker)
        return worker

    def dns_server(self, *, listen: tuple[str, int], module: str = "", also: Sequence[ZoneSource] = ()) -> DnsServer:
        """Start the authoritative DNS server of a CA module, for the zones of all its profiles.

        In a process of its own, `certcore.serve_zones` does so without the keyring.

        Args:
            listen: Address and port; port 0 takes a free one.
            module: The CA module's name; empty for the only one that brings a DNS server.
            also: Further zones to serve from the same address.

        Raises:
            UnknownModule: The module is not loaded.
            InvalidInput: The module brings no DNS server; or none is named, and not exactly one brings a server.
            CertCoreError: The address cannot be listened on.
        """
        name, server_module = find_zone_module(self.engine.plugins, module)
        contexts = self.engine.contexts

        def profiles() -> Sequence[object]:
            with self._storage.read() as transaction:
                authorities = transaction.authorities.list()
            return [contexts.profile(one) for one in authorities if one.module == name]

        server: DnsServer = call_plugin(
            name,
            "dns_server",
            server_module.dns_server,
            returns=Any,
            listen=listen,
            documents=contexts.documents(self.engine.plugins.module(name)),
            environment=self.engine.environment,
            profiles=profiles,
            also=also,
        )
        return server

    @property
    def plugin_failures(self) -> Sequence[PluginFailure]:
        """The plugins that could not be used, with the reason."""
        return self.engine.plugins.failures

    def close(self) -> None:
        """Close the store. Stop workers and servers first."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def obtain(
    domain: str | None = None,
    *,
    authority: str,
    database: str = "sqlite:///certcore.db",
    keyring: str | os.PathLike[str] | Keyring = "keyring.json",
    timeout: float = 600.0,
    progress: Callable[[CertificateView], object] | None = None,
    **form: Unpack[CertificateForm],
) -> CertificateView:
    """Open a store, obtain a certificate as `CertCore.obtain` does, and close the store again.

    Args:
        domain: The primary name; None with a ``csr``.
        authority: The id or the name of a CA profile of the store.
        database: As in `CertCore.open`.
        keyring: As in `CertCore.open`.
        timeout: Seconds.
        progress: Called with the certificate's view after each change.
        form: As in `CertCore.obtain`.

    Raises:
        NotObtained: The time is over, or the CA refused for good. What was begun stays, and the next call goes on.
        CertCoreError: As `CertCore.open` and `CertCore.obtain`.
    """
    with CertCore.open(database, keyring=keyring) as core:
        return core.obtain(domain, authority=authority, timeout=timeout, progress=progress, **form)


def _open_keyring(url: str, by_plugin: Callable[[str], Keyring | None]) -> Keyring:
    scheme, separator, _ = url.partition(":")
    if separator and len(scheme) > 1 and scheme not in ("file", "env"):
        found = by_plugin(url)
        if found is None:
            raise KeyringRefused(
                f"No plugin opens a keyring of the kind {scheme!r}.",
                advice="Use a path, file:PATH or env:VARIABLE, or install the plugin for it.",
            )
        return found
    return open_keyring(url)


def _check_keyring(storage: Storage, vault: EnvelopeVault) -> None:
    """Refuse a keyring that is not this database's, before anything is sealed with the wrong key."""
    with storage.read() as transaction:
        needed = transaction.secrets.key_ids()
        sealed = transaction.secrets.get(_KEYRING_CHECK)
    if needed and (missing := set(needed) - vault.keyring.key_ids):
        with storage.read() as transaction:
            counts = transaction.secrets.count_by_key()
        raise UnknownSealingKey(min(missing), missing={one: counts.get(one, 0) for one in missing})
    if sealed is not None:
        try:
            vault.open(sealed, _KEYRING_CHECK)
        except UnsealFailed:
            raise WrongSealingKey(sealed.key_id) from None
        return
    fresh = vault.seal(Secret(b"certcore"), _KEYRING_CHECK)
    with storage.write() as transaction:
        if transaction.secrets.get(_KEYRING_CHECK) is None:
            transaction.secrets.put(_KEYRING_CHECK, fresh)
