"""/etc/issue, /etc/issue.net and /etc/motd, from controls. Pure."""

from __future__ import annotations

import textwrap

from infra.errors import GadError
from infra.host.controls import FILE, Values

WIDTH = 79  # of a terminal at a console


def warning(values: Values) -> str:
    """Before a login. Raises GadError for a backslash, by which a console would say what system this is."""
    said = values.text("banner.warning")
    if "\\" in said:
        raise GadError("banner.warning has a backslash", remedy=f"correct {FILE}")
    return textwrap.fill(said, WIDTH) + "\n"


def motd(values: Values) -> str:
    """After a login; may be empty."""
    said = values.text("banner.motd")
    return textwrap.fill(said, WIDTH) + "\n" if said else ""
