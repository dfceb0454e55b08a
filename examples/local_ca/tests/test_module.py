"""The module in certcore: issuance, revocation, rotation and given CAs, through the same calls as any module."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from certificate_files import lint_findings, openssl, verified, written
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certcore import CertCore
from certcore.hints import Facts, Notice, hint_to_json
from certcore.plugin import CAError, InvalidInputError, RevocationReason
from certcore.testing import (
    CAModuleContract,
    FrozenEnvironment,
    LittleAuthority,
    ModuleHarness,
    conformance,
    make_request,
)
from certcore_local_ca import plugin
from certcore_local_ca.authority import CAKeyType, ca_name, make_intermediate, make_root, pem_of
from certcore_local_ca.name_constraints import NameConstraints

DAY = timedelta(days=1)


def _core(environment):
    return CertCore.in_memory(plugins=[plugin], installed_plugins=False, environment=environment)


@pytest.fixture
def clock():
    return FrozenEnvironment()


@pytest.fixture
def core(clock):
    with _core(clock) as core:
        yield core


def _profile(core, **settings):
    return core.authorities.create("house", module="local_ca", settings=settings).id


def _issued(core, authority_id, name="a.house.example"):
    certificate = core.certificates.create(name, authority=authority_id)
    core.certificates.generate_csr(certificate.id)
    core.reconcile(certificate.id)
    view = core.certificates.view(certificate.id)
    assert view.certificate.status == "active", view.certificate.problem
    return view


def _files(core, authority_id):
    return {file.name: file.content for file in core.authorities.files(authority_id)}


def _crl(core, authority_id, issuer="0001"):
    return x509.load_der_x509_crl(_files(core, authority_id)[f"{issuer}.crl"])


def _number(crl):
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _root(core, authority_id):
    (root,) = (content for name, content in _files(core, authority_id).items() if name.startswith("root-"))
    return x509.load_der_x509_certificate(root)


def _serial_number(view):
    return x509.load_pem_x509_certificate(view.active.leaf_pem.encode()).serial_number


def _checked(folder, core, authority_id, view, *options):
    """What openssl says of a leaf with the chain that certcore stores, at the moment of the core's clock."""
    leaf, *chain = x509.load_pem_x509_certificates(view.active.fullchain_pem.encode())
    at = ("-attime", str(int(core.now().timestamp())))
    return verified(folder, leaf, chain, _root(core, authority_id), *at, *options)


class TestLocalCA(CAModuleContract):
    """The suite that every CA module passes."""

    module_name = "local_ca"
    domains = ("one.house.example", "two.house.example", "three.house.example")
    invalid_settings = (
        ({"lifetime_days": "0"}, "lifetime_days"),
        ({"permitted_domains": ["*.house.example"]}, "permitted_domains"),
        ({"crl_url": "http://pki.example/all.crl"}, "crl_url"),
        ({"issuing_years": "5", "root_years": "4"}, "issuing_years"),
        ({"ca_certificates": "-----BEGIN CERTIFICATE-----"}, "ca_private_key"),
        ({"ca_private_key": "x"}, "ca_certificates"),
    )

    @pytest.fixture
    def core(self):
        with _core(FrozenEnvironment()) as core:
            yield core

    @pytest.fixture
    def settings(self):
        return {"permitted_domains": ["house.example"]}


def test_it_keeps_every_rule():
    """The conformance suite of certcore finds no broken rule."""
    report = conformance.run(plugin, settings={"permitted_domains": ["shop.test"]})
    assert report.ok, report.text()


def test_what_it_issues_leads_to_the_root_that_it_hands_out(core, tmp_path):
    """From a profile to a leaf that openssl verifies with the files of the CA profile alone."""
    authority_id = _profile(core, usage="both", crl_url="http://pki.example/{issuer}.crl")
    view = _issued(core, authority_id)
    assert _checked(tmp_path, core, authority_id, view)[0] == 0
    leaf = x509.load_pem_x509_certificate(view.active.leaf_pem.encode())
    point = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0]
    assert point.full_name[0].value == "http://pki.example/0001.crl"
    assert leaf.not_valid_after_utc == core.now() + 90 * DAY
    # The page of the certificate hands out the same files.
    assert set(_files(core, authority_id)) == {file.name for file in core.certificates.files(view.certificate.id)}


