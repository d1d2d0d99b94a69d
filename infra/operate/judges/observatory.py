"""Mozilla's HTTP Observatory: what the headers of a page keep a browser from."""

from __future__ import annotations

import json
from pathlib import Path

from infra.operate.judges.running import Door, output, refuse
from infra.operate.judges.verdict import Finding, Measured

PORTS = Path("config") / "judges" / "ports.mjs"
PAGE = "docs"  # the one page there is that a browser shows; all others are JSON with the same headers
LIMIT_S = 60  # measured: 1 s


def run(root: Path, scan: Path, door: Door) -> Measured:
    """Ask it of the proxy, whose ports it cannot be told. Raises GadError if it could not look."""
    variables = {
        "GAD_JUDGE_PORTS": f"{door.http} {door.https}",
        "NODE_OPTIONS": f"--import={(root / PORTS).as_uri()}",
        **({"NODE_EXTRA_CA_CERTS": str(door.authority)} if door.authority else {}),
    }
    printed = output(
        ["node", scan, f"{door.site}/{PAGE}"], codes=(0, 1), limit_s=LIMIT_S, variables=variables
    )
    return parse(printed)


def parse(printed: str) -> Measured:
    """Its score, grade and tests. Raises GadError if it made none."""
    try:
        report = json.loads(printed)
        if "error" in report:
            raise refuse("observatory", report["error"])
        scan, tests = report["scan"], report["tests"]
        found = [Finding(name, test["result"]) for name, test in tests.items() if not test["pass"]]
        return Measured(
            checks=len(tests), findings=tuple(found), score=float(scan["score"]), note=scan["grade"]
        )
    except (ValueError, KeyError, TypeError):
        raise refuse("observatory", "it reports in another form") from None
