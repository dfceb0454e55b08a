"""Locating and opening the database and the keyring."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from certcore.cli.arguments import expanded
from certcore.cli.output import Output, reporting
from certcore.core import CertCore
from certcore.errors import (
    CertCoreError,
    FileError,
    InvalidInputError,
    KeyringError,
    NotObtainedError,
    StorageUnavailableError,
    TransitionNotAllowedError,
)
from certcore.messages import as_message
from certcore.model.notice_policy import NoticePolicy
from certcore.ports.plugins import PluginFailure

if TYPE_CHECKING:
    from certcore.contrib.targets import Targets

__all__ = [
    "Session",
    "Store",
    "actor",
    "create",
    "locate",
    "open_session",
    "opened",
    "read_targets_file",
    "require_database",
    "warn_of_plugins",
]

_SQLITE: Final = "sqlite:///"
#: The library's advice that `_with_commands` replaces by commands.
_LIST_CERTIFICATES: Final = "List the certificates to see which exist."
_LIST_PROFILES: Final = "List the CA profiles to see which exist."
#: By action: the command of `certcore cert`, if its name differs from that of the action.
_COMMANDS: Final = MappingProxyType(
    {"back_to_draft": "draft", "cancel_attempt": "cancel", "check_now": "check", "generate_csr": "csr"}
)


@frozen(kw_only=True)
class Store:
    """The locations of a database and of the keyring for it."""

    #: The database's URL; it may hold a password.
    url: str = field(repr=False)
    #: The keyring: a path or a URL, which may hold a PIN.
    keyring: str = field(repr=False)

    @property
    def database_path(self) -> Path | None:
        """The path of the SQLite file; None if the database is not SQLite."""
        if not self.url.startswith(_SQLITE):
            return None
        return Path(self.url.removeprefix(_SQLITE).partition("?")[0])

    @property
    def keyring_path(self) -> Path | None:
        """The path of the keyring file; None if the keyring is not a file."""
        scheme, separator, rest = self.keyring.partition(":")
        if not separator or len(scheme) == 1:
            return Path(self.keyring)
        return Path(rest.removeprefix("//")) if scheme == "file" else None

    @property
    def shown(self) -> tuple[str, str]:
        """The locations of database and keyring for messages, without passwords and PINs."""
        database = self.database_path or self.url.partition("?")[0].rpartition("@")[2]
        return str(database), str(self.keyring_path or self.keyring.partition("?")[0])

    @property
    def database_exists(self) -> bool:
        """Whether the SQLite file exists and is not empty. True for a database server, which only opening can check."""
        path = self.database_path
        return path is None or (path.is_file() and path.stat().st_size > 0)


@frozen(kw_only=True)
class Session:
    """An open store with the output and the actor of a command."""

    core: CertCore
    output: Output
    #: The actor that the timeline names.
    actor: str


def actor() -> str:
    """The actor for timelines: the user who runs this command."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user ID without a name, as in containers
        return f"cli:{os.getuid()}"


def locate(database: str, keyring: str) -> Store:
    """The store that the options name. By default its files are in the user's data directory.

    Raises:
        InvalidInputError: The path cannot be part of a URL, or names the home of an unknown user.
    """
    from platformdirs import user_data_path  # noqa: PLC0415 - not needed for --help

    folder = user_data_path("certcore")
    chosen = database.strip() or str(folder / "certcore.db")
    if "://" not in chosen:
        if "?" in chosen:
            raise InvalidInputError("--database", "the path must not contain a question mark.")
        chosen = f"{_SQLITE}{expanded(chosen, '--database').absolute()}"
    return Store(url=chosen, keyring=keyring.strip() or str(folder / "keyring.json"))


