"""Who tries a release now, and whether the version before is asked for. Read once, by the program."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
import time

from infra.release import Attempt

BACK = "GAD_RELEASE_BACK"  # set by `gad rollback` alone, for one update: the stack file stays the wish


def begin() -> Attempt:
    """A new attempt. Ids of later ones are greater, on one machine's clock."""
    by = f"{_account()}@{socket.gethostname()}"
    return Attempt(id=f"{int(time.time()):08x}{secrets.token_hex(2)}", by=re.sub(r"[^\w.@-]", "-", by))


def asks_for_the_version_before() -> bool:
    """Whether this update is a way back."""
    return os.environ.get(BACK) == "1"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return f"uid{os.getuid()}"
