"""The panels in examples/flask and examples/fastapi issue from Pebble through their own routes."""

import html
import importlib.util
import io
import re
import sys
import zipfile
from pathlib import Path

import pytest

from certcore import CertCore
from certcore.testing import FrozenEnvironment, LittleAuthority

EXAMPLES = Path(__file__).parents[2] / "examples"
ANNA, BERT = ({"environ_overrides": {"REMOTE_USER": user}} for user in ("anna", "bert"))


def _example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # Flask looks there for the templates
    spec.loader.exec_module(module)
    return module


def test_the_glue_is_short():
    """The right column of a page takes less than 60 lines of a template, and a whole panel a third of what it took."""
    template = (EXAMPLES / "flask" / "templates" / "hints.html").read_text().splitlines()
    assert len(template) < 60
    for name in ("flask", "fastapi"):
        code = (EXAMPLES / name / "app.py").read_text().splitlines()
        assert len([line for line in code if line.strip()]) < 110


@pytest.mark.pebble
def test_flask_issues_through_its_own_pages(panel, start_pebble):
    """From the form with its errors to an active certificate and its files; others see nothing of it."""
    ca = start_pebble()
    profile = panel.profile(ca.directory_url, ca.roots_pem)
    client = _example("flask").create_app(panel.core).test_client()
    assert client.get("/").status_code == 401
    wrong = client.post("/new", data={"domain": "not a name", "authority": profile.id, "days_before": "x"}, **ANNA)
    assert wrong.status_code == 422
    assert wrong.text.count('<b class="error">') == 2
    made = client.post("/new", data={"domain": "shop.test", "authority": profile.id, "auto": "yes"}, **ANNA)
    page, certificate_id = made.location, made.location.removeprefix("/")
    assert client.get(page, **BERT).status_code == 404
    assert client.post(f"{page}/run/generate_csr", headers={"Origin": "https://evil.test"}, **ANNA).status_code == 403
    assert client.post(f"{page}/run/generate_csr", **ANNA).location == page
    shown = html.unescape(client.get(page, **ANNA).text)
    records = re.findall(r"<code>(\S+)</code> CNAME <code>(\S+)</code>", shown)
    assert records
    for name, value in records:
        panel.zone.set(name, "CNAME", value)
    assert client.post(f"{page}/run/check_now", **ANNA).location == page
    panel.until_active(certificate_id)
    assert "active" in client.get(page, **ANNA).text
    assert "shop.test" in client.get("/", **ANNA).text
    assert "shop.test" not in client.get("/", **BERT).text
    files = zipfile.ZipFile(io.BytesIO(client.post(f"{page}/export", data={"reason": "test"}, **ANNA).data))
    assert any(b"PRIVATE KEY" in files.read(name) for name in files.namelist())
    assert client.post(f"{page}/run/delete", **ANNA).location == "/"
    assert client.get(page, **ANNA).status_code == 404


def test_flask_shows_every_ca_module():
    """The CA modules under examples need no change of the panel: its pages have their texts, files and forms."""
    plugins = [importlib.import_module(f"certcore_{name}.plugin") for name in ("local_ca", "manual_ca")]
    clock = FrozenEnvironment()
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=clock) as core:
        hand = core.authorities.create("hand", module="manual_ca", settings={"ca_name": "Town Hall CA"}).id
        private = core.authorities.create("private", module="local_ca").id
        client = _example("flask").create_app(core).test_client()
        made = {
            authority: client.post("/new", data={"domain": "shop.test", "authority": authority}, **ANNA).location
            for authority in (hand, private)
        }
        for page in made.values():
            assert client.post(f"{page}/run/generate_csr", **ANNA).location == page
            core.reconcile(page.removeprefix("/"))
        shown = client.get(made[hand], **ANNA).text
        assert "Town Hall CA" in shown
        assert '<textarea name="chain">' in shown
        csr = client.get(f"{made[hand]}/files/shop.test.csr", **ANNA)
        assert csr.headers["Content-Disposition"] == 'attachment; filename="shop.test.csr"'
        chain = LittleAuthority(clock.now()).issue(csr.text, now=clock.now())
        assert client.post(f"{made[hand]}/run/upload_chain", data={"chain": chain}, **ANNA).location == made[hand]
        core.reconcile(made[hand].removeprefix("/"))
        for page in made.values():
            assert "active" in client.get(page, **ANNA).text
        assert client.get(f"{made[private]}/files/0001.crl", **ANNA).content_type == "application/pkix-crl"
        assert client.get(f"{made[private]}/files/0002.crl", **ANNA).status_code == 404
        assert client.get(f"{made[private]}/files/0001.crl", **BERT).status_code == 404


@pytest.mark.pebble
def test_fastapi_issues_through_its_own_routes(panel, start_pebble):
    """The same as JSON, each document as the OpenAPI description says."""
    client_module = pytest.importorskip("fastapi.testclient")
    jsonschema = pytest.importorskip("jsonschema")
    ca = start_pebble()
    profile = panel.profile(ca.directory_url, ca.roots_pem)
    client = client_module.TestClient(_example("fastapi").create_app(panel.core), headers={"X-Remote-User": "anna"})
    openapi = client.get("/openapi.json").json()

    def checked(reply, status, document):
        assert reply.status_code == status, reply.text
        schema = {"$ref": f"#/components/schemas/{document}Document", "components": openapi["components"]}
        jsonschema.Draft202012Validator(schema).validate(reply.json())
        return reply.json()

    refused = client.post("/certificates", json={"domain": "not a name", "authority": profile.id, "days_before": "x"})
    assert {error["field"] for error in checked(refused, 422, "Error")["error"]["errors"]} == {"domain", "days_before"}
    values = {"domain": "shop.test", "authority": profile.id, "auto": True}
    checked(client.get(f"/certificates/form?authority={profile.id}"), 200, "Form")
    made = checked(client.post("/certificates", json=values), 201, "View")
    url = f"/certificates/{made['id']}"
    changed = checked(client.patch(url, json={"aliases": "www.shop.test"}), 200, "View")
    assert changed["names"] == ["shop.test", "www.shop.test"]
    checked(client.get(url, headers={"X-Remote-User": "bert"}), 404, "Error")
    assert client.get(url, headers={"X-Remote-User": ""}).status_code == 401
    checked(client.post(f"{url}/actions/generate_csr"), 200, "View")
    hints = checked(client.get(f"{url}/hints"), 200, "Hints")["hints"]
    for row in [row for hint in hints if hint["kind"] == "dns_records" for row in hint["rows"]]:
        panel.zone.set(row["name"], row["type"], row["value"])
    checked(client.post(f"{url}/actions/check_now"), 200, "View")
    panel.until_active(made["id"])
    assert checked(client.get(url), 200, "View")["status"] == "active"
    (row,) = checked(client.get("/certificates"), 200, "Rows")["certificates"]
    assert row["domain"] == "shop.test"
    assert client.delete(url).status_code == 204
