"""The walk of an owner through the SSL section, from the draft to the deletion, with every page that was seen."""

import re
from datetime import UTC, datetime, timedelta

from attrs import define, field

from certcore import Status
from certcore.testing import LittleAuthority, make_request
from support.leaves import bought
from support.panel_site import PASSWORD, PanelSite
from support.reader import Page, Reader

__all__ = ["ALIAS", "DOMAIN", "USERS", "DocumentWalk", "cname_records"]

USERS = [
    ("root", [], True),
    ("anna", [], False),
    ("bert", [], False),
    ("viewer", ["SSL viewers"], False),
]
DOMAIN, ALIAS = "shop.test", "www.shop.test"


@define(eq=False)
class DocumentWalk:
    """The pages of the walk, by what they show, and the site behind them."""

    site: PanelSite
    pages: dict = field(factory=dict)
    #: What else was noticed on the way.
    notes: dict = field(factory=dict)
    _readers: list = field(factory=list)

    def __getitem__(self, name) -> Page:
        return self.pages[name]

    def sign_in(self, user):
        reader = Reader.arrive(self.site.base_url)
        self._readers.append(reader)
        reader.visit("/accounts/login/")
        reader.press("Sign in", username=user, password=PASSWORD)
        return reader

    def close(self):
        """End everybody's connections."""
        for reader in self._readers:
            reader.close()

    def reload(self, reader, name, certificate_id, shows=""):
        """Keep the page of a certificate as it is when it shows a text."""
        path = f"/ssl/certificates/{certificate_id}/"
        self.site.until(lambda: shows in reader.visit(path).text)
        self.pages[name] = reader.page

    def take(self):
        """Walk."""
        anna = self.sign_in("anna")
        _from_draft_to_active(self, anna)
        _key_and_export(self, anna)
        _other_people(self)
        _imports(self, anna)
        _renewal_ahead_of_expiry(self, anna)
        _ends(self, anna)


def _from_draft_to_active(walk, anna):
    site, pages = walk.site, walk.pages
    pages["start"] = anna.visit("/ssl/")
    pages["empty list"] = anna.visit("/ssl/certificates/")
    pages["create"] = anna.follow("Create")
    pages["draft"] = anna.press(
        "Save",
        domain=DOMAIN,
        aliases=f"{ALIAS}\nmail.{DOMAIN}",
        wildcard=True,
        auto=True,
        days_before="7",
        email="it@shop.test",
        organization="Shop Ltd",
        country="PL",
    )
    walk.notes["id"] = certificate_id = site.certificate(DOMAIN).id
    walk.notes["draft"] = site.core.certificates.view(certificate_id)
    pages["saved draft"] = anna.press("Save", organization="Shop and Co")
    walk.notes["saved draft"] = site.core.certificates.view(certificate_id)
    pages["bad days"] = anna.press("Save", days_before="4000")
    anna.visit(f"/ssl/certificates/{certificate_id}/")
    anna.press("Generate CSR")
    walk.notes["generated"] = site.core.certificates.view(certificate_id)
    walk.reload(anna, "pending", certificate_id, "Missing")
    for name, _ in cname_records(pages["pending"]):
        site.zone.set(name, "CNAME", "elsewhere.test")
    anna.press("Check now")
    walk.reload(anna, "wrong target", certificate_id, "elsewhere.test")
    for name, target in cname_records(pages["pending"]):
        site.zone.set(name, "CNAME", target)
    site.until(lambda: site.status(DOMAIN) is Status.ACTIVE)  # nobody presses anything
    walk.reload(anna, "active", certificate_id)
    walk.notes["active"] = site.core.certificates.view(certificate_id)
    pages["list"] = anna.visit("/ssl/certificates/")


def cname_records(page):
    """The CNAME records that a page asks for: names and targets, in pairs."""
    names = re.findall(r"_acme-challenge\.[\w.-]+\.test", page.text)
    targets = re.findall(r"\b\w{26}\.acme\.panel\.test", page.text)
    return list(zip(dict.fromkeys(names), dict.fromkeys(targets), strict=True))


