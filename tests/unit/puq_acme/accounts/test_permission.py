"""Accounts of certificates' own: only where the CA profile permits them, and no more than it permits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from attrs import evolve

from certcore import CertCore
from certcore.errors import InvalidInputError
from certcore.testing.clock import FrozenEnvironment
from certcore_puq_acme import plugin
from certcore_puq_acme.accounts.permission import AccountNotPermittedError, check_permitted
from certcore_puq_acme.accounts.records import AccountRef, account_of, own_account, read_record
from certcore_puq_acme.profile.settings import PuqAcmeSettings
from support.inside import inside

TECH = {"tech_zone": "acme.panel.test", "terms_agreed": True}


@pytest.fixture
def core():
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False, environment=FrozenEnvironment()) as core:
        yield core


def _profile(core, **settings):
    return core.authorities.create("acme", module="puq_acme", settings={**TECH, **settings})


def _context(core, profile, owner=""):
    return evolve(inside(core).contexts.context(core.authorities.get(profile.id))[1], owner=owner)


def _open(core, profile, email, owner):
    """What is stored once an account was opened for a certificate of this owner."""
    context = _context(core, profile)
    ref = account_of(context, PuqAcmeSettings(account_email=email), owner)
    value = {"url": f"https://ca.test/{email}", "directory": ref.directory, "email": email, "opened_for": owner}
    context.documents.put(ref.key, value)


def _draft(core, profile, email, owner=""):
    return core.certificates.create(
        "shop.test", authority=profile.id, owner=owner, module_data={"account_email": email}
    )


def test_no_account_of_its_own_unless_the_profile_permits_it(core):
    """The form names the field; nothing is stored. After the switch is set it is taken."""
    profile = _profile(core)
    with pytest.raises(InvalidInputError, match="does not permit") as refused:
        _draft(core, profile, "anna@shop.test")
    assert refused.value.field == "account_email"
    assert core.certificates.list().items == ()
    core.authorities.edit(profile.id, settings={"own_accounts": True})
    assert _draft(core, profile, "anna@shop.test").module_data["account_email"] == "anna@shop.test"


def test_accounts_that_exist_go_on_working(core):
    """In a profile of before there was the switch, an e-mail whose account is open is taken as before."""
    profile = _profile(core)
    _open(core, profile, "anna@shop.test", "anna")
    draft = _draft(core, profile, "anna@shop.test", "anna")
    core.certificates.generate_csr(draft.id)
    context = _context(core, profile)
    check_permitted(context, account_of(context, PuqAcmeSettings(account_email="anna@shop.test"), "anna"))


def test_the_profiles_own_account_needs_no_permission(core):
    """Neither an empty e-mail nor that of the profile is an account of its own."""
    profile = _profile(core, email="ca@panel.test")
    for email in ("", "ca@panel.test"):
        _draft(core, profile, email)
    check_permitted(_context(core, profile), own_account(_context(core, profile)))


@pytest.mark.parametrize(
    ("settings", "opened", "field"),
    [
        ({"max_accounts": 3}, [("a", "x"), ("b", "y"), ("c", "z")], "max_accounts"),
        ({"max_accounts_per_owner": 2}, [("a", "anna"), ("b", "anna"), ("c", "z")], "max_accounts_per_owner"),
    ],
)
def test_accounts_are_capped_per_profile_and_per_owner(core, settings, opened, field):
    """One more is refused with the setting that would permit it; another owner's first, or one that is open, is not."""
    profile = _profile(core, own_accounts=True, **settings)
    for name, owner in opened:
        _open(core, profile, f"{name}@shop.test", owner)
    with pytest.raises(InvalidInputError, match="permits no more") as refused:
        _draft(core, profile, "new@shop.test", "anna")
    assert (refused.value.field, field in refused.value.advice) == ("account_email", True)
    _draft(core, profile, f"{opened[0][0]}@shop.test", opened[0][1])
    if field == "max_accounts_per_owner":
        _draft(core, profile, "new@shop.test", "berta")


def test_what_was_stored_before_the_switch_is_refused_when_the_account_would_be_opened(core):
    """The profile may have changed since the form was filled in: the CA is not asked, and the reason is told."""
    profile = _profile(core)
    context = _context(core, profile, "anna")
    ref = account_of(context, PuqAcmeSettings(account_email="anna@shop.test"), "anna")
    assert isinstance(ref, AccountRef)
    with pytest.raises(AccountNotPermittedError, match="does not permit") as refused:
        check_permitted(context, ref)
    assert refused.value.acme_type == "userActionRequired"
    assert "own_accounts" in refused.value.advice


def test_accounts_that_are_being_opened_count(core):
    """A tenant asks for many at one moment: no more are opened than are permitted; a place that is not used ends."""
    profile = _profile(core, own_accounts=True, max_accounts_per_owner=3)
    context = _context(core, profile, "mallory")
    refs = [account_of(context, PuqAcmeSettings(account_email=f"m{n}@x.test"), "mallory") for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        told = [future.exception() for future in [pool.submit(check_permitted, context, ref) for ref in refs]]
    assert [type(one) for one in told if one is not None] == [AccountNotPermittedError] * 17
    chosen = refs[told.index(None)]
    check_permitted(context, chosen)  # after a refusal of the CA: the same one again
    check_permitted(_context(core, profile, "anna"), account_of(context, PuqAcmeSettings(account_email="a@x"), "anna"))
    context.environment.advance(timedelta(minutes=6))
    check_permitted(context, refs[told.index(None) - 1])


def test_nobody_uses_another_owners_account_by_its_email(core):
    """Who knows the e-mail is told what everybody is told whose e-mail is new, and would get an account of its own."""
    profile = _profile(core)
    _open(core, profile, "anna@shop.test", "anna")
    refusals = []
    for email in ("anna@shop.test", "nobody@shop.test"):
        with pytest.raises(InvalidInputError) as refused:
            _draft(core, profile, email, "mallory")
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]
    core.authorities.edit(profile.id, settings={"own_accounts": True})
    settings, context = PuqAcmeSettings(account_email="anna@shop.test"), _context(core, profile)
    annas, mallorys, bertas = (account_of(context, settings, owner) for owner in ("anna", "mallory", "berta"))
    assert len({annas.key, mallorys.key, bertas.key}) == 3
    assert not read_record(context.documents, mallorys.key).url
    assert read_record(context.documents, annas.key).url


def test_an_account_of_before_owners_were_noted_goes_on_working(core):
    """For whom it was opened is not known: whoever used it uses it still. The operator has its own alone."""
    profile = _profile(core)
    settings, context = PuqAcmeSettings(account_email="anna@shop.test"), _context(core, profile)
    key = account_of(context, settings, "").key
    older = {"url": "https://ca.test/1", "directory": context.profile.directory, "contact": "anna@shop.test"}
    stored = context.documents.put(key, older)
    assert [account_of(context, settings, one).key for one in ("anna", "")] == [key, key]
    context.documents.put(key, {**older, "email": "anna@shop.test", "opened_for": ""}, version=stored.version)
    assert [account_of(context, settings, one).key == key for one in ("anna", "")] == [False, True]
