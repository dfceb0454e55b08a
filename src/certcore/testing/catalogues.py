"""Make and check gettext catalogues of a package's texts, with Babel.

A catalogue has an entry for each key. A comment above the entry has the English text, for translators. If the English
text changes, the entry is marked ``fuzzy``, and not used until a translator has checked it::

    #. It waits for {desk}.
    msgid "desk.waits"
    msgstr "Очікує на {desk}."

This needs Babel: install ``certcore[translations]``. Use it in a script of your package::

    from pathlib import Path

    from certcore.testing import CatalogueFiles

    package = Path("src/certcore_desk")
    files = CatalogueFiles.of_package(package, languages=["de", "uk"])
    files.update()
    assert files.faults() == []
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import frozen
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from certcore.messages import parameters
from certcore.testing.texts import Text, UnreadableText, conflicts, texts_of, texts_of_form

__all__ = ["CatalogueFiles"]

_HEADER: Final = """\
# Translations of {domain}: {language}.
# The message ids are keys; the comment above each is its English text."""
#: The date in all catalogues, so that files only change when texts do.
_NO_DATE: Final = datetime(2000, 1, 1, tzinfo=UTC)


@frozen(kw_only=True)
class CatalogueFiles:
    """The catalogues of one package, one for each language."""

    #: The folder of the files ``FOLDER/LANGUAGE/LC_MESSAGES/DOMAIN.po`` and ``.mo``.
    folder: Path
    #: The name of the files.
    domain: str
    #: The languages, as gettext names them.
    languages: Sequence[str]
    #: The texts of the package.
    texts: Sequence[Text]
    #: Messages of the package whose text cannot be read from the code.
    unreadable: Sequence[UnreadableText] = ()

    @classmethod
    def of_package(
        cls,
        package: Path,
        *,
        languages: Iterable[str],
        forms: Iterable[type] = (),
        leave_out: Iterable[str] = (),
        more: Iterable[Text] = (),
    ) -> CatalogueFiles:
        """The catalogues in the folder ``locale`` of a package, with its name as the domain.

        Args:
            package: The package's folder.
            languages: The languages, as gettext names them: ``de``, ``pt_BR``.
            forms: The settings classes of the package's CA modules and actions, for labels, help, units and choices.
            leave_out: The names of modules and subpackages without texts for pages.
            more: Further texts that cannot be read from the code, for example those of tables.

        Raises:
            TypeError: One of ``forms`` is not a settings class, see `certcore.plugin.form`.
        """
        texts, unreadable = texts_of(package, leave_out)
        return cls(
            folder=package / "locale",
            domain=package.name,
            languages=tuple(languages),
            texts=(*texts, *(text for form in forms for text in texts_of_form(form)), *more),
            unreadable=tuple(unreadable),
        )

    def update(self) -> None:
        """Update and compile every catalogue. Translations are kept, and unused entries are removed."""
        for language in self.languages:
            catalogue = self._updated(language)
            path = self._path(language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_po(catalogue))
            path.with_suffix(".mo").write_bytes(_mo(catalogue))

    def faults(self) -> list[str]:
        """A sentence for each missing or faulty text of each language."""
        faults = [*map(str, self.unreadable), *conflicts(self.texts)]
        for language in self.languages:
            path = self._path(language)
            if not path.exists():
                faults.append(f"{language}: there is no catalogue yet")
                continue
            if path.read_bytes() != _po(self._updated(language)):
                faults.append(f"{language}: the catalogue does not have the texts of the code; update it")
            catalogue = self._read(language)
            if path.with_suffix(".mo").read_bytes() != _mo(catalogue):
                faults.append(f"{language}: the catalogue is not compiled")
            faults += (f"{language}: {fault}" for fault in self._lacking(catalogue))
        return faults

    def _lacking(self, catalogue: Catalog) -> Iterator[str]:
        for text in self._unique():
            entry = catalogue.get(text.key)
            if entry is None:
                yield f"{text.key} is not in it"
                continue
            forms = _forms(entry)
            if not all(forms):
                yield f"{text.key} is not translated: {text.english}"
            elif entry.fuzzy:
                yield f"{text.key} has another English text now: {text.english}"
            else:
                yield from (f"{text.key} {fault}" for form in forms for fault in _parameter_faults(text, form))

    def _unique(self) -> list[Text]:
        return sorted({text.key: text for text in self.texts}.values(), key=lambda text: text.key)

    def _updated(self, language: str) -> Catalog:
        """The catalogue with the present keys and the stored translations."""
        before = self._read(language)
        catalogue = Catalog(
            locale=Locale.parse(language),
            domain=self.domain,
            header_comment=_HEADER.format(domain=self.domain, language=language),
            fuzzy=False,
        )
        for text in self._unique():
            comments = [text.english] if not text.singular else [text.singular, text.english]
            old = before.get(text.key)
            # Long comments are wrapped, so white space is ignored.
            is_changed = old is not None and " ".join(old.auto_comments).split() != " ".join(comments).split()
            plural = (text.key, text.key) if text.singular else text.key
            string = _kept(old, catalogue.num_plurals if text.singular else 0)
            flags = {"fuzzy"} if old is not None and any(string) and (is_changed or old.fuzzy) else set()
            catalogue.add(plural, string, flags=flags, auto_comments=comments)
        return catalogue

    def _read(self, language: str) -> Catalog:
        path = self._path(language)
        if not path.exists():
            return Catalog(locale=Locale.parse(language), domain=self.domain)
        with path.open("rb") as file:
            return read_po(file, locale=language, domain=self.domain)

    def _path(self, language: str) -> Path:
        return self.folder / language / "LC_MESSAGES" / f"{self.domain}.po"


def _forms(entry: Entry) -> tuple[str, ...]:
    """The translations of an entry: a single one, or one for each plural form."""
    match entry.string:
        case None:
            return ("",)
        case str(string):
            return (string,)
        case forms:
            return tuple(forms)


def _kept(old: Entry | None, plurals: int) -> str | tuple[str, ...]:
    """The stored translation, with as many plural forms as the present text needs."""
    forms = () if old is None else _forms(old)
    if not plurals:
        return forms[0] if len(forms) == 1 else ""
    return forms if len(forms) == plurals else ("",) * plurals


def _parameter_faults(text: Text, translation: str) -> Iterator[str]:
    known = parameters(text.english) | parameters(text.singular)
    try:
        used = parameters(translation)
    except ValueError:
        yield f"has braces that are no parameters: {translation}"
        return
    if used - known:
        yield f"names a parameter that is not there: {', '.join(sorted(used - known))}"
    # A plural form may have the number in words.
    if missing := known - used - ({"count"} if text.singular else set()):
        yield f"leaves a parameter out: {', '.join(sorted(missing))}"


def _po(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalogue, width=110, no_location=True)
    return _without_origin(file.getvalue())


def _without_origin(po: bytes) -> bytes:
    members = ("POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Language-Team", "Project-Id-Version")
    dated = tuple(f'"{member}:'.encode() for member in (*members, "Report-Msgid-Bugs-To", "Generated-By"))
    return b"\n".join(line for line in po.split(b"\n") if not line.startswith(dated))


def _mo(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    entries = Catalog(
        locale=catalogue.locale,
        domain=catalogue.domain,
        charset="utf-8",
        creation_date=_NO_DATE,
        revision_date=_NO_DATE,
    )
    for entry in catalogue:
        if entry.id and not entry.fuzzy and all(_forms(entry)):
            entries.add(entry.id, entry.string)
    write_mo(file, entries)
    return file.getvalue()
