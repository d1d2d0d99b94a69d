"""Bodies that the API accepts, each unlike any other of the run."""

from __future__ import annotations

import itertools

_numbers = itertools.count(1)


def person(**changes: object) -> dict[str, object]:
    """A body for POST /users nobody else used."""
    number = next(_numbers)
    return {
        "email": f"persona.{number}@distrito.example",
        "first_name": "Ana",
        "last_name": "Guamán",
        "dni": f"17{number:08d}",
        **changes,
    }


def officer(**changes: object) -> dict[str, object]:
    """A body for POST /officers with a new person."""
    number = next(_numbers)
    return {
        "internal_code": f"TST-{number:05d}",
        "person": person(),
        "position": {"lat": -0.2, "lon": -78.5, "at": "2026-01-01T00:00:00Z"},
        **changes,
    }
