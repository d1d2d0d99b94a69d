"""A stack on a server: everything that works here works over SSH, to the pinned host and to no other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import docker
import pytest
import yaml

from infra.operate.probe import probing
from tests.engine.conformance.sshd import throwaway_key
from tests.engine.stack.checkout import Checkout, Ran
from tests.engine.stack.leaks import ProcessWatch, leaks, needles_of, process_watch
from tests.engine.stack.server import ACCOUNT, Server, server
from tests.ports import free_port

STACK = f"remote-{os.getpid()}"
CORE = ("app", "postgres", "redis", "caddy")


@dataclass(frozen=True)
class Remote:
    """A checkout with a stack on a server, and what its first `gad up` was seen to do."""

    checkout: Checkout
    server: Server
    needles: dict[str, bytes]
    up: Ran
    watch: ProcessWatch

    def gad(self, verb: str, *args: str) -> Ran:
        """Run `gad VERB` for the stack; it must go well."""
        return self.checkout.gad(verb, STACK, *args).succeeded()


@pytest.fixture(scope="module")
def remote(
    core_images: None, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remote]:
    """The stack is brought up from nothing, once; whatever is left of it is removed."""
    folder = tmp_path_factory.mktemp("remote")
    checkout = Checkout.copy(folder / "gad").of_stack(STACK)
    with server(client, folder) as machine:
        write_stack_file(checkout, machine, client)
        checkout.gad("secrets", "init", STACK).succeeded()
        needles = needles_of(checkout)
        try:
            with process_watch(needles) as watch:
                up = checkout.gad("up", STACK).succeeded()
            yield Remote(checkout, machine, needles, up, watch)
        finally:
            checkout.gad("clean", STACK, "--yes").succeeded()


def write_stack_file(checkout: Checkout, machine: Server, client: docker.DockerClient) -> None:
    """Pulumi.staging.yaml with the values of this server, small."""
    document = yaml.safe_load((checkout.root / "Pulumi.staging.yaml").read_text())
    config = document["config"]
    config["grupo-gad:server"] = {
        "kind": "existing",
        "address": "127.0.0.1",
        "port": machine.port,
        "user": ACCOUNT,
        "host_key": machine.host_key,
        "private_key_file": str(machine.private_key_file),
        "base_dir": str(machine.base_dir),
    }
    images = json.loads((checkout.root / ".gad" / "images.lock.json").read_text())["images"]
    digests = {image["name"]: image["digest"] for image in images if image["name"] in CORE}
    config["grupo-gad:images"] = {"source": "registry", **digests}
    config["grupo-gad:network"] = {"subnet": str(free_subnet(client))}
    config["grupo-gad:postgres"]["memory_mib"] = 512
    config["grupo-gad:release"] = {"bake_s": 3}
    # The prober sends as one person what a district does.
    config["grupo-gad:api"]["rate_limits"] = {"anonymous": 60000, "auth": 600, "read": 60000, "write": 60000}
    config["grupo-gad:api"]["rate_limits"] |= {"admin": 60000, "ws": 6000}
    config["grupo-gad:proxy"] = {
        "site": "localhost",
        "tls": "internal",
        "bind": "127.0.0.1",
        "https_port": free_port(),
        "http_port": free_port(),
    }
    checkout.stack_file.write_text(yaml.safe_dump(document))


def free_subnet(client: docker.DockerClient) -> IPv4Network:
    """A /22 that no network of the engine overlaps, outside those that stacks on this machine are given."""
    used = [
        IPv4Network(entry["Subnet"])
        for network in client.api.networks()
        for entry in network["IPAM"]["Config"] or []
        if ":" not in entry["Subnet"]
    ]
    candidates = IPv4Network("10.88.0.0/16").subnets(new_prefix=22)
    return next(each for each in candidates if not any(each.overlaps(other) for other in used))


def test_it_comes_up_from_nothing_and_is_verified(remote: Remote, client: docker.DockerClient) -> None:
    assert sorted(remote.checkout.containers(client)) == [
        *("api-blue", "api-green", "postgres", "proxy", "redis"),
    ]
    assert "as declared" in remote.up.out
    folders = sorted(path.name for path in (remote.server.base_dir / STACK).iterdir())
    assert folders == ["backup", "config", "release", "secrets"]


def test_it_claims_nothing_of_this_machine(remote: Remote) -> None:
    assert remote.checkout.claims() == []


def test_no_secret_is_in_a_process_list_or_in_a_history(remote: Remote) -> None:
    # The server has this machine's processes: its own are among those that were watched.
    assert remote.watch.looks > 10
    assert remote.watch.found == []
    home = remote.server.home()
    assert "authorized_keys" in home
    assert {name: found for name, text in home.items() if (found := leaks(text, remote.needles))} == {}
    assert [name for name in home if "history" in name] == []


def test_the_private_key_is_not_in_the_state(remote: Remote) -> None:
    lines = remote.server.private_key_file.read_text().splitlines()
    state = remote.checkout.pulumi("stack", "export").succeeded().out
    assert remote.server.host_key in state
    assert [line for line in lines[1:-1] if line in state] == []


def test_a_second_preview_is_empty(remote: Remote) -> None:
    remote.checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded()


def test_its_status_is_told(remote: Remote) -> None:
    seen = json.loads(remote.gad("status", "--json").out)
    assert (seen["verdict"], seen["host"]) == ("healthy", f"ssh://{ACCOUNT}@127.0.0.1:{remote.server.port}")
    assert {service["health"] for service in seen["services"]} == {"healthy"}
    assert all(service["memory_mib"] > 0 for service in seen["services"])


def test_people_are_made_there(remote: Remote) -> None:
    assert json.loads(remote.gad("demo", "--count", "5", "--json").out)["created"] == 5


def test_a_setting_of_the_api_is_a_release(remote: Remote, client: docker.DockerClient) -> None:
    before = remote.checkout.containers(client)
    assert (remote.server.base_dir / STACK / "release" / "live").read_text() == "blue"
    live = remote.server.base_dir / STACK / "release" / "live"
    remote.checkout.edit("api.log_level", "WARNING")
    with probing(remote.checkout.root, STACK, per_second=10, clients=3) as probe:
        assert json.loads(remote.gad("deploy", "--json").out)["outcome"] == "released"
        assert live.read_text() == "green"
        assert json.loads(remote.gad("rollback", "--fast", "--json").out)["slot"] == "blue"
        assert live.read_text() == "blue"
        assert json.loads(remote.gad("deploy", "--json").out)["slot"] == "green"
    assert probe.report.is_clean, probe.report.model_dump_json(exclude={"slots"})
    after = remote.checkout.containers(client)
    assert {role for role in after if after[role] != before[role]} == {"api-green"}
    outcomes = [each["outcome"] for each in json.loads(remote.gad("releases", "--json").out)]
    assert outcomes == ["released", "released", "asked back", "released", "released"]
    assert "as declared" in remote.gad("verify").out


@pytest.fixture
def other_key(tmp_path: Path) -> Path:
    """A private key that no account accepts."""
    path = tmp_path / "other"
    path.touch(mode=0o600)
    path.write_text(throwaway_key()[0])
    return path


@pytest.fixture
def untouched(remote: Remote, client: docker.DockerClient) -> Iterator[None]:
    """Whatever the mistake: the same containers run, the state is the same, the stack file is put back."""
    file = remote.checkout.stack_file.read_text()
    before = remote.checkout.containers(client)
    state = remote.checkout.pulumi("stack", "export").succeeded().out
    yield
    remote.checkout.stack_file.write_text(file)
    assert remote.checkout.containers(client) == before
    assert remote.checkout.pulumi("stack", "export").succeeded().out == state


def last_two(answer: Ran) -> tuple[str, str]:
    """Fact and remedy of an expected failure."""
    fact, remedy = answer.err.strip().splitlines()[-2:]
    return fact.removeprefix("error: "), remedy.removeprefix("remedy: ")


@pytest.mark.usefixtures("untouched")
def test_another_host_key_is_refused(remote: Remote) -> None:
    remote.checkout.edit("server.host_key", throwaway_key()[1])
    fact, remedy = last_two(remote.checkout.gad("up", STACK).failed(1))
    where = f"server 127.0.0.1 (port {remote.server.port})"
    assert fact == f"{where} shows another host key than server.host_key"
    assert "find out who answers there" in remedy
    plain = remote.checkout.pulumi("preview").failed(1).out
    assert "Host key verification failed" in plain


@pytest.mark.usefixtures("untouched")
def test_another_private_key_is_refused(remote: Remote, other_key: Path) -> None:
    remote.checkout.edit("server.private_key_file", str(other_key))
    fact, remedy = last_two(remote.checkout.gad("up", STACK).failed(1))
    assert f"refuses {other_key} for account {ACCOUNT}" in fact
    assert "server.private_key_file" in remedy


@pytest.mark.usefixtures("untouched")
def test_a_private_key_that_is_not_there_is_named(remote: Remote, tmp_path: Path) -> None:
    remote.checkout.edit("server.private_key_file", str(tmp_path / "none"))
    fact, _ = last_two(remote.checkout.gad("up", STACK).failed(2))
    assert fact.startswith(f"server.private_key_file {tmp_path / 'none'} does not exist")


@pytest.mark.usefixtures("untouched")
def test_a_closed_port_is_named(remote: Remote) -> None:
    port = free_port()
    remote.checkout.edit("server.port", port)
    fact, remedy = last_two(remote.checkout.gad("up", STACK).failed(1))
    assert fact == f"server 127.0.0.1 does not answer on port {port}: Connection refused"
    assert "server.port" in remedy


def test_down_keeps_the_data_and_clean_removes_everything(
    remote: Remote, client: docker.DockerClient
) -> None:
    label = {"label": f"gad.prefix=gad-{STACK}"}
    remote.gad("down")
    assert remote.checkout.containers(client) == {}
    assert len(client.api.volumes(filters=label)["Volumes"]) == 3
    remote.gad("clean", "--yes")
    assert client.api.volumes(filters=label)["Volumes"] == []
    assert client.api.networks(filters=label) == []
    assert list(remote.server.base_dir.iterdir()) == []
