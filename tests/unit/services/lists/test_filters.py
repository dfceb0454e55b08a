"""Lists: every filter and order through all pages, days, counts, and who may see them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore import CertCore, Status
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.model.keys import KeyType
from certcore.model.listing import CertificateFilter, SortKey
from certcore.model.permissions import Permission
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act
from support.examples import examples
from support.inside import inside
from support.listed_certificates import DAY, KEY_PEM, START, TenantPolicy, all_pages, leaf_until

SORTED = {
    SortKey.DOMAIN: lambda one: (one.domain.ascii, one.id),
    SortKey.NOT_AFTER: lambda one: (one.not_after, one.id),
    SortKey.CREATED_AT: lambda one: (one.created_at, one.id),
}
FILTERS = {
    "nothing": ({}, lambda view: True),
    "status": ({"status": "draft"}, lambda view: view.certificate.status == "draft"),
    "status as a value": ({"status": Status.EXPIRED}, lambda view: view.certificate.status is Status.EXPIRED),
    "owner": ({"owner": "anna"}, lambda view: view.certificate.owner == "anna"),
    "no owner": ({"owner": ""}, lambda view: view.certificate.owner == ""),
    "days from": ({"days_from": 5}, lambda view: (view.days_remaining or -9999) >= 5),
    "days to": ({"days_to": 5}, lambda view: view.days_remaining is not None and view.days_remaining <= 5),
    "both": ({"days_from": -1, "days_to": 5}, lambda view: view.days_remaining in range(-1, 6)),
    "key type": ({"key_type": "RSA 2048"}, lambda view: view.certificate.key_type is KeyType.RSA_2048),
    "renews": ({"renews_itself": True}, lambda view: view.certificate.renews_itself),
    "nobody looks after it": (
        {"renews_itself": False, "status": "expired"},
        lambda view: not view.certificate.renews_itself and view.certificate.status is Status.EXPIRED,
    ),
    "name": ({"name": " EXAMPLE.o "}, lambda view: any("example.o" in name.ascii for name in view.certificate.names)),
    "alias": ({"name": "www."}, lambda view: view.certificate.domain.ascii == "b.example"),
    "a whole U-label": ({"name": "größe.example"}, lambda view: view.certificate.domain.unicode == "größe.example"),
    "below": ({"below": "shop.example.org"}, lambda view: view.certificate.domain.ascii.endswith("shop.example.org")),
    "below a wildcard": (
        {"below": "*.shop.example.org"},
        lambda view: view.certificate.domain.ascii.endswith("shop.example.org"),
    ),
    "below with a dot": ({"below": ".example.org"}, lambda view: view.certificate.domain.ascii.endswith("example.org")),
    "all together": (
        {
            "owner": "anna",
            "status": "active",
            "key_type": "ec-p384",
            "days_from": 80,
            "name": "*.",
            "below": "org.example",
        },
        lambda view: False,
    ),
    "everything at once": (
        {
            "owner": "anna",
            "status": "active",
            "key_type": "ec-p384",
            "days_from": 80,
            "name": "*.",
            "renews_itself": True,
        },
        lambda view: view.certificate.domain.ascii == "shop.example.org",
    ),
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", list(SortKey))
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_in_every_order_through_pages(world, views, name, order, descending):
    """Each certificate that fits is there once, in the order that was asked for, whatever the size of a page."""
    filters, fits = FILTERS[name]
    assert len(views) == 11
    wanted = [view.certificate for view in views if fits(view)]
    assert wanted or name == "all together"
    with_value = [one for one in wanted if order is not SortKey.NOT_AFTER or one.not_after is not None]
    without = [one for one in wanted if one not in with_value]
    expected = [
        *sorted(with_value, key=SORTED[order], reverse=descending),
        *sorted(without, key=lambda one: one.id, reverse=descending),
    ]
    for limit in (1, 2, 3, 1000):
        found = all_pages(world, limit, order=str(order), descending=descending, **filters)
        assert found == expected


def test_a_profile_and_its_certificates(world):
    """The filter takes the ID of a CA profile; an unknown ID finds no certificates."""
    for authority in world.authorities.list():
        found = all_pages(world, 2, authority=authority.id)
        assert {one.authority_id for one in found} == {authority.id}
    with pytest.raises(InvalidInputError, match="there is no CA profile 'nobody'") as refused:
        world.certificates.list(authority="nobody")
    assert refused.value.field == "authority"
    assert world.certificates.list(authority="nobody", owner="anna").items == ()
    assert (
        len(all_pages(world))
        - sum(len(all_pages(world, authority=authority.id)) for authority in world.authorities.list())
        == 3
    )


def test_leaves(world):
    """By serial number or fingerprint, however they are written; also that of a leaf that is no longer in service."""
    for certificate in all_pages(world):
        leaf = world.certificates.view(certificate.id).leaf
        if leaf is None:
            continue
        pairs = ":".join(leaf.fingerprint_sha256[at : at + 2] for at in range(0, 64, 2)).upper()
        for filters in (
            {"serial": leaf.serial_hex},
            {"serial": "00:" + leaf.serial_hex.upper()},
            {"serial": f"0x{leaf.serial_hex}"},
            {"fingerprint": leaf.fingerprint_sha1},
            {"fingerprint": pairs},
            {"fingerprint": pairs, "serial": leaf.serial_hex, "owner": certificate.owner},
        ):
            assert all_pages(world, 1, **filters) == [certificate]
        assert all_pages(world, serial=leaf.serial_hex[:-1]) == []
        assert all_pages(world, fingerprint=leaf.fingerprint_sha1, status="draft") == []


def test_an_earlier_leaf_is_found(bench):
    """Who has an old serial number finds the certificate that had it, after its renewal."""
    certificate_id = bench.active()
    old = bench.core.certificates.view(certificate_id).leaf
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    new = bench.core.certificates.view(certificate_id).leaf
    assert new.serial_hex != old.serial_hex
    for leaf in (old, new):
        assert [certificate.id for certificate in bench.core.certificates.list(serial=leaf.serial_hex).items] == [
            certificate_id
        ]
        assert [
            certificate.id for certificate in bench.core.certificates.list(fingerprint=leaf.fingerprint_sha256).items
        ] == [certificate_id]


@pytest.mark.parametrize(
    ("field", "filters"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": 1001}),
        ("limit", {"limit": "50"}),
        ("limit", {"limit": True}),
        ("status", {"status": "gone"}),
        ("status", {"status": ""}),
        ("order", {"order": "size"}),
        ("days_from", {"days_from": "5"}),
        ("days_from", {"days_from": 1.5}),
        ("days_from", {"days_from": True}),
        ("days_from", {"days_from": 36_501}),
        ("days_to", {"days_to": "5"}),
        ("days_to", {"days_to": 1.5}),
        ("days_to", {"days_to": True}),
        ("days_to", {"days_to": -36_501}),
        ("key_type", {"key_type": "dsa"}),
        ("name", {"name": "a b"}),
        ("name", {"name": "%"}),
        ("name", {"name": "größe"}),
        ("below", {"below": "a_b.example"}),
        ("below", {"below": "com"}),
        ("below", {"below": "größe"}),
        ("serial", {"serial": "xyz"}),
        ("fingerprint", {"fingerprint": "abcd"}),
        ("after", {"after": ""}),
        ("after", {"after": "nonsense"}),
    ],
)
def test_what_is_no_filter(world, field, filters):
    """It is refused with its name and the reason; a list of everything is not what was asked for."""
    with pytest.raises(InvalidInputError) as refused:
        world.certificates.list(**filters)
    assert refused.value.field == field


def test_the_furthest_days(world):
    """Both limits can be given."""
    assert len(all_pages(world, days_from=-36_500, days_to=36_500)) == 6


OFFSETS = st.integers(-3 * 86_400, 3 * 86_400).map(lambda seconds: timedelta(seconds=seconds)) | st.integers(-3, 3).map(
    lambda days: days * DAY
)


@examples(40, deadline=None)
@given(offsets=st.lists(OFFSETS, min_size=1, max_size=4), late=st.integers(0, 86_400), days=st.integers(-4, 4))
def test_days_are_those_of_the_page(offsets, late, days):
    """``days_from`` and ``days_to`` take exactly those whose page shows so many days, to the microsecond."""
    environment = FrozenEnvironment()
    with CertCore.in_memory(installed_plugins=False, environment=environment) as core:
        for number, offset in enumerate(offsets):
            core.certificates.import_certificate(leaf_until(f"d{number}.example", START + offset), KEY_PEM)
        environment.advance(timedelta(seconds=late))
        shown = {
            certificate.id: core.certificates.view(certificate.id).days_remaining for certificate in all_pages(core)
        }
        assert {certificate.id for certificate in all_pages(core, days_from=days)} == {
            one for one, left in shown.items() if left >= days
        }
        assert {certificate.id for certificate in all_pages(core, days_to=days)} == {
            one for one, left in shown.items() if left <= days
        }
        assert {certificate.id for certificate in all_pages(core, days_from=days, days_to=days)} == {
            one for one, left in shown.items() if left == days
        }


def test_counts(world):
    """As many as a list of the status has, also none; at most so many, when that is enough."""
    counted = world.certificates.count_by_status()
    assert set(counted) == set(Status)
    for status in Status:
        assert counted[status] == len(all_pages(world, status=status))
    for owner in ("", "anna", "bert", "nobody"):
        counted = world.certificates.count_by_status(owner=owner)
        assert counted == {status: len(all_pages(world, status=status, owner=owner)) for status in Status}
        assert sum(world.certificates.count_by_status(owner=owner, at_most=1).values()) <= len(Status)
    (one, _) = world.authorities.list()
    counted = world.certificates.count_by_status(authority=one.id, owner="anna")
    assert sum(counted.values()) == len(all_pages(world, authority=one.id, owner="anna"))
    with pytest.raises(InvalidInputError):
        world.certificates.count_by_status(at_most=0)


def test_permission_is_asked_for_the_tenant(world):
    """A list of one tenant needs the permission for that tenant, a list of all tenants the one for all."""
    policy = next(plugin for plugin in _plugins(world) if isinstance(plugin, TenantPolicy))
    policy.asked.clear()
    assert len(world.certificates.list(owner="anna", actor="anna").items) == 3
    for call in (
        lambda: world.certificates.list(actor="anna"),
        lambda: world.certificates.list(owner="bert", actor="anna"),
        lambda: world.certificates.list(owner="", actor="anna"),
        lambda: world.certificates.count_by_status(actor="anna"),
        lambda: world.certificates.search("shop", actor="anna"),
    ):
        with pytest.raises(AccessDeniedError):
            call()
    assert policy.asked == [
        ("anna", Permission.CERTIFICATE_LIST, "anna"),
        ("anna", Permission.CERTIFICATE_LIST_ALL, ""),
        ("anna", Permission.CERTIFICATE_LIST, "bert"),
        ("anna", Permission.CERTIFICATE_LIST, ""),
        *[("anna", Permission.CERTIFICATE_LIST_ALL, "")] * 2,
    ]
    policy.asked.clear()
    mine, theirs = (all_pages(world, owner=owner)[0] for owner in ("anna", "bert"))
    policy.asked.clear()
    assert world.certificates.overlaps(mine.id, actor="anna") == []
    with pytest.raises(NotFoundError):
        world.certificates.overlaps(theirs.id, actor="anna")
    assert policy.asked == [
        ("anna", Permission.CERTIFICATE_VIEW, "anna"),
        ("anna", Permission.CERTIFICATE_VIEW, "bert"),
    ]


def _plugins(core):
    return [plugin.plugin for plugin in inside(core).plugins.plugins]


def test_filters_as_one_value(bench):
    """A `CertificateFilter` selects as its keywords do; a keyword takes precedence; another type is refused."""
    active, draft = bench.active("a.example"), bench.draft("b.example", owner="anna").id
    certificates = bench.core.certificates

    def ids(**filters):
        return [certificate.id for certificate in certificates.list(**filters).items]

    assert ids(only=CertificateFilter(status=Status.ACTIVE)) == ids(status="active") == [active]
    assert ids(only=CertificateFilter(owner="anna", name_contains="b.ex")) == [draft]
    assert ids(only=CertificateFilter(authority_id="test", ends_from=bench.environment.now())) == [active]
    assert ids(only=CertificateFilter(status=Status.ACTIVE), status="draft") == [draft]
    with pytest.raises(InvalidInputError) as refused:
        certificates.list(only={"status": "active"})
    assert refused.value.field == "only"
    with pytest.raises(InvalidInputError) as refused:
        CertificateFilter(ends_before=bench.environment.now().replace(tzinfo=None))
    assert refused.value.field == "ends_before"
