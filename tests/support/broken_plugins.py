"""Plugins that cannot be loaded, one for each mistake: for the tests of loading, and for the table in the docs."""

import sys

import attrs
import pluggy

import certcore
from certcore.model import form
from certcore.model.export import ExportFormat, Use
from certcore.ports.ca_module import CAModule, Issued

hookimpl = certcore.hookimpl
other_mark = pluggy.HookimplMarker("pytest")


@attrs.frozen(kw_only=True)
class LoadedProfile:
    days: int = form.integer("Days", minimum=1, maximum=90, default=30)


class Simple(CAModule):
    """A CA module that is right."""

    name = "simple"
    title = "Simple"
    profile_type = LoadedProfile

    def advance(self, work):
        return Issued(state={}, chain_pem="")

    def hints(self, view, context):
        return []


def with_module(**changed):
    """A plugin with one CA module, in which something is different."""
    return Offering(certcore_ca_modules=[type("Changed", (Simple,), changed)()])


class Offering:
    """A plugin that returns from a hook that registers something what it is told."""

    name = "offering"

    def __init__(self, **returned):
        self.returned = returned

    @hookimpl
    def certcore_ca_modules(self):
        return self.returned.get("certcore_ca_modules", [])

    @hookimpl
    def certcore_export_formats(self):
        return self.returned.get("certcore_export_formats", [])


def handmade(**members):
    """An object of a class with these members."""
    return type("Handmade", (), members)()


async def never_runs(self, *given, **named):
    """Never runs."""


def yields(self, *given, **named):
    yield


def _on_event(self, event):
    """Does nothing."""


def wrapping(self, actor):
    return (yield)


class _Slotted:
    @hookimpl
    def certcore_ca_modules(self):
        return [Simple()]


@attrs.frozen(kw_only=True)
class _Plain:
    days: int = 30


@attrs.frozen(kw_only=True)
class _Hidden:
    _days: int = form.integer("Days", minimum=1, maximum=90, default=30)


def _exits(self):
    sys.exit(3)


#: A plugin, words of the reason, words of the advice.
BROKEN = {
    "nothing in it": (handmade(), "no hook was found", "@certcore.hookimpl"),
    "no mark": (
        handmade(certcore_on_event=lambda self, event: None),
        "certcore_on_event has no mark",
        "@certcore.hookimpl",
    ),
    "no mark beside a good one": (
        handmade(certcore_ca_modules=hookimpl(lambda self: []), certcore_on_event=lambda self, event: None),
        "certcore_on_event has no mark",
        "@certcore.hookimpl",
    ),
    "another project's mark": (
        handmade(certcore_on_event=other_mark(lambda self, event: None)),
        "mark of another project (pytest)",
        "@certcore.hookimpl",
    ),
    "a misspelt hook": (
        handmade(certcore_on_evnet=hookimpl(lambda self, event: None)),
        "unknown hook 'certcore_on_evnet'",
        "Did you mean certcore_on_event?",
    ),
    "an unknown hook": (handmade(on_event=hookimpl(lambda self: None)), "unknown hook 'on_event'", "The hooks are"),
    "a misspelt hook without a mark": (
        handmade(certcore_hint=lambda self, view: []),
        "certcore_hint has no mark",
        "def certcore_hints",
    ),
    "an unknown argument": (
        handmade(certcore_on_event=hookimpl(lambda self, event, surprise: None)),
        "certcore_on_event does not fit: it takes the unknown argument 'surprise'.",
        "It can take: certificates, event. See certcore.hookspecs.",
    ),
    "a misspelt argument": (
        handmade(certcore_on_event=hookimpl(lambda self, event, certificats: None)),
        "certcore_on_event does not fit: it takes the unknown argument 'certificats'.",
        "Did you mean certificates? See certcore.hookspecs.",
    ),
    "two unknown arguments of a hook under another name": (
        handmade(tell=hookimpl(specname="certcore_on_event")(lambda self, what, when, event=None: None)),
        "certcore_on_event does not fit: it takes the unknown arguments 'what', 'when'.",
        "It can take: certificates, event.",
    ),
    "an argument by position only": (
        handmade(certcore_on_event=hookimpl(lambda self, event, /: None)),
        "certcore_on_event cannot be called",
        "certcore.hookspecs",
    ),
    "a class": (_Slotted, "it is the class _Slotted", "plugin = _Slotted()"),
    "an async observer": (handmade(certcore_on_event=hookimpl(never_runs)), "coroutine function", "`def`"),
    "a generator observer": (handmade(certcore_on_event=hookimpl(yields)), "generator function", "`yield`"),
    "a wrapper": (handmade(certcore_authorize=hookimpl(wrapper=True)(wrapping)), "hook wrapper", "plain function"),
    "an old wrapper": (
        handmade(certcore_authorize=hookimpl(hookwrapper=True)(wrapping)),
        "hook wrapper",
        "plain function",
    ),
    "a name that raises": (handmade(name=property(_exits)), "its name cannot be read: raised SystemExit", "author"),
    "a name of two lines": (handmade(name="a\nb", certcore_hints=hookimpl(_on_event)), "is not one line", ""),
    "an exit in a hook": (handmade(certcore_ca_modules=hookimpl(_exits)), "certcore_ca_modules: raised SystemExit", ""),
    "modules that are texts": (Offering(certcore_ca_modules=["simple"]), "a str, which is not a CAModule", "Inherit"),
    "a text of modules": (Offering(certcore_ca_modules="simple"), "it returned a str", "author"),
    "None for modules": (Offering(certcore_ca_modules=None), "it returned a None", "author"),
    "a class of modules": (Offering(certcore_ca_modules=[Simple]), "is not a CAModule", "[Simple()]"),
    "a bad name": (with_module(name="Simple CA"), "must be lower-case letters", "name ="),
    "a computed name": (with_module(name=property(lambda self: "simple")), "must be lower-case letters", "name ="),
    "no title": (with_module(title=""), "has no title", "title ="),
    "no form": (
        with_module(profile_type=_Plain),
        "'days' is not made with certcore.plugin.form",
        "certcore.plugin.form",
    ),
    "no attrs class": (with_module(profile_type=dict), "must be an attrs class", "attrs.frozen"),
    "a field that cannot be given": (with_module(profile_type=_Hidden), "'_days' cannot be given", "underscore"),
    "an async advance": (
        with_module(advance=never_runs),
        "advance of the module 'simple' is a coroutine",
        "def advance",
    ),
    "a generator for revoke": (with_module(revoke=yields), "generator function", "`yield`"),
    "a wrong signature": (
        with_module(revoke=lambda self, issuance: None),
        "revoke of the module 'simple' does not fit",
        "revoke(issuance, reason, private_key, context); it is written revoke(issuance)",
    ),
    "an argument by name that is missing": (
        with_module(profile_actions=lambda self, context: [], run_action=lambda self, name, values, context: None),
        "run_action of the module 'simple' does not fit",
        "actor=…",
    ),
    "no method": (with_module(revoke=True), "revoke of the module 'simple' is a bool", ""),
    "a misspelt power": (
        with_module(cleanup=lambda self, work: None),
        "method cleanup, which certcore never calls",
        "Rename it to clean_up",
    ),
    "another misspelt power": (with_module(renew_info=lambda self, i, c: None), "looks like renewal_info", "Rename"),
    "a misspelt form": (with_module(profile_forms=lambda self, c: ()), "looks like profile_form", "Rename"),
    "half of a power": (
        with_module(profile_actions=lambda self, context: []),
        "has profile_actions, but not run_action",
        "SupportsActions",
    ),
    "an export format that is a text": (Offering(certcore_export_formats=["pem"]), "is not an ExportFormat", "Make it"),
    "a name of certcore's": (
        Offering(certcore_export_formats=[ExportFormat(name="pem", title="P", private_key=Use.NEVER, make=print)]),
        "'pem' is already taken by certcore",
        "Rename",
    ),
    "a format whose title is a number": (
        Offering(certcore_export_formats=[ExportFormat(name="x", title=5, private_key=Use.NEVER, make=print)]),
        "an ExportFormat whose title is an int",
        "author",
    ),
    "an async format": (
        Offering(certcore_export_formats=[ExportFormat(name="x", title="X", private_key=Use.NEVER, make=never_runs)]),
        "coroutine function",
        "`def`",
    ),
}


