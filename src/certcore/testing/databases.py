"""PostgreSQL and MariaDB as child processes for tests and benchmarks: temporary, on loopback, without durability.

::

    with PostgreSQL.start() as server:
        with closing(open_storage(server.new_database())) as storage: ...
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa

from certcore.testing.ports import free_port
from certcore.testing.server import START_SECONDS, START_TRIES, Child, Server, ServerStartError, find_program

__all__ = ["MariaDB", "PostgreSQL"]

_SET_UP_SECONDS: Final = 240
#: Each change of a table waits for the disk a dozen times. "loose": a version that does not know an option starts, too.
_UNSYNCED: Final = ("--loose-debug-no-sync", "--loose-innodb-flush-method=nosync", "--loose-skip-innodb-doublewrite")


class _DatabaseServer(Server):
    """A server with an administrator who needs no password."""

    def __init__(self, child: Child, admin_url: str) -> None:
        super().__init__(child)
        self._admin_url = admin_url
        self._numbers = itertools.count(1)

    def new_database(self) -> str:
        """Create an empty database.

        Returns:
            Its URL for `certcore.CertCore.open`.
        """
        name = f"certcore_{next(self._numbers)}"
        engine = sa.create_engine(self._admin_url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        finally:
            engine.dispose()
        return sa.make_url(self._admin_url).set(database=name).render_as_string(hide_password=False)


class PostgreSQL(_DatabaseServer):
    """A PostgreSQL server. Use `start` to make one."""

    @classmethod
    def start(cls, *, tls: Path | None = None) -> Self:
        """Create a cluster in a temporary folder and start a server on it.

        Args:
            tls: A folder with ``cert.pem`` and ``key.pem`` for TLS; None for no TLS.

        Raises:
            ProgramMissingError: The server is not installed.
            ServerStartError: The server did not start. The message contains its log.
        """
        places = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
        binary = find_program("postgres", "postgresql", *places)
        # PostgreSQL refuses to run as root.
        user = ("postgres" if _is_user("postgres") else "nobody") if os.geteuid() == 0 else None
        tail = ""
        for _ in range(START_TRIES):
            folder = _folder("postgresql", user)
            initdb = str(Path(binary).resolve().parent / "initdb")
            made = ["-D", str(folder / "data"), "-U", "certcore", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
            _run([initdb, *made], user)
            port = free_port()
            settings: dict[str, object] = {
                "listen_addresses": "127.0.0.1",
                "port": port,
                "unix_socket_directories": folder,
                "fsync": "off",
                "full_page_writes": "off",
                "max_connections": 100,
                # The most usual settings of databases, independent of the machine.
                "timezone": "Asia/Kolkata",
            }
            if tls is not None:
                own = _copied(tls, folder, user)
                settings |= {"ssl": "on", "ssl_cert_file": own / "cert.pem", "ssl_key_file": own / "key.pem"}
            arguments = ["-D", str(folder / "data"), *(f"--{name}={value}" for name, value in settings.items())]
            # SIGTERM would wait until all clients have disconnected.
            child = Child(binary, arguments, folder=folder, env={}, user=user, stop_signal=signal.SIGINT)
            url = f"postgresql+psycopg://certcore@127.0.0.1:{port}/postgres"
            if child.wait_until(lambda url=url: _answers(url)):  # type: ignore[misc]
                return cls(child, url)
            tail = child.log_tail()
            child.stop()
        raise ServerStartError(f"PostgreSQL did not start within {START_SECONDS:g} seconds. It said: {tail}")


class MariaDB(_DatabaseServer):
    """A MariaDB server. Use `start` to make one."""

    @classmethod
    def start(cls, *, tls: Path | None = None) -> Self:
        """Create a data folder in a temporary folder and start a server on it.

        Args:
            tls: A folder with ``cert.pem`` and ``key.pem`` for TLS; None for no TLS.

        Raises:
            ProgramMissingError: The server is not installed.
            ServerStartError: The server did not start. The message contains its log.
        """
        binary = find_program("mariadbd", "mariadb-server-core")
        install = find_program("mariadb-install-db", "mariadb-server-core")
        find_program("my_print_defaults", "mariadb-client")  # called by the script
        tail = ""
        for _ in range(START_TRIES):
            folder = _folder("mariadb", None)
            # A separate folder, because a starting server removes apparent temporary tables of a crashed predecessor.
            temporary = folder / "tmp"
            temporary.mkdir()
            common = ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={temporary}"]
            _run([install, *common, *_UNSYNCED, "--auth-root-authentication-method=normal", "--skip-test-db"], None)
            port = free_port()
            arguments = [
                *common,
                f"--port={port}",
                "--bind-address=127.0.0.1",
                f"--socket={folder / 'socket'}",
                "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=0",
                *_UNSYNCED,
                "--innodb-buffer-pool-size=256M",
                # certcore must not depend on the server's defaults.
                "--default-time-zone=+05:30",
                *(["--user=root"] if os.geteuid() == 0 else []),
            ]
            if tls is not None:
                own = _copied(tls, folder, None)
                arguments += [f"--ssl-cert={own / 'cert.pem'}", f"--ssl-key={own / 'key.pem'}"]
            child = Child(binary, arguments, folder=folder, env={})
            url = f"mysql+pymysql://root@127.0.0.1:{port}/mysql"
            if child.wait_until(lambda url=url: _answers(url)):  # type: ignore[misc]
                return cls(child, url)
            tail = child.log_tail()
            child.stop()
        raise ServerStartError(f"MariaDB did not start within {START_SECONDS:g} seconds. It said: {tail}")


def _folder(name: str, user: str | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"certcore-{name}-"))
    if user is not None:
        shutil.chown(folder, user)
    return folder


def _copied(tls: Path, folder: Path, user: str | None) -> Path:
    """Copy certificate and key so that the server, and nobody else, can read the key."""
    for name in ("cert.pem", "key.pem"):
        shutil.copyfile(tls / name, folder / name)
        (folder / name).chmod(0o600)
        if user is not None:
            shutil.chown(folder / name, user)
    return folder


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _run(command: list[str], user: str | None) -> None:
    done = subprocess.run(  # noqa: S603 - a fixed binary
        command, capture_output=True, text=True, check=False, timeout=_SET_UP_SECONDS, user=user, cwd="/"
    )
    if done.returncode:
        raise ServerStartError(f"{Path(command[0]).name} failed: {done.stderr[-500:] or done.stdout[-500:]}")


def _answers(url: str) -> bool:
    parsed = sa.make_url(url)
    try:
        socket.create_connection((str(parsed.host), int(parsed.port or 0)), 1).close()
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except (OSError, sa.exc.OperationalError):
        return False
    return True
