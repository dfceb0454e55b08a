"""Translations of texts.

Translations are gettext catalogues whose message IDs are the keys of `Message`. A folder contains a file
``LANGUAGE/LC_MESSAGES/DOMAIN.mo`` for each language. certcore, plugins and panels each have such a folder::

    from certcore import CertCore
    from certcore.hints import Message

    with CertCore.in_memory() as core:
        texts = core.translator("uk")
    assert texts(Message("kind.certificate", "certificate")) == "сертифікат"

Texts without a translation stay English.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from certcore.messages import Message, as_message, parameters

__all__ = ["OWN_CATALOGUE", "Catalogue", "Translator", "translator"]

#: The longest subtag of a language (RFC 5646 section 2.1), in characters.
_LONGEST_SUBTAG: Final = 8


@frozen
class Catalogue:
    """The translations of one package."""

    #: The folder that contains a folder for each language.
    folder: Path = field(converter=Path)
    #: The name of the files, without ``.mo``.
    domain: str

    def load(self, language: str) -> gettext.NullTranslations:
        """The translations into a language; none if the file does not exist or cannot be read."""
        try:
            return gettext.translation(self.domain, str(self.folder), languages=[language], fallback=True)
        except (OSError, ValueError):  # boundary: a damaged catalogue of a plugin must not break a page
            return gettext.NullTranslations()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the catalogue, sorted."""
        files = self.folder.glob(f"*/LC_MESSAGES/{self.domain}.mo")
        return tuple(sorted(file.parent.parent.name for file in files))


#: The translations of certcore's own texts.
OWN_CATALOGUE: Final = Catalogue(Path(__file__).parent / "locale", "certcore")


@frozen
class Translator:
    """Translates messages into one language. `CertCore.translator` makes one; call it with a message."""

    #: The language as in the names of catalogues: ``uk``, ``de``, ``pt_BR``.
    language: str
    _catalogues: tuple[gettext.NullTranslations, ...] = field(default=(), repr=False)

    def __call__(self, message: Message | str) -> str:
        """The text of a message in this language, with its parameters; in English if there is no translation."""
        shown = as_message(message)
        translation = self._find(shown, self)
        return shown.filled(shown.english, self) if translation is None else translation

    def document(self, document: Any) -> Any:
        """A copy of a JSON document in which the messages are translated.

        A message is an object with the members ``key``, ``text`` and ``params``. Only ``text`` is replaced.
        """
        match document:
            case {"key": str(), "text": str(), "params": dict(params)}:
                translation = self._find(_message(document), self._of_document)
                shown = {name: self.document(value) for name, value in params.items()}
                return {**document, "text": translation or document["text"], "params": shown}
            case dict():
                return {name: self.document(value) for name, value in document.items()}
            case list():
                return [self.document(value) for value in document]
            case _:
                return document

    def _of_document(self, message: Message) -> str:
        """The text of a message from a document, whose English text already contains the parameters."""
        return self._find(message, self._of_document) or message.text

    def _find(self, message: Message, shown: Callable[[Message], str]) -> str | None:
        """The translation with its parameters; None if there is no usable translation."""
        for catalogue in self._catalogues if message.key else ():
            template = _template(catalogue, message)
            if template is not None:
                with suppress(LookupError, ValueError):  # boundary: a plugin's translation whose parameters do not fit
                    if parameters(template) <= message.params.keys():
                        return message.filled(template, shown)
        return None


def translator(language: str, catalogues: Iterable[Catalogue]) -> Translator:
    """Make a translator into a language.

    Args:
        language: A language with an optional territory: ``uk``, ``de_AT``, ``de-at``. Texts that are missing for the
            territory are taken from the language.
        catalogues: The catalogues of all packages. If several translate the same key, the first one is used.
    """
    locale = _locale(language)
    base = locale.partition("_")[0]
    names = dict.fromkeys((locale, base))
    loaded = [catalogue.load(name) for catalogue in catalogues for name in names]
    return Translator(locale, tuple(loaded))


def _locale(language: str) -> str:
    """The name of a language's folder: ``pt_BR`` for ``pt-br``; English if the text cannot be such a name."""
    base, _, territory = language.replace("-", "_").partition("_")
    if not (base.isascii() and base.isalpha() and len(base) <= _LONGEST_SUBTAG):
        return "en"
    is_territory = territory.isascii() and territory.isalnum() and len(territory) <= _LONGEST_SUBTAG
    return f"{base.lower()}_{territory.upper()}" if is_territory else base.lower()


def _template(catalogue: gettext.NullTranslations, message: Message) -> str | None:
    """The translation of a message before its parameters are filled in; None if the catalogue has none."""
    if "count" in message.params:
        with suppress(TypeError, ValueError):
            template = catalogue.ngettext(message.key, message.key, int(message.params["count"]))
            if template != message.key:
                return template
    template = catalogue.gettext(message.key)
    return None if template == message.key else template


def _message(document: Mapping[str, Any]) -> Message:
    """The message of a document, whose English text already contains the parameters."""
    params = {name: _param(value) for name, value in document["params"].items()}
    return Message(document["key"], document["text"], params)  # text: the document's


def _param(value: Any) -> Any:
    match value:
        case {"key": str(), "text": str(), "params": dict()}:
            return _message(value)
        case list():
            return tuple(_param(item) for item in value)
        case _:
            return value
