"""TLS to database servers: what a URL asks for is what happens, or the store does not open."""

import contextlib

import pytest
import sqlalchemy as sa

from certcore.adapters.sql import open_storage
from certcore.errors import StorageUnavailableError
from certcore.testing.databases import MariaDB, PostgreSQL
from certcore.testing.pebble import write_throwaway_tls
from certcore.testing.server import ProgramMissingError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=[PostgreSQL, MariaDB])
def secured(request, tmp_path_factory):
    """The URL of a database on a server whose certificate is for localhost, and the folder with its CA."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_text(write_throwaway_tls(folder, ["localhost"]))
    (folder / "other").mkdir()
    (folder / "other.pem").write_text(write_throwaway_tls(folder / "other", ["localhost"]))
    try:
        server = request.param.start(tls=folder)
    except ProgramMissingError as error:
        pytest.skip(str(error))
    with server:
        yield sa.make_url(server.new_database()), folder


def _url(url, host, **query):
    return url.set(host=host, query=query).render_as_string(hide_password=False)


def _encrypted(url):
    statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    if not url.startswith("postgresql"):
        statement = (
            "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name='ssl_cipher'"
        )
    with contextlib.closing(open_storage(url)) as storage, storage.read() as transaction:
        return bool(transaction.connection.exec_driver_sql(statement).scalar())


def test_a_verified_connection_is_encrypted(secured):
    """With verify-full and the CA of the server's certificate the store opens, and the connection is encrypted."""
    url, folder = secured
    assert _encrypted(_url(url, "localhost", sslmode="verify-full", sslrootcert=str(folder / "ca.pem")))
    assert _encrypted(_url(url, "127.0.0.1", sslmode="verify-ca", sslrootcert=str(folder / "ca.pem")))
    assert _encrypted(_url(url, "127.0.0.1", sslmode="require"))
    assert not _encrypted(_url(url, "127.0.0.1", sslmode="disable"))


@pytest.mark.parametrize(
    ("host", "mode", "roots"),
    [
        ("127.0.0.1", "verify-full", "ca.pem"),  # the certificate is for another name
        ("localhost", "verify-full", "other.pem"),  # of another CA
        ("localhost", "verify-ca", "other.pem"),
        ("localhost", "verify-full", "missing.pem"),
        ("localhost", "verify-fool", "ca.pem"),
    ],
)
def test_another_server_is_refused(secured, host, mode, roots):
    """A wrong name, a wrong CA, a missing file and an unknown mode open no store."""
    url, folder = secured
    with pytest.raises(StorageUnavailableError):
        open_storage(_url(url, host, sslmode=mode, sslrootcert=str(folder / roots)))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_server_that_proves_nothing_is_refused(request, tmp_path, kind):
    """With verify-full, a server without TLS, or with a self-made certificate, is refused."""
    url = sa.make_url(request.getfixturevalue(f"{kind}_url"))
    (tmp_path / "ca.pem").write_text(write_throwaway_tls(tmp_path))
    with pytest.raises(StorageUnavailableError):
        open_storage(_url(url, "127.0.0.1", sslmode="verify-full", sslrootcert=str(tmp_path / "ca.pem")))


def test_options_are_not_mixed():
    """PyMySQL's own TLS options beside sslmode are refused: it would not be clear which one counts."""
    with pytest.raises(StorageUnavailableError, match="mixes"):
        open_storage("mysql://root@localhost/x?sslmode=require&ssl_ca=x.pem")
