"""Cores with a policy: one that writes down what it is asked, or the built-in roles."""

import certcore
from certcore import CertCore, Role
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside


class Recorder:
    """Writes down what it is asked; says what it is told to say."""

    def __init__(self):
        self.asked, self.answer, self.refused = [], None, ()

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        self.asked.append((actor, action, subject, owner))
        return False if (action, subject) in self.refused else self.answer


def core_with(*plugins, ca_type=ScriptedCA):
    """A core in memory whose CA issues at once."""
    environment = FrozenEnvironment()
    ca = ca_type([Act.ISSUE], now=environment.now())
    return CertCore.in_memory(plugins=[ca.plugin(), *plugins], installed_plugins=False, environment=environment)


def filled(core, actor="root"):
    """A CA profile, and an active certificate of anna's."""
    authority = core.authorities.create("test", module="scripted", actor=actor).id
    certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna", actor=actor).id
    core.certificates.generate_csr(certificate_id, actor=actor)
    core.reconcile(certificate_id)
    return authority, certificate_id


def stored_rows(core):
    """What a call may change in the store."""
    with inside(core).storage.read() as transaction:
        return (transaction.certificates.page(), transaction.authorities.list(), transaction.events.after(0))


ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.ADMINISTRATOR, "system": Role.ADMINISTRATOR}