#: The file of a CA module: its name and title are filled in.
HOUSE = """
import certcore
from certcore.ports.ca_module import CAModule, Issued, NoSettings

class House(CAModule):
    name = "{name}"
    title = "{title}"
    profile_type = NoSettings

    def advance(self, work):
        return Issued(state={{}}, chain_pem="")

    def hints(self, view, context):
        return []

@certcore.hookimpl
def certcore_ca_modules():
    return [House()]
"""

_INSIDE = HOUSE.format(name="house", title="House").replace(
    "@certcore.hookimpl\ndef certcore_ca_modules():\n    return [House()]",
    "class Plugin:\n    @certcore.hookimpl\n    def certcore_ca_modules(self):\n        return [House()]",
)
#: The files that the entry points below name, without `.py`.
IMPORTED = {
    "broken_exits": "import sys\nsys.exit(3)\n",
    "broken_syntax": "x = 1\ndef f(:\n    pass\n",
    "broken_fine": "x = 1\nnone = None\n",
    "broken_arguments": "def f(a):\n    pass\nf()\n",
    "broken_secret": "raise OSError('no licence s3cr3t')\n",
    "broken_inside": _INSIDE,
}
#: Installed plugins: the entry point, what is wrong with it, words of the reason, words of the advice.
IMPORTS = {
    "exits": ("broken_exits", "the file exits", "raised SystemExit (at ", "author"),
    "syntax": ("broken_syntax", "wrong syntax", "SyntaxError at ", "author"),
    "missing": (
        "broken_no_such_module",
        "a file that is not there",
        "No module named 'broken_no_such_module'",
        "Install",
    ),
    "attribute": ("broken_fine:nothing", "a name that is not there", "has no attribute 'nothing'", "author"),
    "arguments": ("broken_arguments", "a fault in the file", "missing 1 required positional argument: 'a'", "author"),
    "secret": ("broken_secret", "an error whose text may hold a secret", "raised OSError (at ", "author"),
    "empty": ("broken_fine", "a file without hooks", "no hook was found", "@certcore.hookimpl"),
    "none": ("broken_fine:none", "None", "its entry point names None", "Name a module"),
    "inside": ("broken_inside", "a file whose hooks are in a class", "no hook was found", "`broken_inside:plugin`"),
    "kind": ("broken_inside:Plugin", "a class", "is the class Plugin", "plugin = Plugin()"),
}
