"""The certificate profiles that a CA's directory offers."""

from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import InvalidInputError
from certcore.model.form import FieldKind

PROFILES = {"classic": "for 90 days", "shortlived": "for 6 days"}


def test_certificate_profiles(panel, start_acme2certifier):
    """The forms offer what the directory does, with its descriptions; each certificate may have its own."""
    server = start_acme2certifier(profiles=PROFILES, profile_days={"shortlived": 6})
    profile = panel.profile(server.directory_url, server.roots_pem, certificate_profile="classic")
    panel.issued(profile, "a.shop.test")
    forms = (panel.core.authorities.profile_form(profile.id), panel.core.authorities.certificate_form(profile.id))
    for form in forms:
        (field,) = (one for one in form if one.name == "certificate_profile")
        assert field.kind is FieldKind.CHOICE
        assert [str(choice.label) for choice in field.choices][1:] == ["classic: for 90 days", "shortlived: for 6 days"]
    short = panel.issued(profile, "b.shop.test", module_data={"certificate_profile": "shortlived"})
    assert panel.core.certificates.view(short).leaf.lifetime <= timedelta(days=7)
    with pytest.raises(InvalidInputError) as caught:
        panel.core.certificates.create(
            "c.shop.test", authority=profile.id, module_data={"certificate_profile": "longlived"}
        )
    assert caught.value.field == "certificate_profile"


def test_a_profile_that_the_ca_does_not_offer_any_more(panel, start_acme2certifier):
    """No order is wasted on it; the error says what the CA offers."""
    server = start_acme2certifier(profiles=PROFILES)
    profile = panel.profile(server.directory_url, server.roots_pem, certificate_profile="gone")
    certificate_id = panel.request(profile, "a.shop.test")
    panel.set_cnames(certificate_id)
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.ERROR
    assert "classic, shortlived" in failed.problem.advice
    panel.core.authorities.edit(profile.id, settings={"certificate_profile": ""})
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
