"""The reproduction ledger: published numbers beside what this package measures on the same data."""

from llmrec.ledger.ledger import RECIPES, Entry, Ledger, Measured, Recipe, load_recipes, recipe, run
from llmrec.ledger.published import Protocol, Row, load_published

__all__ = [
    "RECIPES",
    "Entry",
    "Ledger",
    "Measured",
    "Protocol",
    "Recipe",
    "Row",
    "load_published",
    "load_recipes",
    "recipe",
    "run",
]
