"""Another checkout with a stack of the same name lives beside the first."""

from __future__ import annotations

import ssl

import docker
import httpx
import pytest

from tests.engine.stack.checkout import STACK, Checkout


def url(checkout: Checkout) -> str:
    """Where the stack of a checkout answers."""
    return checkout.pulumi("stack", "output", "url").succeeded().out.strip()


def test_two_checkouts_do_not_clash(
    checkout: Checkout, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = checkout.containers(client)
    other = Checkout.copy(tmp_path_factory.mktemp("other") / "gad")
    try:
        other.gad("up", STACK).succeeded()  # verified as well
        prefix = other.prefix
        assert prefix != checkout.prefix
        assert url(other) != url(checkout)
        for one in (checkout, other):
            trust = ssl.create_default_context(cafile=str(one.root / ".gad" / STACK / "ca.crt"))
            assert httpx.get(f"{url(one)}/health/ready", verify=trust).json()["state"] == "ready"
        assert checkout.containers(client) == before
    finally:
        other.gad("clean", STACK, "--yes").succeeded()
    assert client.api.containers(all=True, filters={"label": f"gad.prefix={prefix}"}) == []
    assert checkout.containers(client) == before
