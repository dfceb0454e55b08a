"""What tests of the SSL section do as a browser does it: addresses, what a page shows, what its form posts."""

import html
import re

__all__ = ["KEY", "LIST", "form_values", "get_addresses", "page", "shown", "text"]

LIST = "/ssl/certificates/"
#: What every private key in PEM has.
KEY = "PRIVATE KEY"


def page(certificate_id, part=""):
    """The address of a certificate's page, or of one below it."""
    return f"{LIST}{certificate_id}/{part}"


def text(response):
    """What an answer says."""
    return html.unescape(response.content.decode(errors="replace"))


def shown(response):
    """The texts of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def form_values(panel, certificate_id, **changes):
    """What a browser posts of the page's form: the fields that can be changed, and the version. None leaves one out."""
    form = panel.core.certificates.form(certificate_id)
    values = {"version": str(form.version)}
    for field in form.fields:
        if field.edit_method is not None and (field.kind != "boolean" or field.checked):
            values[field.name] = field.value
    return {name: value for name, value in (values | changes).items() if value is not None}


def get_addresses(certificate_id):
    """Every address of a certificate that can be looked at, and of the section's pages that make one."""
    actions = ("renew", "reissue", "revoke", "delete", "back_to_draft", "check_now", "generate_csr", "preflight")
    parts = ("", "live/", "timeline/", "clone/", "transfer/", "export/", "key/")
    pems = ("leaf", "chain", "fullchain", "csr", "public_key")
    return [
        *(page(certificate_id, part) for part in parts),
        *(page(certificate_id, f"pem/{part}/") for part in pems),
        *(page(certificate_id, f"actions/{action}/") for action in actions),
        f"{LIST}new/",
        f"{LIST}import/",
    ]
