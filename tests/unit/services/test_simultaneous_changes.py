"""Two users, or a user and the engine, who begin an issuance at the same moment."""

import threading
from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import (
    StaleWriteError,
)
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside
from support.reissues import active_in, core_with


def test_a_reissue_of_an_old_version_is_refused(bench):
    """Who reissues what somebody else has changed meanwhile is told by whom, and nothing is begun."""
    certificate_id = bench.active()
    seen = bench.get(certificate_id).version
    bench.core.certificates.edit(certificate_id, subject={"organization": "Shop"}, actor="anna")
    with pytest.raises(StaleWriteError) as conflict:
        bench.core.certificates.reissue(certificate_id, wildcard=True, version=seen, actor="bert")
    assert conflict.value.actors == ("anna",)
    assert set(conflict.value.changes) == {"subject"}
    assert len(bench.core.certificates.issuances(certificate_id)) == 1
    bench.core.certificates.reissue(certificate_id, wildcard=True, actor="carl")
    with pytest.raises(StaleWriteError) as conflict:
        bench.core.certificates.reissue(certificate_id, wildcard=False, version=seen + 1)
    assert conflict.value.changes == {"wildcard": (False, True)}
    assert conflict.value.actors == ("carl",)
    bench.core.certificates.cancel_attempt(certificate_id, actor="dora")
    with pytest.raises(StaleWriteError) as conflict:
        bench.core.certificates.edit(certificate_id, subject={"country": "DE"}, version=seen + 2)
    assert conflict.value.changes == {"wildcard": (True, False)}


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_two_reissues_at_the_same_moment(storage, tmp_path):
    """Of many threads that reissue at once each wins or is told that it was too late; one attempt is under way."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with core_with(storage, tmp_path, ca, environment) as core:
        certificate_id = active_in(core)
        ca.script = (Act.WAIT_OWNER,)
        start, errors = threading.Barrier(4), []

        def reissue(number):
            start.wait()
            try:
                core.certificates.reissue(certificate_id, aliases=f"a{number}.example", version=None)
            except StaleWriteError as error:
                errors.append(error)

        threads = [threading.Thread(target=reissue, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        issuances = core.certificates.issuances(certificate_id)
        assert len(issuances) == 1 + 4 - len(errors)
        assert [issuance.number for issuance in issuances] == list(range(1, len(issuances) + 1))
        assert sum(issuance.outcome is None for issuance in issuances) == 1
        view = core.certificates.view(certificate_id)
        assert view.under_way
        assert set(view.issuance.names) == set(view.certificate.names)
        with inside(core).storage.read() as transaction:
            assert len(transaction.secrets.names("certificate-key")) == 2


class Meddling(ScriptedCA):
    """Something else happens while it looks at a request: between the reading and the writing of a user's call."""

    meanwhile = ()

    def check_request(self, context, names, settings):
        meddle, self.meanwhile = self.meanwhile[:1], self.meanwhile[1:]
        for one in meddle:
            one()


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
@pytest.mark.parametrize("asked", ["reissue", "renew"])
@pytest.mark.parametrize("other", ["begins", "begins and installs"])
def test_a_user_and_the_engine_begin_at_the_same_moment(storage, tmp_path, asked, other):
    """The engine begins the renewal while the user's call makes its key: one attempt is under way, numbered in turn."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.ISSUE], now=environment.now())
    with core_with(storage, tmp_path, ca, environment) as core:
        certificate_id = active_in(core)
        environment.set(core.certificates.view(certificate_id).renews_at)
        if other == "begins":
            ca.script = (Act.WAIT_OWNER,)

        def engine():
            for _ in range(2 if other == "begins" else 4):
                core.reconcile(certificate_id)
            assert len(core.certificates.issuances(certificate_id)) == 2

        # A reissue looks twice: at the form, and when the key is about to be made.
        ca.meanwhile = (engine,) if asked == "renew" else (lambda: None, engine)
        getattr(core.certificates, asked)(certificate_id)
        issuances = core.certificates.issuances(certificate_id)
        assert [issuance.number for issuance in issuances] == list(range(1, len(issuances) + 1))
        assert sum(issuance.outcome is None for issuance in issuances) == 1
        assert core.certificates.view(certificate_id).under_way
        ca.script = (Act.ISSUE,)
        environment.advance(timedelta(minutes=2))
        for _ in range(6):
            core.reconcile(certificate_id)
        view = core.certificates.view(certificate_id)
        assert view.active.number == max(issuance.number for issuance in issuances)
        assert view.certificate.status is Status.ACTIVE
        assert ca.held == set()
