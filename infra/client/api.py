"""The API as typed methods. Each raises Refused, NotServed or Unexpected (infra.client.failures)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from infra.client import atlas, figures, people, work
from infra.client.atlas import Map
from infra.client.figures import Metric, Summary
from infra.client.operation import Operation
from infra.client.people import NearOfficer, NewAvailability, NewOfficer, NewUser, Officer, Place, User
from infra.client.session import Session
from infra.client.work import Emergency, HistoryLine, NewEmergency, NewTask, Task, TaskChange


@dataclass(frozen=True)
class Api:
    """What one person may do with it is for the API to say."""

    session: Session

    async def me(self) -> User:
        """The caller's own account."""
        return await self.session.call(people.READ_ME)

    async def users(self) -> AsyncIterator[User]:
        """Every account."""
        async for page in self.session.every(people.LIST_USERS):
            for user in page.items:
                yield user

    async def user(self, uuid: str) -> User:
        """One account."""
        return await self.session.call(people.READ_USER, path={"user_id": uuid})

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
        return await self.session.call(people.READ_OFFICER, path={"officer_id": uuid})

    async def nearest(self, lat: float, lon: float, *, limit: int = 5) -> list[NearOfficer]:
        """The officers nearest to a point."""
        query = {"lat": lat, "lon": lon, "limit": limit}
        return (await self.session.call(people.FIND_NEAREST, query=query)).items

    async def create_officer(self, body: NewOfficer, *, key: str | None = None) -> Officer:
        """A new officer."""
        return await self.session.call(people.CREATE_OFFICER, body, key=key)

    async def set_availability(self, uuid: str, availability: str) -> Officer:
        """Whether an officer can be sent."""
        body = NewAvailability(availability=availability)
        return await self.session.call(people.SET_AVAILABILITY, body, path={"officer_id": uuid})

    async def report_position(self, uuid: str, body: Place) -> None:
        """Where the caller, this officer, is."""
        await self.session.call(people.REPORT_POSITION, body, path={"officer_id": uuid})

    async def map(self, lat: float, lon: float, *, radius_m: float) -> Map:
        """Officers and active tasks around a point."""
        return await self.session.call(atlas.LOOK, query={"lat": lat, "lon": lon, "radius_m": radius_m})

    async def tasks(
        self, *, status: str | None = None, kind: str | None = None, text: str | None = None
    ) -> AsyncIterator[Task]:
        """Every task that fits; `text` is looked for in code, title and description."""
        query = {"status": status, "type": kind, "q": text}
        async for page in self.session.every(work.LIST_TASKS, query):
            for task in page.items:
                yield task

    async def task(self, uuid: str) -> Task:
        """One task."""
        return await self.session.call(work.READ_TASK, path={"task_id": uuid})

    async def history(self, uuid: str) -> AsyncIterator[HistoryLine]:
        """A task's life, from its beginning."""
        async for page in self.session.every(work.READ_HISTORY, path={"task_id": uuid}):
            for line in page.items:
                yield line

    async def create_task(self, body: NewTask, *, key: str | None = None) -> Task:
        """A new task."""
        return await self.session.call(work.CREATE_TASK, body, key=key)

    async def change_task(self, task: Task, body: TaskChange) -> Task:
        """The task as changed; refused (stale) if somebody was quicker."""
        return await self.session.call(work.CHANGE_TASK, body, seen=task.version, path={"task_id": task.uuid})

    async def delete_task(self, task: Task) -> None:
        """Take it out of every list."""
        await self.session.call(work.DELETE_TASK, seen=task.version, path={"task_id": task.uuid})

    async def start(self, uuid: str) -> Task:
        """programmed → in_progress."""
        return await self._act(work.START, uuid)

    async def pause(self, uuid: str) -> Task:
        """in_progress → paused."""
        return await self._act(work.PAUSE, uuid)

    async def resume(self, uuid: str) -> Task:
        """paused → in_progress."""
        return await self._act(work.RESUME, uuid)

    async def finish(self, uuid: str) -> Task:
        """in_progress, paused → finished."""
        return await self._act(work.FINISH, uuid)

    async def cancel(self, uuid: str, reason: str) -> Task:
        """programmed, in_progress, paused → cancelled."""
        return await self.session.call(work.CANCEL, work.Reason(reason=reason), path={"task_id": uuid})

    async def emergency(self, body: NewEmergency, *, key: str | None = None) -> Emergency:
        """Send the nearest officers; the task is in progress at once."""
        return await self.session.call(work.RAISE_EMERGENCY, body, key=key)

    async def team_stats(self, *, days: int = 30) -> Summary:
        """The team's tasks."""
        return await self.session.call(figures.OF_TEAM, query={"days": days})

    async def user_stats(self, uuid: str, *, days: int = 30) -> Summary:
        """One person's tasks."""
        return await self.session.call(figures.OF_USER, query={"days": days}, path={"user_id": uuid})

    async def task_stats(self) -> list[Metric]:
        """How tasks of each type and priority go."""
        return (await self.session.call(figures.OF_TASKS)).items

    async def _act(self, operation: Operation[Task], uuid: str) -> Task:
        return await self.session.call(operation, path={"task_id": uuid})
