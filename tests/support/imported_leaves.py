"""Certificates of another CA to import, and what the store and the timeline say afterwards."""

from datetime import timedelta

from certcore.model.keys import KeyType
from certcore.model.names import parse_identifier
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem
from support.inside import inside

NOW = FrozenEnvironment().now()
DAY = timedelta(days=1)
CA = LittleAuthority(NOW, name="Other CA")
KEY = generate_key(KeyType.EC_P256)
KEY_PEM = private_key_pem(KEY).decode()
OTHER_PEM = private_key_pem(generate_key(KeyType.EC_P256)).decode()


def leaf_of(*names, key=KEY, at=NOW, days=90.0):
    """A leaf of another CA with its chain, PEM."""
    request = build_csr(KEY, [parse_identifier(name) for name in names or ("shop.example",)], Subject()).decode()
    return CA.issue(request, now=at, lifetime=days * DAY, public_key=key.public_key())


LEAF = leaf_of()
LEAF_NAMES = ("shop.example",)


def stored(core):
    """What an import may store."""
    with inside(core).storage.read() as transaction:
        return (
            transaction.certificates.page(),
            transaction.events.after(0),
            transaction.secrets.names("certificate-key"),
        )


def kinds(bench, certificate_id):
    """What has happened to a certificate."""
    return [event.kind for event in bench.core.certificates.timeline(certificate_id)]


def rest(bench, certificate_id):
    """Look until there is nothing more to do now."""
    for _ in range(10):
        if not bench.core.reconcile(certificate_id).stepped:
            return
    raise AssertionError("it does not come to rest")
