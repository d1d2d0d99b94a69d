"""What must be right before an update begins. Ports are real; the engine's answers are stated."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from infra import settings
from infra.errors import Exit, GadError
from infra.operate import preflight
from infra.operate.preflight import LEAST_FREE_MIB, check
from infra.operate.pulumi import Pulumi
from infra.settings import Settings
from tests.unit.infra.samples import DIGESTS, REMOTE, sample_settings


@dataclass
class Engine:
    """An engine that holds these images and containers, and whose registry answers with this."""

    held: frozenset[str] = frozenset(DIGESTS.values())
    registry: APIError | None = None
    running: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def info(self) -> Mapping[str, str]:
        return {"DockerRootDir": "/"}

    @property
    def images(self) -> SimpleNamespace:
        return SimpleNamespace(get=self._get, get_registry_data=self._registry)

    @property
    def api(self) -> SimpleNamespace:
        return SimpleNamespace(containers=lambda: self.running)

    def _get(self, digest: str) -> None:
        if digest not in self.held:
            raise ImageNotFound("no such image")

    def _registry(self, digest: str) -> None:
        self.asked.append(digest)
        if self.registry is not None:
            raise self.registry


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def container(name: str, ip: str, port: int) -> dict[str, Any]:
    return {"Names": [f"/{name}"], "Ports": [{"IP": ip, "PublicPort": port}, {"PrivatePort": 9}]}


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def stack(*, https_port: int, http_port: int, bind: str = "127.0.0.1") -> Settings:
    return sample_settings({"proxy.https_port": https_port, "proxy.http_port": http_port, "proxy.bind": bind})


def refusal(desired: Settings, engine: Engine) -> GadError:
    with pytest.raises(GadError) as caught:
        check(desired, engine)  # type: ignore[arg-type]
    return caught.value


@pytest.fixture
def desired(free: int) -> Settings:
    """A stack whose ports are free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = server.getsockname()[1]
    return stack(https_port=free, http_port=other)


def test_a_right_stack_passes(desired: Settings) -> None:
    engine = Engine()
    check(desired, engine)  # type: ignore[arg-type]
    assert engine.asked == []  # what the engine holds, no registry is asked for


def test_a_port_in_use_is_named_with_its_setting(listener: int, free: int) -> None:
    error = refusal(stack(https_port=listener, http_port=free), Engine())
    assert error.fact == f"port {listener} on 127.0.0.1 is in use by another process"
    assert error.remedy == "stop it, or set proxy.https_port (Pulumi.dev.yaml) to a free port"
    error = refusal(stack(https_port=free, http_port=listener), Engine())
    assert "proxy.http_port" in error.remedy


def test_a_port_that_only_http3_cannot_have_is_in_use_too(free: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        assert "proxy.https_port" in refusal(stack(https_port=port, http_port=free), Engine()).remedy
        check(stack(https_port=free, http_port=port), Engine())  # type: ignore[arg-type]


def test_the_container_that_holds_a_port_is_named(listener: int, free: int) -> None:
    engine = Engine(running=[container("shop-web", "127.0.0.1", listener)])
    error = refusal(stack(https_port=listener, http_port=free), engine)
    assert error.fact == f"port {listener} on 127.0.0.1 is in use by container shop-web"


def test_a_container_on_all_addresses_is_named_too(listener: int, free: int) -> None:
    engine = Engine(running=[container("shop-web", "0.0.0.0", listener)])  # noqa: S104
    error = refusal(stack(https_port=listener, http_port=free), engine)
    assert error.fact == f"port {listener} on 127.0.0.1 is in use by container shop-web"


def test_the_stacks_own_proxy_may_hold_its_ports(listener: int, free: int) -> None:
    engine = Engine(running=[container("gad-dev-proxy", "127.0.0.1", listener)])
    check(stack(https_port=listener, http_port=free), engine)  # type: ignore[arg-type]


def test_another_stacks_proxy_may_not(listener: int, free: int) -> None:
    engine = Engine(running=[container("gad-dev-2-proxy", "127.0.0.1", listener)])
    assert "gad-dev-2-proxy" in refusal(stack(https_port=listener, http_port=free), engine).fact


def test_a_servers_ports_are_not_judged_from_here(listener: int) -> None:
    remote = sample_settings({**REMOTE, "proxy.bind": "127.0.0.1", "proxy.https_port": listener})
    check(remote, Engine())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        (NotFound("404", explanation="manifest unknown"), "does not exist: manifest unknown"),
        (
            APIError("500", explanation="connection refused"),
            "is not on this engine, and its registry does not give it: connection refused",
        ),
    ],
)
def test_an_image_that_nobody_has_is_named(desired: Settings, answer: APIError, fact: str) -> None:
    engine = Engine(held=frozenset(DIGESTS.values()) - {DIGESTS["redis"]}, registry=answer)
    error = refusal(desired, engine)
    assert error.fact == f"images.redis {DIGESTS['redis']} {fact}"
    assert error.remedy == "run `gad images build redis`, or correct the digest (Pulumi.dev.yaml)"


def test_an_image_that_a_registry_has_passes(desired: Settings) -> None:
    engine = Engine(held=frozenset())
    check(desired, engine)  # type: ignore[arg-type]
    assert set(engine.asked) == set(DIGESTS.values())


@pytest.mark.parametrize(("free_mib", "passes"), [(LEAST_FREE_MIB, True), (LEAST_FREE_MIB - 1, False)])
def test_space_is_needed_where_the_engine_keeps_its_data(
    desired: Settings, monkeypatch: pytest.MonkeyPatch, free_mib: int, passes: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free_mib * 1024**2))
    refused: list[str] = []
    try:
        check(desired, Engine())  # type: ignore[arg-type]
    except GadError as error:
        refused.append(error.fact)
    assert (refused == []) is passes
    assert all(f"{free_mib} MiB free, an update needs {LEAST_FREE_MIB} MiB" in fact for fact in refused)


def test_a_server_that_does_not_answer_is_named(free: int) -> None:
    remote = sample_settings({**REMOTE, "server.address": "127.0.0.1", "server.port": free})
    with pytest.raises(GadError) as caught:
        preflight.engine_of(remote)
    assert caught.value.fact == f"server 127.0.0.1 does not answer on port {free}: Connection refused"
    assert "Pulumi.staging.yaml" in caught.value.remedy


def test_a_stack_without_secrets_is_told_how_to_make_them(tmp_path: Path) -> None:
    text = (settings.ROOT / "Pulumi.staging.yaml").read_text(encoding="utf-8")
    (tmp_path / "Pulumi.staging.yaml").write_text(text)
    with pytest.raises(GadError) as caught:
        preflight.load_settings(Pulumi(tmp_path, "staging"))
    assert caught.value.fact == "secrets is missing (Pulumi.staging.yaml)"
    assert caught.value.remedy.startswith("run `gad secrets init staging`")
    assert caught.value.exit_code == Exit.USAGE
    assert not (tmp_path / ".gad").exists()
