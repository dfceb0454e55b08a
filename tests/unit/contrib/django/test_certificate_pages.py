"""The pages of certificates, used as a browser uses them: made, requested, changed, given away, exported, deleted."""

import re

import pytest

from certcore import Status
from certcore.testing import Act, make_request
from support.django_pages import KEY, LIST, form_values, page, text


def test_a_draft_is_made_and_its_csr_generated(panel, admin):
    """The form stores a draft without a key; Generate CSR saves what the page shows first, and the page gets active."""
    made = admin.post(
        f"{LIST}new/", {"domain": "shop.example", "authority": panel.authority.id, "auto": "yes", "rotate_key": "yes"}
    )
    assert made.status_code == 302
    certificate_id = made["Location"].rstrip("/").rpartition("/")[2]
    assert panel.core.certificates.get(certificate_id).status is Status.DRAFT
    assert panel.core.certificates.issuances(certificate_id) == []
    shown = text(admin.get(made["Location"]))
    assert 'value="shop.example"' in shown
    assert "Generate CSR" in shown
    panel.ca.script = (Act.ISSUE,)
    requested = admin.post(
        made["Location"], form_values(panel, certificate_id, aliases="www.shop.example", then="generate_csr")
    )
    assert requested.status_code == 302
    panel.core.reconcile(certificate_id)
    assert [name.ascii for name in panel.core.certificates.get(certificate_id).names] == [
        "shop.example",
        "www.shop.example",
    ]
    shown = text(admin.get(made["Location"]))
    assert "Certificate is active!" in shown
    assert shown.count("-----BEGIN CERTIFICATE-----") == 2
    assert "-----BEGIN CERTIFICATE REQUEST-----" in shown


def test_a_certificate_in_danger_is_not_praised(panel, admin):
    """Where the renewal is in danger the page says so, and not that all is well because the leaf still serves."""
    certificate_id = panel.active()
    panel.advance(days=85)
    shown = text(admin.get(f"/ssl/certificates/{certificate_id}/"))
    assert "Renewal in danger" in shown
    assert "Certificate is active!" not in shown


def test_wrong_values_are_told_beside_their_fields_and_at_the_top(panel, admin):
    """Every one of them, with a link to the field, and what was typed stays."""
    typed = {"domain": "https://shop.example/x", "aliases": "a_b.example", "days_before": "400", "authority": ""}
    answer = admin.post(f"{LIST}new/", typed)
    shown = text(answer)
    assert answer.status_code == 422
    for name in ("domain", "aliases", "days_before", "authority"):
        assert f'href="#field-{name}"' in shown
        assert re.search(rf'id="field-{name}"[^>]*aria-invalid="true"', shown)
        assert not re.search(rf'id="field-{name}-errors"></div>', shown)
    assert "the name in it is shop.example" in shown
    assert 'value="https://shop.example/x"' in shown
    assert panel.core.certificates.list().items == ()


def test_another_ca_profile_brings_its_own_fields(panel, admin):
    """The fields are drawn anew with what was typed, and nothing is stored."""
    assert 'name="order_reference"' in text(admin.get(f"{LIST}new/"))  # the only profile is chosen already
    other = panel.core.authorities.create("Other CA", module="scripted")
    assert 'name="order_reference"' not in text(admin.get(f"{LIST}new/"))
    drawn = admin.post(
        f"{LIST}new/",
        {"domain": "shop.example", "authority": other.id, "refresh": "yes"},
        headers={"HX-Request": "true"},
    )
    shown = text(drawn)
    assert 'name="order_reference"' in shown
    assert 'value="shop.example"' in shown
    assert "<html" not in shown
    assert panel.core.certificates.list().items == ()


def test_what_takes_a_new_leaf_is_asked_first(panel, admin):
    """Save with another name changes nothing and asks; the button that says so requests the new leaf."""
    certificate_id = panel.active()
    changed = form_values(panel, certificate_id, aliases="www.shop.example")
    asked = admin.post(page(certificate_id), changed)
    assert "Reissue with these changes" in text(asked)
    assert panel.core.certificates.get(certificate_id).aliases == ()
    assert admin.post(page(certificate_id), {**changed, "reissue": "yes"}).status_code == 302
    assert [name.ascii for name in panel.core.certificates.get(certificate_id).aliases] == ["www.shop.example"]
    assert panel.core.certificates.view(certificate_id).under_way


