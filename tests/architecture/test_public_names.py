"""The public namespaces: their examples run, type checkers see what is loaded late, one term has one meaning."""

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import pytest

import certcore
from certcore.core import CertCore

#: What users import from, and nothing else; `certcore.errors` is one of certcore's own names, and a CA
#: module has its settings in its own package.
NAMESPACES = [
    "certcore",
    "certcore.hints",
    "certcore.plugin",
    "certcore.serialization",
    "certcore.testing",
    "certcore.testing.conformance",
    "certcore_puq_acme",
]


def _public(*namespaces):
    """Each public name with its object."""
    modules = [importlib.import_module(name) for name in namespaces or NAMESPACES]
    return [(f"{module.__name__}.{name}", getattr(module, name)) for module in modules for name in module.__all__]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_example_of_a_namespace_runs(namespace):
    """The example in the docstring of a public namespace runs as it is printed there."""
    examples = re.findall(r"::\n\n((?:(?: {4}.*)?\n)+)", f"{importlib.import_module(namespace).__doc__}\n")
    assert examples
    for example in examples:
        exec(textwrap.dedent(example), {"__name__": "example"})


@pytest.mark.parametrize("package", ["certcore", "certcore.testing", "certcore_puq_acme"])
def test_type_checkers_see_what_is_loaded_late(sources, package):
    """The imports that a type checker reads in a package with late names are what the package gives at run time."""
    (module,) = (source for source in sources if source.dotted == package)
    (typed,) = (node for node in module.tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    loaded = importlib.import_module(package)
    seen = {"__version__"} if package == "certcore" else set()
    for node in typed.body:
        if isinstance(node, ast.ImportFrom):
            for item in node.names:
                imported = importlib.import_module(node.module)
                expected = getattr(imported, item.name, None) or importlib.import_module(f"{node.module}.{item.name}")
                assert getattr(loaded, item.name) is expected
                seen.add(item.name)
    assert seen == set(loaded.__all__)


def test_the_version_is_that_of_the_package():
    """`certcore.__version__` is the version of the package that is installed."""
    assert certcore.__version__ == version("certcore")


def test_a_public_name_is_one_thing():
    """A name that several public namespaces have stands for the same object in all of them."""
    meanings = {}
    for name, value in _public():
        assert meanings.setdefault(name.rpartition(".")[2], value) is value, name


def test_a_class_has_a_name_of_its_own(sources):
    """No two public classes of the library, or of the ACME module, share a name."""
    places = {}
    for module in sources:
        for node in module.tree.body:
            is_union = isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp)
            names = [target.id for target in node.targets if isinstance(target, ast.Name)] if is_union else []
            if isinstance(node, ast.ClassDef):
                names = [node.name]
            for name in names:
                # A command of Django is a class with this name in a module with the command's name.
                is_command = name == "Command" and "/management/commands/" in module.name
                if name[0].isupper() and not name.isupper() and not is_command:
                    places.setdefault((module.name.partition("/")[0], name), []).append(module.name)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def _signatures():
    """Every public call of CertCore, of what hangs on it, and of the functions beside it."""
    core = CertCore.in_memory(installed_plugins=False)
    owners = [CertCore, type(core.authorities), type(core.certificates), type(core.sealing_keys), type(core.worker())]
    core.close()
    for owner in owners:
        for name in dir(owner):
            member = inspect.getattr_static(owner, name)
            member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if not name.startswith("_") and inspect.isfunction(member):
                yield f"{owner.__name__}.{name}", member
    for name in ("obtain", "serve_zones", "write_plain", "write_versioned"):
        yield name, getattr(certcore, name)


def test_what_certcore_takes_is_public():
    """Every class that an argument of CertCore is annotated with can be imported from a public namespace."""
    public = {id(value) for _, value in _public()}
    hidden = set()
    for name, function in _signatures():
        namespace = vars(sys.modules[function.__module__])
        for argument, annotation in function.__annotations__.items():
            for word in re.findall(r"\b[A-Z]\w+", str(annotation)) if argument != "return" else ():
                value = namespace.get(word)
                if getattr(value, "__module__", "").startswith("certcore") and id(value) not in public:
                    hidden.add(f"{name}({argument}: {word})")
    assert hidden == set()


def test_ports_that_certcore_takes_are_for_plugins():
    """What CertCore takes that somebody may implement is in `certcore.plugin`, with all that it needs."""
    names = set(_ports_taken())
    # A CheckItem is what the function that a caller hands in is called with.
    assert names == {"CheckItem", "Environment", "Keyring", "ZoneSource"}
    assert names <= set(importlib.import_module("certcore.plugin").__all__)


def _ports_taken():
    for _, function in _signatures():
        namespace = vars(sys.modules[function.__module__])
        for argument, annotation in function.__annotations__.items():
            for word in re.findall(r"\b[A-Z]\w+", str(annotation)):
                if argument != "return" and getattr(namespace.get(word), "__module__", "").startswith("certcore.ports"):
                    yield word