@pytest.mark.slow(reason="loading pkilint takes seconds")
def test_pkilint_finds_nothing_in_what_it_issues(core, tmp_path):
    """The leaf that certcore installs, its chain, the root and the CRL follow RFC 5280, as pkilint reads it."""
    urls = {"crl_url": "http://pki.example/{issuer}.crl", "issuer_url": "http://pki.example/{issuer}.crt"}
    authority_id = _profile(core, permitted_domains=["house.example"], organization="House", usage="both", **urls)
    view = _issued(core, authority_id)
    core.certificates.revoke(view.certificate.id, reason="superseded")
    leaf, issuing = x509.load_pem_x509_certificates(view.active.fullchain_pem.encode())
    made = {"leaf": leaf, "issuing": issuing, "root": _root(core, authority_id)}
    files = {name: written(tmp_path, f"{name}.pem", certificate) for name, certificate in made.items()}
    findings = lint_findings(
        *(("lint_pkix_cert", path) for path in files.values()),
        ("lint_pkix_signer_signee_cert_chain", files["root"], files["issuing"]),
        ("lint_pkix_signer_signee_cert_chain", files["issuing"], files["leaf"]),
        ("lint_crl", "-t", "CRL", "-p", "PKIX", written(tmp_path, "crl.pem", _crl(core, authority_id))),
    )
    assert findings == ""


def test_the_pages_show_it_like_any_other_module(core):
    """Right column, actions and Save and Test of the CA profile come from the same calls as for every module."""
    authority_id = _profile(core)
    assert isinstance(core.authorities.hints(authority_id)[0], Notice)
    assert core.authorities.check(authority_id).ok
    facts, notice, *buttons = core.authorities.hints(authority_id)
    assert isinstance(facts, Facts)
    assert "answers no OCSP" in str(notice.text)
    assert [hint_to_json(button)["name"] for button in buttons] == ["distrust_issuing_ca", "replace_issuing_ca"]
    certificate_id = _issued(core, authority_id).certificate.id
    assert [hint_to_json(hint) for hint in core.certificates.hints(certificate_id)]


def test_a_revocation_shows_in_the_crl(core, tmp_path):
    """A leaf is on the CRL when the call returns; openssl refuses it, and takes the others."""
    authority_id = _profile(core)
    revoked, other = _issued(core, authority_id), _issued(core, authority_id, "b.house.example")
    before = _crl(core, authority_id)
    assert len(before) == 0
    core.certificates.revoke(revoked.certificate.id, reason="key_compromise")
    after = _crl(core, authority_id)
    assert _number(after) > _number(before)
    assert [entry.serial_number for entry in after] == [_serial_number(revoked)]
    path = written(tmp_path, "crl.pem", after)
    options = ("-crl_check", "-CRLfile", path)
    status, text = _checked(tmp_path, core, authority_id, revoked, *options)
    assert status != 0
    assert "certificate revoked" in text
    assert _checked(tmp_path, core, authority_id, other, *options)[0] == 0
    assert "certificates on its CRL: 1" in str([hint_to_json(hint) for hint in core.authorities.hints(authority_id)])


def test_a_compromised_key_is_not_certified_again(core):
    """Somebody who has stolen a key gets no certificate for it under any name; other reasons do not block a key."""
    authority_id = _profile(core)
    for reason, status in (("superseded", "active"), ("key_compromise", "error")):
        key = ec.generate_private_key(ec.SECP256R1())

        def requested(name, key=key):
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
            csr = builder.add_extension(names, critical=True).sign(key, hashes.SHA256())
            pem = csr.public_bytes(Encoding.PEM).decode()
            certificate = core.certificates.create(csr=pem, authority=authority_id)
            core.certificates.generate_csr(certificate.id)
            core.reconcile(certificate.id)
            return core.certificates.get(certificate.id)

        first = requested(f"a-{reason.replace('_', '-')}.house.example")
        assert first.status == "active"
        core.certificates.revoke(first.id, reason=reason)
        second = requested(f"b-{reason.replace('_', '-')}.house.example")
        assert second.status == status
    assert "others may have the key" in str(second.problem)


def test_the_crl_is_renewed_in_time(core, clock):
    """The same CRL is handed out for half of its validity, then one with the next number; it is never outdated."""
    authority_id = _profile(core, crl_days="8", lifetime_days="30")
    view = _issued(core, authority_id)
    core.certificates.revoke(view.certificate.id, reason="superseded")
    first = _crl(core, authority_id)
    assert first.next_update_utc - first.last_update_utc == 8 * DAY
    clock.advance(3 * DAY)
    assert _crl(core, authority_id) == first
    clock.advance(2 * DAY)
    second = _crl(core, authority_id)
    assert _number(second) == _number(first) + 1
    assert second.last_update_utc == clock.now()
    clock.advance(-2 * DAY)  # the clock was wrong; the CRL must not be valid from tomorrow on
    third = _crl(core, authority_id)
    assert third.last_update_utc == clock.now()
    assert _number(third) == _number(second) + 1
    clock.advance(60 * DAY)
    assert len(_crl(core, authority_id)) == 0  # the leaf has ended, and was on a CRL after that


