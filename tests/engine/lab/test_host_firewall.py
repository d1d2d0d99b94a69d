"""The firewall of a hardened server, tried from outside: other network namespaces on the lab's network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from infra.operate.lab import LabName
from tests.engine.lab.hardened import RESTART_DOCKER, ROOT, VALUES, Runs, Server
from tests.engine.lab.server import image

pytestmark = pytest.mark.engine
control = pytest.mark.control
PONG = b"+PONG\r\n"
OPEN, CLOSED, LOCAL = 443, 8081, 8082  # published: open in the plan, not open, on loopback only
LOOPBACK = "127.0.0.77"
AGAIN = "Firewall | Load them again where others are in force"


@pytest.fixture(scope="module")
def address(server: Server) -> Iterator[str]:
    """The server's address in the lab's network, with a Redis behind each published port."""
    for port in (str(OPEN), str(CLOSED), f"{LOOPBACK}:{LOCAL}"):
        name = f"redis-{port.rpartition(':')[2]}"
        server.run(
            f"docker run -d --name {name} -p {port}:6379 --restart unless-stopped "
            f"--entrypoint redis-server {image('redis')} --save '' --protected-mode no"
        )
    yield server.run("ip -4 -o addr show eth0").split()[3].partition("/")[0]
    server.run(f"docker rm -f redis-{OPEN} redis-{CLOSED} redis-{LOCAL}")


def ping(address: str, port: int) -> bytes | None:
    """What a Redis answers; None if nobody does."""
    try:
        with socket.create_connection((address, port), timeout=3) as line:
            line.sendall(b"PING\r\n")
            return line.recv(64)
    except OSError:
        return None


@contextmanager
def without_firewall(server: Server) -> Iterator[None]:
    """The same without our table: what a test sees then shows that it is the table that matters."""
    server.run("nft delete table inet gad")
    try:
        yield
    finally:
        server.run("systemctl reload gad-firewall")


def rules(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@control("firewall.default", "firewall.container-interfaces", "firewall.dhcpv6", "firewall.packages")
def test_rules_in_force(runs: Runs) -> None:
    found, default = rules(runs.now["firewall"]), VALUES.text("firewall.default")
    for hook in ("input", "forward"):
        assert f"type filter hook {hook} priority filter - 10; policy {default};" in found
    for name in VALUES.items("firewall.container-interfaces"):
        assert f'iifname "{name}" accept' in found
    assert "ip6 saddr fe80::/10 udp dport 546 accept" in found
    assert runs.stock["firewall"] == ""


@control("firewall.icmp", "firewall.icmpv6")
@pytest.mark.parametrize("kind", ["icmp", "icmpv6"])
def test_control_messages(runs: Runs, kind: str) -> None:
    line = next(line for line in rules(runs.now["firewall"]) if line.startswith(f"{kind} type {{"))
    found = line.partition("{ ")[2].partition(" }")[0].split(", ")
    assert sorted(found) == sorted(VALUES.items(f"firewall.{kind}"))


@control("firewall.ssh-per-minute", "firewall.ssh-burst")
def test_one_source_does_not_use_up_ssh(runs: Runs) -> None:
    rate, burst = VALUES.number("firewall.ssh-per-minute"), VALUES.number("firewall.ssh-burst")
    limits = [line for line in rules(runs.now["firewall"]) if "update @ssh_v" in line]
    assert len(limits) == 2
    assert all(f"limit rate over {rate}/minute burst {burst} packets }}" in line for line in limits)


@control("firewall.file-mode", "firewall.nftables-service", "firewall.other-packages")
def test_the_one_firewall_there_is(server: Server) -> None:
    mode = server.run("stat -c '%a %U:%G' /etc/gad-firewall.nft")
    assert mode == f"{VALUES.text('firewall.file-mode')} root:root\n"
    assert server.run("systemctl is-enabled nftables gad-firewall || true").split() == ["masked", "enabled"]
    others = " ".join(VALUES.items("firewall.other-packages"))
    assert "ii " not in server.run(
        f"dpkg-query -W -f '${{db:Status-Abbrev}}\\n' {others} 2>/dev/null || true"
    )


@control("firewall.default")
def test_a_published_port_is_open_only_if_the_plan_opens_it(server: Server, address: str) -> None:
    assert (ping(address, OPEN), ping(address, CLOSED)) == (PONG, None)
    with without_firewall(server):
        assert (ping(address, OPEN), ping(address, CLOSED)) == (PONG, PONG)


@control("firewall.default")
def test_a_port_of_the_server_itself(server: Server, address: str) -> None:
    """80 is open in the plan and 9000 is not; something listens at both."""
    for port in (80, 9000):
        server.run(f"systemd-run -q --unit listen-{port} -- python3 -m http.server {port}")
    try:
        reached = {port: _connects(address, port) for port in (22, 80, 9000)}
        with without_firewall(server):
            assert _connects(address, 9000)
    finally:
        server.run("systemctl stop listen-80 listen-9000")
    assert reached == {22: True, 80: True, 9000: False}


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def from_neighbour(client: docker.DockerClient, server: Server, script: str) -> bytes:
    """What a script prints in a container on the lab's network that may change its own routes."""
    around = LabName(server.run("hostname").strip(), ROOT).prefix
    return client.containers.run(
        client.containers.get(around).attrs["Config"]["Image"],
        ["-c", script],
        entrypoint=["bash"],
        network=around,
        cap_add=["NET_ADMIN"],
        sysctls={"net.ipv4.conf.all.route_localnet": "1", "net.ipv4.conf.default.route_localnet": "1"},
        remove=True,
    )


