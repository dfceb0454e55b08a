"""Deleting a certificate: what its CA module still holds outside does not always stand in the way."""

from datetime import timedelta

import pytest

from certcore import CertCore
from certcore.errors import CertificateBusyError, NotFoundError, PluginError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA


class RememberingCA(ScriptedCA):
    """Takes back later what it cannot take back when a certificate is deleted."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.told, self.fails = [], False

    def certificate_deleted(self, certificate, context):
        if self.fails:
            raise RuntimeError
        self.told.append((certificate.id, context.owner, context.authority_id))


def core_with(kind):
    environment = FrozenEnvironment()
    ca = kind([Act.WORK, Act.ISSUE], now=environment.now())
    core = CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment)
    authority = core.authorities.create("test", module="scripted").id
    certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna").id
    core.certificates.generate_csr(certificate_id)
    core.reconcile(certificate_id)
    ca.busy_until = environment.now() + timedelta(hours=1)
    return core, ca, authority, certificate_id


def test_a_module_that_remembers_does_not_hold_a_deletion_up():
    """It is told once of the deletion, for the owner, and the certificate is gone although a server is down."""
    core, ca, authority, certificate_id = core_with(RememberingCA)
    core.certificates.delete(certificate_id)
    assert ca.told == [(certificate_id, "anna", authority)]
    with pytest.raises(NotFoundError):
        core.certificates.get(certificate_id)


def test_a_module_that_does_not_remember_holds_it_up():
    """Without that power the module would forget what it holds, so the certificate stays until it is taken back."""
    core, _, _, certificate_id = core_with(ScriptedCA)
    with pytest.raises(CertificateBusyError):
        core.certificates.delete(certificate_id)
    assert core.certificates.get(certificate_id)


def test_a_module_that_cannot_even_remember_keeps_the_certificate():
    """Nothing is deleted when the module fails to note what is left."""
    core, ca, _, certificate_id = core_with(RememberingCA)
    ca.fails = True
    with pytest.raises(PluginError):
        core.certificates.delete(certificate_id)
    assert core.certificates.get(certificate_id)
