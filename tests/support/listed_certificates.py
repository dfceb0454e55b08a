"""A store with certificates of all kinds, for lists of them."""

import contextlib
from datetime import timedelta

import certcore
from certcore import NoticePolicy, RenewalPolicy
from certcore.model.keys import KeyType
from certcore.model.names import parse_identifier
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem
from support.cores import core_on

DAY = timedelta(days=1)
START = FrozenEnvironment().now()
CA = LittleAuthority(START)
KEY = generate_key(KeyType.EC_P256)
KEY_PEM = private_key_pem(KEY).decode()


def leaf_until(name, ends):
    """A leaf of another CA, with its chain."""
    request = build_csr(KEY, [parse_identifier(name)], Subject()).decode()
    return CA.issue(request, now=ends - 90 * DAY, lifetime=90 * DAY)


class TenantPolicy:
    """Lets everybody do everything, except those who only see one tenant; writes down what it is asked."""

    def __init__(self):
        self.asked = []

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        self.asked.append((actor, action, owner))
        return actor == "system" or owner == actor


@contextlib.contextmanager
def listed_store(kind, folder):
    """A store with certificates of all kinds, which is only read."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    policy = TenantPolicy()
    options = {"plugins": [ca.plugin(), policy], "environment": environment, "notices": NoticePolicy(days_before=())}
    with core_on(kind, folder, **options) as core:
        one, two = (core.authorities.create(name, module="scripted").id for name in ("one", "two"))
        create = core.certificates.create
        create("a.example", authority=one, owner="anna")
        environment.advance(timedelta(hours=1))
        create("b.example", authority=two, owner="anna", aliases="www.a.example", key_type="rsa-2048")
        create("größe.example", authority=one, renewal=RenewalPolicy(auto=False))
        for name, offset in (("c.example", -400), ("d.example", 5.5), ("e.example", 5.5), ("f.example", 0)):
            core.certificates.import_certificate(
                leaf_until(name, START + offset * DAY),
                KEY_PEM,
                owner="bert",
                authority=one if name == "d.example" else None,
            )
            environment.advance(timedelta(minutes=1))
        active = create("shop.example.org", authority=one, wildcard=True, owner="anna", key_type="ec-p384").id
        core.certificates.generate_csr(active)
        for _ in range(3):
            core.reconcile(active)
        create("deep.shop.example.org", authority=two)
        pending = create("a.example", authority=two, owner="bert").id
        ca.script = (Act.WAIT_OWNER,)
        core.certificates.generate_csr(pending)
        core.reconcile(pending)
        revoked = create("gone.example", authority=one).id
        ca.script = (Act.ISSUE,)
        core.certificates.generate_csr(revoked)
        for _ in range(3):
            core.reconcile(revoked)
        core.certificates.revoke(revoked)
        yield core


def all_pages(core, limit=1000, **filters):
    """All pages, one after the other."""
    found, after = [], None
    for _ in range(100):
        page = core.certificates.list(limit=limit, after=after, **filters)
        assert len(page.items) <= limit
        found += page.items
        after = page.next_cursor
        if after is None:
            return found
        assert len(page.items) == limit
    raise AssertionError("the pages do not end")
