"""The pages about everything: the plugins, the audit with its filters and cursor, and the deliveries that failed."""

import html
import re

import pytest

from certcore import CertCore
from certcore.contrib.django.views import audit
from certcore.plugin import hookimpl
from certcore.testing import FrozenEnvironment, ScriptedCA
from support.django_pages import shown

AUDIT, DELIVERIES, PLUGINS = "/ssl/audit/", "/ssl/deliveries/", "/ssl/plugins/"


def rows(answer):
    """The rows of the table of a page, as texts."""
    found = re.findall(r"<tr>(.*?)</tr>", answer.content.decode().partition("<tbody>")[2], re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]*>", " ", row)).split()) for row in found]


def walked(browser, address, rel):
    """The pages that the links of one kind lead through."""
    pages = []
    while address:
        pages.append(browser.get(address))
        path = address.partition("?")[0]
        links = re.findall(rf'rel="{rel}" href="([^"]+)"', pages[-1].content.decode())
        address = path + html.unescape(links[0]) if links else ""
    return pages


class Target:
    """An observer whose server is down until it is repaired."""

    name = "web-1"

    def __init__(self):
        self.is_down = True
        self.told = []

    @hookimpl
    def certcore_on_event(self, event):
        if self.is_down:
            raise ConnectionError
        self.told.append(event.number)


class Halved:
    """A plugin that cannot be loaded."""

    name = "halved"

    @hookimpl
    def certcore_ca_modules(self):
        raise RuntimeError


@pytest.fixture
def core(django_tables):
    """A core with a target that is down, and a plugin that cannot be loaded."""
    from django.test import override_settings

    from certcore.contrib.django.roles import policy

    environment = FrozenEnvironment()
    target = Target()
    plugins = [ScriptedCA(now=environment.now()).plugin(), target, Halved(), policy()]
    with (
        CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core,
        override_settings(CERTCORE={"CORE": lambda: core}),
    ):
        yield core, target


def test_the_plugins_are_shown_with_what_they_bring(core):
    """What is loaded, with its CA modules; what has a fault; its cause, which names files, for administrators."""
    answers = [
        browser.get(PLUGINS) for browser in (_browser("vera", "SSL viewers"), _browser("ada", "SSL administrators"))
    ]
    for answer in answers:
        (of_module,) = [row for row in rows(answer) if "CA modules" in row]
        assert "Loaded" in of_module
        assert "scripted" in of_module
        (of_faulty,) = [row for row in rows(answer) if row.startswith("halved")]
        assert "Loaded with a fault" in of_faulty
    assert ["RuntimeError" in shown(answer) for answer in answers] == [False, True]
    assert ["test_record_pages.py" in shown(answer) for answer in answers] == [False, True]
    assert _browser("anna").get(PLUGINS).status_code == 403


def test_the_audit_shows_everything_newest_first(panel):
    """Kind, actor, owner and certificate of each event; the filters leave those that fit."""
    browser = panel.browser(panel.user("vera", "SSL viewers"))
    panel.user("otto", "SSL operators")
    first = panel.certificate("shop.example", owner="customer-7")
    panel.core.certificates.edit(first, wildcard=True, actor="otto")
    panel.certificate("blog.example")
    told = rows(browser.get(AUDIT))
    assert [row.split(" ")[-4:] != [] for row in told] == [True, True, True]
    assert "blog.example Created system" in told[0]
    assert "shop.example Edited otto customer-7" in told[1]
    assert "shop.example Created system customer-7" in told[2]
    assert len(rows(browser.get(AUDIT, {"kind": "created"}))) == 2
    assert len(rows(browser.get(AUDIT, {"actor": "otto"}))) == 1
    assert len(rows(browser.get(AUDIT, {"domain": "BLOG"}))) == 1
    assert len(rows(browser.get(AUDIT, {"owner": "customer-7"}))) == 2
    assert "No event." in shown(browser.get(AUDIT, {"kind": "revoked"}))


