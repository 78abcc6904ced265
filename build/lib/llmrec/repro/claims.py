"""The article's claims and the rules that turn recorded numbers into verdicts."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmrec.repro.layout import Layout
from llmrec.repro.record import record
from llmrec.repro.reference import Records

VERDICTS = ("supported", "partly", "refuted", "not testable here", "not yet tested")
LONGEST_RULE = 500  # bounds the depth of a rule's syntax tree
_FIELDS = {"id", "section", "claim", "chapters", "keys", "rule", "untestable"}

# The whole language of a rule: nothing else is evaluated, no attribute or call reaches Python.
Step = Callable[[Mapping[str, Any]], Any]
_UNARY: dict[type, Callable[[Any], Any]] = {ast.Not: operator.not_, ast.USub: operator.neg}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_TESTS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
_PARTS = ("low", "high", "difference")  # low(ch04.x) is the key ch04.x.low


@dataclass(frozen=True)
class Claim:
    """One claim of the article, in our own words.

    Attributes
    ----------
    id, section, claim:
        ``"C6"``, the article's section, our paraphrase.
    chapters, keys:
        Where it is tested and the recorded numbers that test it; empty until a chapter does.
    supported, refuted:
        Rules over the keys. Neither true: *partly*. Both true: an ill-posed rule, refused.
    untestable:
        Why this project cannot test it; empty otherwise.
    """

    id: str
    section: str
    claim: str
    chapters: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    supported: str = ""
    refuted: str = ""
    untestable: str = ""

    def verdict(self, records: Records) -> str:
        """Return the verdict that these records give: one of `VERDICTS`.

        A claim is *not testable here* when its data were out of reach, and *not yet tested* when
        no chapter has recorded its keys.
        """
        if self.untestable:
            return "not testable here"
        missing = [key for key in self.keys if key not in records.entries]
        if any(records.reason(key) for key in missing):
            return "not testable here"
        if not self.supported or missing:
            return "not yet tested"
        values = {key: records.entries[key]["value"] for key in self.keys}
        yes, no = evaluate(self.supported, values), evaluate(self.refuted, values)
        if yes and no:
            raise ValueError(f"claim {self.id}: its rules support and refute it at once")
        return "supported" if yes else "refuted" if no else "partly"


def load_claims(path: Path) -> list[Claim]:
    """Read and check ``claims.yml``.

    Raises
    ------
    ValueError
        When a field is unknown or missing, an id is used twice, or a rule is not in the language
        or uses a key that the claim does not list.
    """
    claims = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        name = entry.get("id", "without id")
        try:
            claims.append(_claim(entry))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name}: claim {name}: {error}") from error
        if [claim.id for claim in claims].count(name) > 1:
            raise ValueError(f"{path.name}: two claims are named {name}")
    return claims


def current_verdicts() -> dict[str, str]:
    """Return claim → verdict from what this process has recorded: for a notebook's own verdict.

    Raises
    ------
    FileNotFoundError
        When the working folder is not inside a clone of the book.
    """
    entries: dict[str, Any] = {}
    for chapter in record.chapters.values():
        entries |= chapter["records"]
    claims = load_claims(Layout.find().claims)
    return {claim.id: claim.verdict(Records(entries)) for claim in claims}


def _claim(entry: Mapping[str, Any]) -> Claim:
    if unknown := entry.keys() - _FIELDS:
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
    if absent := {"id", "section", "claim"} - entry.keys():
        raise ValueError(f"has no {', '.join(sorted(absent))}")
    rule = entry.get("rule", {})
    if rule and rule.keys() != {"supported", "refuted"}:
        raise ValueError("a rule has exactly the two parts supported and refuted")
    keys = tuple(entry.get("keys", ()))
    used = {key for text in rule.values() for key in keys_of(text)}
    if unlisted := used - set(keys):
        raise ValueError(f"its rule uses {', '.join(sorted(unlisted))}, which its keys do not list")
    return Claim(
        id=entry["id"],
        section=str(entry["section"]),
        claim=" ".join(entry["claim"].split()),
        chapters=tuple(entry.get("chapters", ())),
        keys=keys,
        untestable=entry.get("untestable", ""),
        **rule,
    )


def evaluate(rule: str, values: Mapping[str, Any]) -> bool:
    """Evaluate a rule, such as ``"low(ch04.x) > 0 and ch04.y < 0.1"``, over recorded values.

    The language: recorded keys (``ch04.x.y``, or ``k["ch04.x-y"]`` where a part is not a name),
    numbers and strings, ``+ - * /``, comparisons, ``and or not``, ``abs min max``, and
    ``low(p)``, ``high(p)``, ``difference(p)`` for the keys ``p.low``, ``p.high``, ``p.difference``.
    It is interpreted node by node; nothing is handed to Python's ``eval``.

    Raises
    ------
    ValueError
        When the rule leaves the language, is no condition, or divides by zero.
    KeyError
        When a key is not recorded.
    """
    run = _compile(_parse(rule), set())
    try:
        result = run(values)
    except (TypeError, ZeroDivisionError) as error:
        raise ValueError(f"rule {rule!r}: {error}") from error
    if not isinstance(result, bool):
        raise ValueError(f"rule {rule!r} is a value, not a condition: compare it with something")
    return result


def keys_of(rule: str) -> set[str]:
    """Return the keys that a rule uses; raises ValueError when it leaves the language."""
    keys: set[str] = set()
    _compile(_parse(rule), keys)
    return keys


def _parse(rule: str) -> ast.expr:
    if len(rule) > LONGEST_RULE:
        raise ValueError(f"rule {rule[:40]!r}… is longer than {LONGEST_RULE} characters")
    try:
        return ast.parse(rule.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        raise ValueError(f"rule {rule!r} is not an expression: {error}") from error


def _compile(node: ast.expr, keys: set[str]) -> Step:
    """Turn a whitelisted syntax tree into a function of the values, collecting the keys it uses."""

    def below(*parts: ast.expr) -> list[Step]:
        return [_compile(part, keys) for part in parts]

    match node:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            return lambda _: constant
        case ast.BoolOp(op=op, values=parts):
            gather, tests = (all if isinstance(op, ast.And) else any), below(*parts)
            return lambda values: gather(bool(test(values)) for test in tests)
        case ast.UnaryOp(op=ast.Not() | ast.USub() as op, operand=operand):
            apply, (inner,) = _UNARY[type(op)], below(operand)
            return lambda values: apply(inner(values))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            act, (a, b) = _BINARY[type(op)], below(left, right)
            return lambda values: act(_number(a(values)), _number(b(values)))
        case ast.Compare(left=left, ops=ops, comparators=rights) if {*map(type, ops)} <= {*_TESTS}:
            acts, sides = [_TESTS[type(op)] for op in ops], below(left, *rights)
            return lambda values: all(
                act(a(values), b(values)) for act, a, b in zip(acts, sides, sides[1:], strict=False)
            )
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _PARTS:
            return _lookup(f"{_key(argument)}.{name}", keys)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            function, inputs = _FUNCTIONS[name], below(*arguments)
            return lambda values: function(*(step(values) for step in inputs))
        case ast.Attribute() | ast.Subscript():
            return _lookup(_key(node), keys)
    raise ValueError(f"a rule cannot say {ast.unparse(node)!r}")


def _number(value: Any) -> float:
    """Refuse text: a string times a large number would fill the memory."""
    if not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return value


def _lookup(key: str, keys: set[str]) -> Step:
    keys.add(key)
    return lambda values: values[key]


def _key(node: ast.expr) -> str:
    """Return the key that ``ch04.x.y`` or ``k["ch04.x-y"]`` spells."""
    match node:
        case ast.Subscript(value=ast.Name(id="k"), slice=ast.Constant(value=str() as key)):
            return key
        case ast.Attribute(value=ast.Name(id=chapter), attr=attr):
            return f"{chapter}.{attr}"
        case ast.Attribute(value=ast.Attribute() as inner, attr=attr):
            return f"{_key(inner)}.{attr}"
    raise ValueError(f"a rule cannot say {ast.unparse(node)!r}")
