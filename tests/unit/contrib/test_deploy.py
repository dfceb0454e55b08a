"""Deployment: the right files in the right place, and only for the certificates that a target selects."""

import logging
import stat
from datetime import timedelta

import pytest
from attrs import evolve

from certcore import Status
from certcore.contrib.deploy.files import DeployFiles, DeploymentError
from certcore.contrib.deploy.record import LOCK, RECORD
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.model.export import ExportedFile, ExportFormat, Use
from certcore.model.secret import Secret
from support.deployments import names, serial, unfinished, web
from support.leaves import bought

# -- files -------------------------------------------------------------------------------------------------------------


def test_the_leaf_in_service_is_deployed(open_place, folder):
    """Chain and key of one another, the key for its owner alone, and on the record who took it out and why."""
    place = open_place(web(folder))
    certificate_id = place.issued("shop.example", wildcard=True)
    place.deliver()
    assert place.reason(certificate_id, "web") is None
    there = folder / "shop.example"
    assert names(there) == ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"]
    assert serial(there, place.environment) == place.core.certificates.view(certificate_id).leaf.serial_hex
    assert stat.S_IMODE((there / "privkey.pem").stat().st_mode) == 0o600
    assert {stat.S_IMODE((there / name).stat().st_mode) for name in (RECORD, LOCK)} == {0o600}
    assert place.reveals(certificate_id) == [("plugin:web", "deployed by web")]


def test_a_renewal_is_deployed_as_a_version(open_place, folder, script):
    """The link changes to the new leaf, the files name their place, and the one before stays beside it."""
    target = web(folder, layout="versioned", format="nginx", command=script('note "$CERTCORE_FOLDER"'))
    place = open_place(target)
    certificate_id = place.issued()
    place.deliver()
    live = folder / "shop.example" / "live"
    first = serial(live, place.environment)
    place.renewed(certificate_id)
    place.deliver()
    assert first != serial(live, place.environment) == place.core.certificates.view(certificate_id).leaf.serial_hex
    assert f"{live}/privkey.pem" in (live / "nginx-ssl.conf").read_text()
    assert len(list((folder / "shop.example" / "versions").iterdir())) == 2
    assert script.noted() == [str(live)] * 2


def test_what_is_deployed_is_the_newest(open_place, folder, script):
    """A late event deploys the leaf in service; that leaf's own event then has nothing to do."""
    target = web(folder, command=script("note ran"))
    place = open_place(target)
    certificate_id = place.issued()
    place.renewed(certificate_id)
    place.deliver()
    assert len([event for event in place.core.certificates.timeline(certificate_id) if event.kind == "installed"]) == 2
    assert (
        serial(folder / "shop.example", place.environment)
        == place.core.certificates.view(certificate_id).leaf.serial_hex
    )
    assert script.noted() == ["ran"]


