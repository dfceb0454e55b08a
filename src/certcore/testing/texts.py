"""Find the translatable texts of a package in its code.

A text is a call of `Message` with a literal key and a literal English text, or a call of a function in the same file
that only adds a prefix to the key::

    def _message(key: str, text: str, **params: Any) -> Message:
        return Message(f"desk.{key}", text, params)

The text may be in a variable that is assigned before. A line with the comment ``# text: `` is ignored; the comment says
where the text comes from. `certcore.testing.catalogues` makes catalogues of the texts.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from certcore.model.form import fields_of

__all__ = ["Text", "UnreadableText", "conflicts", "sentences_without_key", "texts_of", "texts_of_form"]

#: The classes and methods other than errors that take a sentence for users.
_SAYS: Final = frozenset({"CheckItem", "Obstacle", "Problem", "worded"})
#: The comment for messages whose text is somewhere else.
_ELSEWHERE: Final = "# text: "
#: The built-in exceptions, which are for programmers.
_BUILT_IN: Final = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))


@frozen
class Text:
    """A translatable text."""

    key: str
    english: str
    #: The English text for a count of 1; empty for a text without a plural.
    singular: str
    #: The file and line.
    place: str


@frozen
class UnreadableText:
    """A call whose text cannot be translated."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@frozen
class _Factory:
    """A function that makes messages: the prefix of its keys, and the positions of key and text in its arguments."""

    prefix: str
    key: int
    text: int


def texts_of(folder: Path, leave_out: Iterable[str] = ()) -> tuple[list[Text], list[UnreadableText]]:
    """Find all texts of a package.

    Args:
        folder: The package's folder.
        leave_out: The names of modules and subpackages without texts for pages.

    Returns:
        The texts in the order of the files, and the messages whose key or text cannot be read.
    """
    texts: list[Text] = []
    unreadable: list[UnreadableText] = []
    for place, module, lines in _modules(folder, frozenset(leave_out)):
        reader = _Reader(place, lines, dict(_factories(module)))
        reader.read(module, (module,))
        texts += reader.texts
        unreadable += reader.unreadable
    return texts, unreadable


def texts_of_form(settings_type: type) -> Iterator[Text]:
    """The texts of the fields of a settings class: labels, help, units and choices.

    Raises:
        TypeError: The class is not a settings class, see `certcore.plugin.form`.
    """
    for form_field in fields_of(settings_type):
        labels = (form_field.label, form_field.help, form_field.unit, *(choice.label for choice in form_field.choices))
        for message in filter(None, labels):
            if message.key and message.text:
                yield Text(message.key, message.text, message.singular, settings_type.__qualname__)


def conflicts(texts: Iterable[Text]) -> Iterator[str]:
    """A sentence for each key that has more than one text."""
    known: dict[str, Text] = {}
    for text in texts:
        first = known.setdefault(text.key, text)
        if (first.english, first.singular) != (text.english, text.singular):
            yield f"{text.place}: the key {text.key!r} has another text at {first.place}"


def sentences_without_key(folder: Path, leave_out: Iterable[str] = ()) -> Iterator[UnreadableText]:
    """Find errors, problems and items of checks with a plain text, which cannot be translated.

    A text without a space is a field name or a code, not a sentence.
    """
    for place, module, _ in _modules(folder, frozenset(leave_out)):
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            match node:
                case ast.Call(ast.Name(name)) | ast.Call(ast.Attribute(_, name)) if _says_something(name):
                    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                    for sentence in filter(_is_sentence, arguments):
                        yield UnreadableText(f"{place}:{node.lineno}", f"{name}: {ast.unparse(sentence)[:100]}")


def _modules(folder: Path, leave_out: frozenset[str]) -> Iterator[tuple[str, ast.Module, list[str]]]:
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder)
        if place.parts[0].removesuffix(".py") not in leave_out:
            source = path.read_text(encoding="utf-8")
            yield f"{folder.name}/{place.as_posix()}", ast.parse(source), source.splitlines()


