"""The article's claims and the rules that turn recorded numbers into verdicts."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmrec.cache import key_of
from llmrec.repro.layout import NUMBER, Layout
from llmrec.repro.record import record
from llmrec.repro.reference import Records

VERDICTS = ("supported", "partly", "refuted", "not testable here", "not yet tested")
_FIELDS = {"id", "section", "claim", "chapters", "keys", "rule", "untestable"}
# In a rule ch04.x is the recorded value of that key, k["ch04.x-y"] one whose parts are no names.
_KEY = rf'(?:(?<![\w."\'])(ch{NUMBER}(?:\.\w+)+)|k\[["\']([^"\']+)["\']\])'
_PART = re.compile(rf"\b(low|high|difference)\({_KEY}\)")  # low(ch04.x) is the key ch04.x.low
_PLAIN = {"__builtins__": {}, "abs": abs, "min": min, "max": max}


@dataclass(frozen=True)
class Claim:
    """One claim of the article, in our own words.

    ``supported`` and ``refuted`` are rules over the keys. Neither true: *partly*. Both true: an
    ill-posed rule, refused.
    """

    id: str
    section: str  # of the article
    claim: str
    chapters: tuple[int | str, ...] = ()  # where it is tested; empty until a chapter does
    keys: tuple[str, ...] = ()  # the recorded numbers that test it
    supported: str = ""
    refuted: str = ""
    untestable: str = ""  # why this project cannot test it

    def verdict(self, records: Records) -> str:
        """Return the verdict that these records give: one of `VERDICTS`.

        A claim is *not testable here* when its data were out of reach, and *not yet tested* when
        no chapter has recorded its keys.
        """
        missing = [key for key in self.keys if key not in records.entries]
        if self.untestable or any(records.reason(key) for key in missing):
            return "not testable here"
        if not self.supported or missing:
            return "not yet tested"
        values = self._values(records)
        yes, no = evaluate(self.supported, values), evaluate(self.refuted, values)
        if yes and no:
            raise ValueError(f"claim {self.id}: its rules support and refute it at once")
        return "supported" if yes else "refuted" if no else "partly"

    def judged(self, records: Records) -> dict[str, Any]:
        """Return the verdict, the outcome of each comparison, and a hash of rule and keys."""
        rule = [self.supported, self.refuted, self.untestable, sorted(self.keys)]
        values, legs = self._values(records), {}
        for text in (self.supported, self.refuted) if len(values) == len(self.keys) else ():
            for node in ast.walk(ast.parse(text or "()", mode="eval")):
                if isinstance(node, ast.Compare):
                    legs[ast.unparse(node)] = evaluate(ast.unparse(node), values)
        return {"verdict": self.verdict(records), "legs": legs, "rule": key_of(rule)[:16]}

    def _values(self, records: Records) -> dict[str, Any]:
        return {k: records.entries[k]["value"] for k in self.keys if k in records.entries}


def load_claims(path: Path) -> list[Claim]:
    """Read and check ``claims.yml``.

    Raises
    ------
    ValueError
        When a field is unknown or missing, an id is used twice, or a rule is not an expression or
        uses a key that the claim does not list.
    """
    claims: dict[str, Claim] = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        name = entry.get("id", "without id")
        try:
            if name in claims:
                raise ValueError("its id is used twice")
            claims[name] = _claim(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name}: claim {name}: {error}") from error
    return list(claims.values())


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
    fields = dict(entry)
    rule = fields.pop("rule", {})
    if rule and rule.keys() != {"supported", "refuted"}:
        raise ValueError("a rule has exactly the two parts supported and refuted")
    fields |= {"section": str(entry["section"]), "claim": " ".join(entry["claim"].split())}
    fields |= {name: tuple(entry.get(name, ())) for name in ("chapters", "keys")}
    used = {key for text in rule.values() for key in keys_of(text)}
    if unlisted := used - set(fields["keys"]):
        raise ValueError(f"its rule uses {', '.join(sorted(unlisted))}, which its keys do not list")
    return Claim(**fields, **rule)


def evaluate(rule: str, values: Mapping[str, Any]) -> bool:
    """Evaluate a rule, such as ``"low(ch04.x) > 0 and ch04.y < 0.1"``, over recorded values.

    A rule is a Python expression in which a key stands for its value, ``low(p)``, ``high(p)`` and
    ``difference(p)`` for the keys ``p.low``, ``p.high`` and ``p.difference``; of the builtins it
    has ``abs``, ``min`` and ``max``.

    Raises
    ------
    ValueError
        When the rule is no condition or cannot be computed.
    KeyError
        When a key is not recorded.
    """
    try:
        result = eval(_python(rule), _PLAIN | {"k": values})  # the clone's own file, no sandbox
    except KeyError:
        raise
    except Exception as error:
        raise ValueError(f"rule {rule!r}: {error}") from error
    if not isinstance(result, bool):
        raise ValueError(f"rule {rule!r} is a value, not a condition: compare it with something")
    return result


def keys_of(rule: str) -> set[str]:
    """Return the keys that a rule uses; ValueError when it is no expression."""
    python = _python(rule)
    try:
        ast.parse(python, mode="eval")
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        raise ValueError(f"rule {rule!r} is not an expression: {error}") from error
    return set(re.findall(r'k\["([^"]+)"\]', python))


def _python(rule: str) -> str:
    """Write each key as ``k["…"]``, ``low(…)`` and the like first."""
    rule = _PART.sub(lambda found: f'k["{found[2] or found[3]}.{found[1]}"]', rule.strip())
    return re.sub(_KEY, lambda found: f'k["{found[1] or found[2]}"]', rule)