def test_a_save_over_a_newer_version_is_refused_on_thepage(panel, admin):
    """Somebody else has saved meanwhile: the page says who and what, and keeps what was typed."""
    panel.user("otto", "SSL operators")
    certificate_id = panel.active()
    stale = form_values(panel, certificate_id, days_before="20")
    panel.core.certificates.edit(certificate_id, renewal={"days_before": 9}, actor="otto")
    answer = admin.post(page(certificate_id), stale)
    assert answer.status_code == 409
    assert "otto" in text(answer)
    assert panel.core.certificates.get(certificate_id).renewal.days_before == 9


def _revoked(panel, domain):
    certificate_id = panel.active(domain)
    panel.core.certificates.revoke(certificate_id)
    return certificate_id


def _expired(panel, domain):
    certificate_id = panel.active(domain, renewal={"auto": False})
    panel.advance(days=100)
    panel.core.reconcile(certificate_id)
    return certificate_id


def _renewing(panel, domain):
    certificate_id = panel.active(domain)
    panel.ca.script = (Act.WAIT_OWNER,)
    panel.core.certificates.renew(certificate_id)
    panel.core.reconcile(certificate_id)
    return certificate_id


def _imported(panel, domain):
    """Without a CA profile and without its private key."""
    made = panel.active(domain)
    exported = panel.core.certificates.export(made, with_key=False)
    panel.core.certificates.delete(made)
    return panel.core.certificates.import_certificate(exported.leaf_pem, ca_bundle=exported.chain_pem).id


#: How a certificate gets into a situation.
_MAKERS = {
    "draft": lambda panel, domain: panel.certificate(domain),
    "pending": lambda panel, domain: panel.certificate(domain, Act.WAIT_OWNER),
    "processing": lambda panel, domain: panel.certificate(domain, Act.WORK),
    "error": lambda panel, domain: panel.certificate(domain, Act.FAIL_NEVER),
    "active": lambda panel, domain: panel.active(domain),
    "active, renewing": _renewing,
    "active, imported": _imported,
    "expired": _expired,
    "revoked": _revoked,
}
#: What is posted where an action asks for something.
_ANSWERS = {"export": {"format": "zip", "with_key": "yes", "reason": "move"}, "revoke": {"reason": "superseded"}}


@pytest.mark.parametrize("situation", _MAKERS)
def test_every_button_does_what_it_says(panel, admin, situation):
    """Each action that a page offers succeeds when it is posted as the page posts it."""
    make, status = _MAKERS[situation], situation.partition(",")[0]
    offers = panel.core.certificates.view(make(panel, "first.example")).offers
    assert offers
    for number, offer in enumerate(offers):
        certificate_id = make(panel, f"n{number}.example")
        assert panel.core.certificates.get(certificate_id).status == status
        action = str(offer.action)
        has_profile = panel.core.certificates.get(certificate_id).authority_id is not None
        shown = text(admin.get(page(certificate_id)))
        assert action == "edit" or f"/{action}/" in shown or f'value="{action}"' in shown
        if action == "edit":
            answer = admin.post(page(certificate_id), form_values(panel, certificate_id))
        else:
            address = "export/" if action == "export" else f"actions/{action}/"
            assert KEY not in text(admin.get(page(certificate_id, address), follow=True))
            assert panel.core.certificates.get(certificate_id).status == status  # a GET changes nothing
            answers = _ANSWERS.get(action, {})
            if action == "reissue" and not has_profile:  # the page asks for one, and says so beside the field
                refused = admin.post(page(certificate_id, address))
                assert refused.status_code == 422
                assert 'href="#field-authority"' in text(refused)
                answers = {"authority": panel.authority.id}
            answer = admin.post(page(certificate_id, address), answers)
        assert answer.status_code == (200 if action == "export" else 302), (action, text(answer))


