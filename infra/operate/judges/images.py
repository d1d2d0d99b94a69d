"""hadolint and checkov: the recipes of our images."""

from __future__ import annotations

import json
from pathlib import Path

from infra.operate.judges.running import output, refuse
from infra.operate.judges.verdict import Finding, Measured

RECIPES = Path("config") / "images"
LIMIT_S = 300  # measured: checkov 16 s


def hadolint(root: Path, tool: Path) -> Measured:
    """Ask it of each Dockerfile. Raises GadError if it could not look."""
    recipes = sorted((root / RECIPES).glob("*/Dockerfile"))
    printed = output([tool, "--no-fail", "-f", "json", *recipes], codes=(0,), limit_s=LIMIT_S, folder=root)
    return parse_hadolint(printed, len(recipes))


def parse_hadolint(printed: str, recipes: int) -> Measured:
    """Its findings; it says nothing of a file that is as it should be. Raises GadError for another form."""
    try:
        found = [Finding(each["code"], f"{each['file']}:{each['line']}") for each in json.loads(printed)]
    except (ValueError, KeyError, TypeError):
        raise refuse("hadolint", "it reports in another form") from None
    return Measured(checks=recipes, findings=tuple(found))


def checkov(root: Path, tool: Path) -> Measured:
    """Ask it of each Dockerfile, by what it knows itself. Raises GadError if it could not look."""
    arguments = [
        "-d",
        root / RECIPES,
        "--framework",
        "dockerfile",
        "--skip-download",
        "--quiet",
        "-o",
        "json",
    ]
    printed = output([tool, *arguments], codes=(0, 1), limit_s=LIMIT_S, folder=root)
    return parse_checkov(printed)


def parse_checkov(printed: str) -> Measured:
    """What passed and what failed. Raises GadError for another form, and if it could not read a file."""
    try:
        report = json.loads(printed)
        summary = report["summary"]
        failed = report["results"]["failed_checks"]
        found = [Finding(f"{each['check_id']}{each['file_path']}", each["check_name"]) for each in failed]
        unread = summary["parsing_errors"]
        checks = summary["passed"] + summary["failed"]
        version = summary["checkov_version"]
    except (ValueError, KeyError, TypeError):
        raise refuse("checkov", "it reports in another form") from None
    if unread:
        raise refuse("checkov", f"it could not read {unread} files")
    return Measured(checks=checks, findings=tuple(found), version=version)
