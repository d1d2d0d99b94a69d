"""Two bare servers become one stack: the application on one, PostgreSQL and Redis on the other, which answer
nobody else. Takes minutes, so it runs with GAD_TEST_LONG=1; tests/unit/infra/test_two_servers.py always runs.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from infra.operate.lab import Lab
from tests.engine.lab.server import image, lab_server, name_of
from tests.engine.lab.staging import LONG, STACK, differences, of_lab, staging_checkout
from tests.engine.stack.checkout import Checkout

pytestmark = [pytest.mark.engine, LONG]

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

    def both(config: dict[str, Any]) -> None:
        config |= of_lab(pair.app.name.folder)
        second = of_lab(pair.data.name.folder)["grupo-gad:server"]
        addresses = {"private_address": pair.data_address, "app_address": pair.app_address}
        config["grupo-gad:data_server"] = {**second, **addresses}
        config["grupo-gad:redis"]["tls"] = True

    return staging_checkout(tmp_path_factory.mktemp("two") / "gad", both)


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
    checkout: Checkout, client: docker.DockerClient, pair: Pair, brought_up: str
) -> None:
    assert "the server is bare" in brought_up
    assert "as declared: all" in brought_up
    assert [port for port in PORTS if reached(pair.data_address, port)] == []
    # SSH shows that the neighbour could be let in.
    assert reached_by_neighbour(client, pair).split() == [b"no", b"no", b"yes"]
    assert "healthy" in checkout.gad("status", STACK).succeeded().out
    assert "0 of " in checkout.gad("host", "diff", STACK).succeeded().out
    checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded()


@pytest.mark.usefixtures("brought_up")
def test_a_change_by_hand_on_the_second_is_put_back(
    checkout: Checkout, client: docker.DockerClient, pair: Pair
) -> None:
    console = client.containers.get(pair.data.name.prefix)

    def by_hand(script: str) -> None:
        done = console.exec_run(["sh", "-c", script])
        assert done.exit_code == 0, done.output

    assert differences(checkout) == []
    by_hand(f"echo '# by hand' | tee -a /opt/grupogad/{STACK}/config/redis/*/redis.conf")
    by_hand("useradd --create-home --shell /bin/bash guest")
    found = {(each["subject"], each["aspect"]) for each in differences(checkout)}
    assert found == {("data server", "account guest"), ("written files", "written files")}
    by_hand("userdel --remove guest 2>&1")
    checkout.gad("drift", STACK, "--fix").succeeded()
    assert differences(checkout) == []
