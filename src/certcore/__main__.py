"""``python -m certcore`` is the ``certcore`` command."""

from __future__ import annotations

from certcore.cli import main

if __name__ == "__main__":
    main()
