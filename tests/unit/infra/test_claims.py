"""Two checkouts, or two stacks, on one machine must not clash."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import claims
from infra.claims import BLOCKS, OTHERS_FROM, Claim, Claims
from infra.errors import GadError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without claims, on which nothing listens: what really does is another test's matter."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(claims, "_listening", lambda _: False)
    return tmp_path / "state" / "grupo-gad" / "claims.json"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return folder(tmp_path, "a")


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "checkouts" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_the_first_dev_stack_gets_the_documented_ports(checkout: Path) -> None:
    first = claims.claim("dev", checkout)
    assert (first.https_port, first.http_port) == (8443, 8080)
    assert (first.prefix, str(first.subnet)) == ("gad-dev", "10.77.0.0/22")


def test_a_claim_stays(checkout: Path, state: Path) -> None:
    first = claims.claim("dev", checkout)
    written = state.stat().st_mtime_ns
    assert claims.claim("dev", checkout) == first
    assert state.stat().st_mtime_ns == written  # asking again writes nothing


def test_two_checkouts_of_one_stack_share_nothing(tmp_path: Path) -> None:
    one, other = (claims.claim("dev", folder(tmp_path, name)) for name in ("a", "b"))
    assert (other.https_port, other.http_port) == (8453, 8090)
    assert one.prefix != other.prefix
    assert not one.subnet.overlaps(other.subnet)


def test_other_stacks_leave_the_documented_ports_to_dev(checkout: Path) -> None:
    assert claims.claim("trial", checkout).index == OTHERS_FROM
    assert claims.claim("another", checkout).index == OTHERS_FROM + 1
    assert claims.claim("dev", checkout).index == 0


def test_every_block_is_apart_from_every_other() -> None:
    blocks = [Claim(index=i, stack="x", checkout="/", prefix="x") for i in range(BLOCKS)]
    ports = [port for block in blocks for port in (block.https_port, block.http_port)]
    assert len(set(ports)) == 2 * BLOCKS
    assert len({block.subnet for block in blocks}) == BLOCKS


@pytest.mark.parametrize(
    "order",
    [
        [("dev", "a"), ("dev", "b"), ("dev-1", "a")],
        [("dev-1", "a"), ("dev", "a"), ("dev", "b")],
        [("dev-10", "a"), ("dev", "a"), ("dev-10", "b"), ("dev-10-11", "a"), ("dev-10-11", "b")],
    ],
)
def test_a_prefix_is_one_stacks_alone(tmp_path: Path, order: list[tuple[str, str]]) -> None:
    made = [claims.claim(stack, folder(tmp_path, name)) for stack, name in order]
    assert len({claim.prefix for claim in made}) == len(order)


def test_a_block_whose_port_is_in_use_is_passed_over(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {8443, 8090}  # HTTPS of block 0, HTTP of block 1
    monkeypatch.setattr(claims, "_listening", lambda port: port in busy)
    assert claims.claim("dev", checkout).index == 2


def test_a_running_stack_keeps_its_own_ports(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims.claim("dev", checkout)
    monkeypatch.setattr(claims, "_listening", lambda _: True)
    assert claims.claim("dev", checkout).index == 0


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_listener_is_seen_and_a_closed_port_is_not(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert claims._listening(listener)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    assert not claims._listening(closed)


def test_release_gives_back_this_stack_only(tmp_path: Path) -> None:
    one, other = folder(tmp_path, "a"), folder(tmp_path, "b")
    for stack, path in (("dev", one), ("trial", one), ("dev", other)):
        claims.claim(stack, path)
    claims.release("dev", one)
    claims.release("never", one)
    left = Claims.model_validate_json(claims.claims_file().read_bytes()).claims
    assert {(c.stack, c.checkout) for c in left} == {("trial", str(one)), ("dev", str(other))}
    assert claims.claim("dev", folder(tmp_path, "c")).index == 0


def test_the_claim_of_a_checkout_that_is_gone_is_free_again(tmp_path: Path) -> None:
    gone = folder(tmp_path, "gone")
    first = claims.claim("dev", gone)
    gone.rmdir()
    again = claims.claim("dev", folder(tmp_path, "b"))
    assert (again.index, again.prefix) == (first.index, first.prefix)


def test_no_block_left_is_said(checkout: Path, state: Path) -> None:
    state.parent.mkdir(parents=True)
    held = [
        {"index": i, "stack": f"s{i}", "checkout": str(checkout), "prefix": f"gad-s{i}"}
        for i in range(OTHERS_FROM, BLOCKS)
    ]
    state.write_text(json.dumps({"claims": held}))
    with pytest.raises(GadError, match="no free block of ports for stack trial") as caught:
        claims.claim("trial", checkout)
    assert "gad clean" in caught.value.remedy
    assert claims.claim("dev", checkout).index == 0


@pytest.mark.parametrize(
    "content",
    [
        b"{not json",
        b"\xff\xfe\x00",
        b"[]",
        b'{"claims": [{"index": 0}]}',
        b'{"claims": [{"index": 99, "stack": "dev", "checkout": "/", "prefix": "gad-dev"}]}',
        b'{"claims": [{"index": -1, "stack": "dev", "checkout": "/", "prefix": "gad-dev"}]}',
    ],
)
def test_a_damaged_file_is_named_and_left_alone(checkout: Path, state: Path, content: bytes) -> None:
    state.parent.mkdir(parents=True)
    state.write_bytes(content)
    with pytest.raises(GadError, match=r"claims\.json is not readable as claims") as caught:
        claims.claim("dev", checkout)
    assert "\n" not in caught.value.fact
    assert state.read_bytes() == content


ASK = """
import sys
from pathlib import Path
from infra.claims import claim
print(claim("dev", Path(sys.argv[1])).model_dump_json())
"""


def test_processes_that_ask_at_once_get_different_blocks(tmp_path: Path) -> None:
    paths = [folder(tmp_path, f"c{i}") for i in range(6)]

    def ask(path: Path) -> Claim:
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(path)], capture_output=True, text=True, check=True
        )
        return Claim.model_validate_json(done.stdout)

    with ThreadPoolExecutor(len(paths)) as pool:
        made = list(pool.map(ask, paths))
    assert len({claim.index for claim in made}) == len(paths)
    assert len({claim.prefix for claim in made}) == len(paths)
    recorded = Claims.model_validate_json(claims.claims_file().read_bytes())
    assert set(recorded.claims) == set(made)


def test_a_write_that_is_cut_short_loses_no_claim(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims.claim("dev", folder(tmp_path, "a"))
    before = state.read_bytes()

    def cut(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claims.os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        claims.claim("dev", folder(tmp_path, "b"))
    assert state.read_bytes() == before
