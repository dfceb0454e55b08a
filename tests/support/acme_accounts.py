"""ACME accounts as tests look at them, and a CA whose answers are replaced on the way."""

import json

from certcore.model.hints import Link, Notice
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.accounts.records import own_account, read_record
from certcore_puq_acme.network import Network
from support.inside import inside

EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
#: "lost": the CA has acted, but its answer never arrives.
FAULTS = ["500", "html", "empty", "not_json", "redirect", "reset", "lost"]
ROLLOVER = "/rollover-account-key"
NEW_ACCOUNT = "/sign-me-up"


def context_of(panel, profile):
    """What the CA module gets for a profile."""
    return inside(panel.core).contexts.context(panel.core.authorities.get(profile.id))[1]


def record_of(panel, profile):
    """What is kept of the profile's own account."""
    context = context_of(panel, profile)
    return read_record(context.documents, own_account(context).key)


def run_action(panel, profile, action, **values):
    """Run one of the profile's actions; returns what it says."""
    return str(panel.core.authorities.run_action(profile.id, action, values, actor="root"))


def offered_actions(panel, profile):
    """The profile's actions by their names."""
    return {action.name: action for action in panel.core.authorities.actions(profile.id)}


def account_at_the_ca(panel, profile):
    """The account as the CA knows it, asked with the key in use."""
    return Accounts(network=Network()).client(context_of(panel, profile)).account()


def path_of(url):
    """The path of an URL."""
    return "/" + url.split("/", 3)[3]


def problem_document(kind, detail="", **more):
    """The body of an error (RFC 8555 section 6.7)."""
    return json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, **more}).encode()


def replace_answers(plan, path, status, body, **headers):
    """From now on the CA acts on requests to a path, and its answer is replaced by another one."""

    def rewrite(asked, found, content, given):
        return (status, body, headers) if asked == path else (found, content, given)

    plan.rewrite = rewrite


def pass_answers_on(plan):
    """From now on the CA's answers are passed on."""
    plan.rewrite = lambda _, status, body, headers: (status, body, headers)


def dislike_to_be_asked(plan):
    """A CA that does not know onlyReturnExisting."""

    def rewrite(path, status, body, headers):
        asked = next((payload for at, payload in reversed(plan.asked) if at == path), None) or {}
        if path == NEW_ACCOUNT and asked.get("onlyReturnExisting"):
            return 400, problem_document("malformed", "onlyReturnExisting is not supported"), headers
        return status, body, headers

    plan.rewrite = rewrite


def texts_of(hints):
    """What notices say, as one text."""
    return "\n".join(str(hint.text) for hint in hints if isinstance(hint, Notice))


def links_of(hints):
    """Where links lead."""
    return [hint.url for hint in hints if isinstance(hint, Link)]
