"""The release archive from a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.toolchain.archive import fetch, refusal
from infra.toolchain.engine import CachedEngine, find_on_path, version_of
from infra.toolchain.progress import Reporter
from infra.toolchain.release import DownloadRefusedError, load_release

SILENT = Reporter(quiet=True)
ROOT = Path(__file__).resolve().parents[3]


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and keeps stderr clean."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the server serves: an archive like Pulumi's, with a member that wants to climb out."""
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "pulumi.tar.gz", "w:gz") as tar:
        for name in ("pulumi/pulumi", "pulumi/pulumi-language-python", "../pulumi-outside", "pulumi/README"):
            body = b"#!/bin/sh\necho v1.2.3\n"
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return served


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> CachedEngine:
    """An empty place in a cache."""
    return CachedEngine(tmp_path / "cache" / "1.2.3-release", "sha256:pin")


def test_the_pinned_archive_is_unpacked_by_base_name(
    folder: Path, server: str, target: CachedEngine, tmp_path: Path
) -> None:
    pin = hashlib.sha256((folder / "pulumi.tar.gz").read_bytes()).hexdigest()
    assert fetch(f"{server}/pulumi.tar.gz", pin, target, SILENT) == target.executable
    assert target.is_intact()
    assert version_of(target.executable) == "1.2.3"
    unpacked = sorted(path.name for path in target.directory.iterdir())
    assert unpacked == ["engine.json", "pulumi", "pulumi-language-python", "pulumi-outside"]
    assert not (tmp_path / "cache" / "pulumi-outside").exists()


def test_another_archive_is_refused_and_nothing_stays(server: str, target: CachedEngine) -> None:
    with pytest.raises(GadError, match=f"pinned is {'0' * 64}") as caught:
        fetch(f"{server}/pulumi.tar.gz", "0" * 64, target, SILENT)
    assert caught.value.exit_code is Exit.REFUSED
    assert [path.name for path in target.directory.parent.iterdir()] == [target.lock.name]


def test_an_archive_that_is_not_there_is_a_refusal(server: str, target: CachedEngine) -> None:
    with pytest.raises(DownloadRefusedError, match="404"):
        fetch(f"{server}/absent.tar.gz", "0" * 64, target, SILENT)


def test_a_refusal_is_one_phrase(server: str) -> None:
    assert refusal(f"{server}/pulumi.tar.gz") is None
    assert refusal(f"{server}/absent.tar.gz") == "127.0.0.1 answers 404"
    assert str(refusal("http://127.0.0.1:1/")).startswith("127.0.0.1 cannot be reached from here (")


def test_our_own_link_is_not_taken_for_an_installed_pulumi(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pulumi").write_text("#!/bin/sh\n")
        (tmp_path / name / "pulumi").chmod(0o755)
    path = f"{tmp_path / 'ours'}:{tmp_path / 'theirs'}"
    assert find_on_path(path, exclude=tmp_path / "ours") == tmp_path / "theirs" / "pulumi"
    assert find_on_path(str(tmp_path / "ours"), exclude=tmp_path / "ours") is None


def test_every_pin_is_a_sha256() -> None:
    pins = load_release(ROOT).archives
    assert sorted(pins) == ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"]
    assert [pin for pin in pins.values() if len(pin) != 64 or set(pin) - set("0123456789abcdef")] == []
