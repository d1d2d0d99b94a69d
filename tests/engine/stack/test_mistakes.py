"""Mistakes of people: one sentence, the remedy, an exit code, and nothing has changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
import yaml

from tests.engine.stack.checkout import STACK, Checkout, Command, Ran
from tests.ports import free_port


@pytest.fixture
def untouched(checkout: Checkout, client: docker.DockerClient) -> Iterator[None]:
    """Whatever the mistake: the same containers run, the state and the stack file are the same."""
    file = checkout.stack_file.read_text()
    before = checkout.containers(client)
    state = checkout.pulumi("stack", "export").succeeded().out
    yield
    checkout.stack_file.write_text(file)
    assert checkout.containers(client) == before
    assert checkout.pulumi("stack", "export").succeeded().out == state


def two_lines(answer: Ran, fact: str, remedy: str) -> None:
    """The form of every expected failure."""
    lines = answer.err.strip().splitlines()
    assert lines[-2].startswith("error: "), answer.err
    assert fact in lines[-2]
    assert lines[-1].startswith("remedy: "), answer.err
    assert remedy in lines[-1]


NOWHERE = "127.0.0.1:5000/gad/redis@sha256:" + "0" * 64


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("edit", "fact", "remedy", "code"),
    [
        (("api.memory_mb", 256), "did you mean api.memory_mib?", "config/stack.schema.json", 2),
        (("postgrs", {}), "did you mean postgres?", "config/stack.schema.json", 2),
        (("api.memory_mib", "lots"), "api.memory_mib", "Pulumi.check.yaml", 2),
        (("environment", "prod"), "environment", "Pulumi.check.yaml", 2),
        (("images.redis", "redis:8"), "images.redis", "Pulumi.check.yaml", 2),
        (("images.redis", NOWHERE), "images.redis", "gad images build redis", 1),
        (("secrets.kek", "changeme"), "secrets.kek", "gad secrets init check", 2),
        (("proxy.bind", "0.0.0.0"), "loopback", "Pulumi.check.yaml", 2),  # noqa: S104
    ],
)
def test_a_wrong_value_is_named(
    checkout: Checkout, edit: tuple[str, object], fact: str, remedy: str, code: int
) -> None:
    checkout.edit(*edit)
    two_lines(checkout.gad("up", STACK).failed(code), fact, remedy)


@pytest.mark.usefixtures("untouched")
def test_a_plain_pulumi_says_the_same(checkout: Checkout) -> None:
    checkout.edit("api.memory_mb", 256)
    answer = checkout.pulumi("preview").failed(1)
    assert "api.memory_mb is no setting; did you mean api.memory_mib? (Pulumi.check.yaml)" in answer.out


@pytest.mark.usefixtures("untouched")
def test_a_port_in_use_names_its_holder(checkout: Checkout) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        checkout.edit("proxy.https_port", port)
        two_lines(
            checkout.gad("up", STACK).failed(1), f"port {port} on 127.0.0.1 is in use", "proxy.https_port"
        )


@pytest.mark.usefixtures("untouched")
def test_docker_that_does_not_run(checkout: Checkout, tmp_path: Path) -> None:
    environment = {**checkout.environment(), "DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}
    gad = [str(checkout.root / "bin" / "gad"), "up", STACK]
    two_lines(
        Command.run(gad, checkout.root, environment, "").failed(1), "Docker does not answer", "gad setup"
    )


@pytest.mark.usefixtures("untouched")
def test_a_wrong_passphrase(checkout: Checkout) -> None:
    file = checkout.root / "config" / f"{STACK}.passphrase"
    before = file.read_text()
    file.write_text("not this one\n")
    try:
        two_lines(
            checkout.gad("up", STACK).failed(4), "passphrase of stack check is wrong", "PASSPHRASE_FILE"
        )
    finally:
        file.write_text(before)


@pytest.mark.usefixtures("untouched")
def test_no_space(checkout: Checkout) -> None:
    size = "size=48m"
    small = checkout.root / ".gad" / STACK
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(small)], check=True)
    try:
        two_lines(checkout.gad("up", STACK).failed(1), "MiB free", "free space")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def staging(checkout: Checkout, change: Callable[[dict[str, object]], None]) -> None:
    """Write Pulumi.staging.yaml with values of a real server, changed."""
    path = checkout.root / "Pulumi.staging.yaml"
    document = yaml.safe_load(path.read_text())
    config = document["config"]
    config["grupo-gad:server"] |= {
        "address": "127.0.0.1",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
    }
    config["grupo-gad:server"]["hardening"]["deploy_keys"] = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB=="]
    images = json.loads((checkout.root / ".gad" / "images.lock.json").read_text())["images"]
    core = ("app", "postgres", "redis", "caddy")
    config["grupo-gad:images"] |= {i["name"]: i["digest"] for i in images if i["name"] in core}
    change(config)
    path.write_text(yaml.safe_dump(document))


@pytest.fixture
def staging_file(checkout: Checkout) -> Iterator[None]:
    """Pulumi.staging.yaml is put back, and the stack that was tried is forgotten."""
    path = checkout.root / "Pulumi.staging.yaml"
    before = path.read_text()
    yield
    path.write_text(before)
    checkout.gad("env", "staging")
    (checkout.root / ".gad" / "staging.passphrase").unlink(missing_ok=True)


@pytest.mark.usefixtures("staging_file")
def test_staging_without_secrets_says_how_to_get_them(checkout: Checkout) -> None:
    staging(checkout, lambda _: None)
    two_lines(checkout.gad("up", "staging").failed(2), "secrets is missing", "gad secrets init staging")


@pytest.mark.usefixtures("staging_file")
def test_an_unreachable_server_and_a_placeholder(checkout: Checkout) -> None:
    port = free_port()

    def taken_as_it_is(config: dict[str, object]) -> None:
        server = config["grupo-gad:server"]
        assert isinstance(server, dict)
        del server["hardening"]  # what is said of one that is to be made ready, its own tests see
        server["port"] = port

    staging(checkout, taken_as_it_is)
    made = checkout.gad("secrets", "init", "staging").succeeded()
    assert "created 10" in made.out  # eight, and the pair for TLS to PostgreSQL
    passphrase = checkout.root / ".gad" / "staging.passphrase"
    assert passphrase.stat().st_mode & 0o777 == 0o600
    assert "every secret is there" in checkout.gad("secrets", "init", "staging").succeeded().out
    two_lines(
        checkout.gad("up", "staging").failed(1),
        f"server 127.0.0.1 does not answer on port {port}",
        "server.port",
    )
    path = checkout.root / "Pulumi.staging.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"]["grupo-gad:secrets"]["kek"] = "your-secret-here"
    path.write_text(yaml.safe_dump(document))
    two_lines(checkout.gad("up", "staging").failed(2), "secrets.kek", "gad secrets init staging")


def test_a_stack_that_does_not_exist(checkout: Checkout) -> None:
    two_lines(checkout.gad("up", "chek").failed(2), "there is no stack 'chek'", "did you mean 'check'?")


def test_the_environment_of_this_process_is_not_needed(checkout: Checkout) -> None:
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    gad = [str(checkout.root / "bin" / "gad"), "status", STACK]
    Command.run(gad, checkout.root, plain, "").succeeded()
