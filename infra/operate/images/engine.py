"""The local Docker engine, and its failures in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
from docker.errors import APIError, DockerException

from infra.errors import GadError
from infra.operate import docker_engine

BUILD_TIMEOUT_S = 1800  # a silent step (apt on a slow link) may take minutes; chosen


def connect() -> docker.DockerClient:
    """A client of the local engine with patience for builds. Raises GadError if none answers."""
    client = docker_engine.connect()
    client.api.timeout = BUILD_TIMEOUT_S
    return client


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn failures of the engine while `doing` into a GadError that says what and why."""
    try:
        yield
    except (APIError, DockerException, requests.RequestException) as error:
        reason = (error.explanation if isinstance(error, APIError) else None) or str(error)
        raise failure(doing, reason) from error


def failure(doing: str, reason: str) -> GadError:
    """What a failure of the engine means to a person; pure."""
    first = reason.strip().splitlines()[-1] if reason.strip() else "no reason given"
    if "no space left on device" in reason.lower():
        return GadError(
            f"no space left on the engine's disk while {doing}",
            remedy="free space (`docker system df` shows what holds it), then run the same command again",
        )
    if "Connection refused" in reason or "Connection aborted" in reason:
        return GadError(
            f"the Docker engine went away while {doing}", remedy="start it and run the same command again"
        )
    return GadError(f"{doing} failed: {first}", remedy="correct the cause, then run the same command again")
