"""Every call of a service asks the policy first."""

import inspect

import pytest

import certcore
from certcore import Permission, RolePolicy
from certcore.errors import AccessDeniedError, CertCoreError, NotFoundError
from certcore.hints import BoundForm, EditMethod, FormSubject
from certcore.model.hints import Message
from certcore.model.permissions import GRANTS
from certcore.plugin import ActionDone, CertificateAction
from certcore.testing.scripted_ca import ScriptedCA
from support.inside import inside
from support.policies import ROLES, Recorder, core_with, filled, stored_rows

#: Calls that tell about the code that is loaded, not about anything stored.
ABOUT_CODE = {"authorities.modules", "authorities.module_form", "certificates.formats"}
#: What the calls are given; by the name of their parameter.
ARGUMENTS = {
    "domain": "more.example",
    "authority": "{authority}",
    "certificate_id": "{certificate}",
    "name_or_id": "{certificate}",
    "name": "another",
    "module": "scripted",
    "reason": "a test",
    "text": "shop",
    "to": "someone",
    "key_id": "{key}",
    "action": "greet",
    "leaf": "not yet read",
    "known": "not yet called",
}


class ActingCA(ScriptedCA):
    """Offers an action to owners, and one to those who approve."""

    def certificate_actions(self, view, context):
        text = Message("acting.label", "Act")
        return [
            CertificateAction(name=f"action_{number}", label=text, help=text, permission=permission)
            for number, permission in enumerate((Permission.CERTIFICATE_ACT, Permission.CERTIFICATE_APPROVE))
        ]

    def run_certificate_action(self, name, values, work, *, actor):
        return ActionDone(text=Message("acting.done", "Done."))


def _calls(core):
    """Every public call of every service, by its name."""
    services = {
        name: getattr(core, name)
        for name in vars(type(core)) | {field.name: None for field in type(core).__attrs_attrs__}
        if not name.startswith("_") and type(getattr(core, name, None)).__module__.startswith("certcore.services.")
    }
    return {
        f"{service}.{name}": getattr(held, name)
        for service, held in services.items()
        for name, member in inspect.getmembers(type(held), inspect.isfunction)
        if not name.startswith("_")
    }


def _bound(method, known):
    is_profile = type(method.__self__).__name__ == "Authorities"
    return BoundForm(
        subject=FormSubject.AUTHORITY if is_profile else FormSubject.CERTIFICATE,
        target=known["authority" if is_profile else "certificate"],
        method=EditMethod.EDIT,
        arguments={},
        changed=(),
        values={},
    )


def _call(method, actor, **known):
    given = {}
    for name, parameter in inspect.signature(method).parameters.items():
        is_needed = parameter.default is inspect.Parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if name == "bound":
            given[name] = _bound(method, known)
        elif name == "certificate_ids":
            given[name] = [known["certificate"]]
        elif name == "reason" and method.__name__ == "bulk_revoke":
            given[name] = "superseded"
        elif is_needed or name == "reason":
            given[name] = ARGUMENTS[name].format(**known)
    returned = method(**given, actor=actor)
    if "certificate_ids" in given and returned[0].error is not None:
        raise returned[0].error
    return returned


CALLS = sorted(set(_calls(core_with())) - ABOUT_CODE)


def test_the_services_are_found():
    """The enumeration finds what users call: no service slips through."""
    assert {"authorities.create", "certificates.get", "certificates.export", "certificates.search"} <= set(CALLS)
    assert len(CALLS) >= 25


@pytest.mark.parametrize("name", CALLS)
def test_every_call_asks_first(name):
    """Whatever is called, a policy that says no stops it before anything is read out or changed."""
    recorder = Recorder()
    with core_with(recorder) as core:
        authority, one = filled(core)
        (key,) = inside(core).vault.keyring.key_ids
        recorder.asked.clear()
        recorder.answer = False
        before = stored_rows(core)
        with pytest.raises((AccessDeniedError, NotFoundError)) as refused:
            _call(_calls(core)[name], "mallory", authority=authority, certificate=one, key=key)
        for actor, action, subject, owner in recorder.asked:
            assert actor == "mallory"
            assert action in list(Permission)
            assert subject in ("", authority, one, key)
            if subject == one:
                assert owner == "anna"
        # What is about one object asks second whether it may be seen; it may not, so it is not there.
        is_about_one = not recorder.asked or recorder.asked[0][2] != ""
        assert isinstance(refused.value, NotFoundError) is is_about_one
        assert before == stored_rows(core)


def test_every_permission_is_asked_for():
    """No action of the table is dead: some call asks for it; and the roles know each."""
    recorder = Recorder()
    with core_with(recorder, ca_type=ActingCA) as core:
        authority, one = filled(core)
        (key,) = inside(core).vault.keyring.key_ids
        recorder.asked.clear()
        # These are asked second, or of one owner alone.
        core.certificates.create("more.example", authority=authority, owner="anna", actor="mallory")
        core.certificates.list(owner="anna", actor="mallory")
        core.certificates.actions(one, actor="mallory")
        recorder.answer = False
        for name in CALLS:
            with pytest.raises((AccessDeniedError, NotFoundError)):
                _call(_calls(core)[name], "mallory", authority=authority, certificate=one, key=key)
    assert {action for _, action, _, _ in recorder.asked} == set(Permission) == set(GRANTS)


class Target:
    """A target whose failure tells what a tenant has no business to know."""

    name = "web"

    @certcore.hookimpl
    def certcore_on_event(self, event):
        raise CertCoreError("nginx: /srv/other-tenant.example.conf:7 is wrong")


class Looking:
    """An observer that looks at the certificate of each event, and goes on without one that is gone."""

    name = "looking"

    def __init__(self):
        self.seen = []

    @certcore.hookimpl
    def certcore_on_event(self, event, certificates):
        try:
            certificates.view(event.certificate_id, actor="plugin:looking")
        except NotFoundError:
            self.seen.append("gone")


def test_for_an_observer_a_refusal_is_no_deletion():
    """Who has been told of a certificate and may not see it gets the refusal, and its target is shown as failed."""
    looking = Looking()
    with core_with(RolePolicy(ROLES), looking) as core:
        authority = core.authorities.create("CA", module="scripted", actor="ada").id
        certificate_id = core.certificates.create("a.example", authority=authority, owner="anna", actor="anna").id
        core.deliver_events()
        assert looking.seen == []
        assert (
            "plugin:looking does not have the permission"
            in core.certificates.deliveries(certificate_id).behind["looking"].reason
        )
        with pytest.raises(NotFoundError):
            core.certificates.view(certificate_id, actor="plugin:looking")  # for everybody else it is not there


def test_why_a_target_failed_is_not_for_tenants():
    """The owner's hints say which target failed, and when it is tried again; why, only who runs the server sees."""
    with core_with(RolePolicy(ROLES), Target()) as core:
        authority = core.authorities.create("CA", module="scripted", actor="ada").id
        certificate_id = core.certificates.create("a.example", authority=authority, owner="anna", actor="anna").id
        core.deliver_events()
        told = core.certificates.hints(certificate_id, actor="anna")[-1].text
        assert told.key == "core.target_failed"
        assert told.params["target"] == "web"
        assert told.params["times"] == 1
        assert "UTC" in told.params["retry_at"]
        assert "other-tenant" not in repr(told)
        for actor in ("anna", "vera"):
            with pytest.raises(AccessDeniedError):
                core.certificates.deliveries(certificate_id, actor=actor)
        for actor in ("otto", "ada", "system"):
            assert "other-tenant" in core.certificates.deliveries(certificate_id, actor=actor).behind["web"].reason
