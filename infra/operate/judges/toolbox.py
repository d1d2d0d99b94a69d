"""How judges come here: from locks of ours into the user's cache, once for each lock."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.errors import GadError
from infra.operate.judges.running import refuse
from infra.toolchain.cache import cache_root, locked
from infra.toolchain.debian import DebianPackage, find, require
from infra.toolchain.progress import Reporter

LIMIT_S = 540  # measured: checkov 60 s
NPM = Path("config") / "judges" / "observatory"
TESTSSL = DebianPackage("testssl.sh", "testssl", "a judge of the proxy's TLS")
SCAN = Path("node_modules") / "@mdn" / "mdn-http-observatory"
# Two lists that its install script fetches from the net: who is preloaded for HSTS (nobody: no point is given
# for it), and the top-level domains (it compares the hosts of scripts by them).
LISTS = {"hsts-preload.json": "{}", "tld-list.json": "[]"}


@dataclass(frozen=True)
class Toolbox:
    """The tools of a checkout."""

    root: Path
    reporter: Reporter

    def python(self, lock: str, program: str) -> Path:
        """A program of `requirements/<lock>.txt`, in an environment of its own. Raises GadError."""
        file = self.root / "requirements" / f"{lock}.txt"

        def make(folder: Path) -> None:
            _ran([sys.executable, "-m", "venv", "--without-pip", folder], lock)
            uv = Path(sys.executable).with_name("uv")
            _ran(
                [uv, "pip", "sync", "-q", "--require-hashes", "--python", folder / "bin" / "python", file],
                lock,
            )

        return self._made(lock, (file,), make) / "bin" / program

    def observatory(self) -> Path:
        """The Observatory's scan, as npm has it. Raises GadError."""
        if shutil.which("npm") is None:
            raise refuse("observatory", "there is no npm (Node.js 20 or later) on this machine")
        files = tuple(self.root / NPM / name for name in ("package.json", "package-lock.json"))

        def make(folder: Path) -> None:
            folder.mkdir()
            for file in files:
                shutil.copy2(file, folder)
            # Without its scripts: they fetch what no registry has.
            _ran(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "observatory", folder)
            for name, text in LISTS.items():
                (folder / SCAN / "conf" / name).write_text(text, encoding="utf-8")

        return self._made("observatory", files, make) / SCAN / "src" / "scan.js"

    def hadolint(self) -> Path:
        """The one of the development lock. Raises GadError."""
        tool = Path(sys.executable).with_name("hadolint")
        if not tool.is_file():
            raise refuse("hadolint", "it is not in .venv; run `make setup`")
        return tool

    def testssl(self) -> None:
        """Debian's package. Raises GadError where it may not be installed."""
        require((TESTSSL,), self.reporter)
        if find("testssl") is None:
            raise refuse("testssl", "it is not installed")

    def _made(self, name: str, locks: Sequence[Path], make: Callable[[Path], None]) -> Path:
        """Its folder, made once for this lock and this interpreter; one that broke off is made again."""
        said = b"".join([*(file.read_bytes() for file in locks), sys.version.encode()])
        base = cache_root() / "judges"
        folder = base / f"{name}-{hashlib.sha256(said).hexdigest()[:12]}"
        with locked(base / f".{name}.lock", lambda: self.reporter.note(f"{name}: another run installs it")):
            stamp = folder / ".complete"
            if not stamp.is_file():
                self.reporter.note(f"installing {name}")
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                stamp.touch()
                for old in base.glob(f"{name}-*"):
                    if old != folder:
                        with suppress(OSError):
                            shutil.rmtree(old)
        return folder


def _ran(command: Sequence[object], judge: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            [str(each) for each in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise refuse(judge, f"its installation did not end within {LIMIT_S} s") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
        raise GadError(
            f"{judge} cannot be installed: {last[0]}",
            remedy="check that the package registries can be reached, then try again",
        )
