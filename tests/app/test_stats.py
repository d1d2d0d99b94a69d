"""Statistics against a plain calculation over the same tasks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import mean
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from bodies import HOST, Caller, assert_problem, new_caller
from conftest import settings_for
from stores import Stores

from app.main import Process, build
from app.stats import service
from app.stats.schemas import TaskStats, TeamStats, UserStats
from app.task.models import Priority, Status, TaskType

_codes = count(1)
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A task as the table has it; moments before NOW, in hours."""

    delegate: str
    officers: tuple[str, ...] = ()
    status: Status = Status.FINISHED
    type: TaskType = TaskType.PATROL
    priority: Priority = Priority.MEDIUM
    created: float = 100.0
    hours: float = 2.0
    paused: float = 0.0
    late: float | None = -1.0  # hours after the planned end; None: none was planned
    deleted: bool = False
    uuid: UUID = field(default_factory=uuid4)

    @property
    def ended(self) -> datetime | None:
        return NOW if self.status is Status.FINISHED else None


@dataclass
class Office:
    """An API over a database of its own, and whoever works there."""

    process: Process
    owner: asyncpg.Connection[asyncpg.Record]
    people: dict[str, Caller]

    async def get(self, path: str, caller: str = "boss", **query: object) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.process.public)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            return await client.get(f"/api/v1{path}", params=query, headers=self.people[caller].headers)  # type: ignore[arg-type]

    async def fresh(self, path: str, caller: str = "boss", **query: object) -> dict[str, Any]:
        await self.process.api.state.content.purge_all()
        answer = await self.get(path, caller, **query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def keep(self, *tasks: Work) -> None:
        """Exactly these tasks, as the table may have them."""
        async with self.owner.transaction():
            await self.owner.execute("DELETE FROM task_assignments")
            await self.owner.execute("DELETE FROM tasks")
            for task in tasks:
                await self.add(task)

    async def add(self, task: Work) -> None:
        started = task.status in {Status.FINISHED, Status.IN_PROGRESS, Status.PAUSED}
        start = NOW - timedelta(hours=task.hours + task.paused)
        end = None if task.late is None else max(NOW - timedelta(hours=task.late), start)
        await self.owner.execute(
            """
            INSERT INTO tasks (uuid, created_at, deleted_at, code, title, type, status, priority,
                planned_start, planned_end, actual_start, actual_end, paused_at, paused_total,
                delegate_id, created_by)
            SELECT $1, $2, $3, $4, 'Ronda por el centro', $5, $6, $7, $8, $9, $10, $11, $12, $13, id, id
            FROM users WHERE uuid = $14
            """,
            task.uuid,
            datetime.now(UTC) - timedelta(hours=task.created),
            NOW if task.deleted else None,
            f"STA-{next(_codes):06d}",
            task.type.value,
            task.status.value,
            task.priority.number,
            start - timedelta(seconds=1),
            end,
            start if started else None,
            task.ended,
            NOW if task.status is Status.PAUSED else None,
            timedelta(hours=task.paused),
            UUID(self.people[task.delegate].user),
        )
        for name in task.officers:
            await self.owner.execute(
                """
                INSERT INTO task_assignments (task_id, officer_id, period, released_at)
                SELECT t.id, o.id, tstzrange(t.planned_start, t.planned_start + interval '2 hours'), now()
                FROM tasks t, officers o WHERE t.uuid = $1 AND o.uuid = $2
                """,
                task.uuid,
                UUID(self.people[name].officer or ""),
            )


@pytest.fixture(scope="module")
async def office(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[Office]:
    name = await asyncio.to_thread(new_database, "gad_head")
    process = build(settings_for(stores, database_url=stores.dsn(database=name)))
    people = {
        "boss": await new_caller(process, 2),
        "ana": await new_caller(process, 1, is_officer=True),
        "luz": await new_caller(process, 1, is_officer=True),
        "hidden": await new_caller(process, 1, is_officer=True),
    }
    owner = await asyncpg.connect(stores.dsn("postgres", name))
    hidden = UUID(people["hidden"].user)
    await owner.execute("UPDATE users SET restricted_at = now() WHERE uuid = $1", hidden)
    yield Office(process, owner, people)
    await owner.close()
    await process.close()


def expected(tasks: list[Work], days: int) -> dict[str, Any]:
    """What `Summary` must say of these."""
    counted = [task for task in tasks if not task.deleted and task.created <= days * 24]
    hours = sorted(task.hours for task in counted if task.status is Status.FINISHED)
    planned = [task for task in counted if task.status is Status.FINISHED and task.late is not None]
    statuses, types = Counter(task.status for task in counted), Counter(task.type for task in counted)
    return {
        "days": days,
        "total": len(counted),
        "by_status": {each.value: statuses[each] for each in Status},
        "by_type": {each.value: types[each] for each in TaskType},
        "mean_hours": pytest.approx(mean(hours), abs=0.006) if hours else None,
        "on_time_share": pytest.approx(mean(task.late <= 0 for task in planned), abs=0.0001)  # type: ignore[operator]
        if planned
        else None,
        "percentiles": {
            name: pytest.approx(interpolated(hours, share), abs=0.006)
            for name, share in (("p25", 0.25), ("p50", 0.5), ("p75", 0.75))
        }
        if len(hours) >= 5
        else None,
    }


def interpolated(ordered: list[float], share: float) -> float:
    """As percentile_cont defines it."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def said(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"as_of", "cached", "user"}}


def some_work(seed: int, number: int, delegates: tuple[str, ...]) -> list[Work]:
    dice = random.Random(seed)  # noqa: S311 - to repeat, not to hide
    return [
        Work(
            delegate=dice.choice(delegates),
            officers=tuple(name for name in ("ana", "luz") if dice.random() < 0.4),
            status=dice.choice(list(Status)),
            type=dice.choice(list(TaskType)),
            priority=dice.choice(list(Priority)),
            created=dice.choice([1.0, 23.0, 25.0, 700.0, 800.0]),
            hours=dice.uniform(0.1, 90),
            paused=dice.choice([0.0, 0.0, 5.5]),
            late=dice.choice([None, -0.05, 0.05]),
            deleted=dice.random() < 0.15,
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_the_team_in_numbers(office: Office, seed: int) -> None:
    tasks = some_work(seed, 40, ("boss", "ana", "luz", "hidden"))
    await office.keep(*tasks)
    counted = [task for task in tasks if task.delegate != "hidden"]
    for days in (1, 30, 365):
        answer = await office.fresh("/stats/team", days=days)
        assert said(answer) == expected(counted, days)
        TeamStats.model_validate(answer, strict=False)


@pytest.mark.parametrize("seed", range(3))
async def test_one_person_in_numbers(office: Office, seed: int) -> None:
    tasks = some_work(seed, 40, ("boss", "ana", "luz", "hidden"))
    await office.keep(*tasks)
    # Their own as delegate or officer, each once, whoever else has to do with it.
    theirs = [task for task in tasks if "ana" in {task.delegate, *task.officers}]
    assert 5 < len(theirs) < 40
    answer = await office.fresh(f"/stats/users/{office.people['ana'].user}", "ana", days=30)
    assert said(answer) == expected(theirs, 30)
    assert answer["user"] == office.people["ana"].user
    UserStats.model_validate(answer, strict=False)


async def test_nothing_is_null_and_not_zero(office: Office) -> None:
    await office.keep()
    answer = await office.fresh("/stats/team")
    shown = {name: answer[name] for name in ("total", "days", "mean_hours", "on_time_share", "percentiles")}
    assert shown == {
        "total": 0,
        "days": 30,
        "mean_hours": None,
        "on_time_share": None,
        "percentiles": None,
    }
    assert answer["by_status"] == dict.fromkeys(map(str, Status), 0)


@pytest.mark.parametrize(("samples", "known"), [(4, False), (5, True)])
async def test_percentiles_need_five_samples(office: Office, samples: int, known: bool) -> None:
    # Cancelled and running tasks are no samples.
    others = [Work(delegate="ana", status=each) for each in (Status.CANCELLED, Status.IN_PROGRESS)]
    await office.keep(*(Work(delegate="ana", hours=1.0 + n) for n in range(samples)), *others)
    answer = await office.fresh("/stats/team")
    assert (answer["percentiles"] is not None) is known
    assert answer["mean_hours"] == pytest.approx(1 + (samples - 1) / 2)


async def test_a_deleted_task_is_not_counted(office: Office) -> None:
    task = Work(delegate="ana")
    await office.keep(task, replace(task, uuid=uuid4(), deleted=True))
    assert (await office.fresh("/stats/team"))["total"] == 1
    assert (await office.fresh(f"/stats/users/{office.people['ana'].user}"))["total"] == 1


async def test_whose_statistics_are_whose(office: Office) -> None:
    ana, luz, hidden = (office.people[name].user for name in ("ana", "luz", "hidden"))
    await office.process.api.state.content.purge_all()
    assert (await office.get(f"/stats/users/{ana}", "ana")).status_code == 200
    assert (await office.get(f"/stats/users/{ana}", "boss")).status_code == 200
    assert_problem(await office.get(f"/stats/users/{luz}", "ana"), 403, "forbidden")
    assert_problem(await office.get(f"/stats/users/{uuid4()}", "ana"), 403, "forbidden")
    assert_problem(await office.get(f"/stats/users/{uuid4()}", "boss"), 404, "not_found")
    assert_problem(await office.get(f"/stats/users/{hidden}", "boss"), 404, "not_found")
    for path in ("/stats/team", "/stats/tasks"):
        assert_problem(await office.get(path, "ana"), 403, "forbidden")


@pytest.mark.parametrize("days", [0, 366, "x"])
async def test_days_are_1_to_365(office: Office, days: object) -> None:
    assert_problem(await office.get("/stats/team", days=days), 422, "invalid")


async def test_an_answer_is_cached_until_a_task_of_the_person_changes(office: Office) -> None:
    from app.stats.invalidation import task_changed  # noqa: PLC0415

    ana, luz = office.people["ana"].user, office.people["luz"].user
    await office.keep(Work(delegate="ana"))
    assert (await office.fresh(f"/stats/users/{ana}"))["cached"] is False
    await office.get(f"/stats/users/{luz}")
    await office.add(Work(delegate="ana"))

    async def seen(user: str) -> tuple[int, bool]:
        answer = (await office.get(f"/stats/users/{user}")).json()
        return answer["total"], answer["cached"]

    assert await seen(ana) == (1, True)
    await task_changed(office.process.api.state.content, users=[UUID(ana)])
    assert await seen(ana) == (2, False)
    assert await seen(luz) == (0, True)
    # Other days are another answer, of the same tag.
    assert (await office.get(f"/stats/users/{ana}", days=7)).json()["cached"] is False


async def test_figures_of_each_type_and_priority(office: Office) -> None:
    high = {"type": TaskType.TRAINING, "priority": Priority.HIGH}
    await office.keep(
        *(Work(delegate="ana", hours=float(n), paused=3.0) for n in range(1, 6)),
        Work(delegate="ana", status=Status.CANCELLED),
        Work(delegate="ana", deleted=True),
        Work(delegate="hidden", hours=1000),
        Work(delegate="luz", status=Status.PAUSED, **high),
        Work(delegate="luz", priority=Priority.LOW, deleted=True),
    )
    await service.refresh(office.owner)
    answer = await office.fresh("/stats/tasks")
    TaskStats.model_validate(answer, strict=False)
    assert answer["items"] == [
        {
            "type": "patrol",
            "priority": "medium",
            "total": 6,
            "mean_hours": 3.0,
            "success_rate": 0.8333,
            "percentiles": {"p25": 2.0, "p50": 3.0, "p75": 4.0},
        },
        {
            "type": "training",
            "priority": "high",
            "total": 1,
            "mean_hours": None,
            "success_rate": None,
            "percentiles": None,
        },
    ]
    # What there is no longer leaves, what changed is replaced.
    await office.keep(Work(delegate="ana", hours=7.0))
    await service.refresh(office.owner)
    (only,) = (await office.fresh("/stats/tasks"))["items"]
    assert (only["total"], only["mean_hours"], only["success_rate"]) == (1, 7.0, 1.0)


async def test_before_the_first_refresh_there_are_no_figures(office: Office) -> None:
    await office.owner.execute("DELETE FROM task_metrics")
    answer = await office.fresh("/stats/tasks")
    assert (answer["items"], answer["refreshed_at"]) == ([], None)


async def test_live_tasks_are_counted_on_the_private_port(office: Office) -> None:
    await office.keep(
        Work(delegate="ana"),
        Work(delegate="ana", status=Status.PAUSED),
        Work(delegate="ana", status=Status.PAUSED, deleted=True),
    )
    transport = httpx.ASGITransport(app=office.process.private)
    async with httpx.AsyncClient(transport=transport, base_url="http://gad") as private:
        lines = (await private.get("/metrics")).text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("gad_tasks{"))
    assert found == {f'gad_tasks{{status="{each}"}}': "0.0" for each in Status} | {
        'gad_tasks{status="finished"}': "1.0",
        'gad_tasks{status="paused"}': "1.0",
    }
