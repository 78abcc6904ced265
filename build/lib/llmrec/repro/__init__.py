"""What binds notebooks, numbers and claims: ``record`` is what a chapter needs."""

from llmrec.repro.record import Recorder, record

__all__ = ["Recorder", "record"]
