"""Ways to release without slots, beside a running stack: what a prober has to see, or it sees nothing.

Each has the stack's own image, settings and database, and one proxy of its own that knows a single upstream.
Their containers carry no label of the stack, so that nothing else counts or mends them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
import httpx
from docker.models.containers import Container

from infra.names import Names
from infra.operate.outputs import StackOutputs
from tests.ports import free_port

CADDYFILE = """{{
	admin localhost:2019
	persist_config off
	auto_https off
	# As the stack's own; without it a reload would wait for no request at all.
	grace_period 10s
}}
:8080 {{
	reverse_proxy {upstream}:8000
}}
"""
AT = "/etc/gad/caddy"
RELOAD = ["caddy", "reload", "--config", f"{AT}/Caddyfile", "--adapter", "caddyfile"]
READY = ["gad-probe", "8000", "/health/ready"]
BOOT_S = 60.0  # many times what a slot takes to boot
GRACE_S = 30  # as a slot's own: longer than the server's 25 s drain
LATE_S = 1.0  # specified: so late the proxy learns it


@dataclass
class Baseline:
    """One proxy and the containers that it may send people to."""

    client: docker.DockerClient
    names: Names
    live: Container  # of the stack, whose form the others have
    proxy_image: str
    folder: Path  # where its Caddyfile is
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Where people reach it."""
        return f"http://localhost:{self.port}"

    def name(self, role: str) -> str:
        """The container's name."""
        return self.names.container(f"baseline-{role}")

    def start(self, slot: str) -> None:
        """An API container, in rotation as soon as it is ready."""
        config, name = self.live.attrs["Config"], self.name(slot)
        envs = [each for each in config["Env"] if not each.startswith(("GAD_LIVE_SLOT_FILE=", "GAD_SLOT="))]
        kept = {key: config[key] for key in ("Image", "User", "WorkingDir", "Healthcheck")}
        data, edge = self.names.network("data"), self.names.network("edge")
        host = {**self.live.attrs["HostConfig"], "NetworkMode": data, "RestartPolicy": {"Name": "no"}}
        self._run(name, {**kept, "Env": [*envs, f"GAD_SLOT={slot}"], "HostConfig": host}, edge)
        wait_for(lambda: self._container(slot).exec_run(READY).exit_code == 0, f"{name} is ready")

    def stop(self, slot: str) -> None:
        """As the engine stops a container, then away with it."""
        self._container(slot).stop(timeout=GRACE_S)
        self._container(slot).remove(v=True)

    def kill(self, slot: str) -> None:
        """Without a word."""
        self._container(slot).kill()

    def open(self, slot: str) -> None:
        """Start the proxy, and wait until people are served."""
        self._write(slot)
        host = {
            "NetworkMode": self.names.network("egress"),  # the one network whose ports can be published
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(self.port)}]},
            "Binds": [f"{self.folder}:{AT}:ro"],
            "Tmpfs": {"/config": "mode=1777", "/data": "mode=1777"},
        }
        config = {"Image": self.proxy_image, "ExposedPorts": {"8080/tcp": {}}, "HostConfig": host}
        self._run(self.name("proxy"), config, self.names.network("edge"))
        wait_for(self._serves, f"{self.url} serves")

    def turn(self, slot: str) -> None:
        """Tell the proxy, by a reload, whom to send people to."""
        self._write(slot)
        code, output = self._container("proxy").exec_run(RELOAD)
        assert code == 0, output

    def remove(self) -> None:
        """Everything of it."""
        for role in ("proxy", "a", "b"):
            for found in self.client.containers.list(all=True, filters={"name": f"^/{self.name(role)}$"}):
                found.remove(force=True, v=True)

    def _run(self, name: str, config: Mapping[str, object], second: str) -> None:
        made = self.client.api.create_container_from_config(dict(config), name)["Id"]
        self.client.api.connect_container_to_network(made, second, aliases=[name])
        self.client.api.start(made)

    def _container(self, role: str) -> Container:
        return self.client.containers.get(self.name(role))

    def _write(self, slot: str) -> None:
        (self.folder / "Caddyfile").write_text(CADDYFILE.format(upstream=self.name(slot)))

    def _serves(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def standing(client: docker.DockerClient, outputs: StackOutputs, folder: Path) -> Iterator[Baseline]:
    """A baseline whose `a` serves people; nothing of it is left afterwards."""
    folder.chmod(0o755)  # the proxy's account reads it
    live, proxy = (client.containers.get(outputs.containers[role].name) for role in (outputs.live, "proxy"))
    names = Names(stack=outputs.stack, prefix=outputs.prefix)
    made = Baseline(client, names, live, proxy.attrs["Config"]["Image"], folder)
    try:
        made.start("a")
        made.open("a")
        yield made
    finally:
        made.remove()


def recreate(baseline: Baseline) -> None:
    """Stop the one that serves, remove it, and make it again, as `docker compose up` does."""
    baseline.stop("a")
    baseline.start("a")


def start_first(baseline: Baseline) -> None:
    """The new one is ready before the old one stops, but the proxy learns it late.

    Late from when the old one is gone: while it drains, it answers.
    """
    baseline.start("b")
    baseline.stop("a")
    time.sleep(LATE_S)
    baseline.turn("b")


def reload_and_kill(baseline: Baseline) -> None:
    """The proxy is reloaded to the new one, and the old one is killed right after."""
    baseline.start("b")
    baseline.turn("b")
    baseline.kill("a")


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    """Until it is so; fails after `BOOT_S`."""
    until = time.monotonic() + BOOT_S
    while not is_so():
        assert time.monotonic() < until, f"not within {BOOT_S:.0f} s: {what}"
        time.sleep(0.1)