def test_rotation_keeps_old_leaves_valid(core, tmp_path):
    """After a rotation, old leaves verify, and are revoked on their own CRL; new ones have the new chain."""
    authority_id = _profile(core)
    old = _issued(core, authority_id)
    core.authorities.run_action(authority_id, "replace_issuing_ca")
    new = _issued(core, authority_id, "b.house.example")
    assert old.active.chain_pem != new.active.chain_pem
    for view in (old, new):
        assert _checked(tmp_path, core, authority_id, view)[0] == 0
    core.certificates.revoke(old.certificate.id, reason="superseded")
    core.certificates.revoke(new.certificate.id, reason="superseded")
    for issuer, view in (("0001", old), ("0002", new)):
        crl = _crl(core, authority_id, issuer)
        assert [entry.serial_number for entry in crl] == [_serial_number(view)]
        ca = x509.load_der_x509_certificate(_files(core, authority_id)[f"{issuer}.crt"])
        path = written(tmp_path, "crl.pem", crl)
        assert (
            openssl("crl", "-in", path, "-CAfile", written(tmp_path, "ca.pem", ca), "-noout")[1].strip() == "verify OK"
        )


def test_leaves_of_a_distrusted_issuing_ca_are_renewed(core, clock, tmp_path):
    """When the key of an issuing CA was stolen, clients learn it from the root's CRL, and the leaves are replaced."""
    authority_id = _profile(core, crl_url="http://pki.example/{issuer}.crl")
    old = _issued(core, authority_id)
    with pytest.raises(InvalidInputError, match="no issuing CA"):
        core.authorities.run_action(authority_id, "distrust_issuing_ca", {"issuer": "0007"})
    clock.advance(5 * DAY)
    _settled(core, clock, old.certificate.id)
    assert core.certificates.view(old.certificate.id).active.leaf_pem == old.active.leaf_pem
    for _ in range(2):  # doing it again does no harm
        core.authorities.run_action(authority_id, "distrust_issuing_ca", {"issuer": "0001"})
    for _ in range(8):
        clock.advance(timedelta(hours=1))
        _settled(core, clock, old.certificate.id)
    new = core.certificates.view(old.certificate.id)
    assert new.active.leaf_pem != old.active.leaf_pem
    crls = [_crl(core, authority_id, name) for name in ("root", "0001", "0002")]
    options = ("-crl_check_all", "-CRLfile", written(tmp_path, "crls.pem", *crls))
    assert _checked(tmp_path, core, authority_id, new, *options) == (0, f"{tmp_path / 'leaf.pem'}: OK\n")
    status, text = _checked(tmp_path, core, authority_id, old, *options)
    assert status != 0
    assert "error 23 at 1 depth lookup: certificate revoked" in text


def _settled(core, clock, certificate_id):
    """Have all steps taken that are due now."""
    for _ in range(20):
        look_again = core.reconcile(certificate_id).look_again
        if look_again is None or look_again > clock.now():
            return


def test_an_issuing_ca_is_replaced_before_leaves_would_outlive_it(core, clock, tmp_path):
    """Nobody has to watch the issuing CA: leaves have their whole lifetime, until the root itself ends."""
    authority_id = _profile(core, issuing_years="1", root_years="3", lifetime_days="90")
    issuers = set()
    for _ in range(12):
        view = _issued(core, authority_id, f"s{len(issuers)}-{clock.now().date()}.house.example")
        assert _checked(tmp_path, core, authority_id, view)[0] == 0
        assert view.leaf.not_after == clock.now() + 90 * DAY
        issuers.add(view.active.chain_pem)
        clock.advance(90 * DAY)
    assert len(issuers) == 3
    report = core.authorities.check(authority_id)
    assert not report.ok
    assert "root" in str(report.items[0].title)
    clock.advance(14.5 * DAY)
    certificate = core.certificates.create("late.house.example", authority=authority_id)
    core.certificates.generate_csr(certificate.id)
    core.reconcile(certificate.id)
    assert "ends at" in str(core.certificates.get(certificate.id).problem)
    clock.advance(10 * DAY)
    with pytest.raises(CAError, match="root has ended"):
        core.authorities.run_action(authority_id, "replace_issuing_ca")


