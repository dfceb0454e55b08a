"""Exports: the key leaves only for a reason, by permission and on the record; plugins add formats and take files."""

from datetime import timedelta

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import certcore
from certcore import CertCore
from certcore.errors import AccessDeniedError, CertCoreError, InvalidInputError
from certcore.model.export import ExportedFile, ExportFormat, Use
from certcore.model.hints import Notice
from certcore.model.lifecycle import Status
from certcore.model.permissions import Permission
from certcore.model.secret import Secret
from certcore.ports.ca_module import Issued
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.import_bundle import read_bundle
from certcore.x509.keys import private_key_pem

ALWAYS_WITH_KEY = ["nginx", "apache", "haproxy", "lighttpd", "postfix"]


class Deployer:
    """Takes the files when a leaf goes into service; nobody but it may take keys out; adds a format, and rubbish."""

    def __init__(self):
        self.taken, self.refused = [], {"viewer"}

    @certcore.hookimpl
    def certcore_on_event(self, event, certificates):
        if event.kind == "installed":
            exported = certificates.export(event.certificate_id, reason="deploy", actor="plugin:deployer")
            self.taken.append((certificates.view(event.certificate_id).certificate.domain.ascii, exported))

    @certcore.hookimpl
    def certcore_authorize(self, actor, action):
        return not (actor in self.refused and action == Permission.CERTIFICATE_REVEAL_KEY)

    @certcore.hookimpl
    def certcore_export_formats(self):
        def make(exported, options):
            both = exported.fullchain_pem.encode() + exported.reveal_private_key()
            return [ExportedFile(name=f"{exported.file_stem}.pem", content=both, secret=True)]

        def names(exported, options):
            return [ExportedFile(name="names.txt", content=exported.domain.encode())]

        return [
            ExportFormat(name="combined", title="One file", private_key=Use.REQUIRED, make=make),
            ExportFormat(name="pem", title="Not PEM", private_key=Use.NEVER, make=names),
            "rubbish",
        ]


@pytest.fixture
def deployer():
    return Deployer()


@pytest.fixture
def core(deployer):
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), deployer], installed_plugins=False, environment=environment) as one:
        yield one


@pytest.fixture
def active(core):
    authority = core.authorities.create("test", module="scripted")
    certificate_id = core.certificates.create("shop.example", authority=authority.id).id
    core.certificates.generate_csr(certificate_id)
    core.reconcile(certificate_id)
    return certificate_id


def _reveals(core, certificate_id):
    return [
        event.data["reason"] for event in core.certificates.timeline(certificate_id) if event.kind == "key_revealed"
    ]


def test_what_is_exported_is_the_leaf_in_service_with_its_key(core, active):
    """Each format with the key holds the key of the leaf, and says on the record that it left."""
    files = core.certificates.export(active, "pem", reason="new server", actor="anna").files
    content = {file.name: file.content.decode() for file in files}
    bundle = read_bundle(content["fullchain.pem"], content["privkey.pem"], now=core.now())
    assert [str(name) for name in bundle.names] == ["shop.example"]
    assert _reveals(core, active) == ["new server"]


