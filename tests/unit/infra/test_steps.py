"""The scripts of a release: any POSIX shell reads them, and they decide as they should.

What an engine would answer is a file here, so that each case can be had. A stack has a real one.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from infra.steps.bake import bake
from infra.steps.park import park
from infra.steps.record import record
from infra.steps.rotation import Rotation, step_input
from infra.steps.route import route, turn_back
from infra.steps.smoke import smoke

# What the engine and the watcher say is a file each: NAME.inspect, watch-WHAT-SLOT.
DOCKER = r"""#!/bin/sh
cd "$(dirname "$0")"
case $1 in
inspect) case $3 in
  *attempt*) cat "$4.attempt" 2>/dev/null ;;
  *Health*Status*RestartCount* | *Status*RestartCount*) cat "$4.state" 2>/dev/null || exit 1 ;;
  *StartedAt*) cat "$4.started" 2>/dev/null ;;
  *Running*RestartCount*) echo true 0 ;;
  *Running*) test -e "$4.health" && echo true || exit 1 ;;
  *Health*) cat "$4.health" 2>/dev/null ;;
  *PidsLimit*) cat "$4.pids" 2>/dev/null || echo 128 ;;
  *Image*) cat "$4.image" 2>/dev/null ;;
  esac ;;
exec) case $* in
  *health.py*) [ "$(cat "$2.health" 2>/dev/null)" = healthy ] ;;
  *watch.py*) shift 6; echo "$1 $2" >> asked; if [ -e "no-$1-$2" ]; then cat "no-$1-$2"; exit 1; fi; echo "{\"ordinal\": 8}" ;;
  *app.smoke*) if [ -e "no-smoke" ]; then cat no-smoke >&2; exit 1; fi; echo '{"ok": true}' ;;
  *upstreams*) cat upstreams 2>/dev/null || echo '[{"address":"api-blue:8000","num_requests":0,"fails":0},{"address":"api-green:8000","num_requests":0,"fails":0}]' ;;
  esac ;;
