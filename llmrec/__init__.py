"""Language models for recognising user interest in recommender systems."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmrec.studies import study

__all__ = ["study"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is first asked for."""
    if name in __all__:
        import llmrec.studies

        return getattr(llmrec.studies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
