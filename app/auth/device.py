"""Where a caller comes from: told to their session under their own key, and to the audit trail as digests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from app.user.vault import Vault

AGENT_LENGTH = 256  # chosen: browsers send about 120 characters


@dataclass(frozen=True)
class Device:
    """Address and User-Agent of a request."""

    address: str
    agent: str

    def digests(self, vault: Vault) -> dict[str, str]:
        """What the audit trail may hold of it."""
        return {"ip": vault.digest("ip", self.address).hex(), "ua": vault.digest("ua", self.agent).hex()}


async def _device(request: Request) -> Device:
    address = request.client.host if request.client is not None else ""
    return Device(address, request.headers.get("user-agent", "")[:AGENT_LENGTH])


FromDevice = Annotated[Device, Depends(_device)]
