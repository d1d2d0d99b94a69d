"""The one linear chain of schema steps. Each only expands, and suits the release before it.

`ORDINAL` is the schema this code was written for; a step sets `schema_info(ordinal, min_ordinal)`, where
`min_ordinal` is the oldest code that still works on it.
"""

from __future__ import annotations

ORDINAL = 8
