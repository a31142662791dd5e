"""A small part of CEL, the language of ``x-kubernetes-validations``. Pure.

Knows literals, fields, indexes, ``! - * / % + < <= > >= == != in && || ?:``, ``has``, ``size``,
the conversions ``int double string``, the string tests ``startsWith endsWith contains matches``,
and the macros ``all exists exists_one filter map``.

Refuses everything else when a rule is compiled, so that a definition is rejected at its
installation rather than let objects through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Scope = dict[str, Any]
Evaluator = Callable[[Scope], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+\.\d+|\d+)u?
    | (?P<string>r?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE,
)
_CONSTANTS = {"true": True, "false": False, "null": None}
_ESCAPES = {"__dot__": ".", "__dash__": "-", "__slash__": "/", "__underscores__": "__"}
_KEYWORD = re.compile(r"__(\w+)__")


class CelError(Exception):
    """A rule that cannot be compiled, or that fails when it is evaluated."""


class Rule:
    """A compiled expression."""

    def __init__(self, text: str, evaluate: Evaluator, names: set[str]) -> None:
        self.text = text
        self._evaluate = evaluate
        self.is_transition = "oldSelf" in names

    def __call__(self, value: Any, old: Any = None) -> Any:
        """Evaluate with ``self`` and ``oldSelf``; CelError when that fails."""
        try:
            return self._evaluate({"self": value, "oldSelf": old})
        except (KeyError, IndexError) as error:
            raise CelError(f"no such key: {error.args[0]}") from error
        except (TypeError, ValueError, ZeroDivisionError, re.error) as error:
            raise CelError(str(error)) from error


@lru_cache(maxsize=1024)
def compile_rule(text: str) -> Rule:
    """Compile an expression.

    Examples
    --------
    >>> rule = compile_rule("!has(self.maximum) || self.minimum <= self.maximum")
    >>> rule({"minimum": 2, "maximum": 1})
    False
    """
    parser = _Parser(text)
    return Rule(text, parser.parse(), parser.free_names)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._split(text)
        self.at = 0
        self.bound: list[str] = []
        self.free_names: set[str] = set()

    def _split(self, text: str) -> list[tuple[str, str]]:
        at, tokens = 0, []
        stripped = text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None:
                raise self._refuse(f"syntax error at {stripped[at:]!r}")
            kind = match.lastgroup or ""
            tokens.append((kind, match[kind]))
            at = match.end()
        return [*tokens, ("end", "")]

    def _refuse(self, why: str) -> CelError:
        return CelError(f"compilation failed: {why} (the embedded Kubernetes knows a part of CEL)")

    def parse(self) -> Evaluator:
        found = self._ternary()
        if self.tokens[self.at][0] != "end":
            raise self._refuse(f"unexpected {self.tokens[self.at][1]!r}")
        return found

    def _take(self, *symbols: str) -> str | None:
        kind, text = self.tokens[self.at]
        if text in symbols and kind in ("symbol", "name"):
            self.at += 1
            return text
        return None

    def _expect(self, symbol: str) -> None:
        if self._take(symbol) is None:
            raise self._refuse(f"expected {symbol!r}, found {self.tokens[self.at][1]!r}")

    def _ternary(self) -> Evaluator:
        condition = self._binary(0)
        if self._take("?") is None:
            return condition
        yes = self._ternary()
        self._expect(":")
        no = self._ternary()
        return lambda scope: yes(scope) if condition(scope) is True else no(scope)

    def _binary(self, level: int) -> Evaluator:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while symbol := self._take(*_LEVELS[level]):
            right = self._binary(level + 1)
            left = _LOGIC[symbol](left, right) if symbol in _LOGIC else _binary(symbol, left, right)
        return left

    def _unary(self) -> Evaluator:
        if self._take("!"):
            inner = self._unary()
            return lambda scope: not _boolean(inner(scope))
        if self._take("-"):
            inner = self._unary()
            return lambda scope: -inner(scope)
        return self._member()

    def _member(self) -> Evaluator:
        found = self._primary()
        while symbol := self._take(".", "["):
            if symbol == "[":
                found = _index(found, self._ternary())
                self._expect("]")
                continue
            kind, name = self.tokens[self.at]
            if kind != "name":
                raise self._refuse(f"unexpected {name!r} after '.'")
            self.at += 1
            found = self._call(found, name) if self._take("(") else _field(found, name)
        return found

    def _primary(self) -> Evaluator:
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return _constant(float(text) if "." in text else int(text))
        if kind == "string":
            return _constant(_unquote(text))
        if kind == "name":
            return self._name(text)
        if text == "(":
            inner = self._ternary()
            self._expect(")")
            return inner
        if text == "[":
            items = self._arguments("]")
            return lambda scope: [item(scope) for item in items]
        raise self._refuse(f"unexpected {text!r}")

    def _name(self, name: str) -> Evaluator:
        if name in _CONSTANTS:
            return _constant(_CONSTANTS[name])
        if self._take("("):
            if name == "has":
                return self._has()
            function = _FUNCTIONS.get(name)
            if function is None:
                raise self._refuse(f"undeclared reference to '{name}'")
            arguments = self._arguments(")")
            return lambda scope: function(*(argument(scope) for argument in arguments))
        if name not in ("self", "oldSelf") and name not in self.bound:
            raise self._refuse(f"undeclared reference to '{name}'")
        self.free_names.add(name)
        return lambda scope: scope[name]

    def _has(self) -> Evaluator:
        inner = self._member()
        self._expect(")")
        if not hasattr(inner, "field_of"):
            raise self._refuse("invalid argument to has() macro")
        holder, name = inner.field_of

        def has(scope: Scope) -> bool:
            held = holder(scope)
            return isinstance(held, dict) and held.get(name) is not None

        return has

    def _call(self, target: Evaluator, name: str) -> Evaluator:
        if name in _MACROS:
            return self._macro(target, name)
        method = _METHODS.get(name)
        if method is None:
            raise self._refuse(f"undeclared reference to '{name}'")
        arguments = self._arguments(")")
        return lambda scope: method(target(scope), *(argument(scope) for argument in arguments))

    def _macro(self, target: Evaluator, name: str) -> Evaluator:
        kind, variable = self.tokens[self.at]
        if kind != "name":
            raise self._refuse(f"{name}() wants a variable first")
        self.at += 1
        self._expect(",")
        self.bound.append(variable)
        body = self._ternary()
        self.bound.pop()
        self._expect(")")
        macro = _MACROS[name]

        def run(scope: Scope) -> Any:
            # Over a map, CEL's macros walk the keys, as iteration over a dict does.
            items = list(target(scope))
            return macro(items, lambda item: body({**scope, variable: item}))

        return run

    def _arguments(self, end: str) -> list[Evaluator]:
        found: list[Evaluator] = []
        while self._take(end) is None:
            if found:
                self._expect(",")
            found.append(self._ternary())
        return found


def _constant(value: Any) -> Evaluator:
    return lambda scope: value


def _unquote(text: str) -> str:
    if text.startswith("r"):
        return text[2:-1]
    plain = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: plain.get(match[1], match[1]), text[1:-1])


def _unescape(name: str) -> str:
    if "__" not in name:
        return name
    for escaped, plain in _ESCAPES.items():
        name = name.replace(escaped, plain)
    match = _KEYWORD.fullmatch(name)
    return match[1] if match else name


def _field(target: Evaluator, name: str) -> Evaluator:
    field = _unescape(name)

    def read(scope: Scope) -> Any:
        held = target(scope)
        if not isinstance(held, dict):
            raise TypeError(f"no such overload: {type(held).__name__}.{field}")
        return held[field]

    read.field_of = (target, field)  # type: ignore[attr-defined]
    return read


def _index(target: Evaluator, index: Evaluator) -> Evaluator:
    return lambda scope: target(scope)[index(scope)]


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no such overload: a condition must be a boolean")
    return value


def _equal(left: Any, right: Any) -> bool:
    # Python takes true for 1; CEL does not.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": _equal,
    "!=": lambda a, b: not _equal(a, b),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b),
}


def _binary(symbol: str, left: Evaluator, right: Evaluator) -> Evaluator:
    operator = _OPERATORS[symbol]
    return lambda scope: operator(left(scope), right(scope))


def _decide_by(decisive: bool) -> Callable[[Evaluator, Evaluator], Evaluator]:
    # In CEL, && and || are symmetrical: one side that decides hides an error of the other.
    def join(left: Evaluator, right: Evaluator) -> Evaluator:
        def evaluate(scope: Scope) -> bool:
            try:
                if _boolean(left(scope)) is decisive:
                    return decisive
            except (KeyError, TypeError, IndexError, ValueError):
                if _boolean(right(scope)) is decisive:
                    return decisive
                raise
            return _boolean(right(scope))

        return evaluate

    return join


_LEVELS = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
_LOGIC = {"||": _decide_by(True), "&&": _decide_by(False)}


def _to_string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": len,
    "int": int,
    "double": float,
    "string": _to_string,
}
_METHODS: dict[str, Callable[..., Any]] = {
    "size": len,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "contains": lambda text, part: part in text,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
}
_MACROS: dict[str, Callable[[list[Any], Callable[[Any], Any]], Any]] = {
    "all": lambda items, test: all(_boolean(test(item)) for item in items),
    "exists": lambda items, test: any(_boolean(test(item)) for item in items),
    "exists_one": lambda items, test: sum(_boolean(test(item)) for item in items) == 1,
    "filter": lambda items, test: [item for item in items if _boolean(test(item))],
    "map": lambda items, change: [change(item) for item in items],
}
