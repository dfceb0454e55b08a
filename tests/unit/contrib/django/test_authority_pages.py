"""The pages of CA profiles: who may do what, secrets, Save and Test with its findings, actions, files and limits."""

import asyncio
import html
import re
import threading

import pytest
from attrs import frozen
from django.test import AsyncClient

from certcore import CertCore
from certcore.errors import NotFoundError
from certcore.hints import Facts, Finding, Level, Link, Message, Notice, RecordChange, Severity
from certcore.plugin import BudgetUse, CAModule, CheckItem, CheckReport, ModuleFile, hookimpl
from support.django_pages import shown

LIST = "/ssl/authorities/"
SECRET = "canary-api-key"


def field(answer, name):
    """The tag of a field's input."""
    (tag,) = re.findall(rf'<(?:input|textarea|select)[^>]* name="{re.escape(name)}"[^>]*>', answer.content.decode())
    return tag


@pytest.fixture
def page(panel):
    """The address of the CA profile that is there."""
    return f"{LIST}{panel.authority.id}/"


@frozen
class ProbedProfile:
    """No settings."""


class ProbedCA(CAModule):
    """A module with everything that a profile's page shows, and a test that fails."""

    name = "probed"
    title = "Probed <CA>"
    profile_type = ProbedProfile
    broken = False
    #: What the second check waits for.
    hold = None

    def advance(self, work):
        raise NotImplementedError

    def hints(self, view, context):
        return []

    def check(self, context):
        finding = Finding(
            code="no_such_record",
            severity=Severity.ERROR,
            name="zone.example",
            server="ns1.zone.example (192.0.2.1)",
            expected="a CNAME",
            seen="<b>nothing</b>",
            cause=Message("", "The record is gone."),
            advice=Message("", "Set it again."),
            remedy=(RecordChange(name="x.zone.example", type="CNAME", value="y.example"),),
        )
        good = CheckItem(title=Message("", "The directory"), ok=True, detail="it answers", advice="Look at the URL.")
        context.on_checked(good)
        if self.broken:
            raise RuntimeError
        if self.hold is not None and not self.hold.wait(10):
            raise TimeoutError
        bad = CheckItem(title=Message("", "The zone"), ok=False, advice="Look at the record.", findings=(finding,))
        return CheckReport(items=(good, bad))

    def profile_hints(self, context):
        if self.broken:
            raise RuntimeError
        terms = Link(Message("", "The terms of service"), "https://ca.example/terms")
        return [Notice(Level.WARNING, Message("", "The account is young.")), Facts(()), terms]

    def budgets(self, context):
        return [BudgetUse(name="orders", label=Message("", "Orders per week"), used=5, most=5)]

    def profile_files(self, context):
        return [
            ModuleFile(name="root.crl", media_type="application/pkix-crl", content=b"CRL", label=Message("", "The CRL"))
        ]

    def certificate_files(self, view, context):
        return []


@pytest.fixture
def probed(django_tables):
    """A core with the probed CA and the policy of roles, and the address of its profile."""
    from django.test import override_settings

    from certcore.contrib.django.roles import policy

    module = ProbedCA()

    class Plugin:
        @hookimpl
        def certcore_ca_modules(self):
            return [module]

    with CertCore.in_memory(plugins=[Plugin(), policy()], installed_plugins=False) as core:
        assert core.plugin_failures == ()
        profile = core.authorities.create("Probed", module="probed")
        with override_settings(CERTCORE={"CORE": lambda: core}):
            yield core, module, f"{LIST}{profile.id}/"


def signed_in(name, group):
    from django.contrib.auth.models import Group, User
    from django.test import Client

    user = User.objects.create_user(name, password="secret")
    user.groups.add(Group.objects.get_or_create(name=group)[0])
    browser = Client()
    browser.force_login(user)
    return browser


def test_the_list_has_the_profiles_with_their_modules(panel, admin):
    """Each profile is a link, beside the title of its CA module; an administrator may add one."""
    answer = admin.get(LIST)
    assert "Shop CA" in shown(answer)
    assert "Scripted CA" in shown(answer)
    assert f'href="{LIST}new/"' in answer.content.decode()