def test_fallbacks_are_boxes_that_can_be_unchecked(panel, admin):
    """The other CA profiles that the user may use; without any there is nothing to choose."""
    certificate_id = panel.certificate()
    assert 'name="fallbacks"' not in text(admin.get(page(certificate_id)))
    other = panel.core.authorities.create("Other CA", module="scripted").id
    shown = text(admin.get(page(certificate_id)))
    assert f'type="checkbox" name="fallbacks" value="{other}"' in shown
    admin.post(page(certificate_id), form_values(panel, certificate_id, fallbacks=["", other]))
    assert panel.core.certificates.get(certificate_id).fallbacks == (other,)
    shown = text(admin.get(page(certificate_id)))
    assert f'type="checkbox" name="fallbacks" value="{other}" checked' in shown
    admin.post(page(certificate_id), form_values(panel, certificate_id, fallbacks=[""]))
    assert panel.core.certificates.get(certificate_id).fallbacks == ()


def test_a_csr_that_cannot_be_made_is_told_and_the_form_is_saved(panel, admin):
    """A draft whose CA profile is taken away with the same click stays a draft, with what was typed."""
    certificate_id = panel.certificate()
    values = form_values(panel, certificate_id, aliases="www.shop.example", authority="", then="generate_csr")
    values.pop("order_reference")
    answer = admin.post(page(certificate_id), values, follow=True)
    assert "note bad" in text(answer)
    certificate = panel.core.certificates.get(certificate_id)
    assert (certificate.status, certificate.authority_id) == (Status.DRAFT, None)
    assert [name.ascii for name in certificate.aliases] == ["www.shop.example"]


def test_a_csr_of_ones_own_takes_the_names(panel, admin):
    """The key stays where it is: the page offers the certificate without it."""
    csr, _ = make_request("own.example", "www.own.example")
    made = admin.post(f"{LIST}new/", {"authority": panel.authority.id, "csr": csr, "domain": "", "auto": "yes"})
    assert made.status_code == 302, text(made)
    certificate_id = made["Location"].rstrip("/").rpartition("/")[2]
    assert panel.core.certificates.get(certificate_id).domain.ascii == "own.example"
    panel.ca.script = (Act.ISSUE,)
    admin.post(page(certificate_id, "actions/generate_csr/"))
    panel.core.reconcile(certificate_id)
    shown = text(admin.get(made["Location"]))
    assert "reveal the private key" not in shown
    assert "Not here" in shown
    assert admin.get(page(certificate_id, "key/")).status_code == 404
    assert "With the private key" not in text(admin.get(page(certificate_id, "export/")))


def test_a_page_says_once_whose_turn_it_is(panel, admin):
    """An issuance that waits for the owner is under way, too; the head has the sentence with its badge once."""
    certificate_id = panel.certificate("pending.example", Act.WAIT_OWNER)
    head = text(admin.get(page(certificate_id))).partition('id="certificate-left"')[0]
    assert head.count("waits for the owner of the domain") == 1
    assert "Owner has to act" in head


def test_a_copy_has_the_form_and_no_key(panel, admin):
    """Clone asks for the name; a wrong one is told beside the field."""
    certificate_id = panel.active()
    wrong = admin.post(page(certificate_id, "clone/"), {"domain": "a_b.example"})
    assert wrong.status_code == 422
    assert 'href="#field-domain"' in text(wrong)
    made = admin.post(page(certificate_id, "clone/"), {"domain": "blog.example"})
    copy = panel.core.certificates.get(made["Location"].rstrip("/").rpartition("/")[2])
    assert (copy.domain.ascii, copy.status, copy.issuance_id) == ("blog.example", Status.DRAFT, None)


def test_a_transfer_is_shown_before_it_is_made(panel, admin):
    """The first post stores nothing; the second gives the certificate away."""
    certificate_id = panel.active(owner="7")
    address = page(certificate_id, "transfer/")
    assert "Give to another owner" in text(admin.get(page(certificate_id)))
    preview = admin.post(address, {"to": "8"})
    assert "Give it to the new owner" in text(preview)
    assert panel.core.certificates.get(certificate_id).owner == "7"
    version = panel.core.certificates.get(certificate_id).version
    for wrong in ("9" * 5000, "x", str(version + 1)):  # of nothing that can be compared, or of what nobody has seen
        refused = admin.post(address, {"to": "8", "confirmed": "yes", "version": wrong})
        assert refused.status_code in (409, 422)
        assert panel.core.certificates.get(certificate_id).owner == "7"
    given = admin.post(address, {"to": "8", "confirmed": "yes", "version": str(version)})
    assert given.status_code == 302
    assert panel.core.certificates.get(certificate_id).owner == "8"
    assert admin.post(address, {"to": "8"}).status_code == 422  # is the owner already


