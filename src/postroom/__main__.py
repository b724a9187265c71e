"""`python -m postroom` is the command `postroom`."""

import sys

from postroom.cli.main import main

sys.exit(main())
