"""The whole of a stack file: its sections together, and what must agree between them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from infra.sections import Api, Images, Network, Postgres, Proxy, Redis, Release, Secrets, Section
from infra.server_section import DataServer, Server

TLS_PAIR = "tls_pair"  # an error of the key and certificate together, which only a new pair mends


class StackFile(Section):
    """The keys of a stack file, under the namespace `grupo-gad:`."""

    environment: Literal["dev", "staging", "production"]
    server: Server
    data_server: DataServer | None = Field(
        default=None,
        description="a second server for PostgreSQL and Redis; without it, `server` runs everything",
    )
    network: Network = Network()
    images: Images
    postgres: Postgres
    redis: Redis
    api: Api
    release: Release = Release()
    proxy: Proxy
    secrets: Secrets

    @model_validator(mode="after")
    def _suits_the_environment(self) -> Self:
        if self.environment == "dev" and not self.proxy.bind.is_loopback:
            # Its secrets are open to everyone who has the repository.
            raise ValueError(
                f"proxy.bind {self.proxy.bind} is not loopback; a dev stack stays on its machine"
            )
        if self.environment != "dev":
            if self.server.kind == "local":
                raise ValueError("server.kind local is for dev; staging and production run on a server")
            if self.images.source == "local":
                raise ValueError("images.source local is for dev; pin digests with `gad images lock`")
        # Each slot's pool, its probe and its two leaders; and room for migration, backup and a person.
        pools = 2 * (self.api.db_pool + 3) + 10
        if pools > self.postgres.max_connections:
            raise ValueError(
                f"postgres.max_connections {self.postgres.max_connections} is less than the {pools} "
                f"that two slots with api.db_pool {self.api.db_pool} and operations need"
            )
        return self

    @model_validator(mode="after")
    def _two_servers_are_safe(self) -> Self:
        """What is between them is a network, which others may share: encrypted, and closed to the rest."""
        if self.data_server is None:
            return self
        if self.server.hardening is None:
            raise ValueError("data_server needs server.hardening: the firewalls keep the two to each other")
        plain = [f"{part}.tls" for part in ("postgres", "redis") if not getattr(self, part).tls]
        if plain:
            raise ValueError(f"data_server needs {' and '.join(plain)}: nothing in clear leaves a server")
        if (self.server.address, self.server.port) == (self.data_server.address, self.data_server.port):
            raise ValueError("data_server is the same machine as server")
        return self

    @model_validator(mode="after")
    def _tls_is_usable(self) -> Self:
        for name in ("postgres", "redis"):
            if getattr(self, name).tls:
                self._check_pair(name)
        return self

    def _check_pair(self, name: str) -> None:
        key, certificate = (getattr(self.secrets, f"{name}_tls_{part}") for part in ("key", "certificate"))
        if key is None or certificate is None:
            lacking = "key" if key is None else "certificate"
            raise PydanticCustomError(TLS_PAIR, f"{name}.tls needs secrets.{name}_tls_{lacking}")
        from infra.tls_pair import TlsPair, flaw_of  # noqa: PLC0415  (a tenth of a second, for TLS only)

        pair = TlsPair(key.get_secret_value(), certificate.get_secret_value())
        flaw = flaw_of(pair, name=name, at=datetime.now(UTC))
        if flaw is not None:
            raise PydanticCustomError(TLS_PAIR, "secrets.{name}_tls_*: {flaw}", {"name": name, "flaw": flaw})
