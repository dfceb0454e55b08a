"""Exported certificates, read by the programs that they are for: openssl, Java, web servers, and TLS itself."""

import os
import re
import socket
import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import frozen

from certcore.adapters.export_files import write_plain, write_versioned
from certcore.errors import CertCoreError
from certcore.model.export import Exported, ExportOptions, Use
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.ports import free_port
from certcore.testing.server import find_program
from certcore.x509.chain import parse_certificates, parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.formats import EXPORT_FORMATS, find_format
from certcore.x509.keys import generate_key, key_type_of, load_private_key, private_key_pem, public_key_pem

NOW = datetime.now(UTC)
CA = LittleAuthority(NOW)
PASSWORD = 'Passw0rd with "signs" & $pace'
NAMES = ("xn--bcher-kva.example", "*.xn--bcher-kva.example", "shop.example")
STEM = NAMES[0]
KINDS = (KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048)
each_kind = pytest.mark.parametrize("made", KINDS, indirect=True)
each_form = pytest.mark.parametrize("legacy", [False, True], ids=["modern", "legacy"])


@frozen(kw_only=True)
class Made:
    """A certificate, and how to export it."""

    exported: Exported
    folder: Path

    def export(self, name, **given):
        """The paths of the files, by name, in a folder of the format's own."""
        folder = self.folder / name
        options = ExportOptions(at=NOW, folder=str(folder), **given)
        files = find_format(name).export(self.exported, options)
        assert write_plain(folder, files).folder == folder
        return {file.name: folder / file.name for file in files}

    @property
    def public_key(self):
        return public_key_pem(load_private_key(self.exported.private_key.reveal()).public_key())

    @property
    def all_certificates(self):
        return parse_certificates(self.exported.fullchain_pem + self.exported.root_pem)


def _exported(kind):
    key = generate_key(kind)
    names = [DnsName(name) for name in NAMES]
    chain = parse_chain(CA.issue(build_csr(key, names, Subject()).decode(), now=NOW))
    return Exported(
        names=names,
        leaf_pem=chain.leaf_pem,
        chain_pem=chain.chain_pem,
        root_pem=CA.root_pem,
        private_key=Secret(private_key_pem(key)),
    )


EXPORTED = {kind: _exported(kind) for kind in KINDS}


@pytest.fixture
def made(request, tmp_path):
    """A certificate with a key of the kind that the test names."""
    return Made(exported=EXPORTED[getattr(request, "param", KeyType.EC_P256)], folder=tmp_path)