def test_an_event_that_comes_twice_changes_nothing(open_place, folder, script):
    """The files stay the same files, and the command is not run again; what somebody changed is put right."""
    target = web(folder, command=script("note ran"))
    place = open_place(target)
    certificate_id = place.issued()
    place.deliver()
    key = folder / "shop.example" / "privkey.pem"
    before = key.stat()
    target.certcore_on_event(place.event(certificate_id), place.core.certificates)
    assert (key.stat().st_ino, key.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert script.noted() == ["ran"]
    key.unlink()
    target.certcore_on_event(place.event(certificate_id), place.core.certificates)
    assert key.exists()
    assert script.noted() == ["ran", "ran"]
    assert unfinished(folder / "shop.example") == {certificate_id: []}


def test_other_events_are_none_of_its_business(open_place, folder):
    """Events about anything but a new leaf deploy nothing."""
    target = web(folder)
    place = open_place(target)
    certificate_id = place.issued()
    for event in place.core.certificates.timeline(certificate_id):
        if event.kind != "installed":
            target.certcore_on_event(event, place.core.certificates)
    assert not folder.exists()


def test_there_may_be_nothing_to_deploy_any_more(open_place, folder):
    """A certificate that is revoked or gone meanwhile, or that is a draft: no files, and no error."""
    target = web(folder)
    place = open_place(target)
    revoked, gone, draft = place.issued(), place.issued("gone.example"), place.issued("draft.example")
    events = [place.event(one) for one in (revoked, gone, draft)]
    place.core.certificates.revoke(revoked)
    place.core.certificates.delete(gone)
    other = place.core.certificates.create("other.example", authority=place.authority.id).id
    events.append(evolve(events[0], certificate_id=other))
    for event in events[:2] + events[3:]:
        target.certcore_on_event(event, place.core.certificates)
    assert not folder.exists()
    assert place.reveals(revoked) == []


def test_a_certificate_that_goes_while_it_is_deployed(open_place, folder):
    """Deleted between the look at it and the taking out of its key: nothing is there, and no error."""
    target = web(folder)
    place = open_place(target)
    one = place.issued()

    class Vanishing:
        view = staticmethod(place.core.certificates.view)

        def export(self, certificate_id, **_):
            raise NotFoundError("certificate", certificate_id)

    target.certcore_on_event(place.event(one), Vanishing())
    assert names(folder / "shop.example") == []


def test_what_changes_while_it_is_deployed(open_place, folder):
    """Between the looks at it, it was revoked, or got another leaf with another name: nothing is written."""
    target = web(folder)
    place = open_place()
    one, other = place.issued(), place.issued("other.example")
    event, core = place.event(one), place.core
    view, of_other = core.certificates.view(one), core.certificates.view(other)
    revoked = evolve(view, certificate=evolve(view.certificate, status=Status.REVOKED))
    renamed = evolve(view, certificate=of_other.certificate, active=of_other.active)

    class Changing:
        def __init__(self, *views):
            self.views = list(views)

        def view(self, certificate_id, **_):
            return self.views.pop(0)

        def export(self, certificate_id, **_):
            return core.certificates.export(other, reason="a test")

    target.certcore_on_event(event, Changing(view, revoked))
    for views in ((view, renamed), (view, view)):
        with pytest.raises(DeploymentError, match="another primary name"):
            target.certcore_on_event(event, Changing(*views))
    assert names(folder / "shop.example") == []


def test_whose_folder_it_is_may_be_a_secret(open_place, folder):
    """A policy that lets a target see no other certificate: that one counts as there, and its files stay."""
    target = web(folder)
    place = open_place(target)
    first = place.issued(owner="anna")
    place.deliver()
    second = place.issued(owner="anna")

    class Discreet:
        export = staticmethod(place.core.certificates.export)

        def view(self, certificate_id, *, actor):
            if certificate_id == first:
                raise AccessDeniedError(actor, "certificate.view", certificate_id)
            return place.core.certificates.view(certificate_id, actor=actor)

    before = serial(folder / "shop.example", place.environment)
    with pytest.raises(DeploymentError, match="another certificate"):
        target.certcore_on_event(place.event(second), Discreet())
    assert serial(folder / "shop.example", place.environment) == before


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {"shop.example", "www.shop.example", "other.example"}),
        ({"domains": ["SHOP.example"]}, {"shop.example"}),
        ({"domains": [".shop.example"]}, {"www.shop.example"}),
        ({"domains": ".example"}, {"shop.example", "www.shop.example", "other.example"}),
        ({"domains": ["op.example", ".hop.example"]}, set()),
        ({"owners": ["anna"]}, {"shop.example", "other.example"}),
        ({"owners": ["anna"], "domains": [".shop.example"]}, set()),
        ({"authorities": ["test"]}, {"shop.example", "www.shop.example"}),
        ({"authorities": ["nobody"]}, set()),
    ],
)
def test_only_what_was_selected_is_deployed(open_place, folder, given, found):
    """By primary name, by owner, by CA profile; whoever gives several wants all of them to hold."""
    place = open_place(web(folder, **given))
    second = place.core.authorities.create("second", module="scripted").id
    ids = [place.issued("shop.example", owner="anna"), place.issued("www.shop.example", owner="bert")]
    ids.append(place.issued("other.example", owner="anna", authority=second, aliases=["www.shop.example"]))
    place.deliver()
    assert {path.name for path in folder.glob("*")} == found
    assert [certificate_id for certificate_id in ids if place.reason(certificate_id, "web")] == []
    revealed = {
        place.core.certificates.get(certificate_id).domain.ascii
        for certificate_id in ids
        if place.reveals(certificate_id)
    }
    assert revealed == found