def test_the_audit_goes_back_in_time_by_a_cursor(panel):
    """The link to older events keeps the filter, skips nothing, and repeats nothing."""
    browser = panel.browser(panel.user("vera", "SSL viewers"))
    panel.user("otto", "SSL operators")
    one = panel.certificate("shop.example")
    for number in range(120):
        panel.core.certificates.edit(one, subject={"organization": f"Shop {number}"}, actor="otto")
    pages = walked(browser, f"{AUDIT}?kind=edited", "next")
    assert [len(rows(page)) for page in pages] == [50, 50, 20]
    back = walked(browser, pages[-1].wsgi_request.get_full_path(), "prev")
    assert [rows(page) for page in back] == [rows(page) for page in pages[::-1]]
    for name in ("after", "before"):
        assert browser.get(AUDIT, {name: "x"}).status_code == 422


def test_a_page_of_the_audit_on_which_nothing_fits_has_both_directions(panel):
    """A filter whose events are further back than one request looks: the cursors lead there, and back."""
    panel.certificate("rare.example")
    one = panel.certificate("shop.example")
    for number in range(20):
        panel.core.certificates.edit(one, subject={"organization": f"Shop {number}"})
    core, only = panel.core.acting_as("system"), audit.AuditFilter(domain="rare")
    newest = audit.events_before(core, only, before=None, owner=None, searched=20)
    assert (newest.items, newest.newer) == ([], None)
    oldest = audit.events_before(core, only, before=newest.older, owner=None, searched=20)
    assert [item.domain for item in oldest.items] == ["rare.example"]
    assert oldest.older is None
    back = audit.events_after(core, only, after=oldest.newer, owner=None, searched=20)
    assert back.items == []
    assert [item.domain for item in audit.events_before(core, only, before=back.older, owner=None).items] == [
        "rare.example"
    ]
    assert audit.events_after(core, only, after=back.newer, owner=None, searched=20).newer is None


def test_a_tenant_sees_the_own_events_alone(panel):
    """Whatever owner the address names."""
    anna, bert = panel.user("anna"), panel.user("bert")
    panel.certificate("anna.example", owner=str(anna.pk))
    panel.certificate("bert.example", owner=str(bert.pk))
    for query in ({}, {"owner": str(bert.pk)}):
        text = shown(panel.browser(anna).get(AUDIT, query))
        assert "anna.example" in text
        assert "bert.example" not in text


def test_failed_deliveries_are_shown_and_tried_again(core):
    """The target, how often it failed and why; the button has it tried again now, and then the page is empty."""
    core, target = core
    profile = core.authorities.create("CA", module="scripted")
    one = core.certificates.create("shop.example", authority=profile.id)
    core.deliver_events()
    operator = _browser("otto", "SSL operators")
    answer = operator.get(DELIVERIES)
    assert "shop.example" in shown(answer)
    assert "failed once since" in shown(answer)
    assert "ConnectionError" in shown(answer)
    target.is_down = False
    assert core.deliver_events() == 0
    again = operator.post(f"{DELIVERIES}{one.id}/again/", follow=True)
    assert "1 delivery is tried again now." in shown(again)
    core.deliver_events()
    assert target.told == [1]
    assert "No delivery has failed." in shown(operator.get(DELIVERIES))
    assert "there is nothing to try again" in shown(operator.post(f"{DELIVERIES}{one.id}/again/", follow=True))


def test_why_a_delivery_failed_is_not_for_everybody(core):
    """A tenant and a viewer see that it failed; the reason and the button are for those who run the servers."""
    core, _ = core
    profile = core.authorities.create("CA", module="scripted")
    from django.contrib.auth.models import User

    tenant = _browser("anna")
    owner = str(User.objects.get(username="anna").pk)
    one = core.certificates.create("shop.example", authority=profile.id, owner=owner)
    core.deliver_events()
    for browser in (tenant, _browser("vera", "SSL viewers")):
        answer = browser.get(DELIVERIES)
        assert "shop.example" in shown(answer)
        assert "ConnectionError" not in shown(answer)
        assert "Deliver again" not in shown(answer)
        assert browser.post(f"{DELIVERIES}{one.id}/again/").status_code == 403
    assert "shop.example" not in shown(_browser("bert").get(DELIVERIES))
    assert tenant.get(f"{DELIVERIES}{one.id}/again/").status_code == 405


def _browser(name, *groups):
    from django.contrib.auth.models import Group, User
    from django.test import Client

    user = User.objects.create_user(name, password="secret")
    for group in groups:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    browser = Client()
    browser.force_login(user)
    return browser
