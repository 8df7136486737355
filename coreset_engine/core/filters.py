"""Filters: which images a condition on their columns leaves, as a record and as a line of text.

    time = night and width >= 512
    camera in (A7, "EOS R5") or not tag = blurry
    width in 512..1024        aum is missing        path contains train

A `Filter` is frozen and hashable, so that caches, requests and manifests can hold it.
`parse_filter` reads the text form with a parser of its own; nothing is evaluated as code. What a
filter leaves of real columns is decided in `core.filter_columns`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coreset_engine.core.errors import BadInput

TAG = "tag"
TESTS = ("is", "in", "range", "missing", "contains", "tag")
JOINTS = ("and", "or", "not")
_KEYWORDS = ("and", "or", "not", "in", "is", "missing", "contains")
_PLAIN = re.compile(r"(?:(?!\.\.)[^\s\"'()<>=!~,])+")
_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<sign><\.\.<|<\.\.|\.\.<|\.\.|<=|>=|!=|==|=|<|>|~|\(|\)|,)"
    r"|(?P<word>(?:(?!\.\.)[^\s\"'()<>=!~,])+))"
)
_EXAMPLE = 'write it like: time=night and width>=512, or: camera in (A7, "EOS R5")'
_DEEPEST = 50


@dataclass(frozen=True)
class Filter:
    """A condition on the columns of images.

    Parameters
    ----------
    op : str
        A test ("is", "in", "range", "missing", "contains", "tag") or a joint ("and", "or", "not").
    column : str
        What a test looks at.
    values : tuple of str
        What "is", "in", "contains" and "tag" look for; any of them is enough.
    low, high : str or None
        Bounds of "range"; None = open-ended.
    low_open, high_open : bool
        Whether the bound itself is left out.
    parts : tuple of Filter
        What a joint joins.

    Raises
    ------
    BadInput
        For an incomplete record: an unknown op, no column, no value, no bound.
    """

    op: str
    column: str = ""
    values: tuple[str, ...] = ()
    low: str | None = None
    high: str | None = None
    low_open: bool = False
    high_open: bool = False
    parts: tuple[Filter, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(_text_of(value) for value in self.values))
        for name in ("low", "high"):
            bound = getattr(self, name)
            object.__setattr__(self, name, None if bound is None else _text_of(bound))
        object.__setattr__(self, "parts", tuple(self.parts))
        problem = self._problem()
        if problem:
            raise BadInput(f"a filter {problem}; {_EXAMPLE}.")

    def _problem(self) -> str:
        if self.op in JOINTS:
            if not self.parts or self.op == "not" and len(self.parts) != 1:
                return f"with {self.op!r} has no terms"
            return ""
        if self.op not in TESTS:
            return f"has the unknown op {self.op!r}"
        if not self.column:
            return "names no column"
        if self.op == "range" and self.low is None and self.high is None:
            return f"on {self.column!r} has a range without bounds"
        if self.op in ("is", "in", "contains", "tag") and not self.values:
            return f"on {self.column!r} has no value to match"
        return ""

    # -- making one

    @classmethod
    def equals(cls, column: str, value: Any) -> Filter:
        """Images whose `column` is `value`."""
        if column == TAG:
            return cls("tag", TAG, (value,))
        return cls("is", column, (value,))

    @classmethod
    def one_of(cls, column: str, values: Iterable[Any]) -> Filter:
        """Images whose `column` is one of `values`."""
        return cls("tag" if column == TAG else "in", column, tuple(values))

    @classmethod
    def between(cls, column: str, low: Any = None, high: Any = None) -> Filter:
        """Images whose `column` lies in [low, high]; None leaves a side open."""
        return cls("range", column, low=low, high=high)

    @classmethod
    def missing(cls, column: str) -> Filter:
        """Images without a value in `column`."""
        return cls("missing", column)

    @classmethod
    def contains(cls, column: str, text: str) -> Filter:
        """Images whose `column` has `text` in it, whatever the case."""
        return cls("contains", column, (text,))

    @classmethod
    def tagged(cls, *names: str) -> Filter:
        """Images with any of these tags."""
        return cls("tag", TAG, names)

    def __and__(self, other: Filter) -> Filter:
        return _joined("and", self, other)

    def __or__(self, other: Filter) -> Filter:
        return _joined("or", self, other)

    def __invert__(self) -> Filter:
        return self.parts[0] if self.op == "not" else Filter("not", parts=(self,))

    # -- looking at one

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it looks at, each once, in order."""
        if self.op not in JOINTS:
            return (self.column,)
        return tuple(dict.fromkeys(name for part in self.parts for name in part.columns))

    @property
    def text(self) -> str:
        """The filter as `parse_filter` reads it back."""
        return _spelt(self)

    def __str__(self) -> str:
        return self.text

    def as_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads back; unset fields are omitted."""
        record: dict[str, Any] = {"op": self.op}
        if self.op in JOINTS:
            return record | {"parts": [part.as_json() for part in self.parts]}
        record["column"] = self.column
        if self.values:
            record["values"] = list(self.values)
        for name in ("low", "high", "low_open", "high_open"):
            if getattr(self, name) not in (None, False):
                record[name] = getattr(self, name)
        return record

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Filter:
        """The filter that `as_json` wrote. Raises BadInput for anything else."""
        return _from_json(value, 0)


def filter_of(value: Any) -> Filter | None:
    """A filter from what callers have: a Filter, a text, the JSON of one, or None.

    Raises
    ------
    BadInput
        For a text that cannot be read, with its position and an example.
    """
    if value is None or isinstance(value, Filter):
        return value
    if isinstance(value, str):
        return parse_filter(value)
    if isinstance(value, Mapping):
        return Filter.from_json(value)
    raise BadInput(f"where={value!r} must be a filter or its text; {_EXAMPLE}.")


def all_of(filters: Iterable[Filter | None]) -> Filter | None:
    """All of these joined by "and"; None where there is none."""
    present = [one for one in filters if one is not None]
    if len(present) < 2:
        return present[0] if present else None
    combined = present[0]
    for one in present[1:]:
        combined = combined & one
    return combined


def _from_json(value: Any, depth: int) -> Filter:
    known = {"op", "column", "values", "low", "high", "low_open", "high_open", "parts"}
    if not isinstance(value, Mapping) or set(value) - known or depth > _DEEPEST:
        raise BadInput(f"{str(value)[:80]!r} is not a filter; {_EXAMPLE}.")
    fields = dict(value)
    for name in ("values", "parts"):
        if not isinstance(fields.get(name, []), list | tuple):
            raise BadInput(f"the {name} of a filter must be a list; {_EXAMPLE}.")
    parts = tuple(_from_json(part, depth + 1) for part in fields.pop("parts", ()))
    values = tuple(fields.pop("values", ()))
    return Filter(str(fields.pop("op", "")), values=values, parts=parts, **fields)


def _joined(op: str, one: Filter, other: Filter) -> Filter:
    parts = [
        *(one.parts if one.op == op else (one,)),
        *(other.parts if other.op == op else (other,)),
    ]
    return Filter(op, parts=tuple(dict.fromkeys(parts)))


def _text_of(value: Any) -> str:
    """One spelling for each value, so that 512, 512.0 and "512" make equal filters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return str(value)