def test_a_wildcards_folder(open_place, folder):
    """Its name is a file's name, and it is selected by the name below the asterisk."""
    place = open_place(web(folder, domains=["shop.example"], folder=f"{folder}/{{id}}/{{name}}"))
    certificate_id = place.issued("*.shop.example")
    place.deliver()
    assert names(folder / certificate_id / "_wildcard.shop.example")


def test_an_imported_certificate(open_place, folder):
    """It is deployed as it comes in, and its renewal to the same place, whatever the order of the names in its leaf."""
    place = open_place(
        web(folder, imports=True),
        web(folder / "ha", imports=True, name="ha", format="haproxy", folder=str(folder / "ha")),
    )
    leaf = bought("*.shop.example", "shop.example", now=place.environment.now())
    certificate_id = place.core.certificates.import_certificate(*leaf).id
    place.deliver()
    assert [place.reason(certificate_id, target) for target in ("web", "ha")] == [None, None]
    there = folder / "shop.example"
    first = serial(there, place.environment)
    place.core.certificates.edit(certificate_id, authority=place.authority.id)
    place.renewed(certificate_id)
    place.deliver()
    assert (
        first
        != serial(folder / "shop.example", place.environment)
        == place.core.certificates.view(certificate_id).leaf.serial_hex
    )
    assert names(folder) == ["ha", "shop.example"]
    assert names(folder / "ha") == ["shop.example.pem"]


def test_a_key_that_is_not_here(open_place, folder):
    """A leaf without it is no use to a server: the reason says so; who wants the chain alone says so."""
    place = open_place(web(folder, imports=True), web(folder / "public", imports=True, name="public", with_key=False))
    chain, _ = bought("shop.example", now=place.environment.now())
    certificate_id = place.core.certificates.import_certificate(chain).id
    place.deliver()
    assert "private key" in place.reason(certificate_id, "web")
    assert place.reason(certificate_id, "public") is None
    assert names(folder / "shop.example") == []
    assert "fullchain.pem" in names(folder / "public" / "shop.example")


def test_a_reissue_with_another_name(open_place, folder):
    """Until it is in service the old leaf keeps its place; then the new one has a place of its own name."""
    target = web(folder)
    place = open_place(target)
    certificate_id = place.issued("shop.example")
    place.deliver()
    place.environment.advance(timedelta(seconds=1))
    place.core.certificates.reissue(certificate_id, domain="store.example")
    (folder / "shop.example" / "privkey.pem").unlink()
    target.certcore_on_event(place.event(certificate_id), place.core.certificates)
    assert (folder / "shop.example" / "privkey.pem").exists()
    assert names(folder) == ["shop.example"]
    for _ in range(4):
        place.core.reconcile(certificate_id)
    place.deliver()
    assert names(folder) == ["shop.example", "store.example"]
    assert (
        serial(folder / "store.example", place.environment)
        == place.core.certificates.view(certificate_id).leaf.serial_hex
    )


def test_without_the_key(open_place, folder):
    """Where the format can do without it, no key is taken out."""
    place = open_place(web(folder, with_key=False))
    certificate_id = place.issued()
    place.deliver()
    assert names(folder / "shop.example") == ["cert.pem", "chain.pem", "fullchain.pem"]
    assert place.reveals(certificate_id) == []