def test_there_is_a_bound_on_issuing_cas(core):
    """The number of valid issuing CAs is limited, because each has a CRL to publish."""
    authority_id = _profile(core)
    for _ in range(7):
        core.authorities.check(authority_id)
        core.authorities.run_action(authority_id, "replace_issuing_ca")
    with pytest.raises(CAError, match="8 issuing CAs"):
        core.authorities.run_action(authority_id, "replace_issuing_ca")
    assert len(_files(core, authority_id)) == 18


def test_names_are_constrained(core, tmp_path):
    """Names outside are refused with the request; changed domains are in the next issuing CA."""
    authority_id = _profile(core, permitted_domains=["house.example"], excluded_domains=["lab.house.example"])
    for name in ("evil.example", "x.lab.house.example"):
        with pytest.raises(InvalidInputError, match="must not certify"):
            core.certificates.create(name, authority=authority_id)
    with pytest.raises(InvalidInputError) as caught:
        core.certificates.create("a.house.example", aliases=["evil.example"], authority=authority_id)
    assert caught.value.field == "aliases"
    with pytest.raises(InvalidInputError) as caught:  # it would stand for lab.house.example
        core.certificates.create("house.example", wildcard=True, authority=authority_id)
    assert caught.value.field == "wildcard"
    view = _issued(core, authority_id)
    issuing = x509.load_pem_x509_certificates(view.active.chain_pem.encode())[0]
    expected = NameConstraints(permitted=("house.example",), excluded=("lab.house.example",))
    assert NameConstraints.of(issuing) == expected
    core.authorities.edit(authority_id, settings={"permitted_domains": ["garden.example"]})
    with pytest.raises(InvalidInputError, match="must not certify"):  # the issuing CA does not permit it yet
        core.certificates.create("a.garden.example", authority=authority_id)
    assert not core.authorities.check(authority_id).ok
    core.authorities.run_action(authority_id, "replace_issuing_ca")
    assert core.authorities.check(authority_id).ok
    assert _checked(tmp_path, core, authority_id, _issued(core, authority_id, "a.garden.example"))[0] == 0


def test_a_request_whose_names_are_no_longer_permitted_is_refused(core):
    """A changed rule of the CA profile also applies to earlier requests, and the page says so."""
    authority_id = _profile(core)
    certificate = core.certificates.create("a.house.example", authority=authority_id)
    core.certificates.generate_csr(certificate.id)
    core.authorities.edit(authority_id, settings={"permitted_domains": ["garden.example"]})
    core.reconcile(certificate.id)
    refused = core.certificates.get(certificate.id)
    assert refused.status == "error"
    assert "must not certify a.house.example" in str(refused.problem)


def test_a_given_ca_signs(core, clock, tmp_path):
    """With your own issuing CA, the root's key can stay offline: certcore has only the key of the issuing CA."""
    span = {"validity": (clock.now(), clock.now() + 3000 * DAY), "key_type": CAKeyType.EC_P384}
    root = make_root(subject=ca_name("Offline Root", ""), **span)
    issuing = [
        make_intermediate(root, subject=ca_name(f"Given CA {number}", ""), constraints=NameConstraints(), **span)
        for number in range(2)
    ]
    given = [
        {
            "ca_certificates": pem_of((each.certificate, root.certificate)),
            "ca_private_key": each.to_pem().decode().partition("-----BEGIN CERTIFICATE")[0],
        }
        for each in issuing
    ]
    authority_id = _profile(core, **given[0])
    old = _issued(core, authority_id)
    assert [action.name for action in core.authorities.actions(authority_id)] == ["distrust_issuing_ca"]
    core.authorities.edit(authority_id, settings=given[1])
    new = _issued(core, authority_id, "b.house.example")
    for view, each in ((old, issuing[0]), (new, issuing[1])):
        assert view.active.chain_pem == pem_of([each.certificate])
        assert _checked(tmp_path, core, authority_id, view)[0] == 0
        core.certificates.revoke(view.certificate.id, reason="superseded")
    assert core.authorities.check(authority_id).ok
    files = _files(core, authority_id)
    crls = [content for name, content in files.items() if name.endswith(".crl")]
    assert [len(x509.load_der_x509_crl(crl)) for crl in crls] == [1, 1]
    clock.advance(3001 * DAY)
    assert [item.ok for item in core.authorities.check(authority_id).items] == [False, False, True]
    assert core.authorities.files(authority_id) == ()


