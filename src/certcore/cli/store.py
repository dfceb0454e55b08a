"""Where the database and the keyring are, and opening them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from certcore.cli.given import expanded
from certcore.cli.output import Output, reporting
from certcore.core import CertCore
from certcore.errors import CertCoreError, InvalidInput, NotFound
from certcore.model.notices import NoticePolicy
from certcore.ports.plugins import PluginFailure

if TYPE_CHECKING:
    from certcore.contrib.targets import Targets

__all__ = [
    "Session",
    "Store",
    "actor",
    "create",
    "locate",
    "opened",
    "read_targets_file",
    "require_database",
    "session",
    "warn_of_plugins",
]

_SQLITE: Final = "sqlite:///"


@frozen(kw_only=True)
class Store:
    """The two things that make a store."""

    #: The database's URL; it may hold a password.
    url: str = field(repr=False)
    #: The keyring: a path or a URL, which may hold a PIN.
    keyring: str = field(repr=False)

    @property
    def database_path(self) -> Path | None:
        """The SQLite file; None for another database."""
        if not self.url.startswith(_SQLITE):
            return None
        return Path(self.url.removeprefix(_SQLITE).partition("?")[0])

    @property
    def keyring_path(self) -> Path | None:
        """The keyring's file; None when it is no file."""
        scheme, separator, rest = self.keyring.partition(":")
        if not separator or len(scheme) == 1:
            return Path(self.keyring)
        return Path(rest.removeprefix("//")) if scheme == "file" else None

    @property
    def shown(self) -> tuple[str, str]:
        """Where the database and the keyring are, without passwords."""
        database = self.database_path or self.url.partition("?")[0].rpartition("@")[2]
        return str(database), str(self.keyring_path or self.keyring.partition("?")[0])

    @property
    def database_exists(self) -> bool:
        """Whether there is a database to open; of one that is no file, the opening tells."""
        path = self.database_path
        return path is None or (path.is_file() and path.stat().st_size > 0)


@frozen(kw_only=True)
class Session:
    """What a command works with."""

    core: CertCore
    output: Output
    #: Who does it, for the timeline.
    actor: str


def actor() -> str:
    """The user of this command, as timelines name them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as containers have them
        return f"cli:{os.getuid()}"


def locate(database: str, keyring: str) -> Store:
    """The store that the options name; what is not named is in the user's own folder.

    Raises:
        InvalidInput: The path cannot be put into a URL.
    """
    from platformdirs import user_data_path  # noqa: PLC0415 - not needed for --help

    folder = user_data_path("certcore")
    chosen = database.strip() or str(folder / "certcore.db")
    if "://" not in chosen:
        if "?" in chosen:
            raise InvalidInput("--database", "a path with a question mark in it cannot be used.")
        chosen = f"{_SQLITE}{expanded(chosen, '--database').absolute()}"
    return Store(url=chosen, keyring=keyring.strip() or str(folder / "keyring.json"))


def create(store: Store) -> tuple[bool, bool]:
    """Create what is missing: folder (0700), keyring and database.

    Returns:
        Whether the keyring, and whether the database was made.

    Raises:
        CertCoreError: Something cannot be made, or a database is there whose keyring is not.
    """
    new_database = store.database_path is not None and not store.database_exists
    keyring = store.keyring_path
    new_keyring = keyring is not None and not keyring.exists()
    if new_keyring and store.database_path is not None and store.database_exists:
        raise CertCoreError(
            f"There is a database at {store.database_path}, but its keyring {keyring} is missing.",
            advice="Restore the keyring, or name it with --keyring: a new one would not open what is in the database.",
        )
    for path in (store.database_path, keyring):
        if path is not None:
            _make_folder(path.parent)
    if new_keyring and keyring is not None:
        CertCore.create_keyring(keyring)
    CertCore.open(store.url, keyring=store.keyring).close()
    return new_keyring, new_database


@contextmanager
def opened(
    store: Store, output: Output, plugins: Iterable[object] = (), notices: NoticePolicy | None = None
) -> Iterator[CertCore]:
    """Open a store that `create` made.

    Raises:
        CertCoreError: It was not made yet, or it cannot be opened.
    """
    require_database(store)
    with CertCore.open(store.url, keyring=store.keyring, plugins=plugins, notices=notices) as core:
        warn_of_plugins(output, core.plugin_failures)
        yield core


def require_database(store: Store) -> None:
    """Refuse a store whose database was not made yet.

    Raises:
        CertCoreError: It was not.
    """
    if not store.database_exists:
        raise CertCoreError(
            f"There is no database at {store.database_path}.",
            advice="Run `certcore init` first, or name another place with --database and --keyring.",
        )


def warn_of_plugins(output: Output, failures: Iterable[PluginFailure]) -> None:
    """Say which plugins could not be used, and why."""
    for failure in failures:
        text = f"The plugin {failure.plugin} could not be used: {failure.reason} {failure.advice}"
        output.note(text.strip(), "yellow")
        if failure.trace and os.environ.get("CERTCORE_DEBUG") == "1":
            output.note(failure.trace, "dim", lines=True)


def read_targets_file(path: str) -> Targets | None:
    """The plugins and notices of a file of targets; None where no file is named.

    Raises:
        CertCoreError: It cannot be read, or something in it is wrong.
    """
    if not path.strip():
        return None
    from certcore.contrib.targets import read_targets  # noqa: PLC0415 - not needed for --help

    return read_targets(path.strip())


@contextmanager
def session(
    database: str, keyring: str, *, as_json: bool, targets: Callable[[], Targets | None] = lambda: None
) -> Iterator[Session]:
    """Run a command's body on an open store; see `certcore.cli.output.reporting` for what becomes of errors.

    Args:
        database: As the option gave it.
        keyring: As the option gave it.
        as_json: Whether the result is for machines.
        targets: Reads further plugins and the notices; its errors are told like all others.
    """
    with reporting(as_json=as_json) as output:
        given = targets()
        plugins, notices = ((), None) if given is None else (given.plugins, given.notices)
        with opened(locate(database, keyring), output, plugins, notices) as core:
            try:
                yield Session(core=core, output=output, actor=actor())
            except NotFound as error:
                raise _with_command(error) from None


def _with_command(error: NotFound) -> NotFound:
    """The same error with the command that lists what there is."""
    command = {"certificate": "certcore cert list", "authority": "certcore authority list"}.get(error.kind)
    if command:
        error.advice = f"See what there is: {command}"
    return error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CertCoreError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            advice="Choose another place with --database and --keyring.",
        ) from None
