"""Write the reference pages that come from the code: states, errors, events, hooks, settings and commands.

python docs/generate.py          write them
python docs/generate.py --check  say which are not up to date (the tests do)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import typer.main

from certcore import errors, hookspecs
from certcore.cli.app import app
from certcore.model.events import EventKind
from certcore.model.fields import CERTIFICATE_FIELDS, When
from certcore.model.form import FieldKind, FormField, fields_of
from certcore.model.lifecycle import TRANSITIONS, USER_ACTIONS, Action, Status, allowed_actions
from certcore.model.permissions import GRANTS, Permission
from certcore.model.renewal import Retry
from certcore_puq_acme.acme_errors import WORDS
from certcore_puq_acme.diagnosis import CAUSES
from certcore_puq_acme.meanings import MEANINGS
from certcore_puq_acme.settings import PuqAcmeProfile, PuqAcmeSettings

HERE = Path(__file__).parent
#: Described once instead of with every command.
_COMMON_OPTIONS: Final = ("--database", "--keyring", "--json")
_START: Final = "<!-- made by docs/generate.py: start -->"
_END: Final = "<!-- made by docs/generate.py: end -->"


def states() -> str:
    """The transition table, and who may do what."""
    return "\n".join(
        [
            "# States",
            "",
            "A managed certificate is always in exactly one of these states. The table below is the code's own",
            "(`certcore.model.lifecycle.TRANSITIONS`); what is not in it is refused with `TransitionNotAllowed`.",
            "",
            "| status | means | the user may |",
            "| --- | --- | --- |",
            *(
                f"| {status} | {_comment(Status, status.name)} | {', '.join(sorted(allowed_actions(status)))} |"
                for status in Status
            ),
            "",
            "## Actions",
            "",
            "| action | by | what happens |",
            "| --- | --- | --- |",
            *(
                f"| {action} | {'user' if action in USER_ACTIONS else 'engine'} | {_comment(Action, action.name)} |"
                for action in Action
            ),
            "",
            "## Transitions",
            "",
            "| from | action | to |",
            "| --- | --- | --- |",
            *(f"| {status} | {action} | {after} |" for (status, action), after in TRANSITIONS.items()),
            "",
        ]
    )


def diagram() -> str:
    """The state diagram: transitions that change the status."""
    moves: dict[tuple[Status, Status], list[str]] = {}
    for (status, action), after in TRANSITIONS.items():
        if status is not after:
            moves.setdefault((status, after), []).append(str(action))
    lines = [f"    {before} --> {after}: {', '.join(actions)}" for (before, after), actions in moves.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {Status.DRAFT}", *lines, "```"])


def error_page() -> str:
    """Every error, with its place in the tree."""
    rows = []
    for name in errors.__all__:
        kind = getattr(errors, name)
        parents = ", ".join(base.__name__ for base in kind.__bases__)
        rows.append(f"| `{name}` | {parents} | {_first_sentence(kind)} |")
    return "\n".join(
        [
            "# Errors",
            "",
            "Everything that certcore raises on purpose is a `CertCoreError`. `str(error)` is a sentence for a person,",
            "`error.advice` what to do next, `error.as_dict()` the same for machines. No error carries a secret.",
            "",
            "| error | is a | means |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def event_page() -> str:
    """Every kind of event."""
    return "\n".join(
        [
            "# Events",
            "",
            "An `Event` tells of something that is already stored: it is an entry of the certificate's timeline, and",
            "what `certcore_on_event` gets. It names the actor, the moment (UTC), and the status before and after.",
            "",
            "| kind | means |",
            "| --- | --- |",
            *(f"| {kind} | {_comment(EventKind, kind.name)} |" for kind in EventKind),
            "",
        ]
    )


def hook_page() -> str:
    """Every hook with its exact signature."""
    parts = [
        "# Hooks",
        "",
        "A plugin is a module or an object with functions marked `@certcore.hookimpl`, found through the entry-point",
        "group `certcore` or handed to `CertCore.open(plugins=[…])`. Take the arguments that you need, by name.",
    ]
    for name in hookspecs.__all__:
        hook = getattr(hookspecs, name)
        if not name.startswith("certcore_"):
            continue
        arguments = ", ".join(inspect.signature(hook).parameters)
        parts += ["", f"## {name}({arguments})", "", inspect.cleandoc(hook.__doc__ or "")]
    return "\n".join([*parts, ""])


def field_page() -> str:
    """The left column, and what may be changed when."""
    return "\n".join(
        [
            "# Fields of a certificate",
            "",
            "The left column of a certificate's page, as `CertificateView.fields` has it. One table",
            "(`certcore.model.fields.CERTIFICATE_FIELDS`) makes the view, the command's `--set` and the checks.",
            "",
            "| field | title | block | may be changed |",
            "| --- | --- | --- | --- |",
            *(f"| `{one.name}` | {one.title} | {one.group} | {one.when} |" for one in CERTIFICATE_FIELDS),
            "",
            "| may be changed | means |",
            "| --- | --- |",
            *(f"| {when} | {_comment(When, when.name)} |" for when in When),
            "",
            "While an attempt is under way beside a leaf, `between` takes a reissue, too, which gives that",
            "attempt up. An unfinished certificate (pending, processing, error) is taken back to draft first.",
            "",
        ]
    )


def permission_page() -> str:
    """What is asked before each action, and who may by the built-in roles."""
    return "\n".join(
        [
            "# Permissions",
            "",
            "`certcore_authorize` is asked for one of these before anything is done or shown. Without a policy the",
            "answer is yes. The last two columns are those of `RolePolicy`: from which role on, and whether the",
            "certificate's owner may without one. See [Give users roles](../how-to/give-users-roles.md).",
            "",
            "| permission | is needed to | role | owner |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{one}` | {_comment(Permission, one.name)} | {GRANTS[one].role.name.lower()} "
                f"| {'yes' if GRANTS[one].owner else 'no'} |"
                for one in Permission
            ),
            "",
        ]
    )


def refusal_page() -> str:
    """What a CA's refusals mean."""
    again = {Retry.SOON: "soon", Retry.SLOW: "slowly", Retry.NEVER: "not by itself"}
    types = [
        f"| `{name}` | {_words(name)} | {again[meaning.retry]} | {meaning.advice} "
        f"| {'the CA' if meaning.of_authority else 'the owner'} |"
        for name, meaning in sorted(MEANINGS.items())
    ]
    causes = [f"| `{one.name}` | {one.title} | {one.advice} |" for one in CAUSES]
    return "\n".join(
        [
            "# Refusals of CAs",
            "",
            "What a CA's refusal means for a certificate, and who can do something about it. The CA's own text stands",
            "beside ours, always. What is a matter of the CA leads to the next CA of a certificate that names several;",
            "what is a matter of the domain's owner does not.",
            "",
            "*Soon* begins with 10 seconds and ends with an hour, *slowly* begins with 15 minutes and ends with a day;",
            "a `Retry-After` of the CA is heeded. *Not by itself*: when somebody has changed something, or asks for",
            "it; the renewal of an active certificate is tried on, slowly, all the same.",
            "",
            "| ACME error type | what happened | again | what to do | whose matter |",
            "| --- | --- | --- | --- | --- |",
            *types,
            "",
            "## What CAs see in the DNS",
            "",
            "When a CA could not validate a name, its text tells the cause:",
            "",
            "| cause | what happened | what to do |",
            "| --- | --- | --- |",
            *causes,
            "",
        ]
    )


