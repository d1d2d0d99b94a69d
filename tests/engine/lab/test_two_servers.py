"""Two bare servers become one stack: the application on one, PostgreSQL and Redis on the other, which answer
nobody else. Takes minutes, so it runs with GAD_TEST_LONG=1; tests/unit/infra/test_two_servers.py always runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest
import yaml

from infra.operate.images.build import build_images
from infra.operate.images.progress import reporting
from infra.operate.lab import Lab
from tests.engine.lab.server import ROOT, image, lab_server, name_of
from tests.engine.stack.checkout import Checkout

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif("GAD_TEST_LONG" not in os.environ, reason="minutes; set GAD_TEST_LONG=1"),
]

STACK = "staging"
PORTS = (5432, 6379)


@dataclass(frozen=True)
class Pair:
    """Both labs, and what their addresses are on the network between them."""

    app: Lab
    data: Lab
    network: str
    app_address: str
    data_address: str


@pytest.fixture(scope="module")
def pair(client: docker.DockerClient) -> Iterator[Pair]:
    """Two bare labs on one network."""
    with lab_server("two-app") as app, lab_server("two-data") as data:
        network = client.networks.create(name_of("between"), labels={"gad.test": "two"})
        try:
            for each in (app, data):
                network.connect(each.name.prefix)
            network.reload()
            addresses = {
                each["Name"]: each["IPv4Address"].partition("/")[0]
                for each in network.attrs["Containers"].values()
            }
            yield Pair(app, data, network.name, addresses[app.name.prefix], addresses[data.name.prefix])
        finally:
            for each in (app, data):
                network.disconnect(each.name.prefix, force=True)
            network.remove()


@pytest.fixture(scope="module")
def checkout(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of this checkout whose staging is both labs."""
    with reporting() as reporter:
        build_images(ROOT, reporter, group="core")
    made = Checkout.copy(tmp_path_factory.mktemp("two") / "gad").of_stack(STACK)
    file = made.root / f"Pulumi.{STACK}.yaml"
    document = yaml.safe_load(file.read_text())
    config = document["config"]
    config |= yaml.safe_load((pair.app.name.folder / "stack.yaml").read_text())
    second = yaml.safe_load((pair.data.name.folder / "stack.yaml").read_text())["grupo-gad:server"]
    addresses = {"private_address": pair.data_address, "app_address": pair.app_address}
    config["grupo-gad:data_server"] = {**second, **addresses}
    config["grupo-gad:redis"]["tls"] = True
    file.write_text(yaml.safe_dump(document))
    made.gad("images", "lock", "--stack", STACK, "--registry", "127.0.0.1:5000/gad").succeeded()
    made.gad("secrets", "init", STACK).succeeded()
    return made


def reached(address: str, port: int) -> bool:
    """Whether this machine, a third one to both, is let in."""
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def reached_by_neighbour(client: docker.DockerClient, pair: Pair) -> bytes:
    """Which ports of the data server a third container on their network reaches: yes or no for each."""
    tries = "; ".join(
        f"timeout 3 bash -c 'exec 3<>/dev/tcp/{pair.data_address}/{port}' 2>/dev/null && echo yes || echo no"
        for port in (*PORTS, 22)
    )
    return bytes(
        client.containers.run(
            image("lab"), ["-c", tries], entrypoint=["bash"], network=pair.network, remove=True
        )
    )


def test_two_bare_servers_become_one_stack(
    checkout: Checkout, client: docker.DockerClient, pair: Pair
) -> None:
    up = checkout.gad("up", STACK).succeeded()
    assert "the server is bare" in up.out + up.err
    assert "as declared: all" in up.out
    assert [port for port in PORTS if reached(pair.data_address, port)] == []
    # SSH shows that the neighbour could be let in.
    assert reached_by_neighbour(client, pair).split() == [b"no", b"no", b"yes"]
    assert "healthy" in checkout.gad("status", STACK).succeeded().out
    assert "0 of " in checkout.gad("host", "diff", STACK).succeeded().out
    checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded()