def test_the_timeline_leads_through_all_events(panel, admin):
    """In pages of 50, to older ones and back to newer ones; each event is on one of them."""
    certificate_id = panel.certificate("shop.example")
    for number in range(120):
        panel.core.certificates.edit(certificate_id, subject={"organization": f"Shop {number}"})
    address, seen, links = page(certificate_id, "timeline/"), [], []
    for rel in ("next", "prev"):
        while address:
            answer = admin.get(address)
            seen.append(re.findall(r"Organization: .* → Shop (\d+)", text(answer)))
            links.append(address.partition("?")[2])
            found = re.search(rf'rel="{rel}" href="([^"]+)"', text(answer))
            address = found and page(certificate_id, "timeline/") + found[1]
        address = page(certificate_id, "timeline/") + "?" + links[-1]
    assert [len(events) for events in seen] == [50, 50, 20, 20, 50]
    assert [*seen[0], *seen[1], *seen[2]] == [str(number) for number in range(119, -1, -1)]
    assert seen[3:] == [seen[2], seen[1]]
    assert links == ["", "before=72", "before=22", "before=22", "before=72"]


def test_the_timeline_says_what_an_edit_changed(panel, admin):
    """Each field by what the form calls it, also those of the subject and of the renewal."""
    certificate_id = panel.certificate("shop.example", subject={"organization": "Shop", "locality": "Ulm"})
    panel.core.certificates.edit(certificate_id, subject={"organization": "Größe AG", "locality": "Ulm"})
    panel.core.certificates.edit(certificate_id, renewal={"auto": False, "days_before": 9}, wildcard=True)
    shown = text(admin.get(page(certificate_id, "timeline/")))
    for change in (
        "Organization: Shop → Größe AG",
        "Renew automatically: yes → no",
        "Days before the end: - → 9",
        "Wildcard: no → yes",
    ):
        assert change in shown
    assert "Locality" not in shown


def test_the_first_page_of_a_timeline_says_whether_the_record_is_intact(panel, admin):
    """The others say where they are; an address with nonsense is the first page."""
    certificate_id = panel.certificate("shop.example")
    for number in range(60):
        panel.core.certificates.edit(certificate_id, subject={"organization": f"Shop {number}"})
    address = page(certificate_id, "timeline/")
    assert "The record is intact: 61 events." in text(admin.get(address))
    assert "Events 1 to 11 of 61" in text(admin.get(f"{address}?before=12"))
    for nonsense in ("x", "-1", "0", "1", "99999999999999999999", "²"):
        answer = admin.get(address, {"before": nonsense})
        assert answer.status_code == 200
        assert "The record is intact: 61 events." in text(answer)


def test_the_timeline_outlives_the_certificate(panel, admin):
    """It says who did what, that the record is intact, and stays after the deletion."""
    certificate_id = panel.active()
    admin.post(page(certificate_id, "actions/delete/"))
    answer = admin.get(page(certificate_id, "timeline/"))
    shown = text(answer)
    assert answer.status_code == 200
    assert "The record is intact" in shown
    assert "by ada" in shown
    assert admin.get(page(certificate_id)).status_code == 404


def test_pages_are_in_the_language_of_the_reader(panel, admin):
    """Texts of certcore are translated on the page."""
    certificate_id = panel.certificate()
    shown = text(admin.get(page(certificate_id), headers={"Accept-Language": "uk"}))
    assert "Чернетка" in shown
    assert "Домен" in shown


def test_the_page_names_the_module_by_its_title(panel, admin):
    """People know "Scripted CA", not the name that a configuration file has."""
    profile = panel.core.authorities.modules()["scripted"].title
    certificate_id = panel.active()
    shown = text(admin.get(f"/ssl/certificates/{certificate_id}/"))
    assert f"<dt>Module</dt><dd>{profile}</dd>" in shown
    assert "<dd>scripted</dd>" not in shown