def test_a_profile_is_created_from_the_form_of_its_module(panel, admin):
    """The fields of the module are there; what is wrong is said beside its field and in a summary that leads there."""
    wrong = admin.post(f"{LIST}new/", {"name": "", "lifetime_days": "5000", "region": "eu", "note": "kept"})
    assert wrong.status_code == 422
    assert 'href="#field-lifetime_days"' in wrong.content.decode()
    assert 'aria-invalid="true"' in field(wrong, "lifetime_days")
    assert 'value="kept"' in field(wrong, "note")
    values = {"name": "Second", "lifetime_days": "30", "region": "us", "contacts": "a\nb", "api_key": SECRET}
    made = admin.post(f"{LIST}new/", values)
    assert made.status_code == 302
    profile = panel.core.authorities.get("Second")
    assert made["Location"] == f"{LIST}{profile.id}/"
    assert (profile.settings["lifetime_days"], profile.settings["contacts"]) == (30, ["a", "b"])
    assert profile.settings["allow_wildcard"] is False  # a box that is not posted is unchecked
    assert profile.secrets_set == {"api_key"}
    assert "The CA profile is saved." in shown(admin.get(made["Location"]))


def test_a_secret_is_never_shown_again(panel, admin, page):
    """Its field is empty and says that a value is stored; an empty one keeps it, the box removes it, errors drop it."""
    values = {"name": "Shop CA", "lifetime_days": "90", "region": "eu", "allow_wildcard": "yes"}
    answer = admin.get(page)
    assert 'value=""' in field(answer, "api_key")
    assert "A value is stored" in shown(answer)
    admin.post(page, values)
    assert panel.core.authorities.get("Shop CA").secrets_set == {"api_key"}
    refused = admin.post(page, {**values, "lifetime_days": "x", "api_key": "another-secret"})
    assert refused.status_code == 422
    for each in (answer, refused, admin.get(LIST)):
        assert SECRET not in each.content.decode()
        assert "another-secret" not in each.content.decode()
    admin.post(page, {**values, "api_key.remove": "yes"})
    assert panel.core.authorities.get("Shop CA").secrets_set == frozenset()


def test_a_newer_save_is_not_overwritten(panel, admin, page):
    """A page that is older than what somebody else has saved is refused, and says so; a name that is taken, too."""
    (version,) = re.findall(r'name="version" value="(\d+)"', admin.get(page).content.decode())
    panel.core.authorities.edit(panel.authority.id, description="by somebody else")
    values = {"name": "Mine", "lifetime_days": "90", "region": "eu", "version": version}
    stale = admin.post(page, values)
    assert stale.status_code == 409
    assert 'role="alert"' in stale.content.decode()
    assert panel.core.authorities.get(panel.authority.id).name == "Shop CA"
    panel.core.authorities.create("Taken", module="scripted")
    del values["version"]
    assert admin.post(page, {**values, "name": "Taken"}).status_code == 422


def test_save_and_test_begins_the_test_once(panel, admin, page):
    """After the button the page begins the test by itself; an address that somebody made up, or sent on, does not."""
    values = {"name": "Shop CA", "lifetime_days": "90", "region": "eu", "then": "test"}
    saved = admin.post(page, values)
    assert saved["Location"].startswith(f"{page}?test=")
    begins = " data-begin"
    assert begins in admin.get(saved["Location"]).content.decode()
    assert begins not in admin.get(page).content.decode()
    assert begins not in admin.get(f"{page}?test=1").content.decode()
    other = panel.browser(panel.user("otto", "SSL operators"))
    assert begins not in other.get(saved["Location"]).content.decode()


def states(answer):
    """The states of a report that was sent while it grew, without tags."""
    whole = b"".join(answer.streaming_content).decode()
    *states, rest = whole.split("<!-- certcore: end of a state -->")
    assert rest.strip() == ""
    return [" ".join(html.unescape(re.sub(r"<[^>]*>", " ", state)).split()) for state in states]


