"""No secret in clear: not in the state, not in what Docker tells, not in logs, not in process lists."""

from __future__ import annotations

import base64
import json
import subprocess

import docker
import pytest
import yaml

from tests.engine.stack.checkout import STACK, Checkout
from tests.engine.stack.leaks import leaks, needles_of, process_watch


@pytest.fixture(scope="module")
def needles(checkout: Checkout) -> dict[str, bytes]:
    """The values to look for."""
    return needles_of(checkout)


def test_the_scan_can_see(needles: dict[str, bytes]) -> None:
    value = needles["kek"]
    assert leaks(b"x" + value + b"y", needles) == ["kek"]
    assert leaks(base64.b64encode(b"key=" + value + b";"), needles) != []


def test_the_state(checkout: Checkout, needles: dict[str, bytes]) -> None:
    assert leaks(checkout.pulumi("stack", "export").succeeded().out.encode(), needles) == []
    files = [p for p in (checkout.root / ".gad" / "state").rglob("*") if p.is_file()]
    assert files
    assert {str(p): found for p in files if (found := leaks(p.read_bytes(), needles))} == {}


def test_what_docker_tells(
    checkout: Checkout, client: docker.DockerClient, needles: dict[str, bytes]
) -> None:
    containers = checkout.containers(client)
    assert len(containers) == 5
    for identifier in containers.values():
        assert leaks(json.dumps(client.api.inspect_container(identifier)).encode(), needles) == []
        assert leaks(client.api.logs(identifier), needles) == []
        top = client.api.top(identifier, ps_args="aux")
        assert leaks(json.dumps(top).encode(), needles) == []
    for image in {client.containers.get(identifier).image.id for identifier in containers.values()}:
        assert leaks(json.dumps(client.api.history(image)).encode(), needles) == []


def test_process_lists_and_logs_while_it_updates(checkout: Checkout, needles: dict[str, bytes]) -> None:
    original = checkout.edit("secrets", _rotated(checkout))
    try:
        with process_watch(needles) as watch:
            checkout.gad("up", STACK, "--no-verify").succeeded()
    finally:
        checkout.stack_file.write_text(original)
        checkout.gad("up", STACK, "--no-verify").succeeded()
    assert watch.looks > 10
    assert watch.found == []
    logs = [p for p in (checkout.root / ".gad" / "logs").rglob("*") if p.is_file()]
    assert logs
    assert {str(p): found for p in logs if (found := leaks(p.read_bytes(), needles))} == {}


def _rotated(checkout: Checkout) -> dict[str, object]:
    """The stack's secrets with another jwt_secret, encrypted by the engine itself."""
    before = checkout.stack_file.read_text()
    command = ["pulumi", "config", "set", "--secret", "--path", "secrets.jwt_secret", "--stack", STACK]
    subprocess.run(
        command,
        cwd=checkout.root,
        env=checkout.environment(),
        input="R" * 20 + "otated-for-the-test-only",
        text=True,
        check=True,
        capture_output=True,
    )
    changed: dict[str, object] = yaml.safe_load(checkout.stack_file.read_text())["config"][
        "grupo-gad:secrets"
    ]
    checkout.stack_file.write_text(before)
    return changed
