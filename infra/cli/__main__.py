"""`python -m infra.cli`, which is what `bin/gad` runs."""

from __future__ import annotations

import sys

from infra.cli.root import main

sys.exit(main())
