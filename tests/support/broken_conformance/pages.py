"""Modules that break what pages show."""

import socket

from certcore.hints import ActionButton, Level, Link, Message, Notice
from certcore.plugin import (
    BudgetUse,
    CertificateAction,
    ModuleFile,
    ProfileAction,
)
from support.broken_conformance.table import breaks
from support.conformant_ca import ConformantCA, message


@breaks("pages-offline")
class AsksForHints(ConformantCA):
    def profile_hints(self, context):
        socket.getaddrinfo("ca.example", 443)
        return super().profile_hints(context)


@breaks("hints")
class NoHintsForRevoked(ConformantCA):
    def hints(self, view, context):
        if view.certificate.status == "revoked":
            raise KeyError("revoked")
        return super().hints(view, context)


@breaks("profile-hints")
class TextsForHints(ConformantCA):
    def profile_hints(self, context):
        return ["The account is in order."]


@breaks("hints-size")
class ManyHints(ConformantCA):
    def hints(self, view, context):
        return super().hints(view, context) * 150


@breaks("hints-links")
class OpenLink(ConformantCA):
    def hints(self, view, context):
        return [Link(message("link", "The CA"), "http://ca.example/")]


@breaks("hints-secrets")
class ShowsSecret(ConformantCA):
    def hints(self, view, context):
        text = Message("conformant.hint", "The key is {key}.", {"key": context.profile.api_key.reveal_text()})
        return [Notice(Level.INFO, text)]


@breaks("hints-buttons")
class DeadButton(ConformantCA):
    def hints(self, view, context):
        return [ActionButton(name="generate_csr", label=message("hint"))]


@breaks("translations")
class Untranslated(ConformantCA):
    def hints(self, view, context):
        return [Notice(Level.INFO, Message("conformant.new", "A new text."))]


@breaks("profile-actions")
class BadActionName(ConformantCA):
    def profile_actions(self, context):
        return [ProfileAction(name="Ping the CA", label=message("ping"), help=message("ping.help"))]


@breaks("run-profile-actions")
class ActionReturnsText(ConformantCA):
    def run_action(self, name, values, context, *, actor):
        return "The CA answers."


@breaks("certificate-actions")
class NoActionsForExpired(ConformantCA):
    def certificate_actions(self, view, context):
        if view.certificate.status == "expired":
            raise KeyError("expired")
        return [CertificateAction(name="remind", label=message("remind"), help=message("remind.help"))]


@breaks("budgets")
class BudgetOfWords(ConformantCA):
    def budgets(self, context):
        return [BudgetUse(name="Orders per week", label=message("orders"), used=1, most=10)]


@breaks("files")
class ActiveFile(ConformantCA):
    def profile_files(self, context):
        return [ModuleFile(name="root.html", media_type="text/html", content=b"<p>", label=message("root"))]
