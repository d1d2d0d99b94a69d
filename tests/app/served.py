"""The API as its own process, told what a container is told: variables, and secrets in files."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from stores import ROOT, Stores, wait_for

from app.limits import RateClass
from tests.ports import free_port

SECRETS = ("database_url", "redis_url", "jwt_secret", "hmac_key", "kek")


def environment(stores: Stores, scratch: Path, **changes: str) -> dict[str, str]:
    """Variables of one API process; secrets are files in `scratch`."""
    values = {
        "database_url": stores.dsn(),
        "redis_url": stores.redis_url,
        **{name: secrets.token_urlsafe(48) for name in SECRETS[2:]},
    }
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GAD_")}
    for name, value in values.items():
        path = scratch / name
        path.write_text(value)
        path.chmod(0o600)
        variables[f"GAD_{name.upper()}_FILE"] = str(path)
    variables |= {
        "GAD_ENV": "test",
        "GAD_JWT_ISSUER": "https://gad.example",
        "GAD_JWT_AUDIENCE": "gad-test",
        "GAD_ALLOWED_HOSTS": "gad.example,127.0.0.1",
        "GAD_ALLOWED_ORIGINS": "https://gad.example",
        "GAD_PORT": str(free_port()),
        "GAD_PRIVATE_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
        **{f"GAD_RATE_{rate.upper()}": "1000000" for rate in RateClass},
        **changes,
    }
    return variables


def run(
    module: str, *arguments: str, env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`python -m app.<module>` until it ends."""
    command = [sys.executable, "-m", f"app.{module}", *arguments]
    return subprocess.run(
        command, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


@dataclass
class Served:
    """A running process."""

    child: subprocess.Popen[bytes]
    public: httpx.Client
    private: httpx.Client
    log: Path

    def ready(self) -> httpx.Response:
        return self.public.get("/health/ready")

    def is_alive(self) -> bool:
        with suppress(httpx.TransportError):
            return self.public.get("/health/live").status_code == 200
        return False

    def wait_ready(self, status: int, *, within_s: float = 10, state: str | None = None) -> float:
        """Seconds until readiness answered so."""

        def answered() -> bool:
            response = self.ready()
            return response.status_code == status and state in {None, response.json()["state"]}

        return wait_for(answered, f"ready answers {status} {state or ''}", within_s=within_s)

    def terminate(self) -> None:
        self.child.send_signal(signal.SIGTERM)


@contextmanager
def served(env: Mapping[str, str], scratch: Path, module: str = "app.main") -> Iterator[Served]:
    """`python -m <module>`; killed at the end if it still runs."""
    log = scratch / "stdout.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", module], env=env, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            with (
                httpx.Client(base_url=f"http://127.0.0.1:{env['GAD_PORT']}", timeout=10) as public,
                httpx.Client(base_url=f"http://127.0.0.1:{env['GAD_PRIVATE_PORT']}", timeout=10) as private,
            ):
                process = Served(child, public, private, log)
                wait_for(
                    lambda: child.poll() is not None or process.is_alive(), "the API is alive", within_s=30
                )
                assert child.poll() is None, log.read_text()
                yield process
        finally:
            child.kill()
            child.wait()
