"""The section behind an ASGI server: the same answers as behind WSGI."""

import asyncio

import pytest
from asgiref.sync import async_to_sync

from certcore.testing import Act
from support.django_addresses import addresses


@pytest.fixture
def ada(panel):
    """The browsers of an administrator: at a WSGI server, and at an ASGI server."""
    from django.test import AsyncClient

    user = panel.user("ada", "SSL administrators")
    at_asgi = AsyncClient()
    at_asgi.force_login(user)
    return panel.browser(user), at_asgi


@pytest.mark.slow(reason="asks for every address twice")
def test_every_address_answers_the_same(panel, ada):
    """Permissions, tenants and translations of a request are kept apart in threads of an ASGI server, too."""
    at_wsgi, at_asgi = ada
    certificate_id = panel.certificate("pending.example", Act.WAIT_OWNER)
    for each in addresses(certificate_id=certificate_id, authority_id=panel.authority.id):
        expected = at_wsgi.get(each.path)
        answer = async_to_sync(at_asgi.get)(each.path)
        assert (answer.status_code, answer.headers.get("Location")) == (
            expected.status_code,
            expected.headers.get("Location"),
        ), each
        assert answer["Content-Security-Policy"] == expected["Content-Security-Policy"], each


def test_people_who_are_served_at_once_are_kept_apart(panel):
    """Two tenants whose requests overlap see their own certificates alone."""
    from django.test import AsyncClient

    browsers = {}
    for name in ("anna", "bert"):
        user = panel.user(name)
        panel.certificate(f"{name}.example", owner=str(user.pk))
        browsers[name] = AsyncClient()
        browsers[name].force_login(user)

    async def both():
        return await asyncio.gather(*(browsers[name].get("/ssl/certificates/") for name in ["anna", "bert"] * 5))

    for number, answer in enumerate(async_to_sync(both)()):
        name, other = [("anna", "bert"), ("bert", "anna")][number % 2]
        assert f"{name}.example" in answer.content.decode()
        assert f"{other}.example" not in answer.content.decode()
