"""What a hardened server's containers can and cannot do, tried in them.

Beside the effects that other topics try: published ports and traffic out (firewall), passwords (SSH),
programs in /tmp (mounts).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.engine.lab.hardened import RESTART_DOCKER, Server, eventually
from tests.engine.lab.server import image

pytestmark = pytest.mark.engine
control = pytest.mark.control
NETWORK, LIMIT = "gad-effects", 20
# As a stack's containers are: `policies/` demands it of each.
CONFINED = "--read-only --cap-drop ALL --user 1000:1000 --security-opt no-new-privileges"


def run(name: str, options: str) -> str:
    """A command on the server: a container with a Redis that listens to others."""
    server = "--dir /dev/shm --save '' --protected-mode no"
    return f"docker run -d --name {name} {options} {image('redis')} {server}"


@pytest.fixture(scope="module")
def containers(server: Server) -> Iterator[None]:
    """Two on a network of their own and two on Docker's, with a Redis in each."""
    own = f"{CONFINED} --network {NETWORK} --pids-limit {LIMIT} --restart on-failure"
    made = [
        run(name, f"{options} --entrypoint redis-server")
        for name, options in (("near", own), ("far", own), ("alone", ""), ("other", ""))
    ]
    server.run(f"docker network create {NETWORK} >/dev/null && {' && '.join(made)}")
    yield
    server.run(f"docker rm -f near far alone other >/dev/null && docker network rm {NETWORK}")


def inside(name: str, script: str) -> str:
    """A command on the server: a script in a container, and its exit code."""
    return f"docker exec {name} bash -c {shlex.quote(script)} 2>&1; echo code $?"


def test_the_root_of_a_container_is_read_only(server: Server, containers: None) -> None:
    as_root = f"docker exec --user 0 near bash -c {shlex.quote('echo x >/proof')} 2>&1; echo code $?"
    assert "Read-only file system" in server.run(as_root)
    assert server.run(inside("near", "echo x >/dev/shm/proof && echo written")) == "written\ncode 0\n"


def test_a_fork_beyond_the_limit_fails(server: Server, containers: None) -> None:
    """Far more than the limit are asked for; the server's own count says how many there were."""
    script = f"for i in $(seq {3 * LIMIT}); do sleep 2 & done; wait"
    said = server.run(inside("near", script))
    most = server.run("cat $(find /sys/fs/cgroup -name pids.max -path *$(docker inspect -f '{{.Id}}' near)*)")
    assert "Resource temporarily unavailable" in said
    assert most == f"{LIMIT}\n"


PING = "exec 3<>/dev/tcp/{host}/6379 && echo PING >&3 && head -c 7 <&3"
EGRESS = (
    "registry=$(getent ahostsv4 gad-registry | head -1 | cut -d' ' -f1); "
    'docker exec near bash -c "exec 3<>/dev/tcp/$registry/5000" && echo out'
)


@control("daemon_json.live-restore", "sysctl.net.ipv4.ip_forward")
@pytest.mark.parametrize(
    "event",
    [
        "sysctl --system || true",  # a container may not set what is its machine's
        "nft -f /etc/gad-firewall.nft",
        "systemctl reload gad-firewall",
        RESTART_DOCKER,
    ],
)
def test_containers_of_one_network_reach_each_other_and_the_outside(
    server: Server, containers: None, event: str
) -> None:
    """By name, as those of a stack do; without a restart of theirs."""
    ping = f"docker exec near bash -c {shlex.quote(PING.format(host='far'))}"
    started = "docker inspect -f '{{.State.StartedAt}}' near far"
    before = server.run(started)
    server.run(f"{{ {event}; }} >/dev/null 2>&1")
    asked = f"timeout 20 {ping}; timeout 20 sh -c {shlex.quote(EGRESS)}"
    said = eventually(lambda: server.ask(asked), until=lambda answer: answer.text == "+PONG\nout\n")
    assert said.text == "+PONG\nout\n", said  # after a restart the engine may refuse an `exec` or two
    assert server.run(started) == before


@control("daemon_json.icc")
def test_containers_that_name_no_network_do_not_reach_each_other(server: Server, containers: None) -> None:
    address = server.run("docker inspect -f '{{.NetworkSettings.IPAddress}}' other").strip()
    ping = PING.format(host=address)
    said = server.run(f"timeout 4 docker exec alone bash -c {shlex.quote(ping)} 2>&1; echo code $?")
    assert "PONG" not in said
    assert "+PONG" in server.run(inside("other", PING.format(host="127.0.0.1")))
