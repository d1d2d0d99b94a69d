"""What a stack leaves in its state about itself: plain facts, none of them secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypedDict

from infra.components.container import Declared
from infra.components.network import Network, StoreNetwork
from infra.desired import authority, names_of
from infra.release import Recorded
from infra.settings import Settings


class Facts(TypedDict):
    """What was declared; verification and every `gad` command read this, not the settings."""

    stack: str
    environment: str
    prefix: str
    server: dict[str, object] | None  # how it is reached; None for this machine
    data_server: dict[str, object] | None  # the one of PostgreSQL and Redis; None: the same machine
    url: str
    http_url: str
    site: str
    tls: str
    hsts: bool
    postgres_tls: bool
    redis_tls: bool | None  # None: not, as before it could be
    release: dict[str, object]
    containers: dict[str, Declared]
    networks: dict[str, dict[str, object]]
    volumes: dict[str, str]
    images: dict[str, str]


def facts(
    settings: Settings,
    recorded: Recorded,
    *,
    containers: dict[str, Declared],
    networks: tuple[Network | StoreNetwork, ...],
) -> Facts:
    """The facts of a stack, as its state will hold them."""
    file, names, access = settings.file, names_of(settings), settings.file.server.access
    data = file.data_server.access if file.data_server is not None else None
    return Facts(
        stack=settings.stack,
        environment=file.environment,
        prefix=settings.prefix,
        server=asdict(access) if access is not None else None,
        data_server=asdict(data) if data is not None else None,
        url=f"https://{authority(settings)}",
        http_url=f"http://{file.proxy.site}:{settings.http_port}",
        site=file.proxy.site,
        tls=file.proxy.tls,
        hsts=file.proxy.hsts,
        postgres_tls=file.postgres.tls,
        redis_tls=file.redis.tls or None,
        release=recorded.model_dump(mode="json"),
        containers=containers,
        networks={
            role: {"name": names.network(role), "internal": each.internal[role], "subnet": str(subnet)}
            for each in networks
            for role, subnet in each.subnets.items()
        },
        volumes={role: names.volume(role) for role in ("postgres", "redis", "proxy")},
        images=dict(settings.images),
    )
