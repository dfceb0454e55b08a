"""An issuance that is under way beside the leaf in service, or failed there, and what the user does next."""

import pytest
from attrs import evolve

import certcore
from certcore import CertCore, Status
from certcore.errors import (
    AccessDeniedError,
    LeaseLostError,
)
from certcore.model.issuance import Outcome
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside
from support.reissues import install, issuances_with_key, secret_names


@pytest.mark.parametrize("begun_by", ["renew", "reissue", "engine"])
def test_an_attempt_under_way_is_given_up_first(bench, begun_by):
    """Its key is destroyed, what it holds outside is taken back, and history has it as abandoned."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    if begun_by == "engine":
        bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    else:
        getattr(bench.core.certificates, begun_by)(certificate_id)
    bench.step(certificate_id)
    bench.step(certificate_id)
    first = bench.core.certificates.view(certificate_id).issuance
    assert first.id in bench.ca.held
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    assert first.id not in {str(name) for name in secret_names(bench)}
    assert str(first.key_name) not in secret_names(bench)
    for _ in range(3):
        bench.step(certificate_id)
    assert first.id not in bench.ca.held
    given_up, new = bench.core.certificates.issuances(certificate_id)[1:]
    assert given_up.outcome is Outcome.ABANDONED
    assert given_up.finished_at
    assert [name.ascii for name in new.names] == ["shop.example", "www.shop.example"]
    install(bench, certificate_id)
    assert issuances_with_key(bench, certificate_id) >= {3}
    assert 2 not in issuances_with_key(bench, certificate_id)


def test_a_step_in_the_middle_of_a_reissue_is_not_stored(bench):
    """A worker that is on the attempt when the user changes the names installs nothing, and leaves nothing outside."""
    certificate_id = bench.active()
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    (schedule,) = inside(bench.core).engine.claim_due(10)
    leased = inside(bench.core).engine.load(schedule)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    with pytest.raises(LeaseLostError):
        inside(bench.core).engine.step(leased, keep_lease=False)
    assert bench.core.certificates.view(certificate_id).active.number == 1
    assert bench.ca.held == set()
    install(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).active.number == 3


def test_the_key_of_a_leaf_that_has_ended_is_destroyed(bench):
    """As soon as the next renewal begins; those of leaves that may still be served somewhere are kept."""
    certificate_id = bench.active()
    bench.ca.script = (Act.ISSUE,)
    for _ in range(4):
        bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
        install(bench, certificate_id)
        now = bench.environment.now()
        good = {each.number for each in bench.core.certificates.issuances(certificate_id) if each.leaf.not_after > now}
        assert issuances_with_key(bench, certificate_id) == good
        assert len(good) == 2


def test_a_failed_renewal_leaves_no_key_behind(bench):
    """An attempt that failed for good is followed by another with another key: the old key is destroyed then."""
    certificate_id = bench.active()
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    for _ in range(12):
        bench.step(certificate_id)
    numbers = [issuance.number for issuance in bench.core.certificates.issuances(certificate_id)]
    assert len(numbers) > 3
    assert issuances_with_key(bench, certificate_id) == {1, numbers[-1]}
    bench.core.certificates.renew(certificate_id)
    assert issuances_with_key(bench, certificate_id) == {1, numbers[-1] + 1}
    install(bench, certificate_id)
    assert issuances_with_key(bench, certificate_id) == {1, numbers[-1] + 1}


# -- a check after a failed issuance -----------------------------------------------------------------------------------


def _failed_reissue(bench, *, ended=False):
    """A certificate whose reissue for another name, of an RSA key, failed for good beside its leaf."""
    certificate_id = bench.active(renewal={"auto": False})
    if ended:
        bench.environment.set(bench.core.certificates.get(certificate_id).not_after)
        bench.core.reconcile(certificate_id)
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example", key_type="rsa-2048")
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    assert bench.core.certificates.view(certificate_id).issuance.outcome is Outcome.FAILED
    return certificate_id


@pytest.mark.parametrize("ended", [False, True])
def test_a_check_begins_anew_what_failed_beside_a_leaf(bench, ended):
    """Whoever has removed the cause need not wait until the policy begins another renewal; the form counts as it is."""
    certificate_id = _failed_reissue(bench, ended=ended)
    bench.core.certificates.edit(certificate_id, key_type="ec-p384")
    install(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert (view.certificate.status, view.active.number) == (Status.ACTIVE, 3)
    assert view.leaf.names == ("shop.example", "www.shop.example")
    assert view.leaf.public_key_algorithm.startswith("EC")
    assert view.certificate.problem is None
    assert bench.ca.held == set()
    assert issuances_with_key(bench, certificate_id) == {1, 3}


def test_a_check_without_a_ca_profile_is_a_look(bench):
    """There is nobody to ask: nothing is begun, and the leaf stays."""
    certificate_id = _failed_reissue(bench)
    bench.core.certificates.edit(certificate_id, authority="")
    install(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert (view.certificate.status, view.active.number, view.issuance.number) == (Status.ACTIVE, 1, 2)
    assert view.schedule.attempts == 0


class Checker:
    """The actor ``looker`` may look and have looked at, and begin nothing."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action):
        return actor != "looker" or action in ("certificate.view", "certificate.check")


def test_who_may_not_renew_only_has_it_looked_at(bench):
    """Asking for a check is no way round the permission to renew."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Checker()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted")
        certificate_id = _failed_reissue(evolve(bench, core=core, ca=ca, environment=environment, authority=authority))
        core.certificates.check_now(certificate_id, actor="looker")
        core.reconcile(certificate_id)
        assert [issuance.number for issuance in core.certificates.issuances(certificate_id)] == [1, 2]
        with pytest.raises(AccessDeniedError):
            core.certificates.renew(certificate_id, actor="looker")
        core.certificates.check_now(certificate_id, actor="system")
        assert len(core.certificates.issuances(certificate_id)) == 3
