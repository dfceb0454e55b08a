"""What the tests of changes beside a leaf share: a user's own CSR, keys that are kept, and a CA that installs."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from certcore import NoticePolicy, Status
from certcore.model.keys import KeyType
from certcore.testing.scripted_ca import Act
from certcore.x509.keys import generate_key
from support.cores import core_on
from support.inside import inside

DAY = timedelta(days=1)


OWN_KEY = generate_key(KeyType.EC_P384)


def own_csr(*names, key=OWN_KEY):
    """A request whose key never comes here."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def secret_names(bench):
    with inside(bench.core).storage.read() as transaction:
        return {str(name) for name in transaction.secrets.names("certificate-key")}


def issuances_with_key(bench, certificate_id):
    """The attempts of a certificate whose private key is in the store."""
    kept = secret_names(bench)
    return {
        issuance.number
        for issuance in bench.core.certificates.issuances(certificate_id)
        if str(issuance.key_name) in kept
    }


def install(bench, certificate_id):
    """Let the CA issue, and go on until everything is at rest."""
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.check_now(certificate_id)
    for _ in range(6):
        if not bench.core.reconcile(certificate_id).stepped:
            break
    assert not bench.ca.held


def events_of(bench, certificate_id, kind):
    return [event for event in bench.core.certificates.timeline(certificate_id) if event.kind is kind]


def core_with(storage, tmp_path, ca, environment):
    quiet = NoticePolicy(days_before=())
    return core_on(storage, tmp_path, plugins=[ca.plugin()], environment=environment, notices=quiet)


def active_in(core, domain="shop.example", **fields):
    authority = next(iter(core.authorities.list()), None) or core.authorities.create("test", module="scripted")
    certificate_id = core.certificates.create(domain, authority=authority.id, **fields).id
    core.certificates.generate_csr(certificate_id)
    for _ in range(3):
        core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE
    return certificate_id