def test_a_leaf_of_another_ca_is_not_revoked(core, clock):
    """Somebody who imports a leaf of another CA cannot put its serial number on this CA's CRL."""
    authority_id = _profile(core)
    ours = _issued(core, authority_id)
    request, key = make_request("a.house.example")
    foreign = core.certificates.import_certificate(
        LittleAuthority(clock.now()).issue(request, now=clock.now()), private_key=key
    )
    with pytest.raises(CAError, match="has not issued"):
        core.certificates.revoke(foreign.id, authority=authority_id, reason="superseded")
    keyless = core.certificates.import_certificate(ours.active.fullchain_pem, owner="mallory")
    module, context = ModuleHarness(core).module("local_ca"), ModuleHarness(core).context(authority_id)
    with pytest.raises(CAError, match="private key"):
        module.revoke(core.certificates.view(keyless.id).active, RevocationReason.SUPERSEDED, lambda: None, context)
    assert len(_crl(core, authority_id)) == 0


def test_serial_numbers_are_long_and_used_once(core):
    """Each leaf has a random serial number of up to 20 octets, and the store knows which issuance has it."""
    authority_id = _profile(core)
    views = [_issued(core, authority_id, f"n{number}.house.example") for number in range(20)]
    leaves = [x509.load_pem_x509_certificate(view.active.leaf_pem.encode()) for view in views]
    numbers = {leaf.serial_number for leaf in leaves}
    assert len(numbers) == len(leaves)
    assert all(0 < number < 2**159 for number in numbers)
    assert max(numbers) > 2**150
    documents = ModuleHarness(core).documents("local_ca")
    recorded = {document.key: document.value for document in documents.list(f"{authority_id}/serial/")}
    for view, leaf in zip(views, leaves, strict=True):
        assert recorded[f"{authority_id}/serial/{leaf.serial_number:040x}"] == {"issuance": view.active.id}


def test_several_threads_make_one_root(core):
    """The first certificates of a CA profile, requested at once, lead to one root and one issuing CA."""
    authority_id = _profile(core)
    ids = [core.certificates.create(f"n{number}.house.example", authority=authority_id).id for number in range(6)]
    for certificate_id in ids:
        core.certificates.generate_csr(certificate_id)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(core.reconcile, ids))
    for certificate_id in ids:
        core.reconcile(certificate_id)
    assert len({core.certificates.view(certificate_id).active.chain_pem for certificate_id in ids}) == 1
    assert len(_files(core, authority_id)) == 4


def test_two_processes_have_one_ca(tmp_path):
    """Two processes on one database make one root between them, and agree on the issuing CA that replaces another."""
    database, keyring = tmp_path / "c.db", tmp_path / "keyring.json"
    CertCore.create_keyring(keyring)
    options = {"keyring": keyring, "plugins": [plugin], "installed_plugins": False}
    with (
        CertCore.open(f"sqlite:///{database}", **options) as one,
        CertCore.open(f"sqlite:///{database}", **options) as other,
    ):
        authority_id = _profile(one)
        for round_number in range(3):
            ids = {}
            for core in (one, other):
                for number in range(2):
                    name = f"n{len(ids)}-{round_number}-{number}.house.example"
                    certificate = core.certificates.create(name, authority=authority_id)
                    core.certificates.generate_csr(certificate.id)
                    ids[certificate.id] = core
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda item: item[1].reconcile(item[0]), ids.items()))
            for certificate_id, core in ids.items():
                core.reconcile(certificate_id)
            views = [one.certificates.view(certificate_id) for certificate_id in ids]
            assert {view.certificate.status for view in views} == {"active"}, [
                view.certificate.problem for view in views
            ]
            assert len({view.active.chain_pem for view in views}) == 1
            with ThreadPoolExecutor(2) as pool:
                list(
                    pool.map(lambda core: core.authorities.run_action(authority_id, "replace_issuing_ca"), (one, other))
                )
        assert len([name for name in _files(one, authority_id) if name.startswith("root-")]) == 1


def test_keys_are_in_no_document(core):
    """Documents, files and right columns have no private key: it is sealed."""
    authority_id = _profile(core)
    _issued(core, authority_id)
    documents = ModuleHarness(core).documents("local_ca")
    shown = [str(document.value) for document in documents.list()]
    shown += [str(hint_to_json(hint)) for hint in core.authorities.hints(authority_id)]
    assert "PRIVATE" not in "".join(shown)
    assert b"PRIVATE KEY" in documents.unseal(f"{authority_id}/root")