def test_the_test_shows_each_check_with_its_remedy(probed):
    """What passed, what failed and what to do about it, what was seen where, and the exact record to set."""
    _, _, page = probed
    browser = signed_in("otto", "SSL operators")
    assert browser.get(f"{page}test/").status_code == 405
    answer = browser.post(f"{page}test/")
    text = shown(answer)
    for words in ("Passed The directory it answers", "Failed The zone Look at the record.", "The record is gone."):
        assert words in text
    assert "Look at the URL." not in text
    assert "x.zone.example CNAME y.example" in text
    assert "ns1.zone.example (192.0.2.1)" in text
    assert "<b>nothing</b>" in text  # escaped in the page
    assert "<b>nothing</b>" not in answer.content.decode()


def test_each_check_is_shown_as_soon_as_it_is_known(probed):
    """A page that reads the answer while it comes sees the list grow; a module that fails in the middle is told."""
    _, module, page = probed
    browser = signed_in("otto", "SSL operators")
    first, second, last = states(browser.post(f"{page}test/", headers={"X-Certcore-Stream": "yes"}))
    assert "This can take a minute." in first
    assert "Running The first check" in first
    assert "Passed The directory" in second
    assert "Running The next check" in second
    assert "Running" not in last
    assert "The zone" not in second
    assert "A check failed" in last
    assert "x.zone.example CNAME y.example" in last
    module.broken = True
    *_, last = states(browser.post(f"{page}test/", headers={"X-Certcore-Stream": "yes"}))
    assert "RuntimeError" in last
    viewer = signed_in("vera", "SSL viewers")
    assert viewer.post(f"{page}test/", headers={"X-Certcore-Stream": "yes"}).status_code == 403


def test_an_asgi_server_gets_each_check_as_soon_as_it_is_known(probed):
    """The answer waits without a thread of the server: the second state is sent while the check has not ended."""
    _, module, page = probed
    browser = signed_in("otto", "SSL operators")
    module.hold = threading.Event()

    async def ask():
        client = AsyncClient()
        client.cookies = browser.cookies
        answer = await client.post(f"{page}test/", headers={"X-Certcore-Stream": "yes"})
        seen = []
        async for state in answer.streaming_content:
            seen.append(state.decode())
            if len(seen) == 2:  # the module waits for this
                module.hold.set()
        return seen

    first, second, last = asyncio.run(ask())
    assert "This can take a minute." in first
    assert "The directory" in second
    assert "The zone" not in second
    assert "A check failed" in last


def test_the_right_column_of_an_unknown_module(probed):
    """Hints, limits and files of a module that the app does not know; titles are escaped."""
    _, _, page = probed
    browser = signed_in("ada", "SSL administrators")
    answer = browser.get(page)
    text = shown(answer)
    for words in ("Probed by Probed <CA>", "The account is young.", "Orders per week", "5 of 5", "The CRL"):
        assert words in text
    assert "Probed <CA>" not in answer.content.decode()
    assert 'href="https://ca.example/terms"' in answer.content.decode()
    file = browser.get(f"{page}files/root.crl")
    assert (file.content, file["Content-Type"]) == (b"CRL", "application/pkix-crl")
    assert file["Content-Disposition"] == 'attachment; filename="root.crl"'
    assert file["X-Content-Type-Options"] == "nosniff"
    assert browser.get(f"{page}files/other.crl").status_code == 404


def test_a_module_that_fails_does_not_take_its_page_away(probed):
    """The page says what the module could not do, and the form can still be used."""
    _, module, page = probed
    module.broken = True
    answer = signed_in("ada", "SSL administrators").get(page)
    assert answer.status_code == 200
    assert "cannot show its hints" in shown(answer)
    assert field(answer, "name")


