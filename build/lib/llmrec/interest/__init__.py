"""A user's interests from item vectors: how many, how they move, how to keep them up to date.

Everything takes the vectors of what users took and says nothing of where they come from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
