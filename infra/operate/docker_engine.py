"""The Docker engine that runs a stack's containers, as far as `gad` itself asks it."""

from __future__ import annotations

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from infra.errors import GadError
from infra.operate.server import line_to, refusal
from infra.ssh import SshAccess
from infra.toolchain.docker.ssh import OLDEST_API, api_client

TIMEOUT_S = 30


def connect(server: SshAccess | None = None) -> docker.DockerClient:
    """A client of the engine on `server`, or on this machine (or DOCKER_HOST). Raises GadError."""
    if server is not None:
        return _over_ssh(server)
    try:
        client = docker.from_env(timeout=TIMEOUT_S)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        raise GadError(
            f"Docker does not answer on this machine: {_reason(error)}", remedy="start it with `gad setup`"
        ) from error
    return client


def _over_ssh(server: SshAccess) -> docker.DockerClient:
    line = line_to(server)
    # docker-py's own way takes no options of ours, so its client gets the streams of `line`.
    client = docker.DockerClient(base_url=server.url, version=OLDEST_API, use_ssh_client=True)
    try:
        client.api = api_client(line, TIMEOUT_S)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        raise refusal(line.complaint() or _reason(error), server) from error
    return client


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error).splitlines()[0] if str(error) else type(error).__name__