def create(store: Store, output: Output) -> tuple[bool, bool]:
    """Create the directory (0700), the keyring file and the database (on a server: its tables), if they are missing.

    Returns:
        Whether the keyring was created, and whether the database was.

    Raises:
        CertCoreError: One of them cannot be created, or the database exists and its keyring file does not.
    """
    from certcore.adapters.sql import find_revision  # noqa: PLC0415 - SQLAlchemy costs 0.2 s to import

    new_database = not (find_revision(store.url) is not None if store.database_path is None else store.database_exists)
    keyring = store.keyring_path
    new_keyring = keyring is not None and not keyring.exists()
    if new_keyring and not new_database:
        raise KeyringError(
            f"There is a database at {store.shown[0]}, but its keyring {keyring} is missing.",
            advice="Restore the keyring, or name it with --keyring: a new one cannot decrypt the database's secrets.",
        )
    for path in (store.database_path, keyring):
        if path is not None:
            _make_folder(path.parent)
    if new_keyring and keyring is not None:
        CertCore.create_keyring(keyring)
    with CertCore.open(store.url, keyring=store.keyring) as core:
        warn_of_plugins(output, core.plugin_failures)
    return new_keyring, new_database


@contextmanager
def opened(
    store: Store, output: Output, plugins: Iterable[object] = (), notices: NoticePolicy | None = None
) -> Iterator[CertCore]:
    """Open a store that `create` made.

    Raises:
        CertCoreError: The store does not exist yet, or cannot be opened.
    """
    require_database(store)
    with CertCore.open(store.url, keyring=store.keyring, plugins=plugins, notices=notices) as core:
        warn_of_plugins(output, core.plugin_failures)
        yield core


def require_database(store: Store) -> None:
    """Require that the store's database exists.

    Raises:
        StorageUnavailableError: It does not exist.
    """
    if not store.database_exists:
        raise StorageUnavailableError(
            f"There is no database at {store.database_path}.",
            advice="Run `certcore init` first, or name another location with --database and --keyring.",
        )


def warn_of_plugins(output: Output, failures: Iterable[PluginFailure]) -> None:
    """Print which plugins could not be loaded, and why."""
    for failure in failures:
        text = f"The plugin {failure.plugin} could not be loaded: {failure.reason} {failure.advice}"
        output.note(text.strip(), "yellow")
        if failure.trace and os.environ.get("CERTCORE_DEBUG") == "1":
            output.note(failure.trace, "dim", lines=True)


def read_targets_file(path: str) -> Targets | None:
    """The plugins and the notice policy of a targets file; None when `path` is empty.

    Raises:
        CertCoreError: The file cannot be read, or is invalid.
    """
    if not path.strip():
        return None
    from certcore.contrib.targets import read_targets  # noqa: PLC0415 - not needed for --help

    return read_targets(path.strip())


@contextmanager
def open_session(
    database: str, keyring: str, *, as_json: bool, targets: Callable[[], Targets | None] = lambda: None
) -> Iterator[Session]:
    """Run a command's body on an open store; errors are handled by `certcore.cli.output.reporting`.

    Args:
        database: The value of ``--database``.
        keyring: The value of ``--keyring``.
        as_json: Whether the result is printed as JSON.
        targets: Reads further plugins and the notice policy; its errors are reported like all others.
    """
    with reporting(as_json=as_json) as output:
        loaded = targets()
        plugins, notices = ((), None) if loaded is None else (loaded.plugins, loaded.notices)
        with opened(locate(database, keyring), output, plugins, notices) as core:
            try:
                yield Session(core=core, output=output, actor=actor())
            except CertCoreError as error:
                error.advice_text = as_message(_with_commands(error))
                raise


def _with_commands(error: CertCoreError) -> str:
    """The advice of an error, naming commands instead of the library's methods."""
    match error:
        case NotObtainedError():
            return f"{error.advice} See: certcore cert hints {error.certificate_id}"
        case TransitionNotAllowedError():
            commands = sorted(_COMMANDS.get(action, action) for action in error.allowed)
            return f"Possible now: certcore cert {', '.join(commands) or 'show'}."
        case _:
            advice = error.advice.replace(_LIST_CERTIFICATES, "List the certificates: certcore cert list")
            return advice.replace(_LIST_PROFILES, "List the CA profiles: certcore authority list")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            advice="Choose another location with --database and --keyring.",
        ) from None
