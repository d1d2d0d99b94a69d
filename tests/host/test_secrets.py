"""Secrets are files in the containers that need them, and nowhere else."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping

from engine import Engine, Running
from kernel import command_lines
from secret_values import SecretValues
from stack import Stack
from testinfra.host import Host

from infra.ssh import SshAccess

SUBJECT = "secrets"


def test_values_are_strong(secrets: SecretValues) -> None:
    """Every secret is there and at least 16 characters long.

    Remedy: `gad secrets init` creates strong ones.
    """
    assert secrets.names != []
    assert secrets.too_short == []


def test_not_in_the_engines_record(running: Running, secrets: SecretValues) -> None:
    """The engine's record of it (environment, arguments, labels, probe output) holds no secret.

    Remedy: hand the secret over as a file; then change it, for it has been readable.
    """
    assert secrets.found_in(json.dumps(running.inspect)) == []


def test_not_in_any_environment(running: Running, secrets: SecretValues) -> None:
    """No process in it has a secret in its environment.

    Remedy: hand the secret over as a file; then change it, for it has been readable.
    """
    environ = running.look.sections["environ"]
    assert [line for line in environ if line.startswith("PATH=")] != []
    assert secrets.found_in("\n".join(environ)) == []


def test_not_in_the_image(running: Running, secrets: SecretValues) -> None:
    """The record of its image holds no secret.

    Remedy: build the image without it and change the secret, for whoever can pull the image has it.
    """
    assert secrets.found_in(json.dumps(running.image)) == []


def test_not_in_the_log(running: Running, secrets: SecretValues) -> None:
    """The last 5,000 lines of its log hold no secret.

    Remedy: correct what writes it, replace the container (its log goes with it), change the secret.
    """
    assert secrets.found_in(running.log) == []


def test_not_on_any_command_line(machines: Mapping[SshAccess | None, Host], secrets: SecretValues) -> None:
    """No process of the host has a secret on its command line.

    Remedy: hand the secret over by file or stdin; then change it, for any account could read it.
    """
    listed = [command_lines(machine) for machine in machines.values()]
    assert [each for each in listed if "dockerd" not in each] == []
    assert secrets.found_in("\n".join(listed)) == []


def test_not_in_networks_or_volumes(engine: Engine, secrets: SecretValues) -> None:
    """The engine's records of networks and volumes hold no secret.

    Remedy: remove it from the labels or options, and change it.
    """
    assert secrets.found_in(json.dumps([engine.networks, engine.volumes])) == []


def test_not_in_the_state_in_clear(stack: Stack, secrets: SecretValues) -> None:
    """The exported state holds no secret in clear.

    Remedy: mark the value as secret in its component, `gad up`, and change it.
    """
    assert stack.resources != []
    assert secrets.found_in(stack.state_text) == []


def test_files_are_closed_on_the_host(stack: Stack) -> None:
    """Other accounts of the host cannot enter the directories that hold the secret files.

    Remedy: `chmod 700` the directory above the named one.
    """
    sources = {
        mount.source: stack.hosts[stack.outputs.server_of(role)]
        for role, declared in sorted(stack.outputs.containers.items())
        for mount in declared.mounts
        if mount.target == "/run/gad/secrets"
    }
    parents = {source: machine.file(source.rpartition("/")[0]) for source, machine in sources.items()}
    assert sources != {}
    assert [s for s, parent in parents.items() if parent.mode & (stat.S_IRWXG | stat.S_IRWXO)] == []
