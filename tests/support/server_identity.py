"""The certificate of a TLS server that a test starts."""

import ssl
from datetime import UTC, datetime

from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem


def write_identity(folder, name):
    """Write the files of a server of that name: chain.pem, key.pem, and root.pem for its clients."""
    now = datetime.now(UTC)
    authority = LittleAuthority(now)
    key = generate_key(KeyType.EC_P256)
    csr = build_csr(key, [DnsName(name)], Subject()).decode()
    chain = parse_chain(authority.issue(csr, now=now))
    (folder / "chain.pem").write_text(chain.leaf_pem + chain.chain_pem)
    (folder / "key.pem").write_bytes(private_key_pem(key))
    (folder / "root.pem").write_text(authority.root_pem)


def server_context(folder):
    """What the server needs for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return context
