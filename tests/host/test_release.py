"""The release: which slot is in rotation, and what both run."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from engine import Engine
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from infra.operate.outputs import StackOutputs

SUBJECT = "release"

NEWER = "newer than this code, which still fits it"
READY = """
import urllib.request, urllib.error
request = urllib.request.Request("http://127.0.0.1:8000/health/ready", headers={"Host": "%s"})
try:
    print(urllib.request.urlopen(request, timeout=3).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_host_names_the_declared_slot(machine: Host, outputs: StackOutputs) -> None:
    """The host's file names the declared slot as the one in rotation.

    Remedy: `gad up` turns the rotation to the declared slot.
    """
    mounts = outputs.containers[outputs.live].mounts
    directories = [mount.source for mount in mounts if mount.target == "/run/gad/release"]
    found = [machine.file(f"{directory}/live").content_string for directory in directories]
    assert found == [outputs.release.live]


def test_exactly_one_slot_is_ready(engine: Engine, outputs: StackOutputs) -> None:
    """The live slot says it is ready, the idle one that it is out of rotation.

    Remedy: `docker logs` of the live slot, or `gad up` if it is the idle one that answers.
    """
    answers = {
        slot: engine.running(f"api-{slot}").inside.check_output("python -c %s", READY % outputs.site)
        for slot in ("blue", "green")
    }
    assert answers == {"blue": "503", "green": "503"} | {outputs.release.live: "200"}


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_slot_runs_the_recorded_image(engine: Engine, outputs: StackOutputs, slot: str) -> None:
    """Both slots run what the release recorded for them.

    Remedy: `gad up` replaces a slot that was started by hand from another image.
    """
    recorded = {"blue": outputs.release.blue, "green": outputs.release.green}[slot]
    assert engine.running(f"api-{slot}").config["Image"] == recorded.image


def test_schema_is_at_head(schema: Future[CommandResult]) -> None:
    """The schema is at the revision of the live slot's code and equals its models, or is ahead and fits it.

    Remedy: `gad up` migrates; `python -m app.migrate check` in the slot names the difference.
    """
    answer = schema.result()
    said = answer.stdout.rpartition(" is at ")[2].partition(" ")[2].strip()
    # After a way back the schema is ahead of the code, which was made to bear it.
    assert (answer.rc, said) in [(0, "(head) and equals the models"), (3, NEWER)]
