"""Parses the text of a formula to a syntax tree.

    formula    = [ expression ( "=" | "~" ) ] expression
    expression = comparison
    comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
    sum        = product { ("+" | "-") product }
    product    = unary { ("*" | "/") unary }
    unary      = ("+" | "-") unary | power
    power      = atom [ "**" unary ]
    atom       = number | name | name "(" expression { "," expression } ")" | "(" expression ")"

`y ~ a*x` is the same as `y = a*x`, as in R; it needs no escape in a URL.

`**` binds tighter than a sign on its left and is right-associative, as in Python: -2**2 is -4.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from service.engine.operations import CALLABLE, COMPARISONS
from service.errors import InvalidFormula, UnknownNameInFormula

MAX_CHARACTERS = 512
MAX_NODES = 200
MAX_DEPTH = 32

SUM = {"+": "add", "-": "subtract"}
PRODUCT = {"*": "multiply", "/": "divide"}

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/(),<>=~])"
)

_CONDITION_TOKEN = re.compile(rf"(?P<text>'[^']*'|\"[^\"]*\")|{_TOKEN.pattern}")
_LOGIC = ("and", "or", "not")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float
    column: int


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a column, a param or a constant."""

    name: str
    column: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator with its arguments."""

    operation: str
    arguments: tuple[Tree, ...]
    column: int


@dataclass(frozen=True, slots=True)
class Text(Name):
    """A text in quotes, of a condition on rows; `name` is the text."""


Tree = Number | Name | Call


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the text; `column` counts from 1."""

    kind: str
    text: str
    column: int


def parse(text: str) -> tuple[Tree | None, Tree]:
    """The trees of the left and the right side; the left is None without `=`.

    Raises InvalidFormula, with the column of the text, counted from 1.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidFormula(
            f"a formula has at most {MAX_CHARACTERS} characters; this one has {len(text)}"
        )
    parser = _Parser(list(_tokens(text)))
    first = parser.expression()
    if parser.peek().text != "=":
        parser.expect_end()
        return None, first
    parser.take()
    right = parser.expression()
    parser.expect_end()
    return first, right


def parse_condition(text: str) -> Tree:
    """The tree of a condition on rows: see `engine.condition`. Its operations are those of
    formulas, and `and`, `or` and `not`. Raises InvalidFormula."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidFormula(
            f"a condition has at most {MAX_CHARACTERS} characters; this one has {len(text)}"
        )
    parser = _Parser(list(_tokens(text, _CONDITION_TOKEN)), is_condition=True)
    tree = parser.expression()
    parser.expect_end()
    return tree


def _tokens(text: str, pattern: re.Pattern[str] = _TOKEN) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            raise InvalidFormula(_unreadable(text, position), column=position + 1)
        kind = match.lastgroup or ""
        if kind == "name":
            _check_name(match.group(), position)
            yield Token(kind, fold(match.group()), position + 1)
        elif kind != "space":
            yield Token(kind, match.group().replace("~", "="), position + 1)
        position = match.end()
    yield Token("end", "the end", len(text) + 1)


def _check_name(name: str, position: int) -> None:
    for i, character in enumerate(name):
        if unicodedata.decomposition(character).startswith("<super>"):
            raise InvalidFormula(
                "a superscript is not a power; write '**'", column=position + i + 1
            )
    if fold(name).startswith("__"):
        raise InvalidFormula("a name must not begin with two underscores", column=position + 1)


def fold(name: str) -> str:
    """A name in NFKC, in which names are compared, so that compatible characters are equal."""
    return unicodedata.normalize("NFKC", name)


def _unreadable(text: str, position: int) -> str:
    character = text[position]
    hints = {
        "^": "'^' is not an operator; for a power write '**'",
        "=": "write one '=' between the two sides",
        "[": "use parentheses, not brackets",
        "]": "use parentheses, not brackets",
        "{": "use parentheses, not braces",
        "}": "use parentheses, not braces",
        ".": "attributes are not part of a formula; write exp(x), not np.exp(x)",
        "'": "text is not part of a formula",
        '"': "text is not part of a formula",
        "%": "'%' is not an operation of a formula",
        "×": "write '*'",
        "·": "write '*'",
        "÷": "write '/'",
        "−": "write '-'",
    }
    shown = character if character.isprintable() else f"\\x{ord(character):02x}"
    return hints.get(character, f"'{shown}' has no meaning in a formula")


