"""Chains: alternates, the preferred one, roots that are insisted on, and certificates that cannot be used."""

from datetime import timedelta

import pytest

from certcore.x509.chain import parse_chain, verify_chain
from support.acme_accounts import path_of
from support.hint_texts import notices_and_facts


@pytest.mark.pebble
@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (500, b"{}"), (200, b"no certificate")])
def test_an_alternate_chain_that_cannot_be_had(panel, start_pebble, before, status, body):
    """The CA's own choice is installed, with a word about it; one order is placed."""
    pebble = start_pebble(nonce_reject=0, alternate_roots=1)
    plan, proxy = before(pebble)
    profile = panel.profile(**proxy, preferred_chain=parse_root(pebble.issuer_root_pem(1)))
    plan.rewrite = lambda path, *was: (status, body, was[2]) if "/alternate/" in path else was
    certificate_id = panel.issued(profile, "a.shop.test")
    assert "1 more could not be downloaded" in notices_and_facts(panel, certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1


@pytest.mark.pebble
def test_wrong_roots_cost_no_more_than_one_leaf(panel, start_pebble, before):
    """The leaf that is there is judged again later and later; when the profile is corrected it is installed."""
    pebble = start_pebble(nonce_reject=0)
    plan, proxy = before(pebble)
    profile = panel.profile(**proxy, chain_roots=pebble.roots_pem)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    begun = panel.environment.now()
    waits = []
    panel.drive(certificate_id, lambda _: panel.environment.now() - begun > timedelta(days=7), travel=True)
    for _ in range(2):
        waits.append(panel.core.reconcile(certificate_id).look_again - panel.environment.now())
        panel.environment.skip(waits[-1])
    assert min(waits) > timedelta(hours=6)
    assert "no chain to any of the roots" in str(panel.core.certificates.get(certificate_id).problem)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1
    panel.core.authorities.edit(profile.id, settings={"chain_roots": pebble.issuer_root_pem(0)})
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1


@pytest.mark.pebble
def test_an_unreadable_certificate_is_fetched_again(panel, trouble):
    """No second leaf is ordered for it within a day."""
    plan, proxy = trouble
    certificate_id = panel.request(panel.profile(**proxy), "a.shop.test")
    panel.set_cnames(certificate_id)
    text = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    plan.rewrite = lambda path, *was: (200, text, was[2]) if path.startswith("/certZ/") else was
    refused = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "downloaded again" in refused.problem.advice
    assert panel.txt_values() == []
    plan.rewrite = lambda path, *was: was
    panel.until_active(certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 1


@pytest.mark.pebble
def test_a_certificate_that_is_gone_is_ordered_anew(panel, start_pebble, before):
    """While its chain waits to be judged again, the CA may forget it."""
    pebble = start_pebble(nonce_reject=0)
    plan, proxy = before(pebble)
    profile = panel.profile(**proxy, chain_roots=pebble.roots_pem)
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    gone = path_of(panel.issuance(certificate_id).module_state["certificate"])
    plan.has = lambda _, path: path != gone
    panel.core.authorities.edit(profile.id, settings={"chain_roots": ""})
    panel.until_active(certificate_id)
    assert [path for path, _ in plan.asked].count("/order-plz") == 2


@pytest.mark.pebble
def test_the_preferred_chain(panel, start_pebble):
    """The alternate chain is chosen by the name of its root or of an issuer; an unknown name is only reported."""
    pebble = start_pebble(alternate_roots=2, chain_length=2)
    roots = [pebble.issuer_root_pem(number) for number in range(3)]
    names = [parse_root(root) for root in roots]
    for number in range(3):
        profile = panel.profile(
            pebble.directory_url, pebble.roots_pem, name=f"ca {number}", preferred_chain=names[number].upper()
        )
        certificate_id = panel.issued(profile, f"d{number}.shop.test")
        chain = parse_chain(panel.core.certificates.export(certificate_id, reason="test").fullchain_pem)
        verify_chain(chain, roots[number], panel.environment.now())
        assert f"Root: {names[number]}" in notices_and_facts(panel, certificate_id)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, name="other", preferred_chain="No Such Root")
    certificate_id = panel.issued(profile, "x.shop.test")
    text = notices_and_facts(panel, certificate_id)
    assert "'No Such Root'" in text
    assert names[0] in text


def parse_root(pem):
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


@pytest.mark.pebble
def test_roots_that_are_insisted_on(panel, start_pebble):
    """The chain has to lead to one of the profile's roots, alternates included; else nothing is installed."""
    pebble = start_pebble(alternate_roots=1)
    second = panel.profile(pebble.directory_url, pebble.roots_pem, name="second", chain_roots=pebble.issuer_root_pem(1))
    certificate_id = panel.issued(second, "a.shop.test")
    chain = parse_chain(panel.core.certificates.export(certificate_id, reason="test").fullchain_pem)
    verify_chain(chain, pebble.issuer_root_pem(1), panel.environment.now())
    wrong = panel.profile(pebble.directory_url, pebble.roots_pem, name="wrong", chain_roots=pebble.roots_pem)
    two = panel.request(wrong, "b.shop.test")
    panel.set_cnames(two)
    failed = panel.drive(two, lambda certificate: certificate.problem is not None)
    assert failed.active_issuance_id is None
    assert "no chain to any of the roots" in str(failed.problem)
    assert "chain_roots" in failed.problem.advice
    assert panel.txt_values() == []
