"""What is judged where nothing else is named: a lab, bare and then hardened, and a local stack with HSTS.

HSTS holds for all ports of a host, so that the dev stack does not send it from `localhost`; no browser ever
sees this stack.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from infra.errors import GadError
from infra.host.controls import load
from infra.host.plan import HostPlan, OpenPort
from infra.operate import host, lab_engine, server_plan, stack_file
from infra.operate import up as stacks
from infra.operate.certificate import authority_file
from infra.operate.judges.running import Door, Server
from infra.operate.outputs import StackOutputs, read_outputs
from infra.operate.place import server_of
from infra.operate.pulumi import Pulumi

NAME = "judges"  # of the lab and of the stack
SYSTEM = "debian-13"  # the lab's
OPEN = (
    OpenPort(port=80, protocol="tcp"),
    OpenPort(port=443, protocol="tcp"),
    OpenPort(port=443, protocol="udp"),
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Host:
    """A server, and which system it has."""

    server: Server
    system: str


@contextmanager
def bare_lab(root: Path, say: Say) -> Iterator[tuple[Host, Callable[[], Host]]]:
    """A lab as it is handed over, and what makes it what our controls say; removed at the end."""
    if any(each.name.name == NAME for each in lab_engine.labs(root)):
        lab_engine.down(root, NAME)  # of a run that was killed: it is no longer bare
    try:
        made = lab_engine.up(root, NAME, say)
        access = replace(made.access, user="deploy")
        public = (made.name.folder / "id_ed25519.pub").read_text(encoding="utf-8").strip()
        plan = HostPlan(
            os="debian-13",
            deploy_user=access.user,
            deploy_keys=(public,),
            ssh_port=22,
            open_ports=OPEN,
            values=load(root, today=datetime.now(UTC).date()).values_for("debian-13"),
        )

        def harden() -> Host:
            say("hardening the lab")
            host.apply(root, access, plan, first=made.access)
            return Host(Server(access), SYSTEM)

        yield Host(Server(made.access), SYSTEM), harden
    finally:
        lab_engine.down(root, NAME)


def server_below(root: Path, stack: str) -> Host | None:
    """The server of a stack that is on one. Raises GadError."""
    server = server_of(root, stack)
    if server.access is None:
        return None
    if server.hardening is None:
        return Host(Server(server.access), SYSTEM)
    return Host(Server(server_plan.plan_of(root, stack).access), server.hardening.os)


def door_of(root: Path, stack: str) -> Door:
    """Where a running stack answers. Raises GadError if it is not up."""
    return _door(root, read_outputs(stack, Pulumi(root, stack).deployment().outputs))


def _door(root: Path, outputs: StackOutputs) -> Door:
    return Door(
        site=outputs.site,
        address=outputs.address,
        http=urlsplit(outputs.http_url).port or 80,
        https=urlsplit(outputs.url).port or 443,
        authority=authority_file(root, outputs.stack) if outputs.tls == "internal" else None,
    )


@contextmanager
def own_stack(root: Path, say: Say) -> Iterator[Door]:
    """A local stack like dev's that sends HSTS; removed with its data at the end. Raises GadError."""
    file, passphrase = stack_file.path_of(root, NAME), root / ".gad" / f"{NAME}.passphrase"
    pulumi = Pulumi(root, NAME)
    try:
        document = yaml.safe_load(stack_file.path_of(root, "dev").read_text(encoding="utf-8"))
        document["config"]["grupo-gad:proxy"]["hsts"] = True
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        shutil.copy2(root / "config" / "dev.passphrase", passphrase)  # public on purpose
        stacks.up(pulumi, say)
        yield door_of(root, NAME)
    finally:
        if file.is_file():
            try:
                stacks.clean(pulumi, say)
            except GadError as error:
                say(f"stack {NAME} could not be removed: {error.fact}")
            else:
                file.unlink()
                passphrase.unlink(missing_ok=True)
