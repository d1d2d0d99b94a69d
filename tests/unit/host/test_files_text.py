"""What files must be, the part of the profile about PATH, and how the server's answers are read."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.host.controls import Os, Values, load
from infra.host.files.operations import Found, Overrides, States
from infra.host.files.text import HEAD, modes, profile

ROOT = Path(__file__).resolve().parents[3]
CONTROLS = load(ROOT, today=datetime.now(UTC).date())
VALUES = CONTROLS.values_for("debian-13")


def changed(**values: object) -> Values:
    return Values.model_validate({**VALUES.root, **values})


@pytest.mark.parametrize(
    ("system", "log"), [("debian-13", "755 root:root"), ("ubuntu-24.04", "775 root:syslog")]
)
def test_modes(system: Os, log: str) -> None:
    found = modes(CONTROLS.values_for(system), system)
    assert found["/var/log"] == log
    assert found["/etc/shadow"] == "640 root:shadow"
    assert found["/etc/crontab"] == "600 root:root"
    # linux-baseline: nobody but root reads or writes jobs, nobody but root writes accounts.
    assert [path for path, state in found.items() if "cron" in path and state[1:3] != "00"] == []
    assert [path for path in found if path.startswith("/etc/passwd") and found[path] != "644 root:root"] == []


def test_a_system_without_a_word_on_logs_is_refused() -> None:
    with pytest.raises(GadError, match=r"files.log has no word for ubuntu-24.04"):
        modes(changed(**{"files.log": {"debian-13": "755 root:root"}}), "ubuntu-24.04")


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/usr/bin:/bin", "/usr/bin:/bin"),
        (".:/usr/bin::/bin:", "/usr/bin:/bin"),
        ("bin:/usr/bin:../x:/with space/bin", "/usr/bin:/with space/bin"),
    ],
)
def test_only_whole_paths_are_searched(path: str, left: str) -> None:
    # The programs of this machine are called by name, so its own PATH goes before.
    script = f'PATH="/usr/bin:/bin:$1"\n{profile(VALUES)}\nprintf \'%s\' "$PATH"'
    done = subprocess.run(["sh", "-c", script, "sh", path], capture_output=True, text=True, check=True)
    assert done.stdout == f"/usr/bin:/bin:{left}"


def test_a_profile_that_leaves_path_alone() -> None:
    assert profile(changed(**{"files.relative-path": True})) == HEAD


def test_answers_are_read() -> None:
    assert States().process(["/etc/a 640 root:shadow"]) == {"/etc/a": "640 root:shadow"}
    assert Overrides().process(["root root 0755 /usr/bin/x"]) == frozenset({"/usr/bin/x"})
    assert Found().process(["/root/.netrc", "/home/a/.rhosts"]) == ("/home/a/.rhosts", "/root/.netrc")
    assert (States.default(), Overrides.default(), Found.default()) == ({}, frozenset(), ())
