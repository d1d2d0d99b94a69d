"""The Docker engine that runs a stack's containers, as far as `gad` itself asks it."""

from __future__ import annotations

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from infra.errors import GadError


def connect(host: str = "local") -> docker.DockerClient:
    """A client of the engine: `local` (or DOCKER_HOST), or an ssh:// address. Raises GadError."""
    try:
        if host == "local":
            client = docker.from_env(timeout=30)
        else:
            client = docker.DockerClient(base_url=host, use_ssh_client=True, timeout=30)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        where = "on this machine" if host == "local" else f"at {host}"
        raise GadError(
            f"Docker does not answer {where}: {_reason(error)}",
            remedy="start it with `gad setup`"
            if host == "local"
            else "check the account with `ssh`, and dockerd",
        ) from error
    return client


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error).splitlines()[0] if str(error) else type(error).__name__
