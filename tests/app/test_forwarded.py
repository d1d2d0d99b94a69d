"""Whose address counts: what a trusted proxy says, never what a client invents."""

from __future__ import annotations

import secrets
from pathlib import Path

import httpx
from served import environment, served
from stores import Stores

ME = "/api/v1/users/me"


def test_forwarded_for_counts_from_a_trusted_proxy_only(stores: Stores, tmp_path: Path) -> None:
    """The real server; product contract, section 17, 7."""
    rates = {"GAD_RATE_ANONYMOUS": "3"}
    trusting = environment(stores, tmp_path, GAD_TRUSTED_PROXIES="127.0.0.0/8,10.88.0.0/24", **rates)

    def asked(client: httpx.Client, forwarded: str) -> int:
        return client.get(ME, headers={"X-Forwarded-For": forwarded}).status_code

    one, two = f"198.51.100.{secrets.randbelow(250)}", f"203.0.113.{secrets.randbelow(250)}"
    with served(trusting, tmp_path) as api:
        # The proxy adds who called it at the end; what a client invented stands before.
        assert [asked(api.public, f"192.0.2.{n}, {one}") for n in range(4)] == [401, 401, 401, 429]
        assert asked(api.public, f"{one}, {two}") == 401
        assert asked(api.public, f"{two}, {one}, 10.88.0.3") == 429
    (tmp_path / "b").mkdir()
    trusting_nobody = environment(stores, tmp_path / "b", **rates)
    (tmp_path / "b" / "redis_url").write_text(stores.redis_url[:-1] + "1")  # where 127.0.0.1 is unknown
    with served(trusting_nobody, tmp_path / "b") as api:
        forged = [asked(api.public, f"192.0.2.{n}") for n in range(4)]
        assert forged == [401, 401, 401, 429]
