"""The module in certcore: the CSR is downloaded, and the chain uploaded, through the same calls as for any module."""

from datetime import timedelta

import pytest

import certcore
from certcore import CertCore
from certcore.hints import hint_to_json
from certcore.plugin import AccessDeniedError, InvalidInputError
from certcore.testing import CAModuleContract, FrozenEnvironment, LittleAuthority, conformance
from certcore_manual_ca import plugin

DAY = timedelta(days=1)
SETTINGS = {"ca_name": "Town Hall CA", "portal_url": "https://portal.ca.example/"}


class Policy:
    """Only carla may approve."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action):
        return actor in {"carla", "system"} or action != "certificate.approve"


def _core(environment):
    return CertCore.in_memory(plugins=[plugin, Policy()], installed_plugins=False, environment=environment)


@pytest.fixture
def clock():
    return FrozenEnvironment()


@pytest.fixture
def ca(clock):
    """The CA that an administrator goes to."""
    return LittleAuthority(clock.now())


@pytest.fixture
def core(clock):
    with _core(clock) as core:
        yield core


def _waiting(core, name="shop.example", **settings):
    """A certificate that waits for the administrator."""
    profile = core.authorities.create("by hand", module="manual_ca", settings={**SETTINGS, **settings})
    certificate = core.certificates.create(name, authority=profile.id, owner="anna")
    core.certificates.generate_csr(certificate.id)
    core.reconcile(certificate.id)
    assert core.certificates.get(certificate.id).status == "pending"
    return certificate.id


def _csr(core, certificate_id):
    """The CSR, as the certificate's page hands it out."""
    (csr,) = (file for file in core.certificates.files(certificate_id) if file.name.endswith(".csr"))
    assert csr.media_type == "application/pkcs10"
    return csr.content.decode()


def _upload(core, certificate_id, chain):
    return core.certificates.run_action(certificate_id, "upload_chain", {"chain": chain}, actor="carla")


class TestManualCA(CAModuleContract):
    """The suite that every CA module passes; the administrator comes whenever time passes."""

    module_name = "manual_ca"
    invalid_settings = (
        ({"portal_url": "http://x.example"}, "portal_url"),
        ({"ca_certificates": "x"}, "ca_certificates"),
    )

    @pytest.fixture
    def core(self, clock):
        with _core(clock) as core:
            yield core

    @pytest.fixture
    def settings(self):
        return SETTINGS

    def wait(self, core, duration):
        ca = LittleAuthority(core.now())
        for row in core.certificates.rows(attempt="administrator").items:
            _upload(core, row.certificate.id, ca.issue(_csr(core, row.certificate.id), now=core.now()))
        super().wait(core, min(duration, timedelta(minutes=1)))


def test_it_keeps_every_rule():
    """The conformance suite of certcore finds no broken rule, with an administrator who uploads the chain."""

    def others_act(core, certificate_id):
        files = [file for file in core.certificates.files(certificate_id) if file.name.endswith(".csr")]
        for csr in files if core.certificates.view(certificate_id).under_way else []:
            chain = LittleAuthority(core.now()).issue(csr.content.decode(), now=core.now())
            core.certificates.run_action(certificate_id, "upload_chain", {"chain": chain})

    report = conformance.run(plugin, settings=SETTINGS, others_act=others_act)
    assert report.ok, report.text()


def test_from_the_csr_to_an_active_certificate(core, ca, clock):
    """Download the CSR, upload the chain: the certificate is due at once, and active after the next step."""
    certificate_id = _waiting(core)
    assert [row.certificate.id for row in core.certificates.rows(attempt="administrator").items] == [certificate_id]
    hints = [hint_to_json(hint) for hint in core.certificates.hints(certificate_id)]
    assert {"notice", "facts", "steps", "link", "action"} <= {hint["kind"] for hint in hints}
    buttons = {hint["name"]: hint for hint in hints if hint["kind"] == "action"}
    assert [field["name"] for field in buttons["upload_chain"]["fields"]] == ["chain"]
    _upload(core, certificate_id, ca.issue(_csr(core, certificate_id), now=clock.now()))
    core.reconcile(certificate_id)
    certificate = core.certificates.get(certificate_id)
    assert certificate.status == "active"
    assert core.certificates.view(certificate_id).active.chain_pem == ca.intermediate_pem
    assert "acted" in [event.kind for event in core.certificates.timeline(certificate_id)]
    assert core.certificates.files(certificate_id) == ()