logs) cat "$4.logs" 2>/dev/null ;;
esac
"""  # noqa: E501


@dataclass
class Machine:
    """A release directory, and an engine that says what the test wants."""

    folder: Path
    rotation: Rotation

    def run(self, script: str, told: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", script],
            input=told,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
        )

    def says(self, name: str, text: str) -> None:
        (self.folder / "bin" / name).write_text(text)

    def has(self, slot: str, attempt: str) -> None:
        self.says(f"gad-dev-api-{slot}.attempt", f"{attempt}\n")
        self.says(f"gad-dev-api-{slot}.health", "healthy\n")

    @property
    def live(self) -> str:
        return (self.folder / "release" / "live").read_text()

    @live.setter
    def live(self, slot: str) -> None:
        (self.folder / "release" / "live").write_text(slot)

    @property
    def ledger(self) -> list[tuple[str, str]]:
        lines = (self.folder / "release" / "ledger.jsonl").read_text().splitlines()
        return [(entry["event"], entry["slot"]) for entry in map(json.loads, lines)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("bin", "release"):
        (tmp_path / name).mkdir()
    program = tmp_path / "bin" / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    rotation = Rotation(
        directory=str(tmp_path / "release"),
        blue="gad-dev-api-blue",
        green="gad-dev-api-green",
        proxy="gad-dev-proxy",
        site="localhost",
    )
    return Machine(tmp_path, rotation)


def told(*, live: str = "green", blue: str = "1", green: str = "2") -> str:
    """A release of green over blue, attempt 2 over 1."""
    return step_input(
        attempt="2", by="ana@desk", live=live, image="app@sha256:2", blue_attempt=blue, green_attempt=green
    )


SCRIPTS = {
    "park": park,
    "smoke": lambda r: smoke(r, start_s=60),
    "route": lambda r: route(r, drain_s=30),
    "bake": lambda r: bake(r, seconds=30),
    "record": record,
    "back": turn_back,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_any_shell_reads_it(machine: Machine, name: str) -> None:
    odd = replace(machine.rotation, directory="/srv/a folder's")
    text = SCRIPTS[name](odd)
    done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[[" not in text


def test_a_live_slot_that_stays_is_left_alone(machine: Machine) -> None:
    machine.has("blue", "1")
    machine.has("green", "0")
    machine.live = "blue"
    done = machine.run(park(machine.rotation), told())
    assert (done.returncode, machine.live) == (0, "blue"), done.stderr
    assert machine.ledger == [("begun", "green")]


def test_a_slot_that_a_killed_update_left_live_is_turned_away_from(machine: Machine) -> None:
    machine.has("blue", "1")
    machine.has("green", "1b")  # of the attempt that was cut off after its turn
    machine.live = "green"
    done = machine.run(park(machine.rotation), told())
    assert (done.returncode, machine.live) == (0, "blue"), done.stderr
    assert machine.ledger == [("begun", "green"), ("parked", "blue")]


@pytest.mark.parametrize("health", ["unhealthy\n", "starting\n"])
def test_nobody_is_replaced_while_the_other_cannot_serve(machine: Machine, health: str) -> None:
    machine.has("blue", "1")
    machine.has("green", "1b")
    machine.says("gad-dev-api-blue.health", health)
    machine.live = "green"
    done = machine.run(park(machine.rotation), told())
    assert (done.returncode, machine.live) == (1, "green")
    assert done.stderr.splitlines()[0] == (
        "error: slot green is live and would be replaced, and slot blue cannot take over"
    )


def test_a_first_release_protects_nobody(machine: Machine) -> None:
    assert machine.run(park(machine.rotation), told(live="blue", blue="2", green="2")).returncode == 0
    machine.has("blue", "1")
    machine.has("green", "1")
    machine.live = "blue"
    again = machine.run(park(machine.rotation), told(live="blue", blue="2", green="2"))
    assert (again.returncode, machine.live) == (0, "blue"), again.stderr


def test_a_slot_that_was_already_turned_to_stays_so(machine: Machine) -> None:
    """`gad rollback --fast` turns first; the update that follows finds both slots as they are to be."""
    machine.has("blue", "1")
    machine.has("green", "2")
    machine.live = "blue"
    done = machine.run(park(machine.rotation), told(live="blue"))
    assert (done.returncode, machine.live) == (0, "blue"), done.stderr


def tried(machine: Machine) -> subprocess.CompletedProcess[str]:
    return machine.run(smoke(machine.rotation, start_s=1), told())


def test_a_slot_that_does_its_work_passes(machine: Machine) -> None:
    machine.has("green", "2")
    machine.says("gad-dev-api-green.image", "app@sha256:2\n")
    done = tried(machine)
    assert (done.returncode, done.stdout) == (0, '{"ok": true}\n'), done.stderr


@pytest.mark.parametrize(
    ("state", "logs", "reason"),
    [
        ("exited 0 false \n", "error: GAD_KEK is missing\nremedy: x\n", "it ended: GAD_KEK is missing"),
        ("restarting 3 false \n", "boom\n\n", "it ended 3 times: boom"),
        ("running 1 true starting\n", "", "it ran out of its memory"),
        ("running 0 false starting\n", "still at it\n", "it did not answer within 1 s: still at it"),
    ],
)
def test_a_slot_that_does_not_come_says_why(machine: Machine, state: str, logs: str, reason: str) -> None:
    machine.live = "blue"
    machine.says("gad-dev-api-green.state", state)
    machine.says("gad-dev-api-green.logs", logs)
    done = tried(machine)
    first, second, *_ = done.stderr.splitlines()
    assert done.returncode == 1
    assert first.startswith(f"error: slot green with app@sha256:2: {reason}")
    assert "blue serves as before" in second
    assert machine.ledger == [("failed", "green")]


def test_another_image_than_the_released_one_is_no_release(machine: Machine) -> None:
    machine.has("green", "2")
    machine.says("gad-dev-api-green.image", "app@sha256:9\n")
    assert "its container runs app@sha256:9" in tried(machine).stderr


def test_its_own_smoke_test_says_why(machine: Machine) -> None:
    machine.has("green", "2")
    machine.says("gad-dev-api-green.image", "app@sha256:2\n")
    machine.says("no-smoke", 'error: postgis: "missing"\nremedy: x\n')
    first = tried(machine).stderr.splitlines()[0]
    assert first == "error: slot green with app@sha256:2: postgis: missing"


def test_a_turn_is_proven_and_the_other_slot_finishes(machine: Machine) -> None:
    machine.live = "blue"
    machine.has("blue", "1")
    done = machine.run(route(machine.rotation, drain_s=5), told())
    assert (done.returncode, machine.live) == (0, "green"), done.stderr
    assert done.stdout.startswith("green has all requests, blue has none left")


def test_what_is_open_for_too_long_is_told_and_left(machine: Machine) -> None:
    machine.live = "blue"
    machine.says(
        "upstreams",
        '[{"address":"api-blue:8000","num_requests":3,"fails":0},'
        '{"address":"api-green:8000","num_requests":9,"fails":0}]',
    )
    done = machine.run(route(machine.rotation, drain_s=1), told())
    assert (done.returncode, machine.live) == (0, "green"), done.stderr
    assert done.stdout == "green has all new requests, blue still has 3 open after 1 s\n"


def test_a_turn_that_nobody_answers_is_taken_back(machine: Machine) -> None:
    machine.live = "blue"
    machine.says("no-route-green", "slot green got no requests within 15 s: not ok: database")
    done = machine.run(route(machine.rotation, drain_s=1), told())
    assert (done.returncode, machine.live) == (1, "blue")
    assert done.stderr.splitlines()[0] == ("error: slot green got no requests within 15 s: not ok: database")
    assert machine.ledger == [("failed", "green")]


def test_a_version_that_does_well_stays(machine: Machine) -> None:
    machine.live = "green"
    machine.says("gad-dev-api-green.started", "t1 0\n")
    assert machine.run(bake(machine.rotation, seconds=1), told()).returncode == 0
    assert machine.live == "green"


def test_a_version_that_does_badly_is_taken_back(machine: Machine) -> None:
    machine.live = "green"
    machine.has("blue", "1")
    machine.says("no-bake-green", "30 of 100 answers were errors of the server")
    done = machine.run(bake(machine.rotation, seconds=1), told())
    assert (done.returncode, machine.live) == (1, "blue")
    assert done.stderr.splitlines()[0] == (
        "error: 30 of 100 answers were errors of the server; blue serves again"
    )
    assert machine.ledger == [("back", "blue")]


def test_nobody_is_turned_to_who_cannot_serve(machine: Machine) -> None:
    machine.live = "green"
    machine.says("no-bake-green", "3 checks failed")
    done = machine.run(bake(machine.rotation, seconds=1), told())
    assert (done.returncode, machine.live) == (1, "green")
    assert "no other version could take over" in done.stderr


def test_the_end_is_written_down(machine: Machine) -> None:
    done = machine.run(record(machine.rotation), told() + '{"live": "green"}')
    assert done.returncode == 0, done.stderr
    assert (machine.folder / "release" / "recorded.json").read_text() == '{"live": "green"}'
    (line,) = (machine.folder / "release" / "ledger.jsonl").read_text().splitlines()
    kept = json.loads(line)
    assert (kept["attempt"], kept["by"], kept["why"]) == ("2", "ana@desk", "schema 8")


def test_the_way_back_needs_a_slot_that_fits_the_schema(machine: Machine) -> None:
    machine.live = "green"
    machine.has("blue", "1")
    machine.has("green", "2")
    machine.says(
        "no-fits-blue", "slot blue knows the schema up to 8, and a contract step has made 9 the least"
    )
    done = machine.run(turn_back(machine.rotation), "ana@desk\n")
    assert (done.returncode, machine.live) == (1, "green")
    assert "a contract step has made 9 the least" in done.stderr.splitlines()[0]


def test_what_was_taken_back_is_not_the_version_before(machine: Machine) -> None:
    machine.live = "blue"
    machine.has("blue", "1")
    machine.has("green", "2")
    done = machine.run(turn_back(machine.rotation), "ana@desk\n")
    assert (done.returncode, machine.live) == (1, "blue")
    assert "slot green has a newer version than blue" in done.stderr.splitlines()[0]


def test_the_way_back_says_what_serves(machine: Machine) -> None:
    machine.live = "green"
    machine.has("blue", "1")
    machine.has("green", "2")
    machine.says("gad-dev-api-blue.image", "app@sha256:1\n")
    done = machine.run(turn_back(machine.rotation), "ana@desk\n")
    assert (done.returncode, machine.live, done.stdout) == (0, "blue", "blue app@sha256:1\n"), done.stderr
    assert machine.ledger == [("back", "blue")]
