"""What a panel does with profiles and certificates, besides issuing."""

import logging

import pytest
from cryptography.hazmat.primitives import serialization

import certcore
from certcore import CertCore, Status, Subject
from certcore.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    AmbiguousNameError,
    CertCoreError,
    InUseError,
    InvalidInputError,
    NotFoundError,
    StaleWriteError,
    UnsealError,
)
from certcore.model.hints import hint_to_json
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.keys import spki_sha256
from support.databases import sqlite_with_tables
from support.inside import inside


def test_a_draft_keeps_what_was_typed_in_its_normal_form(bench):
    """Names are normalised once, order is kept, and saving makes neither key nor request."""
    draft = bench.draft(
        " Größe.Example. ",
        aliases="WWW.Größe.example\n\n shop.example ",
        wildcard=True,
        subject={"organization": " Größe GmbH ", "country": "de"},
        module_data={"order_reference": "42"},
    )
    assert [name.ascii for name in draft.names] == [
        "xn--gre-6ka8i.example",
        "*.xn--gre-6ka8i.example",
        "www.xn--gre-6ka8i.example",
        "shop.example",
    ]
    assert draft.subject == Subject(organization="Größe GmbH", country="DE")
    assert draft.status is Status.DRAFT
    assert bench.core.certificates.issuances(draft.id) == []
    assert bench.ca.calls == 0


def test_two_editors(bench):
    """Of two users who edit one version the second gets an error, and the first one's change stays."""
    draft = bench.draft()
    bench.core.certificates.edit(draft.id, wildcard=True, version=draft.version, actor="alice")
    with pytest.raises(StaleWriteError):
        bench.core.certificates.edit(draft.id, domain="other.example", version=draft.version, actor="bob")
    assert bench.get(draft.id).domain.ascii == "shop.example"
    profile = bench.authority
    bench.core.authorities.edit(profile.id, description="one", version=profile.version)
    with pytest.raises(StaleWriteError):
        bench.core.authorities.edit(profile.id, description="two", version=profile.version)
    assert bench.core.authorities.get(profile.id).description == "one"


def test_a_certificate_is_found_by_id_or_by_its_domain(bench):
    """A domain names a certificate where it is unambiguous, however it is written; else the ids are listed."""
    certificate = bench.draft("shop.example")
    assert bench.core.certificates.find("SHOP.example.") == certificate
    assert bench.core.certificates.find(certificate.id) == certificate
    two = bench.draft("shop.example")
    with pytest.raises(AmbiguousNameError) as caught:
        bench.core.certificates.find("shop.example")
    assert set(caught.value.ids) == {certificate.id, two.id}
    for missing in ("nobody.example", "not a name", ""):
        with pytest.raises(NotFoundError):
            bench.core.certificates.find(missing)


def test_pages(bench):
    """A list comes in pages that a cursor continues, filtered by status, profile and owner."""
    for number in range(7):
        bench.draft(f"d{number}.example", owner="even" if number % 2 == 0 else "odd")
    bench.active("active.example")
    first = bench.core.certificates.list(limit=5)
    rest = bench.core.certificates.list(limit=5, after=first.next_cursor)
    assert len(first.items) == 5
    assert rest.next_cursor is None
    domains = [one.domain.ascii for one in (*first.items, *rest.items)]
    assert domains == sorted(domains)
    assert len(domains) == 8
    assert [certificate.domain.ascii for certificate in bench.core.certificates.list(status="active").items] == [
        "active.example"
    ]
    assert len(bench.core.certificates.list(owner="odd").items) == 3
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": True}, {"status": "gone"}):
        with pytest.raises(InvalidInputError):
            bench.core.certificates.list(**wrong)


def test_a_profile_in_use_is_kept(bench):
    """A profile goes only when no certificate uses it; then its secrets go, too."""
    certificate = bench.draft()
    with pytest.raises(InUseError) as caught:
        bench.core.authorities.delete(bench.authority.id)
    assert "shop.example" in str(caught.value)
    bench.core.certificates.delete(certificate.id)
    bench.core.authorities.delete(bench.authority.id)
    with inside(bench.core).storage.read() as transaction:
        assert transaction.secrets.names("authority-setting") == []
    with pytest.raises(NotFoundError):
        bench.core.authorities.get("test")


def test_profile_names_are_unique(bench):
    """A second profile of one name is refused, also by renaming."""
    with pytest.raises(AlreadyExistsError):
        bench.core.authorities.create("test", module="scripted")
    other = bench.core.authorities.create("other", module="scripted")
    with pytest.raises(AlreadyExistsError):
        bench.core.authorities.edit(other.id, name=" test ")


def test_secrets_of_a_profile_stay_unless_they_are_changed(bench):
    """Editing other settings keeps a secret; empty text removes it; it is never in what is returned."""
    profile = bench.core.authorities.edit(bench.authority.id, settings={"note": "x"})
    opened = inside(bench.core).contexts.profile(profile)
    assert opened.api_key.reveal_text() == "canary-api-key"
    assert profile.secrets_set == {"api_key"}
    assert "canary" not in repr(profile) + repr(opened)
    removed = bench.core.authorities.edit(profile.id, settings={"api_key": ""})
    assert removed.secrets_set == frozenset()
    assert inside(bench.core).contexts.profile(removed).api_key is None