def _says_something(name: str) -> bool:
    return name in _SAYS or (name.endswith("Error") and name not in _BUILT_IN)


def _is_sentence(node: ast.AST) -> bool:
    match node:
        case ast.Constant(str(text)):
            return " " in text.strip()
        case ast.JoinedStr(parts):
            return len(parts) > 1 or any(map(_is_sentence, parts))
        case ast.IfExp(_, one_case, other_case):
            return _is_sentence(one_case) or _is_sentence(other_case)
        case ast.BinOp(left, ast.Add(), right):
            return _is_sentence(left) or _is_sentence(right)
        case _:
            return False


@define
class _Reader:
    """Reads the messages of one module."""

    place: str
    lines: list[str]
    factories: dict[str, _Factory]
    texts: list[Text] = field(factory=list, init=False)
    unreadable: list[UnreadableText] = field(factory=list, init=False)

    def read(self, node: ast.AST, scopes: tuple[ast.AST, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.FunctionDef(name) if name in self.factories:
                    continue
                case ast.FunctionDef() | ast.Lambda():
                    self.read(child, (*scopes, child))
                case ast.Call():
                    self._call(child, scopes)
                    self.read(child, scopes)
                case _:
                    self.read(child, scopes)

    def _call(self, call: ast.Call, scopes: tuple[ast.AST, ...]) -> None:
        match call.func:
            case ast.Name("Message"):
                factory = _Factory("", 0, 1)
            case ast.Name(name) if name in self.factories:
                factory = self.factories[name]
            case _:
                return
        if _ELSEWHERE in self.lines[call.lineno - 1]:
            return
        place = f"{self.place}:{call.lineno}"
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        try:
            key = _literal(call.args[factory.key], scopes, call.lineno)
            english = _literal(call.args[factory.text], scopes, call.lineno)
            singular = _literal(keywords["singular"], scopes, call.lineno) if "singular" in keywords else ""
        except IndexError:
            self.unreadable.append(UnreadableText(place, "key and text are not the first arguments"))
        except ValueError as error:
            self.unreadable.append(UnreadableText(place, str(error)))
        else:
            if key:
                self.texts.append(Text(factory.prefix + key, english, singular, place))


def _factories(module: ast.Module) -> Iterator[tuple[str, _Factory]]:
    for function in module.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        arguments = [argument.arg for argument in function.args.args]
        match function.body[-1]:
            case ast.Return(
                ast.Call(
                    ast.Name("Message"),
                    [ast.JoinedStr([ast.Constant(str(prefix)), ast.FormattedValue(ast.Name(key))]), ast.Name(text), *_],
                )
            ) if {key, text} <= {*arguments}:
                yield function.name, _Factory(prefix, arguments.index(key), arguments.index(text))


def _literal(node: ast.AST, scopes: tuple[ast.AST, ...], line: int) -> str:
    """The text of an expression on a line.

    Raises:
        ValueError: The expression is not a literal text.
    """
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.BinOp(left, ast.Add(), right):
            return _literal(left, scopes, line) + _literal(right, scopes, line)
        case ast.Name(name):
            for scope in reversed(scopes):
                # A function also sees later assignments of its module.
                values = [value for at, value in _assigned(scope, name) if at <= line or isinstance(scope, ast.Module)]
                if values:
                    return _literal(values[-1], scopes, line)
            raise ValueError(f"{name} is not a literal text")
        case _:
            raise ValueError(f"{ast.unparse(node)[:60]} is not a literal text")


def _assigned(scope: ast.AST, name: str) -> Iterator[tuple[int, ast.AST]]:
    """The lines and values of the assignments to a name in a scope, without those in nested functions."""
    for node in ast.iter_child_nodes(scope):
        match node:
            case ast.FunctionDef() | ast.Lambda():
                continue
            case ast.Assign([ast.Name(target)], value) if target == name:
                yield node.lineno, value
            case ast.AnnAssign(ast.Name(target), _, value) if target == name and value is not None:
                yield node.lineno, value
            case _:
                yield from _assigned(node, name)
