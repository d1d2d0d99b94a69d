"""testssl.sh, Debian's package: the proxy's TLS by another hand than sslyze's."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from infra.operate.judges.running import Door, output, refuse
from infra.operate.judges.verdict import Finding, Measured

LIMIT_S = 900  # measured: 105 s beside other tests
ABOVE_LOW = ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")  # WARN: it could not look


def run(door: Door) -> Measured:
    """Ask it of the proxy. Raises GadError if it could not look."""
    with tempfile.TemporaryDirectory(prefix="gad-judge-") as folder:
        report = Path(folder) / "testssl.json"
        trust = ["--add-ca", str(door.authority)] if door.authority else []
        # Protocols, ciphers, server defaults, preferences, forward secrecy, headers, known vulnerabilities.
        asked = ["-p", "-E", "-s", "-P", "-S", "-h", "-U", "--ip", door.address]
        output(
            [
                *("testssl", "--quiet", "--color", "0", "--warnings", "batch", *trust, *asked),
                *(f"--jsonfile-pretty={report}", f"{door.site}:{door.https}"),
            ],
            codes=range(50),  # how many findings there are; from 245 on, what went wrong
            limit_s=LIMIT_S,
        )
        return parse(report.read_text(encoding="utf-8"))


def parse(report: str) -> Measured:
    """Its findings above LOW. Raises GadError for another form."""
    try:
        whole = json.loads(report)
        (scan,) = whole["scanResult"]
        said: list[dict[str, Any]] = [
            each for part in scan.values() if isinstance(part, list) for each in part
        ]
        found = [
            Finding(each["id"], f"{each['severity']} {each['finding']}")
            for each in said
            if each["severity"] in ABOVE_LOW
        ]
        version = whole["version"].split()[0]
    except (ValueError, KeyError, TypeError):
        raise refuse("testssl", "it reports in another form, or did not reach the proxy") from None
    return Measured(checks=len(said), findings=tuple(found), version=version)
