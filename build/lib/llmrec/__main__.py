"""``python -m llmrec`` is the command ``llmrec``."""

import sys

from llmrec.cli import main

sys.exit(main())
