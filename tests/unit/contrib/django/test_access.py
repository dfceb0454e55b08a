"""Who may open the section, and what belongs to whom."""

import re

import pytest

from certcore import AccessDeniedError, Role

pytestmark = pytest.mark.usefixtures("django_tables")


def test_nobody_sees_the_section_without_signing_in(panel):
    """A visitor is sent to the sign-in, with the way back."""
    answer = panel.browser().get("/ssl/certificates/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/ssl/certificates/")


@pytest.mark.parametrize(
    ("referer", "wanted"),
    [
        (
            "http://testserver/ssl/certificates/?status=error&after=x#rows",
            "/ssl/certificates/%3Fstatus%3Derror%26after%3Dx",
        ),
        ("http://elsewhere.example/ssl/audit/", "/ssl/"),
        ("http://testserver", "/ssl/"),
        ("http://testserver//elsewhere.example/", "/ssl/"),
        ("http://testserver/\\elsewhere.example/", "/ssl/"),
        ("javascript:alert(1)", "/ssl/"),
        ("", "/ssl/"),
    ],
)
def test_whoever_posts_after_the_session_ended_comes_back_to_the_form(panel, referer, wanted):
    """The addresses of many posts show no page; and nobody else's page is gone to after the sign-in."""
    answer = panel.browser().post("/ssl/certificates/bulk/", {}, headers={"Referer": referer})
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={wanted}")


def test_an_open_page_whose_session_ended_is_loaded_anew(panel):
    """A live part that nobody is signed in for says so, instead of drawing the sign-in into the page."""
    answer = panel.browser().get("/ssl/certificates/rows/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"]) == (401, "true")


def test_a_user_without_a_role_is_a_tenant(panel):
    """Own certificates are there, those of others are not."""
    carla = panel.user("carla")
    panel.certificate("carla.example", owner=str(carla.pk))
    panel.certificate("other.example", owner="another")
    page = panel.browser(carla).get("/ssl/certificates/").content.decode()
    assert "carla.example" in page
    assert "other.example" not in page


@pytest.mark.parametrize("group", ["SSL viewers", "SSL operators", "SSL administrators"])
def test_a_role_sees_all_tenants(panel, group):
    """Whoever has a role by a group sees the certificates of everybody."""
    panel.certificate("other.example", owner="another")
    page = panel.browser(panel.user("otto", group)).get("/ssl/certificates/").content.decode()
    assert "other.example" in page


def test_a_viewer_is_offered_nothing_that_changes(panel):
    """Only the export, without keys; and what is posted nevertheless is refused, row by row."""
    certificate_id = panel.certificate()
    browser = panel.browser(panel.user("vera", "SSL viewers"))
    page = browser.get("/ssl/certificates/").content.decode()
    assert re.findall(r'name="action" value="(\w+)"', page) == ["export"]
    assert 'name="delete_one"' not in page
    posted = {"action": "delete", "ids": certificate_id, "confirmed": "yes"}
    assert browser.post("/ssl/certificates/bulk/", posted).status_code == 302
    assert panel.core.certificates.get(certificate_id).status == "draft"


def test_a_superuser_is_an_administrator(panel):
    """Roles of certcore need no further work for the first user of a panel; who is deactivated has none."""
    from certcore.contrib.django.roles import role_of

    root = panel.user("root", is_superuser=True)
    assert role_of(root) is Role.ADMINISTRATOR
    root.is_active = False
    assert role_of(root) is None


def test_being_staff_is_not_a_role(panel):
    """The flag that opens Django's admin says nothing about certificates."""
    from certcore.contrib.django.roles import role_of

    assert role_of(panel.user("stan", is_staff=True)) is None


@pytest.mark.parametrize("name", ["system", "engine"])
def test_no_user_acts_under_a_name_of_certcore(panel, name):
    """Somebody who registers as `system` does not get what the panel itself may do."""
    answer = panel.browser(panel.user(name)).get("/ssl/certificates/")
    assert answer.status_code == 403


def test_a_role_that_is_taken_away_ends_with_the_request(panel):
    """Nothing of a request is kept for the next one."""
    vera = panel.user("vera", "SSL viewers")
    panel.certificate("other.example", owner="another")
    browser = panel.browser(vera)
    assert "other.example" in browser.get("/ssl/certificates/").content.decode()
    vera.groups.clear()
    assert "other.example" not in browser.get("/ssl/certificates/").content.decode()


def test_the_panel_itself_may_do_everything_and_strangers_nothing(panel):
    """Outside of a request, an actor has the role of the user with this name."""
    panel.user("otto", "SSL operators")
    certificate_id = panel.certificate(owner="another")
    assert panel.core.acting_as("otto").certificates.get(certificate_id).id == certificate_id
    with pytest.raises(AccessDeniedError):
        panel.core.acting_as("nobody").certificates.rows()


def test_the_owner_is_what_the_setting_says(panel, settings_of):
    """Panels whose tenants are companies name the company of the request."""
    with settings_of(OWNER=lambda request: "company-3"):
        panel.certificate("ours.example", owner="company-3")
        panel.certificate("other.example", owner="company-30")
        page = panel.browser(panel.user("carla")).get("/ssl/certificates/").content.decode()
    assert "ours.example" in page
    assert "other.example" not in page


def test_groups_are_made_by_a_migration(django_tables):
    """`manage.py migrate` leaves the groups that give the roles."""
    from django.contrib.auth.models import Group
    from django.core.management import call_command

    Group.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert {"SSL viewers", "SSL operators", "SSL administrators"} <= set(Group.objects.values_list("name", flat=True))