def test_taking_a_key_out_needs_a_reason_and_is_on_the_record(bench):
    """Without a reason there is no key; with one there is an entry that names who took it and why."""
    certificate_id = bench.active()
    for call in (bench.core.certificates.export, bench.core.certificates.private_key):
        with pytest.raises(InvalidInputError) as caught:
            call(certificate_id, reason="  ")
        assert caught.value.field == "reason"
    exported = bench.core.certificates.export(certificate_id, reason="web-3", actor="carol")
    assert "PRIVATE KEY" in exported.private_key.reveal_text()
    assert "PRIVATE KEY" not in repr(exported)
    event = bench.core.certificates.timeline(certificate_id)[-1]
    assert (event.kind, event.actor, event.data["reason"]) == ("key_revealed", "carol", "web-3")


def test_there_is_nothing_to_export_before_it_is_issued(bench):
    """A certificate that was never issued says so, with what to do."""
    draft = bench.draft()
    with pytest.raises(CertCoreError) as caught:
        bench.core.certificates.export(draft.id, reason="x")
    assert "Draft" in str(caught.value)
    assert caught.value.advice


class Policy:
    """Says no to what is listed, or fails."""

    def __init__(self, *denied, fails=False):
        self.denied, self.fails, self.asked = denied, fails, []

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject):
        self.asked.append((actor, action, subject))
        if self.fails:
            raise RuntimeError("the directory service is down")
        return False if action in self.denied else None


@pytest.mark.parametrize("fails", [False, True])
def test_a_policy_decides(fails):
    """A policy that says no, or that fails, keeps the door shut, and nothing is changed."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    policy = Policy("certificate.create", "certificate.reveal_key")
    with CertCore.in_memory(plugins=[ca.plugin(), policy], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted", actor="root")
        policy.fails = fails
        with pytest.raises(AccessDeniedError):
            core.certificates.create("shop.example", authority=authority.id, actor="mallory")
        with inside(core).storage.read() as transaction:
            assert transaction.certificates.page() == []
        assert policy.asked[0] == ("root", "authority.create", "")
        assert policy.asked[-1] == ("mallory", "certificate.create", "")
        policy.denied, policy.fails = ("certificate.reveal_key",), False
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id
        core.certificates.generate_csr(certificate_id)
        core.reconcile(certificate_id)
        with pytest.raises(AccessDeniedError):
            core.certificates.export(certificate_id, reason="x", actor="mallory")
        assert [event.kind for event in core.certificates.timeline(certificate_id)][-1] == "installed"


def test_a_module_that_is_gone_takes_the_page_not_down(tmp_path):
    """When a certificate's CA module is not installed any more, its page says so and everything else works."""
    environment = FrozenEnvironment()
    CertCore.create_keyring(tmp_path / "keyring.json")

    def opened(*plugins):
        url = sqlite_with_tables(tmp_path)
        keyring = tmp_path / "keyring.json"
        return CertCore.open(url, keyring=keyring, plugins=plugins, installed_plugins=False, environment=environment)

    with opened(ScriptedCA([Act.ISSUE], now=environment.now()).plugin()) as core:
        authority = core.authorities.create("test", module="scripted")
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id
        core.certificates.generate_csr(certificate_id)
        core.reconcile(certificate_id)
    with opened() as core:
        (hint,) = core.certificates.hints(certificate_id)
        assert "scripted" in str(hint_to_json(hint))
        assert core.certificates.get(certificate_id).status is Status.ACTIVE
        assert core.certificates.export(certificate_id, reason="x").leaf_pem


def test_secrets_appear_nowhere(bench, caplog):
    """Keys and API secrets are in no value, hint, event, error or log line of a life with every kind of trouble."""
    shown = []
    with caplog.at_level(logging.DEBUG):
        certificate_id = bench.requested()
        for act in (*Act, Act.ISSUE):
            bench.ca.script = (act,)
            bench.step(certificate_id)
            view = bench.core.certificates.view(certificate_id)
            shown.append(repr(view))
            shown.append(str([hint_to_json(hint) for hint in bench.core.certificates.hints(certificate_id)]))
            shown.append(str(view.certificate.problem))
            if bench.get(certificate_id).status is Status.ERROR:
                bench.core.certificates.check_now(certificate_id)
        key = bench.core.certificates.private_key(certificate_id, reason="test")
        with inside(bench.core).storage.read() as transaction:
            shown += [repr(event) for event in transaction.events.after(0)]
            name = bench.core.certificates.issuances(certificate_id)[0].key_name
            sealed = transaction.secrets.get(name)
        with pytest.raises(UnsealError) as caught:
            inside(bench.core).vault.open(sealed, type(name)(name.purpose, "somebody-else"))
        shown.append(str(caught.value))
    everything = caplog.text + "".join(shown)
    for secret in (key.reveal_text().splitlines()[1], "PRIVATE KEY", "canary-api-key"):
        assert secret not in everything


def test_the_view_has_the_public_key(bench):
    """As PEM, of the leaf in service; none before there is one."""
    assert bench.core.certificates.view(bench.draft("b.example").id).public_key_pem == ""
    view = bench.core.certificates.view(bench.active())
    key = serialization.load_pem_public_key(view.public_key_pem.encode())
    assert spki_sha256(key) == view.leaf.spki_sha256
