"""`python -m tinygrad_sq` is the command `tinygrad-sq`."""

import sys

from tinygrad_sq.cli import main

sys.exit(main())