# -- the text form ---------------------------------------------------------------------------------


def _spelt(one: Filter) -> str:
    if one.op == "not":
        inner = _spelt(one.parts[0])
        return f"not ({inner})" if one.parts[0].op in JOINTS else f"not {inner}"
    if one.op in JOINTS:
        return f" {one.op} ".join(_spelt_parts(one))
    name = _quoted(one.column)
    if one.op == "missing":
        return f"{name} is missing"
    if one.op == "range":
        return _spelt_range(name, one)
    if one.op == "contains" and len(one.values) == 1:
        return f"{name} contains {_quoted(one.values[0])}"
    if one.op == "contains":
        return " or ".join(f"{name} contains {_quoted(value)}" for value in one.values)
    if len(one.values) == 1 and one.op != "in":
        return f"{name}={_quoted(one.values[0])}"
    return f"{name} in ({', '.join(map(_quoted, one.values))})"


def _spelt_parts(joint: Filter) -> list[str]:
    """What a joint joins, "column != value" as it is written."""
    spelt = []
    parts = list(joint.parts)
    while parts:
        part = parts.pop(0)
        if joint.op == "and" and parts and _is_another(part, parts[0]):
            test = part.parts[0]
            spelt.append(f"{_quoted(test.column)}!={_quoted(test.values[0])}")
            parts.pop(0)
        elif part.op in ("and", "or"):
            inner = _spelt_parts(part)
            joined = f" {part.op} ".join(inner)
            spelt.append(joined if len(inner) == 1 else f"({joined})")
        else:
            spelt.append(_spelt(part))
    return spelt


def _is_another(part: Filter, following: Filter) -> bool:
    """Whether two tests in a row are what "column != value" is read as."""
    if part.op != "not" or part.parts[0].op != "is" or len(part.parts[0].values) != 1:
        return False
    return following == ~Filter.missing(part.parts[0].column)


def _spelt_range(name: str, one: Filter) -> str:
    if one.high is None:
        return f"{name}{'>' if one.low_open else '>='}{_quoted(str(one.low))}"
    if one.low is None:
        return f"{name}{'<' if one.high_open else '<='}{_quoted(one.high)}"
    dots = ("<" if one.low_open else "") + ".." + ("<" if one.high_open else "")
    return f"{name} in {_quoted(one.low)}{dots}{_quoted(one.high)}"


def _quoted(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _KEYWORDS
    if plain and not text.startswith(".") and not text.endswith("."):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True)
