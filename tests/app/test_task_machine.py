"""Any sequence of requests about tasks leaves the database as a plain model of the contract says."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import asyncpg
import httpx
from bodies import Caller, Callers
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from stores import Stores
from tasks import TASKS, officers, task

CREW = 4  # officers of one run; few, so that they get into each other's way
SLOTS = 5  # hours in which tasks are planned; two of the same hour overlap
STEPS = {
    ("programmed", "start"): "in_progress",
    ("in_progress", "pause"): "paused",
    ("paused", "resume"): "in_progress",
    ("in_progress", "finish"): "finished",
    ("paused", "finish"): "finished",
    ("programmed", "cancel"): "cancelled",
    ("in_progress", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
}
CLOSED = frozenset({"finished", "cancelled"})
ENGAGED = frozenset({"in_progress", "paused"})

slots = st.integers(0, SLOTS - 1)
members = st.integers(0, CREW - 1)


@dataclass
class Model:
    """What a task is said to be. `lines`: of history, and as many of audit and events."""

    uuid: str
    slot: int
    crew: set[int]
    status: str = "programmed"
    lines: int = 1
    version: int = 1
    is_deleted: bool = False
    notes: int = 0

    def change(self) -> None:
        """One change, one line of each kind."""
        self.lines += 1
        self.version += 1


def refusal(answer: httpx.Response) -> str | None:
    """The code of a problem; None where it was done."""
    return None if answer.is_success else str(answer.json()["code"])


@dataclass
class World:
    """The doors to the real thing, shared by all runs."""

    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient
    admin: Caller
    caller: Callers
    database: asyncpg.Connection[asyncpg.Record]
    day: int = 0
    paused_s: dict[str, float] = field(default_factory=dict)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """In the loop of the tests; the machine has a thread of its own."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def stored(self, query: str, *values: object) -> dict[str, dict[str, Any]]:
        """Rows by their uuid, seen past the API."""
        rows = self.run(self.database.fetch(query, *values))
        return {
            str(row["uuid"]): {name: value for name, value in row.items() if name != "uuid"} for row in rows
        }


