"""Write the reference pages that come from the code, and the picture of the states.

python docs/generate.py          write them
python docs/generate.py --check  say which are not up to date (the tests do)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import typer.main
from broken_plugins import broken_plugin_page
from pictures import state_picture

from certcore import errors, hookspecs
from certcore.cli.app import app
from certcore.cli.new_plugin import PluginKind, plugin_files
from certcore.model.certificate_fields import CERTIFICATE_FIELDS
from certcore.model.edit_rules import EditRule, edit_method
from certcore.model.events import EventKind
from certcore.model.finding import Severity
from certcore.model.form import FieldKind, FormField, fields_of
from certcore.model.lifecycle import NEEDS, TRANSITIONS, USER_ACTIONS, Action, Need, Status, allowed_actions
from certcore.model.permissions import GRANTS, Permission
from certcore.serialization import json_schema, schema_names
from certcore.testing.conformance import Suite, all_checks, store_checks
from certcore_puq_acme.dns.finding_codes import FINDING_CODES
from certcore_puq_acme.orders.diagnosis import CAUSES
from certcore_puq_acme.profile.settings import PuqAcmeProfile, PuqAcmeSettings
from certcore_puq_acme.protocol.error_types import ERROR_TYPES, Outlook

HERE = Path(__file__).parent
_START: Final = "<!-- made by docs/generate.py: start -->"
_END: Final = "<!-- made by docs/generate.py: end -->"
#: Described once instead of with every command.
_COMMON_OPTIONS: Final = ("--database", "--keyring", "--json")
#: What a check is about, as the headings say it.
_SUBJECTS: Final = MappingProxyType(
    {subject: subject.replace("_", " ").capitalize() for subject in Suite} | {Suite.CA_MODULE: "CA module"}
)


def states() -> str:
    """The transition table, and who may do what."""
    return "\n".join(
        [
            "# States",
            "",
            "A managed certificate is always in exactly one of these states. The tables are generated from the code;",
            "every other transition raises `TransitionNotAllowedError`.",
            "",
            "![The states, and the actions that lead from one to another](../pictures/states.svg)",
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
            "| action | by | what happens | needs |",
            "| --- | --- | --- | --- |",
            *(
                f"| {action} | {'user' if action in USER_ACTIONS else 'engine'} | {_comment(Action, action.name)} "
                f"| {NEEDS.get(action, '')} |"
                for action in Action
            ),
            "",
            "| needs | means |",
            "| --- | --- |",
            *(f"| {need} | {_comment(Need, need.name)} |" for need in Need),
            "",
            "## Transitions",
            "",
            "| from | action | to |",
            "| --- | --- | --- |",
            *(f"| {status} | {action} | {after} |" for (status, action), after in TRANSITIONS.items()),
            "",
        ]
    )


def error_page() -> str:
    """Every error, with its place in the tree."""
    rows = []
    for name in errors.__all__:
        kind = getattr(errors, name)
        parents = ", ".join(base.__name__ for base in kind.__bases__)
        rows.append(f"| `{name}` | {parents} | `{kind.code}` | {kind.http_status} | {_first_sentence(kind)} |")
    return "\n".join(
        [
            "# Errors",
            "",
            "Everything that certcore raises on purpose is a `CertCoreError`, importable from `certcore.errors`.",
            "`str(error)` is a sentence for a person, `error.advice` says what to do next. `error.code` is stable and",
            "tells kinds of errors apart; `error.params` has the values in the sentence, for a translation;",
            "`error.http_status` is what a REST API answers with; `error.as_dict()` is the JSON form with code,",
            "message, advice and params. No error carries a secret.",
            "",
            "| error | is a | code | HTTP status | means |",
            "| --- | --- | --- | --- | --- |",
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
            "An `Event` is an entry of a certificate's timeline; observers get it through `certcore_on_event`. It has",
            "the actor, the time (UTC), and the status before and after.",
            "",
            "| kind | means |",
            "| --- | --- |",
            *(f"| {kind} | {_comment(EventKind, kind.name)} |" for kind in EventKind),
            "",
        ]
    )


#: When each hook is called, and what becomes of it when it raises or returns something else.
_HOOKS: Final = MappingProxyType(
    {
        "certcore_authorize": (
            "for every call of a service, in the thread of the caller",
            "the call is refused, and the log says why; all calls are refused while the plugin cannot be loaded",
        ),
        "certcore_ca_modules": (
            "once, when certcore is opened",
            "the module is left out; other modules, also of this plugin, are loaded",
        ),
        "certcore_catalogues": ("once, when certcore is opened", "the texts of the plugin stay English"),
        "certcore_check_targets": (
            "by a worker, about once a week for each certificate in service, more often while there is an obstacle",
            "the target counts as one that could not be checked, and the administrator is told",
        ),
        "certcore_controls_name": (
            "before a record is set that proves control of a name, and before an order that relies on one",
            "the owner does not control the name, and the certificate's page says so",
        ),
        "certcore_export_formats": ("once, when certcore is opened", "the format is left out"),
        "certcore_hints": (
            "each time the page of a certificate is shown",
            "the hints of this plugin are left out; the page is shown",
        ),
        "certcore_on_event": (
            "by a worker, or by `core.deliver_events()`, after the event was committed",
            "the event is delivered again, after pauses that grow up to an hour; `core.failed_deliveries` says why",
        ),
        "certcore_open_keyring": (
            "once, when certcore is opened with a keyring whose URL certcore does not know",
            "certcore is not opened: without its keyring no secret can be read",
        ),
        "certcore_zone_writers": (
            "once, when certcore is opened; the methods of a writer each time a value is written",
            "the writer is left out; when its methods raise, the value is written again after a pause",
        ),
    }
)
_EXAMPLES: Final = HERE / "reference/hook_examples"
_TEST: Final = "# test\n"


def hook_page() -> str:
    """Every hook: its signature, when it is called, what becomes of a failure, an example and its test."""
    names = [name for name in hookspecs.__all__ if name.startswith("certcore_")]
    parts = [
        "# Hooks",
        "",
        "A plugin is a module or an object with functions marked `@certcore.hookimpl`. certcore finds it through the",
        "entry-point group `certcore`, or gets it in `CertCore.open(plugins=[…])`. A hook takes the arguments that it",
        "needs, by name. It is a plain function: no coroutine, no wrapper. `certcore plugin new NAME --kind …` makes a",
        "package with one of them; `certcore plugin list -v` shows the hooks of a plugin, and what is wrong with it.",
        "[The plugin interface](../explanation/plugin-api.md) says what may change, and how changes are announced.",
        "",
        "| hook | called |",
        "| --- | --- |",
        *(f"| [`{name}`](#{_hook_anchor(name)}) | {_HOOKS[name][0]} |" for name in names),
    ]
    for name in names:
        hook = getattr(hookspecs, name)
        signature = inspect.signature(hook)
        arguments = ", ".join(f"{each.name}: {each.annotation}" for each in signature.parameters.values())
        example, _, test = (_EXAMPLES / f"{name}.py").read_text(encoding="utf-8").partition(_TEST)
        parts += [
            "",
            f"## {_hook_heading(name)}",
            "",
            "```py",
            f"def {name}({arguments}) -> {signature.return_annotation}: ...",
            "```",
            "",
            inspect.cleandoc(hook.__doc__ or ""),
            "",
            f"- Called {_HOOKS[name][0]}.",
            f"- When it raises, or returns something else, {_HOOKS[name][1]}.",
            "",
            "An example, and its test:",
            "",
            "```py",
            example.strip(),
            "```",
            "",
            "```py",
            test.strip(),
            "```",
        ]
    return "\n".join([*parts, ""])


def _hook_anchor(name: str) -> str:
    return _hook_heading(name).replace(", ", "-").replace("(", "").replace(")", "")


def _hook_heading(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(getattr(hookspecs, name)).parameters)})"


def field_page() -> str:
    """The left column, and what may be changed when."""
    return "\n".join(
        [
            "# Fields of a certificate",
            "",
            "These fields are the left column of a certificate's page, as in `CertificateView.fields`. The command's",
            "`--set` takes the names of those that may be changed.",
            "",
            "| field | title | block | may be changed |",
            "| --- | --- | --- | --- |",
            *(f"| `{one.name}` | {one.title} | {one.group} | {one.edit_rule} |" for one in CERTIFICATE_FIELDS),
            "",
            "| may be changed | means |",
            "| --- | --- |",
            *(f"| {rule} | {_comment(EditRule, rule.name)} |" for rule in EditRule),
            "",
            "The next table has the call that changes a field, by rule and status. If there are two, the second one is",
            "for a certificate whose renewal or reissue is under way; a reissue then cancels that issuance.",
            "",
            f"| may be changed | {' | '.join(Status)} |",
            f"| --- |{' --- |' * len(Status)}",
            *(f"| {rule} | {' | '.join(_edit_methods(rule, status) for status in Status)} |" for rule in EditRule),
            "",
        ]
    )


def _edit_methods(rule: EditRule, status: Status) -> str:
    methods = (edit_method(rule, status, under_way=under_way) for under_way in (False, True))
    return " / ".join(dict.fromkeys("no" if method is None else f"`{method}`" for method in methods))


def permission_page() -> str:
    """What is asked before each action, and who may by the built-in roles."""
    return "\n".join(
        [
            "# Permissions",
            "",
            "Before certcore does or shows anything, it asks the policy for one of these permissions. Without a policy",
            "every permission is granted. The last two columns are those of `RolePolicy`: the lowest role that has the",
            "permission, and whether the certificate's owner has it without a role. See",
            "[Give users roles](../how-to/give-users-roles.md).",
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
    again = {Outlook.SOON: "soon", Outlook.LATER: "slowly", Outlook.NEVER: "not automatically"}
    types = [
        f"| `{name}` | {str(known.says).replace(' at {host}', '')} | {again[known.outlook]} | {known.advice} "
        f"| {'the CA' if known.of_authority else 'the owner'} |"
        for name, known in sorted(ERROR_TYPES.items())
    ]
    causes = [f"| `{one.name}` | {one.title} | {one.advice} |" for one in CAUSES]
    return "\n".join(
        [
            "# Refusals of CAs",
            "",
            "The table says what a CA's refusal means for a certificate, and who can solve the problem. The CA's own",
            "text is always shown as well. The last column decides about",
            "[fallbacks](../how-to/fall-back-to-another-ca.md): a problem that the CA has to solve leads to the next",
            "CA, one that the domain's owner has to solve does not.",
            "",
            "*Soon* is after 10 seconds, later after up to an hour. *Slowly* is after 15 minutes, later after up to a",
            "day. A `Retry-After` of the CA is respected. *Not automatically* means only after somebody has changed",
            "something or asks for it; the renewal of an active certificate is still retried slowly.",
            "",
            "| ACME error type | what happened | retried | what to do | to be solved by |",
            "| --- | --- | --- | --- | --- |",
            *types,
            "",
            "## What CAs see in the DNS",
            "",
            "If a CA could not validate a name, certcore reads the cause from its text:",
            "",
            "| cause | what happened | what to do |",
            "| --- | --- | --- |",
            *causes,
            "",
        ]
    )


def finding_page() -> str:
    """Every finding about DNS records, with an example and its remedy."""
    rows = [
        f"| `{code}` | {row.severity} | {row.cause.format_map(row.example)} | {row.advice.format_map(row.example)} |"
        for code, row in FINDING_CODES.items()
    ]
    return "\n".join(
        [
            "# Findings about DNS records",
            "",
            "The checks of a PUQ ACME profile report findings in `DnsRecord.findings` of a certificate's page, in",
            "`core.diagnose(names, authority=…)`, in `certcore doctor DOMAIN` and in the test of a CA profile.",
            "`finding.code` is stable, `finding.remedy` has the exact records to set or to remove, and",
            "`finding.next_look` says when certcore looks again. See",
            "[Find out why a name is not validated](../how-to/find-out-why-a-name-is-not-validated.md).",
            "",
            "| severity | means |",
            "| --- | --- |",
            *(f"| {severity} | {_comment(Severity, severity.name)} |" for severity in Severity),
            "",
            "A finding is a warning instead of an error if something else compensates for it: for example, one name",
            "server of two is silent, and the other one shows the record.",
            "",
            "| code | severity | example | remedy |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def settings_page() -> str:
    """The settings of a PUQ ACME profile, and of its certificates."""
    return "\n".join(
        [
            "# Settings of a PUQ ACME profile",
            "",
            "Set them with `core.authorities.create(settings={…})` or `certcore authority add --set name=value`.",
            "",
            "| setting | kind | default | means |",
            "| --- | --- | --- | --- |",
            *(_setting(one) for one in fields_of(PuqAcmeProfile)),
            "",
            "## Settings of a certificate",
            "",
            "Set them with `core.certificates.create(module_data={…})` or `certcore cert create --set name=value`.",
            "",
            "| setting | kind | default | means |",
            "| --- | --- | --- | --- |",
            *(_setting(one) for one in fields_of(PuqAcmeSettings)),
            "",
        ]
    )


def json_page() -> str:
    """Every kind of JSON document, with the function that makes it."""
    rows = []
    for name in schema_names():
        schema = json_schema(name)
        rows.append(f"| `{name}` | `{name}_document` | {schema['title']} | `{schema['$id']}` |")
    return "\n".join(
        [
            "# JSON documents",
            "",
            inspect.cleandoc(
                """
                The functions of `certcore.serialization` make these documents; `certcore … --json` and the webhook use
                them as well. The member `schema` of a document names its kind and its version. To get the JSON Schema
                (2020-12) of a kind, run `certcore schema NAME` or call `certcore.serialization.json_schema(name)`;
                `component_schemas()` returns all of them for an OpenAPI 3.1 description.

                - Times are RFC 3339 in UTC, to the second. A member without a value is null or empty, never missing;
                  only in problems and in the fields of forms are members without a value left out.
                - Ignore members that you do not know: some commands add members of their own, such as `targets` in
                  `certcore cert show`. Every change of a schema changes its version.
                - Texts for people are objects with `key`, `text` (English) and `params`.
                  `core.translator("de").document(document)` returns the document in another language.
                - No document contains a secret.
                """
            ),
            "",
            "| kind | made by | what it is | `schema` |",
            "| --- | --- | --- | --- |",
            *rows,
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
    everywhere = ["Every command that works on a store also takes these options:", "", *common.values(), ""]
    return "\n".join(["# The command", "", *everywhere, *body]).rstrip() + "\n"


def conformance_page() -> str:
    """Every check of the conformance suites."""
    parts = [
        "# Conformance checks",
        "",
        "This page lists every rule by which certcore checks plugins. `certcore.testing.conformance.run(plugin)` runs",
        "the checks and returns a report; see [Test a plugin](../how-to/test-a-plugin.md). A check is not run if one",
        "that it needs has failed: repair that one first. The suites run under a frozen clock, so waiting takes no",
        "time. Stores are not registered by a hook, so their suite is run on a `StoreSetup`.",
    ]
    for subject in Suite:
        checks = [check for check in (*all_checks(), *store_checks()) if check.subject is subject]
        title = _SUBJECTS[subject]
        plural = "Policies" if subject is Suite.POLICY else f"{title}s"
        if checks:
            parts += ["", f"## {plural}", "", f"{len(checks)} checks."]
        for check in checks:
            parts += ["", f"### {title}: {check.name}", "", check.rule, "", f"*Why:* {check.why}"]
            if check.needs:
                parts += ["", f"*Needs:* {', '.join(f'`{name}`' for name in dict.fromkeys(check.needs))}"]
    return "\n".join([*parts, ""])


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
        "reference/findings.md": finding_page,
        "reference/json.md": json_page,
        "reference/command.md": command_page,
        "pictures/states.svg": state_picture,
        "reference/broken-plugins.md": broken_plugin_page,
        "reference/conformance.md": conformance_page,
    }
)


def module_guide() -> str:
    """The guide for CA modules with the files that the command makes between its marks."""
    made = plugin_files("house-ca", PluginKind.SIGNING_CA)
    shown = {"pyproject.toml": "toml", "src/house_ca/__init__.py": "py", "tests/test_house_ca.py": "py"}
    tree = ["```text", "house-ca/", *(f"    {path}" for path in made), "```"]
    files = [f"`house-ca/{path}`:\n\n```{language}\n{made[path].strip()}\n```" for path, language in shown.items()]
    text = (HERE / "how-to/write-a-ca-module.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(_START)
    _, _, after = rest.partition(_END)
    content = "\n\n".join(["\n".join(tree), *files])
    return f"{before}{_START}\n\n{content}\n\n{_END}{after}"


#: Pages of which only a part is made.
PARTS: Final = MappingProxyType({"how-to/write-a-ca-module.md": module_guide})


def stale() -> list[str]:
    """The pages that do not say what the code says."""
    return [name for name, make in {**PAGES, **PARTS}.items() if not _is(name, make())]


def _is(name: str, text: str) -> bool:
    page = HERE / name
    return page.is_file() and page.read_text(encoding="utf-8") == text


def _setting(field: FormField) -> str:
    kind = str(field.kind)
    if field.kind is FieldKind.INTEGER:
        kind = f"{field.minimum} to {field.maximum} {field.unit or ''}".strip()
    if field.choices:
        kind = "one of " + ", ".join(f"`{one.value}`" for one in field.choices)
    default = "required" if field.required else _shown(field.default)
    return f"| `{field.name}` | {kind} | {default} | {field.label}. {field.help or ''}".rstrip() + " |"


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
    for folder in ("reference", "pictures"):
        (HERE / folder).mkdir(exist_ok=True)
    for name, make in {**PAGES, **PARTS}.items():
        (HERE / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