class _Token:
    """kind: "word", "quoted", "sign" or "end". at: position in the text."""

    kind: str
    text: str
    at: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def parse_filter(text: str) -> Filter:
    """The filter that a line of text describes.

    Tests: NAME=VALUE, !=, <, <=, >, >=, NAME in (A, B), NAME in LOW..HIGH, NAME contains TEXT
    (also ~), NAME is missing, NAME is VALUE; joined by and, or, not and brackets, "and" before
    "or". Names and values with blanks or signs stand in quotes. `!=` asks for another value: images
    without a value do not pass.

    Raises
    ------
    BadInput
        For a text that cannot be read: where, what was expected, and an example.
    """
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"the filter is empty; {_EXAMPLE}.")
    return _Parser(text).filter()


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.tokens = list(_tokens(text))
        self.index = 0
        self.depth = 0

    def filter(self) -> Filter:
        parsed = self._any()
        if self._now.kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return parsed

    @property
    def _now(self) -> _Token:
        return self.tokens[self.index]

    def _next(self) -> _Token:
        token = self._now
        self.index += token.kind != "end"
        return token

    def _takes(self, *signs: str) -> bool:
        if self._now.kind == "sign" and self._now.text in signs:
            self.index += 1
            return True
        return False

    def _unexpected(self, wanted: str) -> BadInput:
        now = self._now
        got = "the end" if now.kind == "end" else repr(now.text)
        before = self.source[: now.at].strip()
        after = f" after {before[-30:]!r}" if before else ""
        return BadInput(
            f"filter {self.source!r}:{after} {wanted} was expected, got {got}; quote values with "
            "spaces or operators;"
            f" {_EXAMPLE}."
        )

    def _any(self) -> Filter:
        left = self._all()
        while self._now.is_word("or"):
            self._next()
            left = left | self._all()
        return left

    def _all(self) -> Filter:
        left = self._one()
        while self._now.is_word("and"):
            self._next()
            left = left & self._one()
        return left

    def _one(self) -> Filter:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise BadInput(f"the filter is nested more than {_DEEPEST} deep; simplify it.")
        parsed = self._negated_or_bracketed()
        self.depth -= 1
        return parsed

    def _negated_or_bracketed(self) -> Filter:
        if self._now.is_word("not"):
            self._next()
            return ~self._one()
        if self._takes("("):
            inner = self._any()
            if not self._takes(")"):
                raise self._unexpected("')'")
            return inner
        return self._test()

    def _test(self) -> Filter:
        if self._now.kind not in ("word", "quoted") or self._now.is_word(*_KEYWORDS):
            raise self._unexpected("a column")
        name = self._next().text
        sign = self._now
        if sign.kind == "sign" and sign.text in _SIGNS:
            self._next()
            return _SIGNS[sign.text](name, self._value())
        if self._now.is_word("contains"):
            self._next()
            return Filter.contains(name, self._value())
        negated = self._now.is_word("not")
        self.index += negated
        if self._now.is_word("in"):
            self._next()
            parsed = self._within(name)
            return _another(name, parsed) if negated else parsed
        if self._now.is_word("is") and not negated:
            self._next()
            return self._is(name)
        raise self._unexpected("a test such as =, >=, in, contains or is missing")

    def _is(self, name: str) -> Filter:
        negated = self._now.is_word("not")
        self.index += negated
        if self._now.is_word("missing"):
            self._next()
            test = Filter.missing(name)
            return ~test if negated else test
        test = Filter.equals(name, self._value())
        return _another(name, test) if negated else test

    def _within(self, name: str) -> Filter:
        if self._takes("("):
            values = [self._value()]
            while self._takes(","):
                values.append(self._value())
            if not self._takes(")"):
                raise self._unexpected("',' or ')'")
            return Filter.one_of(name, values)
        low = self._value()
        dots = self._now
        if not self._takes("..", "..<", "<..", "<..<"):
            raise self._unexpected("'..', as in 512..1024,")
        return Filter(
            "range",
            name,
            low=low,
            high=self._value(),
            low_open=dots.text.startswith("<"),
            high_open=dots.text.endswith("<"),
        )

    def _value(self) -> str:
        if self._now.kind not in ("word", "quoted") or self._now.is_word(*_KEYWORDS):
            raise self._unexpected("a value")
        return self._next().text


def _another(name: str, expression: Filter) -> Filter:
    """Has a value, and another one; an image without tags has other tags."""
    return ~expression if name == TAG else ~expression & ~Filter.missing(name)


_SIGNS: dict[str, Callable[[str, str], Filter]] = {
    "=": Filter.equals,
    "==": Filter.equals,
    "!=": lambda name, value: _another(name, Filter.equals(name, value)),
    "<": lambda name, value: Filter("range", name, high=value, high_open=True),
    "<=": lambda name, value: Filter("range", name, high=value),
    ">": lambda name, value: Filter("range", name, low=value, low_open=True),
    ">=": lambda name, value: Filter("range", name, low=value),
    "~": Filter.contains,
}


def _tokens(text: str) -> Iterable[_Token]:
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            part = text[at:].strip()
            what = (
                "a quote is not closed"
                if part[:1] in "\"'"
                else f"{part[:1]!r} is not valid syntax"
            )
            raise BadInput(f"filter {text!r}: {what} at {part[:20]!r}; {_EXAMPLE}.")
        kind = str(match.lastgroup)
        token = match[kind]
        if kind == "quoted":
            token = re.sub(r"\\(.)", r"\1", token[1:-1])
        yield _Token(kind, token, match.start(kind))
        at = match.end()
    yield _Token("end", "", len(text))