def asked(address: str, port: int, *routes: str) -> str:
    """A script: routes, then PING to a Redis, then a word that it came to its end."""
    ping = f"exec 3<>/dev/tcp/{address}/{port} && echo PING >&3 && head -c 7 <&3"
    return f"set -e; {'; '.join(routes)}; set +e; timeout 4 bash -c '{ping}' 2>/dev/null; echo end"


@control("firewall.loopback-from-outside-dropped")
def test_a_neighbour_does_not_reach_loopback(
    client: docker.DockerClient, server: Server, address: str
) -> None:
    routes = (
        "ip route del local 127.0.0.0/8 dev lo table local",
        f"ip route add {LOOPBACK}/32 via {address}",
    )
    script = asked(LOOPBACK, LOCAL, *routes)
    assert from_neighbour(client, server, script) == b"end\n"
    with without_firewall(server):
        assert from_neighbour(client, server, script) == PONG + b"end\n"
    # The server itself does.
    assert server.run(asked(LOOPBACK, LOCAL, "true")) == "+PONG\nend\n"


@control("firewall.default")
def test_a_neighbour_does_not_reach_a_container_s_own_address(
    client: docker.DockerClient, server: Server, address: str
) -> None:
    """Past its published ports, by a route; the number of an open port does not help."""
    inner = server.run(f"docker inspect -f '{{{{.NetworkSettings.IPAddress}}}}' redis-{OPEN}").strip()
    script = asked(inner, 6379, f"ip route add {inner}/32 via {address}")
    assert from_neighbour(client, server, script) == b"end\n"


EGRESS = (
    "registry=$(getent ahostsv4 gad-registry | head -1 | cut -d' ' -f1); "
    f'docker exec redis-{OPEN} bash -c "exec 3<>/dev/tcp/$registry/5000" && echo out'
)


@pytest.mark.parametrize(
    "event",
    [
        "sysctl --system || true",  # a container may not set what is its machine's
        "systemctl reload gad-firewall",
        "systemctl restart gad-firewall",
        "systemctl stop gad-firewall; systemctl start gad-firewall",
        RESTART_DOCKER,
        "systemctl stop docker.socket docker; systemctl start docker",
    ],
)
def test_traffic_outlives(server: Server, address: str, event: str) -> None:
    server.run(f"{{ {event}; }} >/dev/null 2>&1")
    assert (ping(address, OPEN), ping(address, CLOSED)) == (PONG, None)
    assert server.run(EGRESS) == "out\n"


def test_what_someone_changed_in_force_is_found_and_set_right(server: Server) -> None:
    server.run("nft insert rule inet gad input tcp dport 9000 accept")
    assert server.apply(dry=True).changed == (AGAIN,)
    assert server.apply().changed == (AGAIN,)
    assert "dport 9000" not in server.run("nft list table inet gad")


STATE = "sha256sum /etc/gad-firewall.nft; ls /etc/gad-firewall*; nft -st list table inet gad"
TIMERS = "systemctl list-units --all --plain --no-legend 'gad-*-rollback.*'"


# Beside our rules a chain that drops new connections to SSH and leaves those that are there.
LOCK = (
    'x" accept\n  }\n  chain lock {\n    type filter hook input priority -300; policy accept;\n'
    '    tcp dport 22 ct state new drop\n    iifname "y'
)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"firewall.icmp": ("no-such-type",)}, "no-such-type"),
        ({"firewall.container-interfaces": (LOCK,)}, "no fresh login after the change, the old files return"),
    ],
    ids=["refused by nft", "locks us out"],
)
def test_rules_that_do_not_work_are_not_left(server: Server, values: dict[str, object], said: str) -> None:
    before = server.run(STATE)
    error = server.refusal(server.plan(values=values))
    assert error is not None
    assert said in error.fact
    assert server.run(STATE) == before
    assert server.run(TIMERS) == ""
    assert server.apply().changed == ()


@control("firewall.ssh-move-minutes")
def test_a_new_port_of_ssh_is_open_for_its_proof_only(server: Server, address: str) -> None:
    """The lab publishes port 22 only, so the proof fails; the hole that was made for it closes by itself."""
    assert server.refusal(server.plan(ssh_port=2022)) is not None
    held = server.run("nft list set inet gad ssh_moving")
    minutes = VALUES.number("firewall.ssh-move-minutes")
    assert f"2022 timeout {minutes}m expires" in held
    assert server.apply().changed == ()
    server.run("systemctl reload gad-firewall")
    assert "2022" not in server.run("nft list set inet gad ssh_moving")
