"""`python -m postroom` is the command `postroom`."""

from postroom.cli.main import main

main()
