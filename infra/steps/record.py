"""The end of a release: what is live now is written down, on the machine and in the state."""

from __future__ import annotations

from infra.steps.rotation import Rotation, script


def record(rotation: Rotation) -> str:
    """Keep the record that follows the step's own lines, and close the attempt in the ledger."""
    return script(rotation, _BODY)


_BODY = """cat > .recorded.new
sync .recorded.new
mv -f .recorded.new recorded.json
note live "$live" "schema $(watch ordinal "$live" | tr -cd '0-9')"
"""