def _words(acme_type: str) -> str:
    words = WORDS.get(acme_type)
    return f"The CA {words}." if words else "See the CA's text, name by name."


def settings_page() -> str:
    """The settings of a PUQ ACME profile, and of its certificates."""
    return "\n".join(
        [
            "# Settings of a PUQ ACME profile",
            "",
            "Given to `core.authorities.create(settings={…})` or `certcore authority add --set name=value`.",
            "",
            "| setting | kind | default | means |",
            "| --- | --- | --- | --- |",
            *(_setting(one) for one in fields_of(PuqAcmeProfile)),
            "",
            "## Settings of a certificate",
            "",
            "Given to `core.certificates.create(module_data={…})` or `certcore cert create --set name=value`.",
            "",
            "| setting | kind | default | means |",
            "| --- | --- | --- | --- |",
            *(_setting(one) for one in fields_of(PuqAcmeSettings)),
            "",
        ]
    )


def command_page() -> str:
    """Every command with its options."""
    # By their attributes: whether Typer's classes are click's own depends on its version.
    common: dict[str, str] = {}

    def option_line(option: Any) -> str:
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        return f"- {names}: {option.help or ''}".rstrip(": ")

    def walk(command: Any, path: str) -> Iterator[str]:
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        yield f"## `{' '.join([path, *(one.name.upper() for one in arguments)])}`"
        yield ""
        yield inspect.cleandoc(command.help or "").split("\f")[0].strip()
        lines: list[str] = []
        for option in command.params:
            if option.param_type_name != "option" or option.hidden:
                continue
            if option.opts[0] in _COMMON_OPTIONS:
                common[option.opts[0]] = option_line(option)
            else:
                lines.append(option_line(option))
        if lines:
            yield ""
            yield from lines
        yield ""
        for name, found in getattr(command, "commands", {}).items():
            yield from walk(found, f"{path} {name}")

    body = list(walk(typer.main.get_command(app), "certcore"))
    everywhere = ["Every command that works on a store takes these, too:", "", *common.values(), ""]
    return "\n".join(["# The command", "", *everywhere, *body]).rstrip() + "\n"