class _Parser:
    """Recursive descent over the tokens, bounded in depth and in nodes."""

    def __init__(self, tokens: list[Token], *, is_condition: bool = False) -> None:
        self._tokens, self._is_condition = tokens, is_condition
        self._next = 0
        self._nodes = 0
        self._depth = 0

    def peek(self) -> Token:
        return self._tokens[self._next]

    def take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def expect(self, sign: str) -> None:
        if self.peek().text != sign:
            raise self._unexpected(f"expected '{sign}'")
        self.take()

    def expect_end(self) -> None:
        if self.peek().kind != "end":
            raise self._unexpected("expected an operator or the end")

    def expression(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidFormula(
                f"a formula nests at most {MAX_DEPTH} deep", column=self.peek().column
            )
        tree = self._disjunction() if self._is_condition else self._comparison()
        self._depth -= 1
        return tree

    def _disjunction(self) -> Tree:
        tree = self._conjunction()
        while self._at_word("or"):
            token = self.take()
            tree = self._call("or", (tree, self._conjunction()), token.column)
        return tree

    def _conjunction(self) -> Tree:
        tree = self._negation()
        while self._at_word("and"):
            token = self.take()
            tree = self._call("and", (tree, self._negation()), token.column)
        return tree

    def _negation(self) -> Tree:
        words = []
        while self._at_word("not"):
            words.append(self.take())
        tree = self._comparison()
        for token in reversed(words):
            tree = self._call("not", (tree,), token.column)
        return tree

    def _at_word(self, word: str) -> bool:
        return self.peek().kind == "name" and self.peek().text == word

    def _comparison(self) -> Tree:
        tree = self._sum()
        if self.peek().text in COMPARISONS:
            token = self.take()
            tree = self._call(COMPARISONS[token.text], (tree, self._sum()), token.column)
            if self.peek().text in COMPARISONS:
                hint = "nest one where() in another"
                if self._is_condition:
                    hint = "write x > 2 and x < 10"
                raise self._unexpected(f"comparisons do not chain; {hint}")
        return tree

    def _sum(self) -> Tree:
        tree = self._product()
        while self.peek().text in SUM:
            token = self.take()
            tree = self._call(SUM[token.text], (tree, self._product()), token.column)
        return tree

    def _product(self) -> Tree:
        tree = self._unary()
        while self.peek().text in PRODUCT:
            token = self.take()
            tree = self._call(PRODUCT[token.text], (tree, self._unary()), token.column)
        return tree

    def _unary(self) -> Tree:
        """Signs and their operand; several signs are parsed without recursion."""
        signs = []
        while self.peek().text in SUM:
            signs.append(self.take())
        tree = self._power()
        for token in reversed(signs):
            if token.text == "-":
                tree = self._call("negative", (tree,), token.column)
        return tree

    def _power(self) -> Tree:
        base = self._atom()
        if self.peek().text != "**":
            return base
        token = self.take()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidFormula(f"a formula nests at most {MAX_DEPTH} deep", column=token.column)
        tree = self._call("power", (base, self._unary()), token.column)
        self._depth -= 1
        return tree

    def _atom(self) -> Tree:
        token = self.take()
        if token.kind == "number":
            return self._count(Number(float(token.text), token.column))
        if token.kind == "text":
            return self._count(Text(token.text[1:-1], token.column))
        if token.kind == "name" and not (self._is_condition and token.text in _LOGIC):
            if self.peek().text == "(":
                return self._function(token)
            return self._count(Name(token.text, token.column))
        if token.text == "(":
            tree = self.expression()
            self.expect(")")
            return tree
        self._next -= 1
        raise self._unexpected("expected a number, a name or '('")

    def _function(self, name: Token) -> Tree:
        self.expect("(")
        if name.text not in CALLABLE:
            raise UnknownNameInFormula("function", name.text, CALLABLE, column=name.column)
        arguments = [self.expression()]
        while self.peek().text == ",":
            self.take()
            arguments.append(self.expression())
        self.expect(")")
        arity = CALLABLE[name.text].arity
        if len(arguments) != arity:
            raise InvalidFormula(
                f"{name.text}() takes {arity} argument{'s' * (arity > 1)}, not {len(arguments)}",
                column=name.column,
            )
        return self._call(CALLABLE[name.text].name, tuple(arguments), name.column)

    def _call(self, operation: str, arguments: tuple[Tree, ...], column: int) -> Tree:
        return self._count(Call(operation, arguments, column))

    def _count(self, tree: Tree) -> Tree:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise InvalidFormula(
                f"a formula has at most {MAX_NODES} operations and names", column=tree.column
            )
        return tree

    def _unexpected(self, expected: str) -> InvalidFormula:
        token = self.peek()
        found = token.text if token.kind == "end" else f"'{token.text}'"
        hint = ""
        if token.text == "=" and self._is_condition:
            hint = "; equality is '=='"
        elif token.text == "=":
            hint = "; a formula has one '=' between its two sides"
        elif token.kind in {"name", "number"} or token.text == "(":
            hint = "; a product is written with '*'"
        return InvalidFormula(f"{expected}, found {found}{hint}", column=token.column)