@pytest.fixture
def program():
    """Runs a program to its end; skips where it is missing, and tells which package brings it."""

    def run(name, package, *arguments, fails=False):
        try:
            path = find_program(name, package)
        except CertCoreError as error:
            pytest.skip(str(error))
        done = subprocess.run(
            [path, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=240,
            env={**os.environ, "EXPORT_PASSWORD": PASSWORD, "WRONG_PASSWORD": "wrong one", "LC_ALL": "C"},
        )
        told = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
        assert (done.returncode != 0) is fails, told
        return told

    return run


@pytest.fixture
def openssl(program):
    """Runs an openssl command."""
    return lambda *arguments, **given: program("openssl", "openssl", *arguments, **given)


# ----------------------------------------------------------------------------------------------------------- openssl


@each_kind
def test_openssl_reads_pem(made, openssl):
    """The chain leads to the root, the key is the leaf's, and the names are there."""
    files = made.export("pem")
    told = openssl(
        "verify", "-x509_strict", "-CAfile", files["root.pem"], "-untrusted", files["chain.pem"], files["cert.pem"]
    )
    assert told.strip().endswith("OK")
    assert openssl("pkey", "-in", files["privkey.pem"], "-pubout") == made.public_key
    assert openssl("x509", "-in", files["fullchain.pem"], "-noout", "-pubkey") == made.public_key
    shown = openssl("x509", "-in", files["cert.pem"], "-noout", "-ext", "subjectAltName")
    assert all(f"DNS:{name}" in shown for name in NAMES)
    assert [path.read_text() for path in files.values()][:2] == [made.exported.leaf_pem, made.exported.chain_pem]


@each_kind
@pytest.mark.parametrize(("name", "form"), [("pem", "PEM"), ("der", "DER")])
def test_openssl_opens_locked_keys(made, openssl, name, form):
    """With the password alone; the key derivation has 600,000 rounds, the cipher is AES-256-CBC."""
    path = made.export(name, password=Secret(PASSWORD))[f"privkey.{name}"]
    given = ("-in", path, "-inform", form)
    assert openssl("pkey", *given, "-passin", "env:EXPORT_PASSWORD", "-pubout") == made.public_key
    plain = openssl("pkcs8", *given, "-passin", "env:EXPORT_PASSWORD", "-outform", "PEM")
    assert plain == made.exported.private_key.reveal_text()
    openssl("pkey", *given, "-passin", "env:WRONG_PASSWORD", "-pubout", fails=True)
    shown = openssl("asn1parse", *given)
    for part in (":PBES2", ":PBKDF2", ":hmacWithSHA256", ":aes-256-cbc", f"INTEGER           :{600_000:06X}"):
        assert part in shown


@each_kind
def test_openssl_reads_der(made, openssl):
    """Leaf and key in binary are the same ones."""
    files = made.export("der")
    assert openssl("x509", "-inform", "DER", "-in", files["cert.der"], "-noout", "-pubkey") == made.public_key
    assert openssl("pkey", "-inform", "DER", "-in", files["privkey.der"], "-pubout") == made.public_key
    shown = openssl("pkcs7", "-inform", "DER", "-in", files["fullchain.p7b"], "-print_certs")
    assert set(parse_certificates(shown)) == set(made.all_certificates)


def test_openssl_reads_pkcs7(made, openssl):
    """Every certificate of the chain, and no key."""
    (path,) = made.export("pkcs7").values()
    shown = openssl("pkcs7", "-inform", "DER", "-in", path, "-print_certs")
    assert set(parse_certificates(shown)) == set(made.all_certificates)
    assert "PRIVATE" not in shown


@each_kind
@each_form
def test_openssl_reads_key_stores(made, openssl, legacy):
    """Key, chain and friendly name; the algorithms are those of the form that was asked for."""
    (path,) = made.export("pkcs12", password=Secret(PASSWORD), legacy=legacy, friendly_name="Der Shop").values()
    opened = ("pkcs12", "-in", path, "-passin", "env:EXPORT_PASSWORD")
    for more in ([], ["-legacy"]) if legacy else ([],):
        shown = openssl(*opened, *more, "-nodes")
        assert parse_certificates(shown) == made.all_certificates
        assert "friendlyName: Der Shop" in shown
        key = re.search(r"-----BEGIN PRIVATE KEY-----.*-----END PRIVATE KEY-----\n", shown, re.DOTALL)[0]
        assert key == made.exported.private_key.reveal_text()
    told = openssl(*opened, "-info", "-noout")
    if legacy:
        assert "MAC: sha1" in told
        assert told.count("pbeWithSHA1And3-KeyTripleDES-CBC") == 2
    else:
        assert "MAC: sha256, Iteration 200000" in told
        assert told.count("PBES2, PBKDF2, AES-256-CBC, Iteration 200000, PRF hmacWithSHA256") == 2
    openssl("pkcs12", "-in", path, "-passin", "env:WRONG_PASSWORD", "-noout", fails=True)


# --------------------------------------------------------------------------------------------------- Java and archives


@each_form
@each_kind
def test_java_reads_key_stores(made, program, legacy):
    """As one entry with its whole chain, under the friendly name."""
    (path,) = made.export("pkcs12", password=Secret(PASSWORD), legacy=legacy, friendly_name="shop").values()
    opened = ("keytool", "default-jre-headless", "-list", "-v", "-keystore", path)
    shown = program(*opened, "-storepass:env", "EXPORT_PASSWORD")
    assert "Alias name: shop" in shown
    assert "Entry type: PrivateKeyEntry" in shown
    assert "Certificate chain length: 3" in shown
    leaf = parse_chain(made.exported.fullchain_pem).leaf
    assert leaf.fingerprint_sha256 in shown.replace(":", "").lower()
    assert "password was incorrect" in program(*opened, "-storepass:env", "WRONG_PASSWORD", fails=True)


def test_java_opens_the_key_itself(made, program):
    """Not only the store: the key is taken out of it, into another one."""
    (path,) = made.export("pkcs12", password=Secret(PASSWORD)).values()
    target = made.folder / "again.p12"
    common = ("-srcstorepass:env", "EXPORT_PASSWORD", "-deststorepass:env", "EXPORT_PASSWORD", "-noprompt")
    where = ("-srckeystore", path, "-destkeystore", target, "-deststoretype", "PKCS12")
    program("keytool", "default-jre-headless", "-importkeystore", *where, *common)
    shown = program("openssl", "openssl", "pkcs12", "-in", target, "-passin", "env:EXPORT_PASSWORD", "-nodes")
    assert (
        load_private_key(shown.encode()).private_numbers()
        == load_private_key(made.exported.private_key.reveal()).private_numbers()
    )


@pytest.mark.parametrize(
    ("name", "file", "count"), [("der", "cert.der", 1), ("der", "fullchain.p7b", 3), ("pem", "fullchain.pem", 2)]
)
def test_java_reads_certificates(made, program, name, file, count):
    """Each file with as many as are in it."""
    path = made.export(name)[file]
    shown = program("keytool", "default-jre-headless", "-printcert", "-file", path)
    assert shown.count("Owner:") == count
    for all_certificate in made.all_certificates[:count]:
        assert f"Owner: {all_certificate.subject.rfc4514_string()}" in shown


@pytest.mark.parametrize("password", [None, Secret(PASSWORD)], ids=["open", "locked"])
def test_archives_unpack_with_their_modes(made, program, password):
    """Into one folder for its owner alone, and the files are those of the other formats, byte for byte."""
    (path,) = made.export("zip", password=password).values()
    program("unzip", "unzip", "-q", path, "-d", made.folder / "unpacked")
    unpacked = made.folder / "unpacked" / STEM
    assert stat.S_IMODE(unpacked.stat().st_mode) == 0o700
    secrets = {"privkey.pem", "privkey.der", "cert.p12"}
    for one in unpacked.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == (0o600 if one.name in secrets else 0o644)
    for name in ("pem", "der"):
        for file, other in made.export(name).items():
            same = (unpacked / file).read_bytes() == other.read_bytes()
            assert same is (password is None or file not in secrets)
    assert (unpacked / "README.txt").read_text().startswith(f"The certificate of {STEM}\n")
    assert (unpacked / "cert.p12").exists() is (password is not None)


# ----------------------------------------------------------------------------------------------------------- servers


@each_kind
def test_nginx_takes_it(made, program):
    """The lines that were exported, in a server block: nginx loads the chain and finds that the key belongs to it."""
    files = made.export("nginx")
    temporary = "".join(
        f"{kind}_temp_path {made.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = made.folder / "nginx.conf"
    configuration.write_text(
        f"pid {made.folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}"
        f"server {{\nlisten 127.0.0.1:{free_port()} ssl;\ninclude {files['nginx-ssl.conf']};\n}}\n}}\n"
    )
    checked = ("nginx", "nginx", "-e", "stderr", "-p", made.folder, "-c", configuration, "-t")
    assert "test is successful" in program(*checked)
    kind = key_type_of(load_private_key(made.exported.private_key.reveal()))
    files["privkey.pem"].write_bytes(private_key_pem(generate_key(kind)))
    assert "mismatch" in program(*checked, fails=True)


@each_kind
def test_haproxy_takes_it(made, program):
    """The one file, and its folder as well."""
    (path,) = made.export("haproxy").values()
    configuration = made.folder / "haproxy.cfg"
    for place in (path, path.parent):
        configuration.write_text(
            "global\n    ssl-default-bind-options ssl-min-ver TLSv1.2\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n"
            f"frontend tls\n    bind 127.0.0.1:{free_port()} ssl crt {place}\n"
        )
        program("haproxy", "haproxy", "-c", "-f", configuration)


@each_kind
def test_apache_takes_it(made, program):
    """The lines that were exported, in a virtual host."""
    modules = Path("/usr/lib/apache2/modules")
    files = made.export("apache")
    port = free_port()
    configuration = made.folder / "apache.conf"
    loaded = "".join(f"LoadModule {one}_module {modules}/mod_{one}.so\n" for one in ("mpm_event", "authz_core", "ssl"))
    configuration.write_text(
        f"{loaded}ServerRoot {made.folder}\nServerName localhost\nListen 127.0.0.1:{port}\nErrorLog /dev/stderr\n"
        f"PidFile {made.folder}/pid\nDefaultRuntimeDir {made.folder}\n"
        f"<VirtualHost 127.0.0.1:{port}>\nInclude {files['apache-ssl.conf']}\n</VirtualHost>\n"
    )
    assert "Syntax OK" in program("apache2", "apache2-bin", "-t", "-f", configuration)
    configuration.write_text(configuration.read_text().replace("apache-ssl.conf", "nowhere.conf"))
    program("apache2", "apache2-bin", "-t", "-f", configuration, fails=True)


def test_lighttpd_takes_it(made, program):
    """The lines that were exported."""
    if not Path("/usr/lib/lighttpd/mod_openssl.so").exists():
        pytest.skip("lighttpd's TLS is not installed. On Debian: apt-get install lighttpd lighttpd-mod-openssl.")
    files = made.export("lighttpd")
    configuration = made.folder / "lighttpd.conf"
    configuration.write_text(
        f'server.modules = ("mod_openssl")\nserver.document-root = "{made.folder}"\nserver.bind = "127.0.0.1"\n'
        f'server.port = {free_port()}\ninclude "{files["lighttpd-ssl.conf"]}"\n'
    )
    program("lighttpd", "lighttpd", "-tt", "-f", configuration)


# --------------------------------------------------------------------------------------------------------- handshakes


def _served(context):
    """A server on loopback that shakes hands once, and its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(120)

    def serve():
        with listening:
            connection, _ = listening.accept()
            with connection, context.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"hello")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread, listening.getsockname()[1]


def _shake_hands(context, name):
    """A client that trusts the root alone and asks for a name; returns the certificate that it was shown."""
    thread, port = _served(context)
    client = ssl.create_default_context(cadata=CA.root_pem)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=120) as connection,
        client.wrap_socket(connection, server_hostname=name) as secured,
    ):
        assert secured.recv(16) == b"hello"
        shown = secured.getpeercert(binary_form=True)
    thread.join(120)
    assert not thread.is_alive()
    return shown


@each_kind
@pytest.mark.parametrize("name", ["xn--bcher-kva.example", "www.xn--bcher-kva.example", "shop.example"])
def test_a_handshake_with_what_the_configuration_names(made, name):
    """The files that nginx's lines name, below the live link of versions: a client that trusts the root is content."""
    folder = made.folder / STEM
    options = ExportOptions(at=NOW, folder=str(folder / "live"))
    written = write_versioned(folder, find_format("nginx").export(made.exported, options), at=NOW)
    lines = (written.folder / "nginx-ssl.conf").read_text()
    chain, key = (
        re.search(rf"^{word}\s+(\S+);$", lines, re.MULTILINE)[1] for word in ("ssl_certificate", "ssl_certificate_key")
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    shown = _shake_hands(context, name)
    assert shown == ssl.PEM_cert_to_DER_cert(made.exported.leaf_pem)


def test_a_handshake_with_locked_and_combined_files(made):
    """The encrypted key opens with its password; HAProxy's file is chain and key in one."""
    files = made.export("pem", password=Secret(PASSWORD))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(files["fullchain.pem"], files["privkey.pem"], password="wrong one")
    context.load_cert_chain(files["fullchain.pem"], files["privkey.pem"], password=PASSWORD)
    _shake_hands(context, "shop.example")
    (combined,) = made.export("haproxy").values()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(combined)
    _shake_hands(context, "shop.example")


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_renewal_is_served_after_a_reload(made, layout):
    """The same paths hold the next certificate and its key; only what differs was written."""
    folder = made.folder / "tls"
    write = {
        "plain": write_plain,
        "versioned": lambda *given: write_versioned(*given, at=NOW),
    }[layout]
    for kind in KINDS:
        files = find_format("nginx").export(EXPORTED[kind], ExportOptions(at=NOW))
        written = write(folder, files)
        assert written.unchanged == (() if kind is KINDS[0] else ("nginx-ssl.conf",))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(written.folder / "fullchain.pem", written.folder / "privkey.pem")
        assert _shake_hands(context, STEM) == ssl.PEM_cert_to_DER_cert(EXPORTED[kind].leaf_pem)


@pytest.mark.parametrize("one", EXPORT_FORMATS, ids=lambda one: one.name)
def test_secrets_on_disk_are_private(made, one):
    """In every format: whatever holds the key is 0600, and what others may read holds nothing of it."""
    password = Secret(PASSWORD) if one.password is not Use.NEVER else None
    files = made.export(one.name, **({} if password is None else {"password": password}))
    key = made.exported.private_key.reveal()
    for path in files.values():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode in {0o600, 0o644}
        if mode == 0o644:
            assert key.splitlines()[1] not in path.read_bytes()
            assert b"PRIVATE" not in path.read_bytes()
