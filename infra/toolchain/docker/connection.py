"""The connection to one Docker engine, and its failures in words."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from docker.utils import parse_host

from infra.errors import GadError
from infra.toolchain.plugin import Properties

from .ssh import SshHost, api_client

DEFAULT_HOST = "unix:///var/run/docker.sock"
# Seconds without a byte from the engine: longer than any single call but a stop, which adds its own grace.
TIMEOUT_S = 120


class Connection:
    """Connects at the first use; one client serves all threads, its pool grows with them."""

    def __init__(self, host: str | None, ssh_options: Sequence[str] = ()) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._ssh = SshHost(self.host, ssh_options) if self.host.startswith("ssh://") else None
        self._client: APIClient | None = None
        self._lock = threading.Lock()

    def client(self) -> APIClient:
        """The client. Raises GadError when the engine cannot be reached."""
        with self._lock:
            if self._client is None:
                with self.explained("connect"):
                    self._client = self._connect()
            return self._client

    @contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Turn the client's failures into one sentence that starts with `what` could not be done.

        `NotFound` passes: what is gone means something else to each caller.
        """
        try:
            yield
        except NotFound:
            raise
        except APIError as error:
            raise daemon_error(f"unable to {what}", error) from error
        except (requests.RequestException, DockerException, OSError) as error:
            raise GadError(
                f"unable to {what}: the Docker engine at {self.host} does not answer ({self._why(error)})",
                remedy="start it, or set docker:host / DOCKER_HOST to the one that runs",
            ) from error

    def _connect(self) -> APIClient:
        if self._ssh is None:
            return APIClient(base_url=str(parse_host(self.host)), version="auto", timeout=TIMEOUT_S)
        return api_client(self._ssh, TIMEOUT_S)

    def _why(self, error: BaseException) -> str:
        complaint = self._ssh.complaint() if self._ssh is not None else ""
        if complaint:
            return complaint
        while error.__cause__ is not None or error.__context__ is not None:
            error = cast(BaseException, error.__cause__ or error.__context__)
        return str(error) or type(error).__name__


def daemon_error(what: str, error: APIError) -> GadError:
    """The engine's own sentence behind `what`."""
    return GadError(f"{what}: {reason(error)}", remedy="")


def reason(error: APIError) -> str:
    """What the engine answered."""
    return f"Error response from daemon: {error.explanation or error}"


def json_object(value: object) -> Properties:
    """An answer of the engine as a property map; JSON fits it."""
    return cast(Properties, value) if isinstance(value, dict) else {}
