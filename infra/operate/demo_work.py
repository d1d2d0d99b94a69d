"""Brings the demo district to work: tasks to their statuses, emergencies, people who can sign in."""

from __future__ import annotations

import asyncio
import os
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from infra.client.api import Api
from infra.client.failures import Refused
from infra.client.people import NewOfficer, NewUser, Officer
from infra.client.work import Task
from infra.operate import district_work
from infra.operate.district import internal_code
from infra.operate.district_work import DemoTask
from infra.operate.users import Account

CONFLICT = 409
WORKERS = 8  # chosen: transitions lock a task and its officers, more at once would not be quicker
NOBODY = frozenset({"no_officer_available", "officers_contended"})  # positions of an older load have aged
TAKEN = frozenset({"email_taken", "dni_taken", "internal_code_taken"})
LEVELS = {1: ("Efectivo", "Demostración"), 2: ("Supervisor", "Demostración")}
_ACCOUNTS = TypeAdapter(dict[int, Account])


@dataclass(frozen=True)
class Work:
    """What was made; what is there already is not counted."""

    tasks: int = 0
    emergencies: int = 0
    accounts: int = 0


async def bring_to_work(
    api: Api, officers: Mapping[str, Officer], accounts: Mapping[int, Account], count: int, seed: int
) -> Work:
    """Make what is missing, and bring each task to its status. `officers` by internal code.

    What people did with a demo task meanwhile stays. Raises what the client raises.
    """
    made = [await _account(api, level, account) for level, account in accounts.items()]
    known = {task.code: task async for task in api.tasks(text="DEM-")}
    waiting = iter([*district_work.tasks(count, seed)])  # shared: each worker takes the next

    async def work_off() -> int:
        created = 0
        for wanted in waiting:
            task = known.get(wanted.code)
            if task is None:
                task = await _create(api, wanted, officers)
                created += task is not None
            if task is not None:
                await _advance(api, task, wanted)
        return created

    created = await asyncio.gather(*(work_off() for _ in range(WORKERS)))
    return Work(tasks=sum(created), emergencies=await _emergencies(api, seed), accounts=sum(made))


async def _create(api: Api, wanted: DemoTask, officers: Mapping[str, Officer]) -> Task | None:
    """The new task; None if its officers are needed elsewhere."""
    crew = [officers[code] for number in wanted.crew if (code := internal_code(number)) in officers]
    if not crew:
        return None
    uuids = tuple(officer.uuid for officer in crew)
    try:
        return await api.create_task(wanted.body(datetime.now(UTC), uuids, crew[0].user_id))
    except Refused as refused:
        if refused.status == CONFLICT:
            return None
        raise


async def _advance(api: Api, task: Task, wanted: DemoTask) -> None:
    act = {"start": api.start, "pause": api.pause, "finish": api.finish}
    try:
        for step in district_work.STEPS.get((task.status, wanted.status), ()):
            if step == "cancel":
                await api.cancel(task.uuid, district_work.REASON)
            else:
                await act[step](task.uuid)
    except Refused as refused:
        if refused.status != CONFLICT:  # its officers were sent elsewhere, or somebody was quicker
            raise


async def _emergencies(api: Api, seed: int) -> int:
    known = {task.title async for task in api.tasks(text=district_work.EMERGENCY_TITLE)}
    raised = 0
    for key, body in district_work.emergencies(seed):
        if body.title in known:
            continue
        try:
            await api.emergency(body, key=key)
        except Refused as refused:
            if refused.code not in NOBODY:
                raise
        else:
            raised += 1
    return raised


async def _account(api: Api, level: int, account: Account) -> bool:
    first_name, last_name = LEVELS[level]
    person = NewUser(
        email=account.email,
        first_name=first_name,
        last_name=last_name,
        level=level,
        dni=f"DEMO{level:06d}",
        password=account.password,
    )
    try:
        if level == 1:
            await api.create_officer(NewOfficer(internal_code="DEMO-1", person=person))
        else:
            await api.create_user(person)
    except Refused as refused:
        if refused.code in TAKEN:
            return False
        raise
    return True


def accounts_in(path: Path) -> dict[int, Account]:
    """E-mails and passwords of an officer and a supervisor of this checkout, made at the first call."""
    if path.exists():
        return _ACCOUNTS.validate_json(path.read_bytes())
    made = {
        level: Account(
            email=f"demo-{level}-{random.token_hex(4)}@gad.example", password=random.token_urlsafe(24)
        )
        for level in LEVELS
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_ACCOUNTS.dump_json(made, indent=2) + b"\n")
    return made
