"""The syntax of .usda, USD's text: tokens, then prims with the few attributes a camera needs; the rest is passed over.

Source: the grammar in openusd.org, "USD Text File Format" (sdf/usdaFileFormat).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .parsing import MOST_NUMBER, check_frames
from .reading import CameraFormatError

# What stands between tokens, matched on its own so that nothing within a comment is ever tried as a token. Repeats of
# groups are bounded, here and below: each costs the regular expression's engine some 200 bytes.
_SPACE = re.compile(r"[\s;]*(?:(?:(?:#|//)[^\n]*|/\*(?s:.*?)\*/)[\s;]*){0,1000}")
_COMMENTS = ("#", "//", "/*")
# What may be passed over within brackets, flat tuples whole.
_PLAIN = re.compile(r"""[^()\[\]{}"'@<#/]*(?:\([^()\[\]{}"'@<#/]*\)[^()\[\]{}"'@<#/]*){0,1000}""")
# Every alternative is linear in the text it passes.
_TOKEN = re.compile(
    r"""(?P<string>\"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*){0,9999}\"\"\"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*){0,9999}'''
        |"[^"\\\n]*(?:\\.[^"\\\n]*){0,9999}"|'[^'\\\n]*(?:\\.[^'\\\n]*){0,9999}')
    |(?P<path><[^<>\n]*>|@@@.*?@@@|@[^@\n]*@)
    |(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|-inf\b)
    |(?P<name>[^\W\d][\w:.]*(?:\[\])?)
    |(?P<mark>[(){}\[\]=,:&|-])
    |(?P<end>\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SPECIFIERS = ("def", "over", "class")
_MODIFIERS = ("custom", "uniform", "varying", "config", "prepend", "append", "add", "delete", "reorder")
_MOST_DEPTH = 64
_SAMPLES, _SPLINE = ".timeSamples", ".spline"


@dataclass
class Prim:
    """One prim: its type ("" for none), name, attributes by name (time samples with the ending .timeSamples), and the
    prims within it."""

    specifier: str
    type: str
    name: str
    active: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)
    children: list[Prim] = field(default_factory=list)


@dataclass(frozen=True)
class Layer:
    """A file: what stands in its head, and its outermost prims."""

    metadata: dict[str, Any]
    prims: list[Prim]


def parse_usda(text: str, file_name: str, wanted: re.Pattern[str]) -> Layer:
    """The layer in `text`, with values only of attributes whose name fits `wanted`; CameraFormatError with the line."""
    if not text.startswith("#usda 1."):
        raise CameraFormatError(f"{file_name} line 1: expected #usda 1.0, found {text[:40].splitlines()[:1]}")
    return _Parser(text, file_name, wanted).layer()


class _Parser:
    """Reads one token ahead: `kind` and `token`."""

    def __init__(self, text: str, file_name: str, wanted: re.Pattern[str]) -> None:
        self.text, self.file_name, self.wanted = text, file_name, wanted
        self.place = self.next_place = 0
        self.kind, self.token = "", ""
        self.advance()

    def layer(self) -> Layer:
        metadata = self.dictionary("(", 0) if self.token == "(" else {}
        prims = []
        while self.kind != "end":
            if self.token not in _SPECIFIERS:
                raise self.expected("def, over or class")
            prims.append(self.prim(0))
        return Layer(metadata, prims)

    def prim(self, depth: int) -> Prim:
        """`def Type "name" (metadata) { body }`."""
        if depth > _MOST_DEPTH:
            raise self.expected(f"prims at most {_MOST_DEPTH} deep in each other")
        specifier = self.take("name")
        kind = self.take("name") if self.kind == "name" else ""
        name = _unquoted(self.take("string"))
        prim = Prim(specifier, kind, "".join(c if c.isprintable() else "?" for c in name))
        if self.token == "(":
            prim.active = not self.deactivates()
        self.take_mark("{")
        while self.token != "}":
            self.statement(prim, depth)
        self.take_mark("}")
        return prim

    def statement(self, prim: Prim, depth: int) -> None:
        """A prim, a variant set or a property in the body of `prim`."""
        if self.token in _SPECIFIERS:
            prim.children.append(self.prim(depth + 1))
            return
        modifiers = set()
        while self.token in _MODIFIERS:
            modifiers.add(self.take("name"))
        kind = self.take("name")
        if kind == "variantSet":
            self.take("string")
            self.take_mark("=")
            return self.skip_group()
        name = kind if "reorder" in modifiers else self.take("name")
        if self.token == "=":
            self.advance()
            if self.wanted.fullmatch(name):
                self.assign(prim, name)
            else:
                self.skip_value()
        if self.token == "(":
            self.skip_group()

    def assign(self, prim: Prim, name: str) -> None:
        if name in prim.attributes:
            raise self.expected(f"each attribute once, {name[:40]} stands twice")
        if name.endswith(_SPLINE):
            prim.attributes[name] = True
            self.skip_value()
            return
        prim.attributes[name] = self.samples() if name.endswith(_SAMPLES) else self.value(0)

    def samples(self) -> dict[float, Any]:
        """`{ time: value, ... }`; a value None ends a sample's validity and is refused."""
        found: dict[float, Any] = {}
        self.take_mark("{")
        while self.token != "}":
            time = self.number()
            self.take_mark(":")
            if time in found:
                raise self.expected(f"each time once, {time:g} stands twice")
            found[time] = self.value(0)
            check_frames(len(found), self.file_name)
            if self.token == ",":
                self.advance()
        self.take_mark("}")
        return found

    def value(self, depth: int) -> Any:
        """A number, text, or a list of them (USD's tuples are lists too)."""
        if depth > _MOST_DEPTH:
            raise self.expected(f"brackets at most {_MOST_DEPTH} deep in each other")
        if self.token in ("(", "["):
            return self.items(depth)
        if self.token == "{":
            return self.dictionary("{", depth + 1)
        if self.kind == "number":
            return self.number()
        if self.kind == "string":
            return _unquoted(self.take("string"))
        return self.take("path" if self.kind == "path" else "name")

    def items(self, depth: int) -> list[Any]:
        closing = _CLOSING[self.token]
        self.advance()
        found = []
        while self.token != closing or self.kind != "mark":
            found.append(self.value(depth + 1))
            if self.token == ",":
                self.advance()
        self.advance()
        return found

    def dictionary(self, opening: str, depth: int) -> dict[str, Any]:
        """The head of a layer between ( and ), or typed entries between { and }."""
        closing, found = _CLOSING[opening], dict[str, Any]()
        self.take_mark(opening)
        while self.token != closing or self.kind != "mark":
            words = []
            while self.kind in ("name", "string"):
                words.append(_unquoted(self.token) if self.kind == "string" else self.token)
                self.advance()
            if not words:
                raise self.expected("a name")
            if self.token == "=":
                if words[-1] in found:
                    raise self.expected(f"each key once, {words[-1][:40]!r} stands twice")
                self.advance()
                found[words[-1]] = self.value(depth + 1)
        self.advance()
        return found

    def skip_value(self) -> None:
        if self.token in _CLOSING and self.kind == "mark":
            self.skip_group()
        else:
            self.advance()

    def skip_group(self) -> None:
        """Pass over what stands between one bracket and its counterpart, whatever it is."""
        depth = 0
        while True:
            if self.kind == "end":
                raise self.expected("a closing bracket")
            if self.kind == "mark":
                depth += (self.token in "([{") - (self.token in ")]}")
            if depth > _MOST_DEPTH:
                raise self.expected(f"brackets at most {_MOST_DEPTH} deep in each other")
            if depth > 0:
                self.next_place = self._end(_PLAIN, self.next_place)
            self.advance()
            if depth <= 0:
                return

    def deactivates(self) -> bool:
        """Pass over a prim's metadata; whether `active = false` stands in it."""
        last: tuple[str, ...] = ()
        found, depth = False, 0
        while True:
            if self.kind == "end":
                raise self.expected("a closing bracket")
            depth += 0 if self.kind != "mark" else (self.token in "([{") - (self.token in ")]}")
            if depth > _MOST_DEPTH:
                raise self.expected(f"brackets at most {_MOST_DEPTH} deep in each other")
            last = (*last[-2:], self.token if depth == 1 else "")
            found |= last in (("active", "=", "false"), ("active", "=", "0"))
            self.advance()
            if depth <= 0:
                return found

    def number(self) -> float:
        value = float(self.token) if self.kind == "number" else float("nan")
        if not abs(value) < MOST_NUMBER:
            raise self.expected("a finite number below 1e30")
        self.advance()
        return value

    def take(self, kind: str) -> str:
        """The token, which is of `kind`."""
        token = self.token
        if self.kind != kind:
            raise self.expected({"name": "a name", "string": "text in quotes", "number": "a number"}.get(kind, kind))
        self.advance()
        return token

    def take_mark(self, mark: str) -> None:
        if self.kind != "mark" or self.token != mark:
            raise self.expected(repr(mark))
        self.advance()

    def advance(self) -> None:
        """The next token."""
        before, self.place = -1, self._end(_SPACE, self.next_place)
        while before < self.place and self.text.startswith(_COMMENTS, self.place):
            before, self.place = self.place, self._end(_SPACE, self.place)
        match = _TOKEN.match(self.text, self.place)
        if match is None or match.lastgroup is None:
            shown = repr(self.text[self.place : self.place + 40])
            raise CameraFormatError(f"{self.file_name} line {self.line()}: expected USD text, found {shown}")
        self.kind, self.token, self.next_place = match.lastgroup, match[match.lastgroup], match.end()

    def _end(self, pattern: re.Pattern[str], place: int) -> int:
        """Where `pattern`, which also fits nothing, ends from `place` on."""
        match = pattern.match(self.text, place)
        return match.end() if match else place

    def expected(self, what: str) -> CameraFormatError:
        found = "the end of the file" if self.kind == "end" else repr(self.token[:40])
        return CameraFormatError(f"{self.file_name} line {self.line()}: expected {what}, found {found}")

    def line(self) -> int:
        return self.text.count("\n", 0, self.place) + 1


def quoted(text: str) -> str:
    """`text` between quotes as USD reads it; what UTF-8 cannot hold becomes a question mark."""
    plain = text.encode("utf-8", "replace").decode("utf-8").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c for c in plain) + '"'


def _unquoted(token: str) -> str:
    """The text within quotes, one or three on either side."""
    width = 3 if token[:3] in ('"""', "'''") and len(token) >= 6 else 1
    return _ESCAPE.sub(_escaped, token[width:-width])


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _ESCAPES.get(code, code)