#: Where what a plugin implements, or is handed, is defined.
_FOR_PLUGINS = [
    "hookspecs",
    "ports/ca_module",
    "ports/dns",
    "ports/documents",
    "ports/environment",
    "ports/module_actions",
    "ports/module_files",
    "ports/sealing",
    "ports/signing_ca",
]
#: Of a store and a vault, which no plugin has to do with; and type variables.
_NOT_FOR_PLUGINS = {
    "AnyAuthoritySettings",
    "AnyCertificateSettings",
    "AuthoritySettings",
    "CertificateSettings",
    "SealedSecret",
    "SecretName",
}


def test_what_plugins_implement_is_described_in_public_names(sources):
    """Every class of ours in the signature of a hook, a CA module, a keyring or a zone is for authors of plugins."""
    public = {name.rpartition(".")[2] for name, _ in _public("certcore.plugin", "certcore.hints")}
    hidden = set()
    for module in sources:
        if module.name.removeprefix("certcore/").removesuffix(".py") not in _FOR_PLUGINS:
            continue
        ours = {name for name, full in module.aliases.items() if full.startswith("certcore.") and name[0].isupper()}
        ours |= {node.name for node in module.tree.body if isinstance(node, ast.ClassDef)}
        for node in module.nodes:
            annotations = [node.annotation] if isinstance(node, ast.arg | ast.AnnAssign) else []
            annotations += [node.returns] if isinstance(node, ast.FunctionDef) else []
            names = {part.id for each in annotations if each for part in ast.walk(each) if isinstance(part, ast.Name)}
            hidden |= {f"{module.name}: {name}" for name in names & ours - public - _NOT_FOR_PLUGINS}
    assert hidden == set()


#: Integrations that a page documents are imported from their own package or module.
_INTEGRATIONS = re.compile(r"certcore\.contrib\.\w+|certcore\.contrib\.django\.(urls|middleware)")
#: Not imported, but read: the hooks with what they mean.
_READ = {"certcore.hookspecs"}
_CODE = re.compile(r"^```py(?:thon)?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _pages(root):
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def _examples(root):
    """Each page's code, and each example, with its name."""
    for page in _pages(root):
        for number, code in enumerate(_CODE.findall(page.read_text(encoding="utf-8")), 1):
            yield f"{page.relative_to(root)}, block {number}", code
    for file in sorted((root / "examples").rglob("*.py")):
        yield str(file.relative_to(root)), file.read_text(encoding="utf-8")


#: The packages under examples, whose modules import each other.
_EXAMPLE_PACKAGES = {path.name for path in Path(__file__).parents[2].glob("examples/*/src/certcore_*")}


def _is_public(module, name=None):
    """Whether ``from module import name`` is for users; without a name, ``import module``."""
    if module in NAMESPACES or _INTEGRATIONS.fullmatch(module):
        public = getattr(importlib.import_module(module), "__all__", [])
        return name is None or name in public or f"{module}.{name}" in NAMESPACES
    package = module.partition(".")[0]
    return not package.startswith("certcore") or package in _EXAMPLE_PACKAGES


def test_docs_and_examples_import_public_names_only(root):
    """Whatever a page or an example imports from certcore is a name of a public namespace, or of an integration."""
    seen, hidden = 0, []
    for place, code in _examples(root):
        aliases = {}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                seen += (node.module or "").startswith("certcore")
                hidden += [
                    f"{place}: {node.module}.{item.name}"
                    for item in node.names
                    if not _is_public(node.module, item.name)
                ]
            elif isinstance(node, ast.Import):
                hidden += [f"{place}: {item.name}" for item in node.names if not _is_public(item.name)]
                aliases |= {item.asname or item.name: item.name for item in node.names}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = aliases.get(node.value.id, "")
                if module.startswith("certcore") and not _is_public(module, node.attr):
                    hidden.append(f"{place}: {module}.{node.attr}")
    assert seen > 30
    assert hidden == []


def test_pages_for_users_name_no_private_module(root):
    """No page sends its reader to a module that may change without notice; the architecture page is about them."""
    hidden = []
    for page in _pages(root):
        if page.parent.name == "explanation":
            continue
        for name in re.findall(r"\bcertcore(?:_puq_acme)?(?:\.\w+)+", page.read_text(encoding="utf-8")):
            parts = name.split(".")
            prefixes = [".".join(parts[:length]) for length in range(2, len(parts) + 1)]
            modules = [prefix for prefix in prefixes if _is_module(prefix)]
            public = {*NAMESPACES, *_READ, "certcore.errors", "certcore.contrib"}
            if any(module not in public and not _INTEGRATIONS.fullmatch(module) for module in modules):
                hidden.append(f"{page.relative_to(root)}: {name}")
    assert hidden == []


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
