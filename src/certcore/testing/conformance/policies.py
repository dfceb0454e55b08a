"""The conformance suite of policies: plugins with ``certcore_authorize``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from certcore.model.permissions import Permission
from certcore.model.plugin_results import with_article
from certcore.testing.conformance.hooks import HookEvidence
from certcore.testing.conformance.processes import all_at_once
from certcore.testing.conformance.values import ConformanceCheck, RuleBrokenError, Suite, check_of, require

__all__ = ["POLICY_CHECKS", "PolicyEvidence"]

_HOOK: Final = "certcore_authorize"
_SUBJECTS: Final = (("", ""), ("", "tenant-1"), ("certificate-1", "tenant-1"), ("certificate-1", ""))
_ACTORS: Final = (
    "system",
    "anna",
    "",
    "ren\N{LATIN SMALL LETTER E WITH ACUTE}",
    "x" * 200,
    "a'b\"c;--",
    "plugin:deploy",
)


class PolicyEvidence(HookEvidence):
    """A policy, and its answers."""

    def ask(self, actor: str, action: str, subject: str = "", owner: str = "") -> bool | None:
        """The answer of the policy.

        Raises:
            RuleBrokenError: The policy raised an exception, or returned a value other than True, False or None.
        """
        offered = {"actor": actor, "action": action, "subject": subject, "owner": owner}
        call = self.call(_HOOK, offered)
        asked_text = f"Asked whether {actor[:40]!r} may {action}"
        if call.raised is not None:
            raise RuleBrokenError(f"{asked_text}, {call.failure}")
        answer: object = call.returned
        if answer is True or answer is False or answer is None:
            return answer
        raise RuleBrokenError(f"{asked_text}, it answered {with_article(answer)}: True, False or None is an answer.")


def _loads(evidence: PolicyEvidence) -> None:
    evidence.require_loaded(_HOOK)


def _answers(evidence: PolicyEvidence) -> None:
    for permission in Permission:
        for subject, owner in _SUBJECTS:
            evidence.ask("anna", permission.value, subject, owner)


def _actors(evidence: PolicyEvidence) -> None:
    for actor in _ACTORS:
        evidence.ask(actor, Permission.CERTIFICATE_VIEW.value, "certificate-1", "tenant-1")


def _unknown_action(evidence: PolicyEvidence) -> None:
    for action in ("certificate.of_a_later_version", "later.view"):
        for actor in ("system", "anna"):
            evidence.ask(actor, action, "certificate-1", "tenant-1")


def _steady(evidence: PolicyEvidence) -> None:
    for permission in Permission:
        answers = {evidence.ask("anna", permission.value, "certificate-1", "tenant-1") for _ in range(3)}
        require(len(answers) == 1, f"Asked three times whether 'anna' may {permission}, it answered differently.")


def _threads(evidence: PolicyEvidence) -> None:
    jobs = [
        partial(evidence.ask, f"actor-{number}", Permission.CERTIFICATE_VIEW.value, f"certificate-{number}", "tenant-1")
        for number in range(4)
    ]
    all_at_once(jobs)


def _checks() -> Iterator[ConformanceCheck]:
    check = check_of(Suite.POLICY)
    yield check(
        "loads",
        "The plugin is loaded without a failure, and has certcore_authorize as a plain function.",
        "While a policy cannot be used, everything is denied.",
        _loads,
    )
    yield check(
        "answers",
        "certcore_authorize answers True, False or None about every permission, with and without subject and owner.",
        "Anything else counts as a denial, and is logged.",
        _answers,
        needs=("loads",),
    )
    yield check(
        "every-actor",
        "Every actor has an answer: unknown ones, the empty one, other alphabets and `system`.",
        "The actor is what the panel hands over.",
        _actors,
        needs=("answers",),
    )
    yield check(
        "later-permissions",
        "An action that the policy does not know has an answer.",
        "Permissions are added in later versions.",
        _unknown_action,
        needs=("answers",),
    )
    yield check(
        "steady",
        "The same question has the same answer when it is asked again.",
        "A page asks for its buttons and for each call: it would show buttons that do not work.",
        _steady,
        needs=("answers",),
    )
    yield check(
        "thread-safe",
        "certcore_authorize may be called from several threads at once.",
        "Panels answer requests in threads.",
        _threads,
        needs=("answers",),
    )
    yield check(
        "quiet",
        "certcore_authorize prints nothing.",
        "What is printed ends up in the output of every command, and breaks its JSON.",
        HookEvidence.require_quiet,
        needs=("answers",),
    )


#: In the order in which they are run.
POLICY_CHECKS: Final = tuple(_checks())