class Machine(RuleBasedStateMachine):
    """Each rule asks the API, compares its verdict with the model's, and then changes the model."""

    world: ClassVar[World]
    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.crew: list[str] = self.world.run(officers(self.world.caller, CREW))
        self.chosen = ["available"] * CREW  # what each is while at no task
        self.models: list[Model] = []
        self.world.day += 1
        self.start = datetime.fromisoformat(task()["planned_start"]) + timedelta(days=3650 + self.world.day)

    # -- the model's own questions

    def open_tasks(self, member: int) -> list[Model]:
        """In which the officer has a place."""
        return [
            each
            for each in self.models
            if member in each.crew and not each.is_deleted and each.status not in CLOSED
        ]

    def is_engaged(self, member: int) -> bool:
        """Whether the officer is at a task now."""
        return any(each.status in ENGAGED for each in self.open_tasks(member))

    def is_busy(self, member: int, slot: int, beside: Model | None = None) -> bool:
        """Whether another task has the officer's hour."""
        return any(each.slot == slot and each is not beside for each in self.open_tasks(member))

    def window(self, slot: int) -> dict[str, str]:
        """The hour of a slot."""
        start = self.start + timedelta(hours=slot)
        return {"planned_start": start.isoformat(), "planned_end": (start + timedelta(hours=1)).isoformat()}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One request of the administrator."""
        send = self.world.client.request(
            method, path, json=body, headers={**self.world.admin.headers, **headers}
        )
        answer: httpx.Response = self.world.run(send)
        return answer

    # -- the rules

    @rule(target=tasks, slot=slots, crew=st.sets(members, max_size=3))
    def create(self, slot: int, crew: set[int]) -> Model:
        """A task, without those who have no time."""
        body = task(officers=[self.crew[each] for each in sorted(crew)], **self.window(slot))
        busy = {each for each in crew if self.is_busy(each, slot)}
        answer = self.ask("POST", TASKS, body)
        assert refusal(answer) == ("officer_busy" if busy else None), answer.text
        if busy:
            body["officers"] = [self.crew[each] for each in sorted(crew - busy)]
            answer = self.ask("POST", TASKS, body)
        assert answer.status_code == 201, answer.text
        model = Model(answer.json()["uuid"], slot, crew - busy)
        self.models.append(model)
        return model

    @rule(model=tasks, action=st.sampled_from(["start", "pause", "resume", "finish", "cancel"]))
    def act(self, model: Model, action: str) -> None:
        """A step of its life."""
        body = {"reason": "Porque sí."} if action == "cancel" else None
        answer = self.ask("POST", f"{TASKS}/{model.uuid}/{action}", body)
        code = None
        if model.is_deleted:
            code = "not_found"
        elif (model.status, action) not in STEPS:
            code = "wrong_status"
        elif action == "start" and not model.crew:
            code = "no_officers"
        elif action == "start" and any(self.is_engaged(each) for each in model.crew):
            code = "officer_engaged"
        assert answer.json().get("code") == code if code else answer.status_code == 200, answer.text
        if code is None:
            was, model.status = model.status, STEPS[model.status, action]
            for each in model.crew:
                if model.status in CLOSED and was in ENGAGED:
                    self.chosen[each] = "available"
            if model.status in CLOSED:
                model.crew = set()
            model.change()

    @rule(model=tasks, member=members)
    def assign(self, model: Model, member: int) -> None:
        """One officer more."""
        answer = self.ask("POST", f"{TASKS}/{model.uuid}/assignments", {"officer": self.crew[member]})
        wanted: set[str] = set()
        if model.is_deleted:
            wanted = {"not_found"}
        elif model.status in CLOSED:
            wanted = {"task_closed"}
        elif member in model.crew:
            wanted = {"already_assigned"}
        else:
            wanted |= {"officer_busy"} if self.is_busy(member, model.slot) else set()
            wanted |= {"officer_engaged"} if model.status in ENGAGED and self.is_engaged(member) else set()
        verdict = answer.json()["code"] if answer.status_code != 201 else None
        assert verdict in (wanted or {None}), answer.text
        if not wanted:
            model.crew.add(member)
            model.change()

    @rule(model=tasks, member=members)
    def unassign(self, model: Model, member: int) -> None:
        """One officer less."""
        url = f"{TASKS}/{model.uuid}/assignments/{self.crew[member]}"
        answer = self.ask("DELETE", url, **{"If-Match": f'"{model.version}"'})
        engaged = model.status in ENGAGED
        wanted = None
        if model.is_deleted or member not in model.crew:
            wanted = "not_found"
        elif engaged and len(model.crew) == 1:
            wanted = "last_officer"
        assert refusal(answer) == wanted, answer.text
        if wanted is None:
            model.crew.remove(member)
            self.chosen[member] = "available" if engaged else self.chosen[member]
            model.change()

    @rule(model=tasks, slot=slots)
    def move(self, model: Model, slot: int) -> None:
        """Another hour for all its officers."""
        answer = self.ask(
            "PATCH", f"{TASKS}/{model.uuid}", self.window(slot), **{"If-Match": f'"{model.version}"'}
        )
        wanted = None
        if model.is_deleted:
            wanted = "not_found"
        elif model.status in CLOSED:
            wanted = "task_closed"
        elif any(self.is_busy(each, slot, model) for each in model.crew):
            wanted = "officer_busy"
        assert refusal(answer) == wanted, answer.text
        if wanted is None and model.slot != slot:
            model.slot = slot
            model.change()

    @rule(model=tasks, stale=st.booleans())
    def write_notes(self, model: Model, stale: bool) -> None:
        """Notes can always be written, by whoever has read the task as it is."""
        model.notes += 1
        tag = model.version + 1 if stale else model.version
        body = {"notes": f"Nota {model.notes}."}
        answer = self.ask("PATCH", f"{TASKS}/{model.uuid}", body, **{"If-Match": f'"{tag}"'})
        assert answer.status_code == (404 if model.is_deleted else 412 if stale else 200), answer.text
        if answer.status_code == 200:
            model.change()

    @rule(model=consumes(tasks))
    def delete(self, model: Model) -> None:
        """Gone, unless officers are at it."""
        answer = self.ask("DELETE", f"{TASKS}/{model.uuid}", **{"If-Match": "*"})
        engaged = model.status in ENGAGED
        assert refusal(answer) == ("task_engaged" if engaged else None), answer.text
        if not engaged:
            model.is_deleted = True
            model.crew = set()
            model.change()

    @rule(member=members, availability=st.sampled_from(["available", "off_duty", "unavailable"]))
    def choose(self, member: int, availability: str) -> None:
        """Officers say whether they can be sent, but not while they are at a task."""
        url = f"/api/v1/officers/{self.crew[member]}/availability"
        answer = self.ask("PUT", url, {"availability": availability})
        assert answer.status_code == (409 if self.is_engaged(member) else 200), answer.text
        if answer.status_code == 200:
            self.chosen[member] = availability

    # -- what must hold after each

    @invariant()
    def officers_are_where_the_model_says(self) -> None:
        """Availability follows the tasks."""
        stored = self.world.stored(
            "SELECT uuid, availability FROM officers WHERE uuid = ANY ($1::uuid[])", self.crew
        )
        assert [stored[each]["availability"] for each in self.crew] == [
            "on_task" if self.is_engaged(number) else self.chosen[number] for number in range(CREW)
        ]

    @invariant()
    def tasks_are_what_the_model_says(self) -> None:
        """Statuses, places, one line of each kind per change, and pauses that only grow."""
        stored = self.world.stored(
            """
                SELECT t.uuid, t.status, t.version, t.deleted_at IS NOT NULL AS is_deleted,
                    extract(epoch FROM t.paused_total)::float8 AS paused_s,
                    (SELECT count(*) FROM task_history h WHERE h.task_id = t.id) AS history,
                    (SELECT count(*) FROM audit_events e WHERE e.resource = 'task/' || t.uuid) AS audit,
                    (SELECT count(*) FROM event_outbox x WHERE 'task.' || t.uuid = ANY (x.topics)) AS events,
                    ARRAY (SELECT o.uuid::text FROM task_assignments a JOIN officers o ON o.id = a.officer_id
                        WHERE a.task_id = t.id AND a.released_at IS NULL) AS crew,
                    ARRAY (SELECT DISTINCT a.engaged FROM task_assignments a
                        WHERE a.task_id = t.id AND a.released_at IS NULL) AS engaged
                FROM tasks t WHERE t.uuid = ANY ($1::uuid[])
                """,
            [each.uuid for each in self.models],
        )
        for each in self.models:
            row = stored[each.uuid]
            paused_s = row.pop("paused_s")
            assert paused_s >= self.world.paused_s.get(each.uuid, 0)
            self.world.paused_s[each.uuid] = paused_s
            row["crew"] = set(row["crew"])
            assert row == {
                "status": each.status,
                "version": each.version,
                "is_deleted": each.is_deleted,
                "history": each.lines,
                "audit": each.lines,
                "events": each.lines,
                "crew": {self.crew[member] for member in each.crew},
                "engaged": [each.status in ENGAGED] if each.crew else [],
            }


async def test_any_sequence_of_requests(client: httpx.AsyncClient, caller: Callers, stores: Stores) -> None:
    database = await asyncpg.connect(stores.dsn())
    Machine.world = World(asyncio.get_running_loop(), client, await caller(3), caller, database)
    run = partial(
        run_state_machine_as_test,
        Machine,
        # Chosen: about 400 requests, enough to meet each refusal, in some 20 s.
        settings=effort(max_examples=16, stateful_step_count=25, deadline=None, derandomize=True),
    )
    try:
        await asyncio.to_thread(run)
    finally:
        await database.close()
