"""The reproduction ledger: published numbers beside what this package measures on the same data."""

from llmrec.ledger.ledger import Entry, Ledger, run
from llmrec.ledger.published import Protocol, Row, load_published
from llmrec.ledger.recipe import RECIPES, Measured, Recipe, load_recipes, recipe

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
