"""TLS contexts that are kept: reading the system's roots for each connection pool costs more than an exchange."""

import ssl
import weakref
from datetime import UTC, datetime

import pytest

from certcore.errors import InvalidInputError
from certcore.net.tls import TlsContexts
from certcore.testing.local_ca import LittleAuthority
from certcore_puq_acme.network import Network
from support.forking import fork

ROOTS = [LittleAuthority(datetime.now(UTC)).root_pem for _ in range(2)]


@pytest.fixture
def system_roots(tmp_path, monkeypatch):
    """The file of the system's roots, with one of them."""
    path = tmp_path / "roots.pem"
    path.write_text(ROOTS[0])
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nowhere"))
    return path


def _trusted(context):
    return {ssl.DER_cert_to_PEM_cert(each) for each in context.get_ca_certs(binary_form=True)}


def test_a_context_is_made_once_for_the_same_roots(system_roots):
    """Who asks for the same roots gets the same context, and nobody the roots of another."""
    contexts = TlsContexts()
    own, extended = contexts.get(), contexts.get(ROOTS[1])
    assert contexts.get() is own
    assert contexts.get(ROOTS[1]) is extended
    assert _trusted(own) == {ROOTS[0]}
    assert _trusted(extended) == set(ROOTS)


def test_new_roots_of_the_system_count_at_once(system_roots):
    """A root that the system does not trust any more is not trusted by the next connection pool, without a restart."""
    contexts = TlsContexts()
    assert _trusted(contexts.get()) == {ROOTS[0]}
    replacement = system_roots.with_suffix(".new")
    replacement.write_text(ROOTS[1])
    replacement.replace(system_roots)
    assert _trusted(contexts.get()) == {ROOTS[1]}


def test_roots_that_are_none_are_refused_each_time(system_roots):
    """Nothing is kept of a mistake."""
    contexts = TlsContexts()
    for _ in range(2):
        with pytest.raises(InvalidInputError):
            contexts.get("no certificate")


def test_many_sets_of_roots_are_not_kept_for_ever(system_roots):
    """Whoever sees thousands of profiles with roots of their own keeps a bounded number of contexts."""
    contexts, alive = TlsContexts(), weakref.WeakSet()
    for number in range(100):
        alive.add(contexts.get(f"{ROOTS[1]}# {number}\n"))
    assert 1 <= len(alive) <= 32


def test_a_child_process_makes_its_own(system_roots):
    """A context holds locks of OpenSSL, which another thread of the parent may have had."""
    contexts = TlsContexts()
    kept = contexts.get()
    assert fork(lambda: contexts.get() is not kept).result() is True
    assert contexts.get() is kept


def test_the_acme_module_keeps_them(system_roots, monkeypatch):
    """The connection pools that one CA profile needs after another share their context."""
    network, make, made = Network(), ssl.create_default_context, []
    monkeypatch.setattr(ssl, "create_default_context", lambda *given, **how: made.append(1) or make(*given, **how))
    for _ in range(3):
        network.http(timeout=5, extra_roots=ROOTS[1])
    assert len(made) == 1
