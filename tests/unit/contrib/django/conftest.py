"""A panel with users and certificates: Django in memory, certcore in memory, a CA that does what the test says."""

import contextlib
from datetime import timedelta

import pytest
from attrs import define

from certcore import CertCore, NoticePolicy
from certcore.testing import Act, FrozenEnvironment, ScriptedCA
from support.cores import core_on
from support.django_panel import configure

configure()


@pytest.fixture(scope="session")
def _tables():
    """The tables of Django's own apps, in a database in memory, once for the tests of this process."""
    from django.db import connection
    from django.test.utils import setup_test_environment, teardown_test_environment

    setup_test_environment()
    with contextlib.ExitStack() as ending:
        ending.callback(teardown_test_environment)
        connection.creation.create_test_db(verbosity=0)
        ending.callback(connection.creation.destroy_test_db, ":memory:", 0)
        yield


@pytest.fixture
def django_tables(_tables):
    """Users, groups and sessions of this test alone."""
    from django.core.management import call_command

    yield
    # Django's permissions, which it would make again, are used by no page.
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)


@define(eq=False)
class Panel:
    """What the tests of pages hold."""

    core: CertCore
    ca: ScriptedCA
    environment: FrozenEnvironment
    authority: object

    def user(self, name, *groups, **fields):
        """A user of Django, in these groups."""
        from django.contrib.auth import get_user_model
        from django.contrib.auth.models import Group

        user = get_user_model().objects.create_user(name, password="secret", **fields)
        for group in groups:
            user.groups.add(Group.objects.get_or_create(name=group)[0])
        return user

    def browser(self, user=None, **options):
        """A browser, signed in as a user or not at all."""
        from django.test import Client

        client = Client(**options)
        if user is not None:
            client.force_login(user)
        return client

    def certificate(self, domain="shop.example", *acts, **fields):
        """The id of a certificate: a draft, or with acts of the CA requested and carried on."""
        fields = {"authority": self.authority.id, **fields}
        made = self.core.certificates.create(domain, **fields)
        if acts:
            self.ca.script = acts
            self.core.certificates.generate_csr(made.id)
            for _ in range(3):
                self.core.reconcile(made.id)
        return made.id

    def active(self, domain="shop.example", **fields):
        """The id of an active certificate."""
        certificate_id = self.certificate(domain, Act.ISSUE, **fields)
        assert self.core.certificates.get(certificate_id).status == "active"
        return certificate_id

    def advance(self, **duration):
        self.environment.advance(timedelta(**duration))


@pytest.fixture
def storage():
    """Where certcore keeps what it stores, as in `support.cores.core_on`; a module may say otherwise."""
    return "memory"


@pytest.fixture
def panel(django_tables, storage, tmp_path):
    """The panel, with the policy of roles."""
    from django.test import override_settings

    from certcore.contrib.django.roles import policy

    environment = FrozenEnvironment()
    ca = ScriptedCA(now=environment.now())
    with core_on(
        storage,
        tmp_path,
        plugins=[ca.plugin(), policy()],
        environment=environment,
        notices=NoticePolicy(days_before=()),
    ) as core:
        authority = core.authorities.create("Shop CA", module="scripted", settings={"api_key": "canary-api-key"})
        with override_settings(CERTCORE={"CORE": lambda: core}):
            yield Panel(core=core, ca=ca, environment=environment, authority=authority)


@pytest.fixture
def admin(panel):
    """The browser of an administrator, signed in."""
    return panel.browser(panel.user("ada", "SSL administrators"))


@pytest.fixture
def browser(panel):
    """The browser of an operator, signed in."""
    return panel.browser(panel.user("otto", "SSL operators"))


@pytest.fixture
def settings_of(panel):
    """Other values of the setting CERTCORE within a block; the core stays."""
    from django.test import override_settings

    return lambda **values: override_settings(CERTCORE={"CORE": lambda: panel.core, **values})
