"""Docker on a hardened server: what is in effect, what containers get, and that they outlive a change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from infra.operate import docker_engine
from tests.engine.lab.hardened import DEPLOYER, RESTART_DOCKER, VALUES, Runs, Server
from tests.engine.lab.server import image

pytestmark = pytest.mark.engine
control = pytest.mark.control
DAEMON = VALUES.under("daemon_json")
# What the daemon itself says of a key: key → its word in `docker info` and what is there.
SAID = {
    "live-restore": ("LiveRestoreEnabled", True),
    "log-driver": ("LoggingDriver", "local"),
    "experimental": ("ExperimentalBuild", False),
    "no-new-privileges": ("SecurityOptions", ["name=seccomp,profile=builtin", "name=no-new-privileges"]),
    "userns-remap": ("SecurityOptions", ["name=seccomp,profile=builtin", "name=no-new-privileges"]),
}
FILE = {
    **{key: list(value) if isinstance(value, tuple) else value for key, value in DAEMON.items()},
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 16384, "Hard": 16384}},
    "userns-remap": None,
}


@control("daemon_json.*")
@pytest.mark.parametrize("key", [pytest.param(k, marks=control(f"daemon_json.{k}")) for k in DAEMON])
def test_daemon_key(runs: Runs, key: str) -> None:
    assert json.loads(runs.now["daemon.json"]).get(key) == FILE[key]
    word, wanted = SAID.get(key, ("ServerVersion", json.loads(runs.now["docker"])["ServerVersion"]))
    assert json.loads(runs.now["docker"])[word] == wanted
    assert (runs.stock["daemon.json"], runs.stock["docker"]) == ("", "")  # handed over without an engine


@control("docker.packages", "docker.client-packages")
def test_the_stack_s_way_to_the_engine(server: Server) -> None:
    """Over SSH as the deploy user, which runs the client on the server."""
    with closing(docker_engine.connect(server.access)) as client:
        assert client.info()["Name"] == server.run("hostname").strip()
    packages = [*VALUES.items("docker.packages"), *VALUES.items("docker.client-packages")]
    found = server.run(f"dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}}\\n' {' '.join(packages)}")
    assert sorted(found.splitlines()) == sorted(f"ii  {each}" for each in packages)


@control("docker.folder-mode", "docker.config-mode", "projects.mode")
def test_modes(runs: Runs) -> None:
    found = dict(line.split(" ", 1) for line in runs.now["docker files"].splitlines())
    assert found == {
        "/etc/docker": f"{VALUES.text('docker.folder-mode')} root:root",
        "/etc/docker/daemon.json": f"{VALUES.text('docker.config-mode')} root:root",
        "/opt/grupogad": f"{VALUES.text('projects.mode')} {DEPLOYER}:{DEPLOYER}",
    }
    assert runs.stock["docker files"] == ""


@control("docker.deployer-only")
def test_nobody_else_speaks_to_it(server: Server) -> None:
    server.run("useradd --groups docker guest")
    changed = server.apply().changed
    said = server.run("getent group docker; userdel guest; stat -c '%a %U:%G' /run/docker.sock")
    assert changed == ("Docker | Only the deploy user in its group",)
    assert said.splitlines()[0].endswith(f":{DEPLOYER}")
    assert said.splitlines()[1] == "660 root:docker"


def test_it_listens_on_no_address(server: Server) -> None:
    assert "sshd" in server.run("ss -Hltnp")
    assert "dockerd" not in server.run("ss -Hltnp")


@pytest.fixture
def container(server: Server) -> Iterator[str]:
    """A container that says nothing of its own, with a published port."""
    server.run(f"docker run -d --name plain -p 18080:6379 --entrypoint sleep {image('redis')} 600")
    yield "plain"
    # Then the engine's own bridge is made anew: while a container runs, it keeps the options it had.
    server.run(f"docker rm -f plain && {RESTART_DOCKER}")


@control("daemon_json.default-ulimits", "daemon_json.no-new-privileges", "daemon_json.log-opts")
@control("daemon_json.userland-proxy", "daemon_json.icc")
def test_what_a_container_gets_that_says_nothing(server: Server, container: str) -> None:
    assert server.run(f"docker exec {container} sh -c 'ulimit -Sn; ulimit -Hn'").split() == ["16384"] * 2
    assert "NoNewPrivs:\t1" in server.run(f"docker exec {container} cat /proc/self/status")
    log = json.loads(server.run(f"docker inspect -f '{{{{json .HostConfig.LogConfig}}}}' {container}"))
    assert log == {"Type": "local", "Config": VALUES.table("daemon_json.log-opts")}
    assert server.run("pgrep -c docker-proxy || true").strip() == "0"
    options = json.loads(server.run("docker network inspect bridge -f '{{json .Options}}'"))
    assert options["com.docker.network.bridge.enable_icc"] == "false"


STARTED = "docker inspect -f '{{.State.StartedAt}} {{.State.Status}} {{.RestartCount}}' plain"


@control("daemon_json.live-restore")
def test_containers_outlive_the_change_that_protects_them(server: Server, container: str) -> None:
    """Also where live-restore was off so far, so that an old server can be hardened while it works."""
    server.run(f"docker rm -f plain; echo {{}} >/etc/docker/daemon.json && {RESTART_DOCKER}")
    server.run(f"docker run -d --name plain --entrypoint sleep {image('redis')} 600")
    started = server.run(STARTED)
    assert server.apply().changed == ("Docker | Write daemon.json",)
    assert server.run(STARTED) == started
    server.run(RESTART_DOCKER)
    assert server.run(STARTED) == started


@pytest.mark.parametrize(
    "wrong",
    [
        {"daemon_json.log-level": "loud"},  # the daemon's own check refuses it
        {"daemon_json.data-root": "/dev/null/docker"},  # passes the check, does not start
    ],
    ids=["refused", "does not start"],
)
def test_a_file_that_does_not_work_is_not_left_there(
    server: Server, container: str, wrong: dict[str, str]
) -> None:
    state = f"cat /etc/docker/daemon.json; ls -A /etc/docker; systemctl is-active docker; {STARTED}"
    before = server.run(state)
    error = server.refusal(server.plan(values=wrong))
    assert error is not None
    assert "Docker | Write daemon.json" in error.fact
    assert server.run(state) == before
    assert server.apply().changed == ()
