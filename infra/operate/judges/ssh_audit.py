"""ssh-audit: the server's SSH as a client sees it, by a policy of our own for each system.

Its own policy for Debian 13 wants post-quantum key exchanges only, which locks out paramiko 4, by which
pyinfra comes. sshd gives a source that connects without signing in a penalty of a second each time, and
beyond 15 s refuses it (PerSourcePenalties): so each look waits until a login is let in again. No source is
exempt: what is judged is what anybody meets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.operate.judges.running import Server, output, refuse
from infra.operate.judges.verdict import Finding, Measured

POLICIES = Path("config") / "judges" / "ssh-audit"
LIMIT_S = 120  # measured: 7 s
KINDS = ("kex", "key", "enc", "mac")
NOT_POST_QUANTUM = "does not provide protection against post-quantum attacks"


def run(root: Path, tool: Path, server: Server, system: str) -> Measured:
    """Its policy, then its own opinion. Raises GadError if either did not look."""
    policy = root / POLICIES / f"{system}.txt"
    if not policy.is_file():
        raise refuse("ssh-audit", f"there is no policy for {system}")
    where = ["-p", str(server.access.port), server.access.address]
    # 0 good, 1 failed to connect, 2 warnings, 3 failures
    server.await_login()
    audit = output([tool, "-j", "--skip-rate-test", *where], codes=(0, 2, 3), limit_s=LIMIT_S)
    server.await_login()
    by_policy = output([tool, "-j", "-P", policy, *where], codes=(0, 3), limit_s=LIMIT_S)
    server.await_login()
    return parse(audit, by_policy)


def parse(audit: str, by_policy: str) -> Measured:
    """Its opinion of each algorithm, and of the whole by the policy. Raises GadError for another form."""
    try:
        whole, policy = json.loads(audit), json.loads(by_policy)
        algorithms = [(kind, each) for kind in KINDS for each in whole[kind]]
        passed = policy["passed"]
        errors = policy["errors"]
    except (ValueError, KeyError, TypeError):
        raise refuse("ssh-audit", "it reports in another form") from None
    found = [Finding("policy", f"{each['mismatched_field']} {' or '.join(_wanted(each))}") for each in errors]
    if not passed and not found:
        found.append(Finding("policy", "not passed"))
    for kind, each in algorithms:
        for level in ("fail", "warn"):
            for note in each.get("notes", {}).get(level, []):
                is_quantum = level == "warn" and note == NOT_POST_QUANTUM
                name = f"{level}.{'post-quantum' if is_quantum else kind}"
                found.append(Finding(name, f"{each['algorithm']} {note}"))
    return Measured(
        checks=len(algorithms), findings=tuple(found), note=f"policy {'passed' if passed else 'failed'}"
    )


def _wanted(error: dict[str, Any]) -> list[str]:
    return [
        f"{key.removesuffix('_required').removesuffix('_optional')}: {', '.join(map(str, value))}"
        for key, value in error.items()
        if key.startswith("expected") and value and value != [""]
    ]
