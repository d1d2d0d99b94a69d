"""sslyze: is the proxy's TLS what Mozilla calls modern?"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from infra.operate.judges.running import Door, output, refuse
from infra.operate.judges.verdict import Finding, Measured

LIMIT_S = 120  # measured: 2 s
CURVES = frozenset({"X25519", "secp256r1", "secp384r1"})  # host contract, section 8
LEVEL = "modern"


def run(tool: Path, door: Door) -> Measured:
    """Ask it of the proxy. Raises GadError if it could not look."""
    with tempfile.TemporaryDirectory(prefix="gad-judge-") as folder:
        report = Path(folder) / "sslyze.json"
        trust = ["--certinfo_ca_file", door.authority] if door.authority else []
        arguments = [f"--mozilla_config={LEVEL}", "--certinfo", *trust, f"--json_out={report}"]
        printed = output([tool, *arguments, f"{door.site}:{door.https}"], codes=(0, 1), limit_s=LIMIT_S)
        return parse(report.read_text(encoding="utf-8"), printed)


def parse(report: str, printed: str) -> Measured:
    """The scans that were made, the curves, and Mozilla's demands, which are only printed.

    Raises GadError for another form.
    """
    try:
        whole = json.loads(report)
        (server,) = whole["server_scan_results"]
        scans = server["scan_result"]
        done = [name for name, scan in scans.items() if scan["status"] == "COMPLETED"]
        broken = [name for name, scan in scans.items() if scan["status"] == "ERROR"]
        curves = {each["name"] for each in scans["elliptic_curves"]["result"]["supported_curves"]}
        version = whole["sslyze_version"]
    except (ValueError, KeyError, TypeError):
        raise refuse("sslyze", "it reports in another form, or did not reach the proxy") from None
    _, begun, opinion = printed.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    found = [Finding("scan", f"{name} could not be made") for name in broken]
    lines = [line.strip() for line in opinion.splitlines()]
    found += [
        Finding(line[2:].partition(":")[0], line[2:].partition(":")[2].strip())
        for line in lines
        if line.startswith("* ")
    ]
    if not begun or not (found or any(line.endswith("OK - Compliant.") for line in lines)):
        raise refuse("sslyze", "it did not say whether the proxy complies")
    if curves != CURVES:
        found.append(Finding("curves", f"{', '.join(sorted(curves))} instead of {', '.join(sorted(CURVES))}"))
    return Measured(checks=len(done), findings=tuple(found), version=version)
