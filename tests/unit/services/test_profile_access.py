"""Whatever a certificate uses a CA profile for, the policy is asked for the profile."""

import pytest

import certcore
from certcore import Permission, RolePolicy
from certcore.errors import AccessDeniedError
from certcore.model.hints import Level, Message, Notice
from support.leaves import bought
from support.policies import ROLES, Recorder, core_with, filled, stored_rows


def _imported(core, **fields):
    return core.certificates.import_certificate(*bought("elsewhere.example", now=core.now()), **fields)


#: Every way to have a certificate of anna's use a CA profile that it did not have: its own is ``old``.
USES = {
    "create": lambda core, one, old, new: core.certificates.create(
        "n.example", authority=new, owner="anna", actor="mallory"
    ),
    "create with a fallback": lambda core, one, old, new: core.certificates.create(
        "n.example", authority=old, fallbacks=[new], owner="anna", actor="mallory"
    ),
    "edit": lambda core, one, old, new: core.certificates.edit(one, authority=new, actor="mallory"),
    "edit the fallbacks": lambda core, one, old, new: core.certificates.edit(one, fallbacks=[new], actor="mallory"),
    "reissue": lambda core, one, old, new: core.certificates.reissue(one, authority=new, actor="mallory"),
    "import": lambda core, one, old, new: _imported(core, authority=new, owner="anna", actor="mallory"),
    "revoke": lambda core, one, old, new: core.certificates.revoke(one, authority=new, actor="mallory"),
    "obtain": lambda core, one, old, new: core.obtain("n.example", authority=new, owner="anna", actor="mallory"),
}


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there"])
@pytest.mark.parametrize("use", USES)
def test_a_profile_is_asked_for(use, there):
    """Whatever a certificate is to use a CA profile for, the policy is asked first; no does not tell of the profile."""
    recorder = Recorder()
    with core_with(recorder) as core:
        old, one = filled(core)
        new = core.authorities.create("of another tenant", module="scripted").id if there else "no-such-profile"
        recorder.refused = [(Permission.AUTHORITY_USE, new)]
        before = stored_rows(core)
        with pytest.raises(AccessDeniedError) as refused:
            USES[use](core, one, old, new)
        assert (refused.value.action, refused.value.subject) == (Permission.AUTHORITY_USE, new)
        assert ("mallory", Permission.AUTHORITY_USE, new, "anna") in recorder.asked
        assert stored_rows(core) == before
        recorder.refused = ()
        if there:
            USES[use](core, one, old, new)


def test_a_copy_asks_for_the_profiles():
    """A copy is a certificate of its own: the policy is asked for its profiles, with the tenant of the copy."""
    recorder = Recorder()
    with core_with(recorder) as core:
        old, one = filled(core)
        other = core.authorities.create("other", module="scripted").id
        core.certificates.edit(one, fallbacks=[other])
        for profile in (old, other):
            recorder.refused = [(Permission.AUTHORITY_USE, profile)]
            with pytest.raises(AccessDeniedError):
                core.certificates.clone(one, "n.example", owner="bert", actor="mallory")
            assert ("mallory", Permission.AUTHORITY_USE, profile, "bert") in recorder.asked
        recorder.refused = ()
        assert core.certificates.clone(one, "n.example", owner="bert").owner == "bert"


def test_nobody_is_asked_again_for_a_profile():
    """What a certificate has it may keep and use in another order: only a profile that is new to it is asked for."""
    recorder = Recorder()
    with core_with(recorder) as core:
        old, one = filled(core)
        other = core.authorities.create("other", module="scripted").id
        core.certificates.edit(one, fallbacks=[other])
        recorder.refused = [(Permission.AUTHORITY_USE, old), (Permission.AUTHORITY_USE, other)]
        core.certificates.edit(one, authority=old, fallbacks=[other], renewal={"auto": False}, actor="anna")
        core.certificates.edit(one, authority=other, fallbacks=[old], actor="anna")
        core.certificates.reissue(one, authority=other, actor="anna")
        core.reconcile(one)
        core.certificates.renew(one, actor="anna")
        core.reconcile(one)
        core.certificates.revoke(one, authority=old, actor="anna")
        core.certificates.edit(one, fallbacks=[], actor="anna")
        with pytest.raises(AccessDeniedError):
            core.certificates.edit(one, fallbacks=[old], actor="anna")


class Hinting:
    """A plugin that says what it finds in a view."""

    @certcore.hookimpl
    def certcore_hints(self, view):
        found = f"{view.authority.name} {view.authority.module} {sorted(view.authority.settings)}"
        return [Notice(Level.INFO, Message("test.found", found))]


def test_a_page_does_not_show_the_settings_of_a_profile():
    """Who may see the certificate, but not its CA profile, learns of the profile the id, the name and the module."""
    with core_with(RolePolicy(ROLES), Hinting()) as core:
        settings = {"note": "an internal note", "api_key": "canary"}
        stored = core.authorities.create("CA", module="scripted", settings=settings, description="canary", actor="ada")
        certificate_id = core.certificates.create("a.example", authority=stored.id, owner="anna", actor="anna").id
        assert core.certificates.view(certificate_id, actor="vera").authority == stored
        assert core.certificates.view(certificate_id).authority == stored
        shown = core.certificates.view(certificate_id, actor="anna").authority
        assert (shown.id, shown.name, shown.module) == (stored.id, "CA", "scripted")
        assert (dict(shown.settings), shown.description, shown.secrets_set) == ({}, "", frozenset())
        texts = {
            actor: [str(hint) for hint in core.certificates.hints(certificate_id, actor=actor)]
            for actor in ("vera", "anna")
        }
        assert "'note'" in texts["vera"][-1]
        assert "CA scripted []" in texts["anna"][-1]
        assert len(texts["anna"]) == len(texts["vera"])
        assert not any("module_failed" in text for text in texts["anna"])
