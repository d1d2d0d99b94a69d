"""Put back what can be: the server by its deploy, files by what wrote them, the rest by an update."""

from __future__ import annotations

import re

from infra.errors import GadError
from infra.names import DATA_ROLES
from infra.operate import owned, server_plan, up
from infra.operate.docker_engine import connect
from infra.operate.drift import drift
from infra.operate.drift_report import DriftReport
from infra.operate.drift_survey import HOST_KEY
from infra.operate.place import Place, place_of
from infra.operate.pulumi import Pulumi, Resource
from infra.operate.server import run_script
from infra.operate.up import Say

COMMAND = re.compile(r"command:(local|remote):Command")
WRITE, TURN = "-write", "release-route"
SCRIPT_S = 120  # of one such command; turning waits 15 s for a slot, and for what the other has open


def fix(pulumi: Pulumi, before: DriftReport, say: Say) -> DriftReport:
    """Apply what can be applied, and look again: what is left needs a person. No data is touched.

    Raises GadError, and changes nothing, if the server has another host key: whatever restarts sshd would
    show it from then on. Raises GadError if something that must be put back cannot be.
    """
    keys = {(each.subject, each.aspect) for each in before.differences}
    if any(each.aspect == HOST_KEY for each in before.differences):
        raise GadError(
            "nothing was put back: a server's host key is another, and sshd would show it from now on",
            remedy=f"put the pinned key back, or pin the new one in Pulumi.{pulumi.stack}.yaml",
        )
    if any("deploy" in each.found_by for each in before.differences):
        say("the server: `gad host apply`")
        server_plan.apply(pulumi.root, pulumi.stack)
    if ("written files", "written files") in keys:
        write_again(pulumi, WRITE, say)
    remove_strangers(pulumi, say)
    up.up(pulumi, say)
    # After the update: the slot that is to be in rotation must answer.
    if ("release", "slot in rotation") in keys:
        write_again(pulumi, TURN, say)
    return drift(pulumi)


def remove_strangers(pulumi: Pulumi, say: Say) -> None:
    """Containers with the stack's labels that no update made: in the way, and without data of their own."""
    deployment = pulumi.deployment()
    for place in place_of(pulumi.root, pulumi.stack).all:
        client = connect(place.server)
        held = owned.unknown(owned.owned(client, place.prefix), deployment)
        strangers = [each for each in held if each.kind == "container"]
        for each in strangers:
            say(f"removing container {each.name}, which no update made; volumes stay")
        owned.remove(client, strangers)


def write_again(pulumi: Pulumi, name: str, say: Say) -> None:
    """Run again the commands of the last update that wrote a file, by the end of their names.

    Only those whose input is no secret: the state gives it without a passphrase. Raises GadError.
    """
    place = place_of(pulumi.root, pulumi.stack)
    for each in rewritable(pulumi.deployment().resources, name):
        say(f"writing again: {each.name}")
        _run(place, each, pulumi.stack)


def rewritable(resources: tuple[Resource, ...], name: str) -> list[Resource]:
    """Of the state's resources the commands with this end of a name and an input in clear. Pure."""
    return [
        each
        for each in resources
        if COMMAND.fullmatch(each.type)
        and each.name.endswith(name)
        and isinstance(each.inputs.get("create"), str)
        and isinstance(each.inputs.get("stdin"), str)
    ]


def _run(place: Place, written: Resource, stack: str) -> None:
    # Its connection is a secret of the state; its name begins with the role that reads the file.
    if place.data is not None and written.name.partition("-")[0] in DATA_ROLES:
        place = place.data
    script, stdin = str(written.inputs["create"]), str(written.inputs["stdin"])
    done = run_script(place.server, script, stdin=stdin, limit_s=SCRIPT_S)
    if done.returncode != 0:
        raise GadError(
            f"a file of stack {stack} cannot be written: {done.stderr.strip() or 'no reason given'}",
            remedy=f"look at `gad status {stack}`, and at the space on the server",
        )