def _key_and_export(walk, anna):
    walk.reload(anna, "before the key", walk.notes["id"])
    walk.pages["key asked"] = anna.follow("private key")
    walk.pages["key"] = anna.press("private key", reason="to look at it")
    anna.visit(f"/ssl/certificates/{walk.notes['id']}/")
    walk.pages["export"] = anna.follow("Export")
    walk.pages["exported"] = anna.press("Download", reason="for the vault")
    walk.pages["timeline"] = anna.visit(f"/ssl/certificates/{walk.notes['id']}/timeline/")
    folder = walk.site.folder
    walk.notes["stored"] = b"".join(file.read_bytes() for file in sorted(folder.glob("certcore.db*")))


def _other_people(walk):
    path = f"/ssl/certificates/{walk.notes['id']}/"
    bert, viewer = walk.sign_in("bert"), walk.sign_in("viewer")
    walk.pages["list of bert"] = bert.visit("/ssl/certificates/")
    walk.pages["page of bert"] = bert.visit(path)
    walk.pages["page of viewer"] = viewer.visit(path)
    walk.pages["profile"] = walk.sign_in("root").visit(f"/ssl/authorities/{walk.site.authority.id}/")


def _imports(walk, anna):
    now = datetime.now(UTC)
    ca = LittleAuthority(now)
    csr, key = make_request("old.test")
    _, other_key = make_request("old.test")
    chain = ca.issue(csr, now=now - timedelta(days=60))
    end = "-----END CERTIFICATE-----\n"
    leaf, bundle = chain.split(end)[0] + end, end.join(chain.split(end)[1:])
    anna.visit("/ssl/certificates/")
    walk.pages["import"] = anna.follow("Import")
    walk.pages["mismatch"] = anna.press("Check", leaf=leaf, private_key=other_key, ca_bundle=bundle)
    walk.notes["after the mismatch"] = walk.site.core.certificates.list(search="old.test").items
    walk.pages["import checked"] = anna.press("Check", private_key=key)
    walk.pages["imported"] = anna.press("Save", private_key=key)
    walk.notes["imported"] = walk.site.core.certificates.view(walk.site.certificate("old.test").id)
    csr, key = make_request("gone.test")
    _import(anna, leaf=ca.issue(csr, now=now - timedelta(days=100)), private_key=key)
    walk.reload(anna, "expired", walk.site.certificate("gone.test").id)


def _import(anna, private_key, **values):
    """Import without a script in the page: a private key is not sent back by the check, so it is given twice."""
    anna.visit("/ssl/certificates/import/")
    anna.press("Check", private_key=private_key, **values)
    anna.press("Save", private_key=private_key)


def _renewal_ahead_of_expiry(walk, anna):
    """A leaf with three days left that is to be renewed seven days before its end; the CNAME is not there yet."""
    site = walk.site
    chain, key = bought("soon.test", now=datetime.now(UTC) - timedelta(days=87))
    _import(anna, leaf=chain, private_key=key, authority=site.authority.id, auto=True, days_before="7")
    certificate_id = site.certificate("soon.test").id
    walk.notes["due"] = site.core.certificates.view(certificate_id)
    walk.reload(anna, "renewal waits", certificate_id, "Missing")
    walk.pages["list with a renewal"] = anna.visit("/ssl/certificates/")
    site.set_cnames(certificate_id)
    site.until(lambda: site.core.certificates.view(certificate_id).days_remaining > 7)
    walk.reload(anna, "renewed", certificate_id)
    walk.notes["renewed"] = site.core.certificates.view(certificate_id)


def _ends(walk, anna):
    site = walk.site
    # Pebble does not offer this validation, and says so before anything else.
    refusing = site.profile("Refusing", challenges="dns-persist-01")
    anna.visit("/ssl/certificates/new/")
    anna.press("Save", domain="error.test", authority=refusing.id)
    anna.press("Generate CSR")
    site.until(lambda: site.status("error.test") is Status.ERROR)
    walk.notes["error"] = site.certificate("error.test")
    walk.reload(anna, "error", walk.notes["error"].id)
    walk.reload(anna, "active again", walk.notes["id"])
    anna.follow("Revoke")
    anna.press("Revoke")
    walk.reload(anna, "revoked", walk.notes["id"])
    anna.follow("Delete")
    walk.pages["delete asked"] = anna.page
    anna.press("Delete")
    walk.pages["list after the deletion"] = anna.visit("/ssl/certificates/")