def test_a_format_with_a_password(open_place, folder, script, caplog):
    """The file is encrypted, and the password is nowhere: not in reasons, logs, the record or the representation."""
    target = web(folder, format="pkcs12", password=Secret("canary-password"), command=script("exit 3"))
    place = open_place(target)
    with caplog.at_level(logging.DEBUG):
        certificate_id = place.issued()
        place.deliver()
        place.deliver()
    assert names(folder / "shop.example") == ["shop.example.p12"]
    said = [
        repr(target),
        caplog.text,
        place.reason(certificate_id, "web"),
        (folder / "shop.example" / RECORD).read_text(),
    ]
    assert not [text for text in said if "canary-password" in text or "PRIVATE KEY" in text]


def test_a_format_that_is_handed_in(open_place, folder):
    """A target takes an export format of the user's own as well."""

    def make(exported, options):
        return [ExportedFile(name="names.txt", content=exported.domain.encode())]

    mine = ExportFormat(name="names", title="Names", private_key=Use.NEVER, make=make)
    place = open_place(web(folder, format=mine))
    certificate_id = place.issued()
    place.deliver()
    assert (folder / "shop.example" / "names.txt").read_text() == "shop.example"
    assert place.reveals(certificate_id) == []


def test_a_policy_is_asked(open_place, folder):
    """Whoever may not take keys out deploys nothing; the reason is shown."""
    target = web(folder)
    place = open_place(target)
    one = place.issued()

    class Strict:
        view = staticmethod(place.core.certificates.view)

        def export(self, certificate_id, *, actor, **_):
            raise AccessDeniedError(actor, "certificate.reveal_key", certificate_id)

    with pytest.raises(AccessDeniedError, match="plugin:web"):
        target.certcore_on_event(place.event(one), Strict())
    assert names(folder / "shop.example") == []


def test_a_target_alone_that_fails(open_place, folder, script):
    """Taking the key out makes an event; the target that is not to be asked yet is not asked for it, and no harm."""
    place = open_place(web(folder, command=script("exit 3")), alone=True)
    certificate_id = place.issued()
    place.deliver()
    assert "ended with exit code 3" in place.reason(certificate_id, "web")


# -- what is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "a" * 61}, "name"),
        ({"folder": "relative/{name}"}, "folder"),
        ({"folder": "/etc/{domain}"}, "folder"),
        ({"folder": "/etc/{name"}, "folder"),
        ({"folder": "/etc/{}"}, "folder"),
        ({"folder": "/etc/{name!r}"}, "folder"),
        ({"folder": "/etc/../{name}"}, "folder"),
        ({"folder": "/"}, "folder"),
        ({"folder": "/etc/a b"}, "folder"),
        ({"folder": "/etc/x\n"}, "folder"),
        ({"format": "jks"}, "format"),
        ({"format": "pkcs12"}, "password"),
        ({"format": "nginx", "password": Secret("password")}, "password"),
        ({"format": "nginx", "with_key": False}, "with_key"),
        ({"layout": "flat"}, "layout"),
        ({"secret_mode": 0o644}, "secret_mode"),
        ({"secret_mode": 0o1640}, "secret_mode"),
        ({"secret_mode": "0640"}, "secret_mode"),
        ({"keep": -1}, "keep"),
        ({"domains": ["*.shop.example"]}, "domains"),
        ({"domains": ["."]}, "domains"),
        ({"domains": [7]}, "domains"),
        ({"owners": [7]}, "owners"),
        ({"command": ["systemctl", "reload", "nginx"]}, "command"),
        ({"command": ["/bin/sh", 7]}, "command"),
        ({"command": ["/bin/sh", "a\0b"]}, "command"),
        ({"command": "true"}, "command"),
        ({"command_timeout": 0}, "command_timeout"),
        ({"command_timeout": float("nan")}, "command_timeout"),
        ({"command_timeout": True}, "command_timeout"),
    ],
)
def test_what_cannot_work_is_refused_at_once(given, field):
    """When the target is made, by the name of the field."""
    with pytest.raises(InvalidInputError) as refused:
        DeployFiles(**{"name": "web", "folder": "/etc/ssl/{name}", **given})
    assert refused.value.field == field