PAGES: Final = MappingProxyType(
    {
        "reference/states.md": states,
        "reference/errors.md": error_page,
        "reference/events.md": event_page,
        "reference/hooks.md": hook_page,
        "reference/permissions.md": permission_page,
        "reference/fields.md": field_page,
        "reference/settings-puq-acme.md": settings_page,
        "reference/refusals.md": refusal_page,
        "reference/command.md": command_page,
    }
)


def architecture() -> str:
    """The architecture page with a fresh diagram between its marks."""
    text = (HERE / "explanation/architecture.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(_START)
    _, _, after = rest.partition(_END)
    return f"{before}{_START}\n{diagram()}\n{_END}{after}"


def stale() -> list[str]:
    """The pages that do not say what the code says."""
    made: dict[str, Callable[[], str]] = {**PAGES, "explanation/architecture.md": architecture}
    return [name for name, make in made.items() if not _is(name, make())]


def _is(name: str, text: str) -> bool:
    page = HERE / name
    return page.is_file() and page.read_text(encoding="utf-8") == text


def _setting(field: FormField) -> str:
    kind = str(field.kind)
    if field.kind is FieldKind.INTEGER:
        kind = f"{field.minimum} to {field.maximum} {field.unit}".strip()
    if field.choices:
        kind = "one of " + ", ".join(f"`{one.value}`" for one in field.choices)
    default = "required" if field.required else _shown(field.default)
    return f"| `{field.name}` | {kind} | {default} | {field.label}. {field.help}".rstrip() + " |"


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "empty"
    return {True: "yes", False: "no"}.get(value, f"`{value}`") if isinstance(value, bool) else f"`{value}`"


def _comment(kind: type, name: str) -> str:
    """The ``#:`` comment above a member of an enumeration."""
    lines = inspect.getsource(kind).splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{name} = "))
    found: list[str] = []
    while lines[at - 1].strip().startswith("#:"):
        at -= 1
        found.insert(0, lines[at].strip().removeprefix("#:").strip())
    return " ".join(found)


def _first_sentence(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        for name in (behind := stale()):
            print(f"docs/{name} is not up to date: run python docs/generate.py")
        return 1 if behind else 0
    (HERE / "reference").mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
    (HERE / "explanation/architecture.md").write_text(architecture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
