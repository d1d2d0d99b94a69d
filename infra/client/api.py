"""The API as typed methods. Each raises Refused, NotServed or Unexpected (infra.client.failures)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from infra.client import people
from infra.client.people import NearOfficer, NewOfficer, NewUser, Officer, User
from infra.client.session import Session


@dataclass(frozen=True)
class Api:
    """What one person may do with it is for the API to say."""

    session: Session

    async def me(self) -> User:
        """The caller's own account."""
        return await self.session.call(people.READ_ME)

    async def user(self, uuid: str) -> User:
        """One account."""
        return await self.session.call(people.READ_USER, user_id=uuid)

    async def create_user(self, body: NewUser, *, key: str | None = None) -> User:
        """A new account."""
        return await self.session.call(people.CREATE_USER, body, key=key)

    async def officers(self) -> AsyncIterator[Officer]:
        """Every officer."""
        async for page in self.session.every(people.LIST_OFFICERS):
            for officer in page.items:
                yield officer

    async def officer(self, uuid: str) -> Officer:
        """One officer."""
        return await self.session.call(people.READ_OFFICER, officer_id=uuid)

    async def nearest(self, lat: float, lon: float, *, limit: int = 5) -> list[NearOfficer]:
        """The officers nearest to a point."""
        query = {"lat": lat, "lon": lon, "limit": limit}
        return (await self.session.call(people.FIND_NEAREST, query=query)).items

    async def create_officer(self, body: NewOfficer, *, key: str | None = None) -> Officer:
        """A new officer."""
        return await self.session.call(people.CREATE_OFFICER, body, key=key)
