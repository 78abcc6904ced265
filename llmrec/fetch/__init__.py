"""Where bytes come from: mirror folder → cache → package wheel → canonical address.

Every file is pinned by sha256 in ``llmrec/sources.yml``.
"""

from llmrec.fetch.sources import FetchError, Source, available, find
from llmrec.fetch.store import fetch_all, get, status

__all__ = ["FetchError", "Source", "available", "fetch_all", "find", "get", "status"]
