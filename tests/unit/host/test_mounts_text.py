"""The script of mounts, its unit and apt's folder: what they never do to a server."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.host.controls import Values, load
from infra.host.mounts.text import ALLOWED, SCRIPT, UNIT, apt, differing, script, wanted

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")


def test_what_dpkg_and_docker_run_from_stays_a_place_of_programs() -> None:
    found = wanted(VALUES)
    assert [path for path in ("/var", "/home", "/run") if "noexec" in found[path]] == []
    assert "nodev" not in found["/dev"]
    assert {option for each in found.values() for option in each.split(",")} == ALLOWED


def test_an_option_that_could_keep_a_server_from_its_start_is_refused() -> None:
    changed = Values({**VALUES.root, "mounts.boot": {"/boot": "nodev,ro"}})
    with pytest.raises(GadError, match="/boot: ro is no option that is set here"):
        wanted(changed)


def test_what_docker_mounts_below_is_bound_onto_nothing() -> None:
    bound = [line.split()[1] for line in script(VALUES).splitlines() if line.startswith("own /")]
    assert bound == list(VALUES.items("mounts.own"))
    assert [path for path in bound if Path("/var/lib/docker").is_relative_to(path)] == []


def test_each_path_is_set_and_looked_at() -> None:
    calls = [line.split() for line in script(VALUES).splitlines()]
    set_here = {line[2]: line[1] for line in calls if line[0] == "only"}
    looked_at = {
        words[1]: words[2].replace(" ", ",")
        for words in (shlex.split(each) for each in differing(VALUES).split("; "))
        if words[0] == "look" and len(words) == 3
    }
    assert set_here == looked_at == dict(wanted(VALUES))


def test_a_server_starts_without_it() -> None:
    words = UNIT.split()
    assert f"ExecStart={SCRIPT}" in words
    assert "WantedBy=sysinit.target" in words
    assert [word for word in words if word.startswith(("RequiredBy=", "OnFailure=", "Requires="))] == []


def test_apt_runs_scripts_elsewhere() -> None:
    folder = VALUES.text("mounts.apt-folder")
    assert f'\nAPT::ExtractTemplates::TempDir "{folder}";\n' in apt(VALUES)
    closed = [path for path, options in wanted(VALUES).items() if "noexec" in options]
    assert [path for path in closed if Path(folder).is_relative_to(path)] == []
