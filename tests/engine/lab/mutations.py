"""Twenty things that somebody might do to a server by hand: how each is done, how it is named, how it ends.

`gad drift` shall name each of them. What `gad drift --fix` cannot put back is undone as it was done.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import docker

from infra.operate import docker_engine
from tests.engine.lab.hardened import Server

Config = dict[str, Any]
PREFIX = "gad-staging"
KEY = "/etc/ssh/ssh_host_ed25519_key"
FOREIGN = "gad-test-foreign:1"  # an image that no registry gave


@dataclass(frozen=True)
class Mutation:
    """One change by hand; `named` are the subject and a word of what the report says of it."""

    name: str
    apply: Callable[[Server], object]
    named: tuple[str, str]
    undo: Callable[[Server], object] | None = None  # None: `gad drift --fix` does it


def shell(script: str) -> Callable[[Server], object]:
    """A command of root's on the server."""
    return lambda server: server.run(script)


def remade(
    role: str, *changes: Callable[[docker.DockerClient, Config], object]
) -> Callable[[Server], object]:
    """The container of a role made again by hand, under its name, with some changes."""

    def apply(server: Server) -> None:
        with closing(docker_engine.connect(server.access)) as client:
            name = f"{PREFIX}-{role}"
            found = client.api.inspect_container(name)
            config = {**found["Config"], "HostConfig": found["HostConfig"]}
            config.pop("Hostname")  # its id's
            networks = found["NetworkSettings"]["Networks"]
            client.api.remove_container(name, force=True)
            for change in changes:
                change(client, config)
            first, *more = networks
            ends = {first: {"Aliases": [role]}}
            made = client.api.create_container_from_config(  # type: ignore[no-untyped-call]
                {**config, "NetworkingConfig": {"EndpointsConfig": ends}}, name
            )
            for network in more:
                client.api.connect_container_to_network(made["Id"], network, aliases=[role])
            client.api.start(made["Id"])

    return apply


def environment(_: docker.DockerClient, config: Config) -> None:
    """A variable more."""
    config["Env"] = [*config["Env"], "GAD_BY_HAND=1"]


def label(_: docker.DockerClient, config: Config) -> None:
    """A label more."""
    config["Labels"] = {**config["Labels"], "by.hand": "1"}


def mount(_: docker.DockerClient, config: Config) -> None:
    """A folder of the host more."""
    config["HostConfig"]["Mounts"] = [
        *config["HostConfig"]["Mounts"],
        {"Type": "bind", "Source": "/srv", "Target": "/srv", "ReadOnly": True},
    ]


def port(_: docker.DockerClient, config: Config) -> None:
    """A published port more."""
    config["HostConfig"]["PortBindings"]["8081/tcp"] = [{"HostIp": "127.0.0.1", "HostPort": "4711"}]
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), "8081/tcp": {}}


def resolver(_: docker.DockerClient, config: Config) -> None:
    """Another name server."""
    config["HostConfig"]["Dns"] = ["192.0.2.53"]


def image(client: docker.DockerClient, config: Config) -> None:
    """The same image with a label more, under another name."""
    builder = client.containers.create(config["Image"])
    builder.commit(*FOREIGN.split(":"), changes="LABEL image.by.hand=1")
    builder.remove()
    config["Image"] = FOREIGN


def volume(client: docker.DockerClient, _: Config) -> None:
    """The volume of Redis made again with a label more; what is in it is a cache."""
    name = f"{PREFIX}-redis-data"
    found = client.api.inspect_volume(name)
    client.api.remove_volume(name)
    client.api.create_volume(name, driver="local", labels={**found["Labels"], "by.hand": "1"})


def volume_back(server: Server) -> None:
    """Its declared labels again; the container that is in the way comes back with the next update."""
    with closing(docker_engine.connect(server.access)) as client:
        name = f"{PREFIX}-redis-data"
        labels = client.api.inspect_volume(name)["Labels"]
        client.api.remove_container(f"{PREFIX}-redis", force=True)
        client.api.remove_volume(name)
        labels.pop("by.hand")
        client.api.create_volume(name, driver="local", labels=labels)


CADDYFILE = "/opt/grupogad/staging/config/proxy/*/Caddyfile"
LIVE = "/opt/grupogad/staging/release/live"

# Of the server itself.
ON_SERVER = (
    Mutation(
        "sshd-option",
        shell("sed -i 's/^MaxAuthTries .*/MaxAuthTries 6/' /etc/ssh/sshd_config"),
        ("server", "sshd_config"),
    ),
    Mutation(
        "firewall-rule", shell("nft add rule inet gad input tcp dport 4444 accept"), ("server", "Firewall")
    ),
    Mutation("sysctl", shell("sysctl -qw net.ipv4.conf.all.log_martians=0"), ("server", "kernel parameters")),
    Mutation("file-mode", shell("chmod 644 /etc/shadow"), ("server", "Modes and owners")),
    Mutation(
        "sudoers-line",
        shell("echo 'nobody ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers.d/deploy"),
        ("server", "sudo rule"),
    ),
    Mutation(
        "daemon-json",
        shell('sed -i \'s/"icc": false/"icc": true/\' /etc/docker/daemon.json'),
        ("server", "daemon.json"),
    ),
    Mutation("package", shell("dpkg --purge --force-depends acct"), ("server", "Install acct")),
    Mutation(
        "job",
        shell("echo '* * * * * root true' >/etc/cron.d/by-hand"),
        ("server", "/etc/cron.d/by-hand"),
        shell("rm /etc/cron.d/by-hand"),
    ),
    Mutation(
        "account",
        shell("useradd --create-home --shell /bin/bash guest"),
        ("server", "guest"),
        shell("userdel --remove guest 2>&1"),
    ),
    Mutation(
        "host-key",
        # sshd goes on with the key it has read; whoever restarts it shuts everybody out who has pinned it.
        shell(
            f"cp -a {KEY} {KEY}.kept; cp -a {KEY}.pub {KEY}.kept.pub; rm {KEY}; "
            f"ssh-keygen -qt ed25519 -N '' -f {KEY}"
        ),
        ("server", "host key"),
        shell(f"mv -f {KEY}.kept {KEY}; mv -f {KEY}.kept.pub {KEY}.pub"),
    ),
)
# Of the stack on it.
ON_STACK = (
    Mutation("environment", remade("redis", environment), ("redis", "environment")),
    Mutation("label", remade("api-green", label), ("api-green", "labels")),
    Mutation(
        "memory",
        shell(f"docker update --memory 300m --memory-swap 300m {PREFIX}-postgres"),
        ("postgres", "memory"),
    ),
    Mutation("port", remade("proxy", port), ("proxy", "ports")),
    Mutation("mount", remade("redis", mount), ("redis", "mounts")),
    Mutation(
        "caddyfile", shell(f"echo '# by hand' | tee -a {CADDYFILE}"), ("written files", "written files")
    ),
    Mutation("release-file", shell(f"printf green >{LIVE}"), ("release", "slot")),
    Mutation("resolver", remade("redis", resolver), ("redis", "names")),
    Mutation("volume-label", remade("redis", volume), ("volume redis", "labels"), volume_back),
    Mutation("image", remade("api-green", image), ("api-green", "image")),
)
