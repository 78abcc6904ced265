from . import study as study

__version__: str
