"""The engine from its Go module: the way that needs nothing but Go and the module proxy."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from infra.errors import GadError
from infra.toolchain.cache import locked
from infra.toolchain.engine import CachedEngine, sha256_of, version_of
from infra.toolchain.progress import Reporter

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_SYMBOL = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
# Measured for 3.259.0 on an empty cache: modules 1.6 GB, objects 1.6 GB, executable 0.1 GB.
_NEEDED_BYTES = 4 * 10**9
# Counted for 3.259.0 on an empty cache; only the progress bar depends on it.
_PACKAGES = 1700
# The first Go that fetches the newer toolchain which go.mod asks for.
_OLDEST_GO_MINOR = 21


@dataclass(frozen=True)
class Recipe:
    """What the engine is built from: the committed module in `module`, at `version`."""

    module: Path
    version: str

    def digest(self) -> str:
        """Changes whenever another build is needed."""
        files = (self.module / name for name in ("go.mod", "go.sum", "tools.go"))
        parts = [self.version, *(sha256_of(file) for file in files)]
        return "go:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def find_go() -> str:
    """Go on PATH, or where its own installer puts it. Raises GadError when absent or too old."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise GadError(
            "the Pulumi engine must be built here, and Go is not installed",
            remedy="install Go (https://go.dev/dl), or put `pulumi` of the required version on PATH",
        )
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"go1\.(\d+)", said)
    if match is None or int(match[1]) < _OLDEST_GO_MINOR:
        raise GadError(
            f"{go} is too old to build the Pulumi engine ({said.strip() or 'it does not start'})",
            remedy=f"install Go 1.{_OLDEST_GO_MINOR} or newer; it fetches the exact toolchain by itself",
        )
    return go


def build(recipe: Recipe, target: CachedEngine, reporter: Reporter) -> Path:
    """Build into the cache unless it is there; returns the executable.

    Takes 2.5 minutes on two idle cores (measured). Two callers build once.
    Raises GadError with the compiler's last words.
    """
    with locked(
        target.lock, lambda: reporter.note("another `gad setup` is building the engine; waiting for it")
    ):
        if target.is_intact():
            return target.executable
        if target.executable.exists():
            reporter.note(f"{target.executable} is damaged or outdated; building it again")
        _require_space(target.directory.parent)
        with tempfile.TemporaryDirectory(dir=target.directory.parent, prefix=".build-") as scratch:
            complete = Path(scratch) / "complete"
            complete.mkdir()
            _compile(recipe, complete / "pulumi", reporter)
            built = version_of(complete / "pulumi")
            if built != recipe.version:
                raise GadError(
                    f"the engine just built calls itself {built}, required is {recipe.version}",
                    remedy="make config/engine/go.mod require the version of config/engine/release.json",
                )
            target.adopt(complete)
    return target.executable


def _compile(recipe: Recipe, output: Path, reporter: Reporter) -> None:
    go = find_go()
    # The owner's own flags or workspace would make another engine than everybody else's.
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
    ldflags = f"-s -w -X {_VERSION_SYMBOL}=v{recipe.version}"
    argv = [go, "build", *flags, "-v", "-ldflags", ldflags, "-o", str(output), PACKAGE]
    last: deque[str] = deque(maxlen=3)
    with (
        reporter.steps(f"building pulumi {recipe.version} from its Go module", _PACKAGES) as advance,
        subprocess.Popen(
            argv, cwd=recipe.module, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as compiler,
    ):
        try:
            for line in compiler.stdout or ():
                last.append(line.strip())
                advance(line.strip())
        except BaseException:
            compiler.terminate()
            raise
    if compiler.returncode:
        words = " / ".join(last) or f"go build ended with {compiler.returncode}"
        raise GadError(
            f"the Pulumi engine could not be built: {words}",
            remedy="check `go env GOPROXY` and that the module proxy is reachable, or put "
            f"pulumi {recipe.version} on PATH; then run `gad setup` again",
        )


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise GadError(
            f"{folder} has {free / 10**9:.1f} GB free, the build needs {_NEEDED_BYTES / 10**9:.0f} GB",
            remedy="free some space, or set XDG_CACHE_HOME to a larger disk",
        )