def test_the_owner_cannot_upload(core, ca, clock):
    """The owner of the certificate sees the steps, but not the buttons, and cannot run the actions."""
    certificate_id = _waiting(core)
    hints = [hint_to_json(hint) for hint in core.certificates.hints(certificate_id, actor="anna")]
    assert "steps" in {hint["kind"] for hint in hints}
    assert not {"upload_chain", "refuse_request"} & {hint.get("name") for hint in hints}
    chain = ca.issue(_csr(core, certificate_id), now=clock.now())
    with pytest.raises(AccessDeniedError):
        core.certificates.run_action(certificate_id, "upload_chain", {"chain": chain}, actor="anna")


def test_a_wrong_upload_is_refused_in_its_field(core, ca, clock):
    """The form says what is wrong, and the request still waits for the right chain."""
    certificate_id = _waiting(core, ca_certificates=ca.root_pem + ca.intermediate_pem)
    csr, now = _csr(core, certificate_id), clock.now()
    other = LittleAuthority(now, name="Other CA").issue(csr, now=now)
    wrong = {
        "no certificate": "Dear customer, please find attached",
        "key of this request": ca.intermediate_pem,
        "missing: shop.example": ca.issue(csr, now=now, names=["shop.test"]),
        "has ended": ca.issue(csr, now=now - 100 * DAY),
        "not issued by the CA": other[: other.index("-----END CERTIFICATE-----") + 26],
    }
    for reason, chain in wrong.items():
        with pytest.raises(InvalidInputError, match=reason) as caught:
            _upload(core, certificate_id, chain)
        assert caught.value.field == "chain"
    _upload(core, certificate_id, ca.issue(csr, now=now))
    core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status == "active"


def test_the_chain_is_completed_and_put_in_order(core, ca, clock):
    """An answer with the leaf alone, or with the chain upside down, becomes what servers present."""
    certificate_id = _waiting(core, ca_certificates=ca.root_pem + ca.intermediate_pem)
    chain = ca.issue(_csr(core, certificate_id), now=clock.now())
    leaf = chain.removesuffix(ca.intermediate_pem)
    _upload(core, certificate_id, leaf)
    core.reconcile(certificate_id)
    assert core.certificates.view(certificate_id).active.fullchain_pem == chain
    core.certificates.renew(certificate_id)
    core.reconcile(certificate_id)
    chain = ca.issue(_csr(core, certificate_id), now=clock.now())
    leaf = chain.removesuffix(ca.intermediate_pem)
    _upload(core, certificate_id, ca.root_pem + ca.intermediate_pem + leaf)
    core.reconcile(certificate_id)
    assert core.certificates.view(certificate_id).active.fullchain_pem == chain


@pytest.mark.parametrize(
    ("names", "is_taken"),
    [
        (["*.example", "x.example"], True),
        (["*.shop.example"], False),
        (["SHOP.example"], True),
        (["*.shop.test"], False),
    ],
)
def test_names_are_compared_as_clients_compare_them(core, ca, clock, names, is_taken):
    """A leaf with more names, or with a wildcard for the name, serves the request."""
    certificate_id = _waiting(core)
    chain = ca.issue(_csr(core, certificate_id), now=clock.now(), names=names)
    if is_taken:
        _upload(core, certificate_id, chain)
        core.reconcile(certificate_id)
        assert core.certificates.get(certificate_id).status == "active"
    else:
        with pytest.raises(InvalidInputError, match=r"missing: shop\.example"):
            _upload(core, certificate_id, chain)


def test_a_request_can_be_refused(core):
    """The owner reads the reason; nothing is retried automatically."""
    certificate_id = _waiting(core)
    core.certificates.run_action(certificate_id, "refuse_request", {"reason": "The name is not yours."}, actor="carla")
    core.reconcile(certificate_id)
    certificate = core.certificates.get(certificate_id)
    assert certificate.status == "error"
    assert "The name is not yours." in str(certificate.problem)


def test_a_renewal_waits_in_time(core, ca, clock):
    """The leaf stays in service while its renewal waits for the administrator, who can list such certificates."""
    certificate_id = _waiting(core)
    _upload(core, certificate_id, ca.issue(_csr(core, certificate_id), now=clock.now()))
    core.reconcile(certificate_id)
    clock.advance(80 * DAY)
    for _ in range(10):
        if core.certificates.rows(attempt="administrator").items:
            break
        core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status == "active"
    assert [row.certificate.id for row in core.certificates.rows(attempt="administrator").items] == [certificate_id]
    first = core.certificates.view(certificate_id).active.leaf_pem
    _upload(core, certificate_id, ca.issue(_csr(core, certificate_id), now=clock.now()))
    core.reconcile(certificate_id)
    assert core.certificates.view(certificate_id).active.leaf_pem != first