def test_an_action_of_the_module_asks_and_tells(panel, admin, page):
    """Its page has its form; a wrong value is said beside its field; afterwards the profile's page tells."""
    assert f'href="{page}actions/greet/"' in admin.get(page).content.decode()
    asked = admin.get(f"{page}actions/greet/")
    assert "Says hello to somebody." in shown(asked)
    wrong = admin.post(f"{page}actions/greet/", {})
    assert wrong.status_code == 422
    assert "is required" in shown(wrong)
    done = admin.post(f"{page}actions/greet/", {"whom": "the <CA>"}, follow=True)
    assert "ada says hello to the <CA> by greet." in shown(done)
    assert admin.get(f"{page}actions/unknown/").status_code == 404


def test_a_profile_is_deleted_only_when_nothing_uses_it(panel, admin, page):
    """A page asks first; while certificates use the profile it names some, and nothing is lost."""
    certificate_id = panel.certificate("shop.example")
    assert admin.get(f"{page}delete/").status_code == 200
    used = admin.post(f"{page}delete/")
    assert used.status_code == 409
    assert "shop.example" in shown(used)
    panel.core.certificates.delete(certificate_id)
    assert admin.post(f"{page}delete/")["Location"] == LIST
    with pytest.raises(NotFoundError):
        panel.core.authorities.get(panel.authority.id)


def test_all_certificates_of_a_profile_get_a_fallback(panel, admin, page):
    """One choice changes those that have another one; those that cannot be changed are named with the reason."""
    other = panel.core.authorities.create("Other", module="scripted")
    plain = panel.certificate("shop.example")
    for chosen, expected in ((other.id, (other.id,)), ("", ())):
        answer = admin.post(f"{page}fallback/", {"fallback": chosen}, follow=True)
        assert answer.status_code == 200
        assert panel.core.certificates.get(plain).fallbacks == expected
    assert admin.post(f"{page}fallback/", {"fallback": "unknown"}).status_code == 404
    refused = panel.browser(panel.user("vera", "SSL viewers")).post(f"{page}fallback/", {"fallback": other.id})
    assert "shop.example : vera does not have the permission" in shown(refused)
    assert panel.core.certificates.get(plain).fallbacks == ()


def test_who_may_do_what(panel, page):
    """A viewer looks; an operator tests; nobody but an administrator changes anything; a tenant sees nothing."""
    viewer = panel.browser(panel.user("vera", "SSL viewers"))
    operator = panel.browser(panel.user("otto", "SSL operators"))
    tenant = panel.browser(panel.user("anna"))
    seen = viewer.get(page)
    assert "Shop CA" in shown(seen)
    assert SECRET not in seen.content.decode()
    assert "<form" not in seen.content.decode().split("<main")[1]
    assert 'href="' + LIST + "new/" not in viewer.get(LIST).content.decode()
    assert "Test now" in shown(operator.get(page))
    calls = [
        lambda browser: browser.post(page, {"name": "Mine", "lifetime_days": "9", "region": "eu"}),
        lambda browser: browser.post(f"{page}delete/"),
        lambda browser: browser.post(f"{page}actions/greet/", {"whom": "x"}),
        lambda browser: browser.post(f"{LIST}new/", {"name": "Mine", "lifetime_days": "9", "region": "eu"}),
    ]
    for call in calls:
        for browser in (viewer, operator):
            assert call(browser).status_code in (403, 422)
        assert call(tenant).status_code in (403, 404)
    assert viewer.post(f"{page}test/").status_code == 403
    assert operator.post(f"{page}test/").status_code == 200
    assert (tenant.get(LIST).status_code, tenant.get(page).status_code) == (403, 404)
    (profile,) = panel.core.authorities.list()
    assert (profile.name, profile.version) == ("Shop CA", panel.authority.version)


def test_a_get_changes_nothing_and_a_post_needs_its_token(panel, page):
    """Every address answers GET without storing anything; a form on somebody else's page is refused."""
    from django.test import Client

    user = panel.user("ada", "SSL administrators")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    before = panel.core.authorities.list()
    for address in (page, f"{page}delete/", f"{page}actions/greet/", f"{page}fallback/", f"{LIST}new/"):
        assert browser.get(address).status_code == 200
        assert browser.post(address, {"name": "x"}).status_code == 403
    assert browser.post(f"{page}test/").status_code == 403
    assert panel.core.authorities.list() == before
