"""`python -m app.audit verify`."""

import sys

from app.audit.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
