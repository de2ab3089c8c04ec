"""`python -m verigrad`: the command line."""

import sys

from verigrad.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
