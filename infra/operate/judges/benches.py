"""docker-bench-security and ovh/debian-cis: no registry has them, so their folders are given by path.

They are sent to the server, run there as root, and removed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from infra.operate.judges.running import Server, refuse
from infra.operate.judges.verdict import Finding, Measured

LIMIT_S = 900
BENCH = "sh docker-bench-security.sh -b -l ./gad >/dev/null 2>&1 </dev/null; cat ./gad.json"
# Its own settings and scripts lie where it is unpacked; nothing is written to /etc/default.
CIS = (
    "export CIS_ROOT_DIR=$PWD CIS_LIB_DIR=$PWD/lib CIS_CHECKS_DIR=$PWD/bin/hardening CIS_CONF_DIR=$PWD/etc"
    " CIS_TMP_DIR=$PWD/tmp CIS_VERSIONS_DIR=$PWD/versions; mkdir -p tmp;"
    " bash bin/hardening.sh --audit-all --summary-json --allow-unsupported-distribution"
    " </dev/null 2>/dev/null || true"
)
ABOUT_CONTAINERS = ("2", "3", "4", "5")  # of its sections: daemon, its files, images, containers


def docker_bench(server: Server, folder: Path) -> Measured:
    """Ask it on the server. Raises GadError if it could not look."""
    return parse_docker_bench(server.said_in(folder, BENCH, limit_s=LIMIT_S))


def parse_docker_bench(printed: str) -> Measured:
    """Its score and what it warns of in its sections 2 to 5. Raises GadError for another form."""
    try:
        report = json.loads(printed)
        score, checks, version = report["score"], report["checks"], report["dockerbenchsecurity"]
        found = [
            Finding(each["id"], each["desc"])
            for section in report["tests"]
            if section["id"] in ABOUT_CONTAINERS
            for each in section["results"]
            if each["result"] == "WARN"
        ]
    except (ValueError, KeyError, TypeError):
        raise refuse("docker-bench", "it reports in another form") from None
    return Measured(checks=int(checks), findings=tuple(found), score=float(score), version=version)


def debian_cis(server: Server, folder: Path) -> Measured:
    """Ask it on the server. Raises GadError if it could not look."""
    return parse_debian_cis(server.said_in(folder, CIS, limit_s=LIMIT_S))


def parse_debian_cis(printed: str) -> Measured:
    """Percent of its checks that passed, of those that it ran. Raises GadError for another form."""
    found = re.search(r"^\{.*conformity_percentage.*\}$", printed, flags=re.MULTILINE)
    try:
        report = json.loads(found[0] if found else "")
        checks, score = int(report["run_checks"]), float(report["conformity_percentage"])
    except (ValueError, KeyError, TypeError):
        raise refuse("debian-cis", "it reports in another form") from None
    return Measured(checks=checks, score=score, note="%")
