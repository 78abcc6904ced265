"""The study of one's own tables: does text help, for whom, at what cost, what to ship."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
