"""`python -m utils.phantom`."""

import sys

from .command import main

sys.exit(main())
