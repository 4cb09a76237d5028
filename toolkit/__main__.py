"""``python -m toolkit``: the same as the command ``toolkit``."""

from toolkit.cli import main

main()
