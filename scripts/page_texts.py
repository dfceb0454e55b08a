"""Keep the translations of the pages of `certcore.contrib.django` up to date: catalogues with English texts as keys.

scripts/page_texts.py update    write the catalogues anew with the texts of the pages, and compile them: `make texts`
scripts/page_texts.py check     say what is wrong; the tests ask the same
"""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

__all__ = ["LANGUAGES", "faults", "folder_of", "texts", "update"]

LANGUAGES: Final = ("de", "fr", "pl", "uk")
#: How Django spells its functions, and where their texts are among the arguments.
_KEYWORDS: Final = MappingProxyType(
    {
        **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
        **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
        **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
        **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
    }
)
_PARAMETER: Final = re.compile(r"%\((\w+)\)[a-z]")
#: Header fields that change with every run.
_DATED: Final = re.compile(
    r"^\"(POT-Creation-Date|PO-Revision-Date|Generated-By|Report-Msgid-Bugs-To):.*\n", re.MULTILINE
)
_HEADER: Final = "# Translations of the pages of certcore.contrib.django. Made by scripts/page_texts.py.\n#"


def folder_of(root: Path) -> Path:
    """The folder of the app in a checkout."""
    return root / "src" / "certcore" / "contrib" / "django"


def texts(folder: Path) -> Catalog:
    """The texts of all templates and modules of an app, with the places where they are."""
    if not settings.configured:
        settings.configure()
    catalog = Catalog()
    for file in sorted(folder.rglob("*")):
        if file.suffix not in (".html", ".py"):
            continue
        source = file.read_text()
        if file.suffix == ".html":
            source = templatize(source, origin=str(file))
        name = file.relative_to(folder).as_posix()
        for _, text, _, context in extract("python", io.BytesIO(source.encode()), keywords=dict(_KEYWORDS)):
            catalog.add(text, locations=[(name, None)], context=context)
    return catalog


def update(folder: Path) -> None:
    """Write the catalogues anew with the texts of the app, keep what is translated, and compile them."""
    template = texts(folder)
    for language in LANGUAGES:
        catalog = _read(folder, language)
        catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
        catalog.obsolete.clear()
        catalog.header_comment = _HEADER
        catalog.fuzzy = False
        path = _path(folder, language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalog, width=0, sort_output=True, omit_header=False)
        # Without dates, so that nothing but a changed text changes a file.
        path.write_text(_DATED.sub("", path.read_text()))
        with path.open("rb") as file:
            compiled = read_po(file, locale=language)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, compiled)


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with the catalogues: texts without a translation, other parameters, files that are out of date."""
    template = texts(folder)
    wanted = {_key(message) for message in template if message.id}
    for language in LANGUAGES:
        path = _path(folder, language)
        if not path.exists():
            yield f"{language}: there is no catalogue; run scripts/page_texts.py update"
            continue
        catalog = _read(folder, language)
        present = {_key(message) for message in catalog if message.id}
        if present != wanted:
            yield f"{language}: the catalogue is out of date; run scripts/page_texts.py update"
        for message in catalog:
            if message.id and _key(message) in wanted:
                yield from (f"{language}: {fault}" for fault in _faults_of(message))
        with path.with_suffix(".mo").open("rb") as file:
            compiled = _translations(read_mo(file))
        if compiled != _translations(catalog):
            yield f"{language}: the compiled catalogue is out of date; run scripts/page_texts.py update"


def _path(folder: Path, language: str) -> Path:
    return folder / "locale" / language / "LC_MESSAGES" / "django.po"


def _read(folder: Path, language: str) -> Catalog:
    path = _path(folder, language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def _key(message: Message) -> tuple[str, str]:
    text = message.id[0] if isinstance(message.id, list | tuple) else message.id
    return message.context or "", text


def _translations(catalog: Catalog) -> dict[tuple[str, str], list[str]]:
    return {_key(message): _forms(message.string) for message in catalog if message.id and _is_translated(message)}


def _forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _is_translated(message: Message) -> bool:
    return all(_forms(message.string))


def _faults_of(message: Message) -> Iterator[str]:
    shown = _key(message)[1][:60]
    if not _is_translated(message):
        yield f"{shown!r} is not translated"
        return
    most = {name for form in _forms(message.id) for name in _PARAMETER.findall(form)}
    least = set.intersection(*({*_PARAMETER.findall(form)} for form in _forms(message.id)))
    for form in _forms(message.string):
        names = set(_PARAMETER.findall(form))
        if not least <= names <= most:
            yield f"{shown!r} has other parameters than its translation"


if __name__ == "__main__":
    app = folder_of(Path(__file__).parents[1])
    if sys.argv[1:] == ["update"]:
        update(app)
    found = list(faults(app))
    for fault in found:
        sys.stdout.write(f"{fault}\n")
    sys.exit(1 if found else 0)
