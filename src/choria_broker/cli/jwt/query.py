"""Yes-or-no questions about claims, in a small part of the expression language that ``choria jwt check`` takes.

There are ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``and`` or ``&&``, ``or`` or ``||``, ``not`` or ``!``,
parentheses, lists in brackets, numbers, quoted texts, ``true``, ``false``, ``nil``, and claims by name with their
members behind a dot. A claim that is not there is ``nil``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

from choria_broker.patterns import expression

_TOKEN = expression(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>==|!=|<=|>=|&&|\|\||[<>!()\[\].,-]))",
    re.ASCII,
)
_WORDS = {"&&": "and", "||": "or", "!": "not"}
_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "nil": None}
_RESERVED = {"and", "or", "not", "in"}
_DEEPEST = 50
_ESCAPED = expression(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

_Expression = Callable[[Mapping[str, object]], object]


class QueryError(ValueError):
    """A question cannot be understood or has no answer; the message says why."""


def answer(question: str, claims: Mapping[str, object]) -> bool:
    """Answer a question about the claims of a token.

    Args:
        question: the expression.
        claims: what names in it stand for.

    Raises:
        QueryError: when the expression uses anything that is not supported, or the answer is neither yes nor no.
    """
    reader = _Reader(_tokens(question))
    try:
        value = reader.whole()(claims)
    except RecursionError:
        raise QueryError("too long") from None
    if not isinstance(value, bool):
        raise QueryError("query not boolean")
    return value


def _tokens(question: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    text = question.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise QueryError(f"unexpected character at position {position + 1}")
        word = found[found.lastgroup]
        tokens.append(("sign" if word in _RESERVED else found.lastgroup, _WORDS.get(word, word)))
        position = found.end()
    return tokens


class _Reader:
    """Reads an expression into a function of the claims; one method for each level of precedence."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> _Expression:
        expression = self._either()
        if self._next < len(self._tokens):
            raise QueryError(f"unexpected {self._tokens[self._next][1]!r}")
        return expression

    def _either(self) -> _Expression:
        expression = self._both()
        while self._take("or"):
            expression = _or(expression, self._both())
        return expression

    def _both(self) -> _Expression:
        expression = self._opposite()
        while self._take("and"):
            expression = _and(expression, self._opposite())
        return expression

    def _opposite(self) -> _Expression:
        negations = 0
        while self._take("not"):
            negations += 1
        expression = self._comparison()
        if not negations:
            return expression
        return lambda claims: _truth(expression(claims)) is (negations % 2 == 0)

    def _comparison(self) -> _Expression:
        left = self._member()
        for sign, compare in _COMPARISONS.items():
            if self._take(sign):
                return _compared(compare, left, self._member())
        if self._take("not"):
            self._expect("in")
            right = self._member()
            return lambda claims: not _within(left(claims), right(claims))
        return left

    def _member(self) -> _Expression:
        expression = self._single()
        while self._take("."):
            expression = _member_of(expression, self._pop("name"))
        return expression

    def _single(self) -> _Expression:
        if self._take("("):
            expression = self._deeper(self._either)
            self._expect(")")
            return expression
        if self._take("["):
            return self._deeper(self._list)
        if self._take("-"):
            negative = -float(self._pop("number"))
            return lambda _claims: negative
        kind, word = self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")
        self._next += 1
        if kind == "name":
            return lambda claims: _CONSTANTS[word] if word in _CONSTANTS else claims.get(word)
        if kind in {"number", "text"}:
            value = float(word) if kind == "number" else _unquoted(word)
            return lambda _claims: value
        raise QueryError(f"unexpected {word!r}" if word else "the expression is incomplete")

    def _list(self) -> _Expression:
        entries: list[_Expression] = []
        while not self._take("]"):
            if entries:
                self._expect(",")
            entries.append(self._either())
        return lambda claims: [entry(claims) for entry in entries]

    def _deeper(self, read: Callable[[], _Expression]) -> _Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise QueryError(f"more than {_DEEPEST} nested brackets")
        expression = read()
        self._depth -= 1
        return expression

    def _take(self, sign: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == ("sign", sign):
            self._next += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise QueryError(f"{sign!r} is missing")

    def _pop(self, kind: str) -> str:
        if self._next >= len(self._tokens) or self._tokens[self._next][0] != kind:
            raise QueryError(f"a {kind} is missing")
        self._next += 1
        return self._tokens[self._next - 1][1]


def _or(left: _Expression, right: _Expression) -> _Expression:
    return lambda claims: _truth(left(claims)) or _truth(right(claims))


def _and(left: _Expression, right: _Expression) -> _Expression:
    return lambda claims: _truth(left(claims)) and _truth(right(claims))


def _compared(compare: Callable[[object, object], bool], left: _Expression, right: _Expression) -> _Expression:
    return lambda claims: compare(left(claims), right(claims))


def _member_of(expression: _Expression, name: str) -> _Expression:
    def member(claims: Mapping[str, object]) -> object:
        value = expression(claims)
        if not isinstance(value, Mapping):
            raise QueryError(f"there is no {name!r} in the value before it")
        return value.get(name)

    return member


def _unquoted(word: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), word[1:-1])


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise QueryError("'and', 'or' and 'not' can be used only with true and false")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QueryError("only numbers can be compared with < and >")
    return value


def _same(left: object, right: object) -> bool:
    # A bool is an int to Python; here true is not 1.
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _within(value: object, container: object) -> bool:
    if isinstance(container, list):
        return any(_same(value, entry) for entry in container)
    if isinstance(container, Mapping):
        return value in container if isinstance(value, str) else False
    if container is None:
        return False
    raise QueryError("'in' needs a list or an object on the right")


def _ordered(order: Callable[[float, float], bool]) -> Callable[[object, object], bool]:
    return lambda left, right: order(_number(left), _number(right))


_COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "==": _same,
    "!=": lambda left, right: not _same(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": _within,
}