def _certify(subject, issuer, keys, *, days, ca=True):
    now = FrozenEnvironment().now()
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (subject, issuer)]
    builder = (
        x509.CertificateBuilder(*reversed(names), keys[subject].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
    )
    return builder.sign(keys[issuer], hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_a_link_that_has_expired_is_not_exported_any_more():
    """A cross-signed root that ends before the leaf: exported and unremarked until then, left out and told after."""
    keys = {one: ec.generate_private_key(ec.SECP256R1()) for one in ("leaf", "A", "B", "C")}
    leaf = _certify("leaf", "A", keys, days=80, ca=False)
    intermediate, cross = _certify("A", "B", keys, days=900), _certify("B", "C", keys, days=10)
    environment = FrozenEnvironment()
    with CertCore.in_memory(installed_plugins=False, environment=environment) as core:
        key = private_key_pem(keys["leaf"])
        imported = core.certificates.import_certificate(leaf, key, intermediate + cross).id
        for chain, hints in ((intermediate + cross, []), (intermediate, ["core.chain_expired"])):
            exported = core.certificates.export(imported, reason="a test")
            assert (exported.chain_pem, exported.fullchain_pem) == (chain, leaf + chain)
            assert core.certificates.export(imported, with_key=False).chain_pem == chain
            assert [hint for hint in _keys_of_hints(core, imported) if "chain" in hint] == hints
            environment.advance(timedelta(days=10))


def _keys_of_hints(core, certificate_id):
    return [hint.text.key for hint in core.certificates.hints(certificate_id) if isinstance(hint, Notice)]


class LeafOnlyCA(ScriptedCA):
    """Sends the leaf without its intermediate."""

    def advance(self, work):
        step = super().advance(work)
        if isinstance(step, Issued):
            step = evolve(step, chain_pem=step.chain_pem[: step.chain_pem.index("-----BEGIN", 10)])
        return step


def test_a_chain_that_the_ca_did_not_send_is_told(core, active):
    """An active certificate without its intermediate says so, whether a CA or an import left it out."""
    assert "core.chain_missing" not in _keys_of_hints(core, active)
    imported = core.certificates.import_certificate(core.certificates.view(active).active.leaf_pem, owner="anna").id
    assert "core.chain_missing" in _keys_of_hints(core, imported)
    ca = LeafOnlyCA([Act.ISSUE], now=FrozenEnvironment().now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=FrozenEnvironment()) as other:
        authority = other.authorities.create("test", module="scripted")
        issued = other.certificates.create("shop.example", authority=authority.id).id
        other.certificates.generate_csr(issued)
        other.reconcile(issued)
        assert other.certificates.get(issued).status is Status.ACTIVE
        assert "core.chain_missing" in _keys_of_hints(other, issued)


def test_without_the_key_it_takes_neither_reason_nor_permission(core, active):
    """A viewer may have what every visitor of the site sees anyway."""
    (p7b,) = core.certificates.export(active, "pkcs7", actor="viewer").files
    files = core.certificates.export(active, "pem", with_key=False, actor="viewer").files
    assert not p7b.secret
    assert not any(file.secret for file in files)
    assert _reveals(core, active) == []
    with pytest.raises(AccessDeniedError):
        core.certificates.export(active, "pem", reason="I want it", actor="viewer")
    with pytest.raises(AccessDeniedError):
        core.certificates.export(active, "nginx", reason="I want it", actor="viewer")
    assert _reveals(core, active) == []


@pytest.mark.parametrize(
    ("wanted", "given", "field"),
    [
        ("pem", {}, "reason"),
        ("pkcs12", {"reason": "a test"}, "password"),
        ("nginx", {"reason": "a test", "password": Secret("pass word")}, "password"),
        ("pem", {"reason": "a test", "legacy": True}, "legacy"),
        ("jks", {"reason": "a test"}, "format"),
        *((one, {"reason": "a test", "with_key": False}, "with_key") for one in ALWAYS_WITH_KEY),
        ("pkcs12", {"reason": "a test", "password": Secret("pass word"), "with_key": False}, "with_key"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_key_is_taken_out(core, active, wanted, given, field):
    """The record does not tell of keys that left when none did."""
    with pytest.raises(InvalidInputError) as refused:
        core.certificates.export(active, wanted, **given)
    assert refused.value.field == field
    assert _reveals(core, active) == []


def test_a_draft_has_nothing_to_export(core):
    """Also without its key."""
    authority = core.authorities.create("test", module="scripted")
    certificate_id = core.certificates.create("shop.example", authority=authority.id).id
    for with_key in (True, False):
        with pytest.raises(CertCoreError, match="No certificate was issued"):
            core.certificates.export(certificate_id, "pem", with_key=with_key, reason="a test")


def test_a_plugin_adds_formats(core, active):
    """It cannot replace one that is there, and what is no format is left out."""
    offered = {export_format.name: str(export_format.title) for export_format in core.certificates.formats()}
    assert offered["combined"] == "One file"
    assert offered["pem"] != "Not PEM"
    (file,) = core.certificates.export(active, "combined", reason="a test").files
    assert file.name == "shop.example.pem"
    assert read_bundle(file.content.decode(), now=core.now()).private_key is not None


def test_an_observer_takes_the_files_out_on_the_record(core, active, deployer):
    """It is an actor like any other: the policy is asked, and the record names it."""
    core.deliver_events()
    ((domain, exported),) = deployer.taken
    assert (domain, exported.names) == ("shop.example", ("shop.example",))
    (event,) = [event for event in core.certificates.timeline(active) if event.kind == "key_revealed"]
    assert (event.actor, event.data["reason"]) == ("plugin:deployer", "deploy")
