"""A window in which what a release never touches may be replaced: it begins with a dump."""

from __future__ import annotations

from infra.errors import Exit, GadError
from infra.operate.place import place_of
from infra.operate.pulumi import Pulumi
from infra.operate.server import refused_by, run_script

BACKUP = "backup-take"
DUMP_S = 3600  # as long as a large database takes


def prepare(pulumi: Pulumi) -> str:
    """Take a dump by the script that a release has for it; answers where and how large. Raises GadError."""
    for resource in pulumi.deployment().resources:
        if resource.name == BACKUP:
            place = place_of(pulumi.root, pulumi.stack).all[-1]  # where PostgreSQL is
            script, stdin = str(resource.inputs["create"]), str(resource.inputs["stdin"])
            done = run_script(place.server, script, stdin=stdin, limit_s=DUMP_S)
            if done.returncode != 0:
                raise refused_by(done, f"stack {pulumi.stack} could not be backed up")
            return done.stdout.strip()
    raise GadError(
        f"nothing of stack {pulumi.stack} is backed up by its state: no update of it has finished",
        remedy=f"run `gad up {pulumi.stack}`",
        exit_code=Exit.REFUSED,
    )
