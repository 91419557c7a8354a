"""``python -m scheduler.cli``: the same without an installed script."""

from scheduler.cli import main

main()
