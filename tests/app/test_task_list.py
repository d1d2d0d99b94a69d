"""The list of tasks: filters, order, pages, whose; and what the search costs among many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from bodies import Callers, assert_problem
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from stores import Stores
from tasks import TASKS, act, create, create_in

from app.db import Database
from app.settings import PoolSize
from app.task import search
from app.task.models import Priority, Status, TaskType
from app.task.schemas import TaskPage
from app.task.search import Filter
from app.words import contains


async def codes(client: httpx.AsyncClient, headers: dict[str, str], **params: Any) -> list[str]:
    """Of the tasks found, in their order; every page is read."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = await client.get(
            TASKS, params={**params, **({"cursor": cursor} if cursor else {})}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        page = TaskPage.model_validate(answer.json())
        found += [each.code for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_every_filter_finds_its_task_alone(client: httpx.AsyncClient, caller: Callers) -> None:
    chief, delegate, member = await caller(2), await caller(1), await caller(1, is_officer=True)
    mark = uuid4().hex
    plain = await create(client, chief.headers, description=mark)
    special = await create_in(
        client,
        chief.headers,
        "in_progress",
        description=f"Junto al río, 100 % seguro_{mark}",
        title="Título con Ñandú y más",
        type="training",
        priority="critical",
        delegate=delegate.user,
        officers=[member.officer],
    )
    start = datetime.fromisoformat(special["planned_start"])

    async def found(**params: Any) -> list[str]:
        return await codes(client, chief.headers, **{"q": mark, **params})

    assert await found() == [special["code"], plain["code"]]  # the newest first
    for params in (
        {"status": "in_progress"},
        {"status": ["in_progress", "paused"]},
        {"type": "training"},
        {"priority": "critical"},
        {"delegate": delegate.user},
        {"officer": member.officer},
        {"from": start.isoformat()},
        {"from": start.isoformat(), "to": (start + timedelta(seconds=1)).isoformat()},
        {"q": "100 % SEGURO_"},
        {"q": "ñandú"},
        {"q": special["code"], "status": "in_progress"},
    ):
        assert await found(**params) == [special["code"]], params
    assert await found(to=start.isoformat()) == [plain["code"]]
    assert await found(status=["programmed", "in_progress"]) == [special["code"], plain["code"]]
    for params in (
        {"status": "cancelled"},
        {"delegate": str(uuid4())},
        {"officer": str(uuid4())},
        {"q": "1000% seguro"},  # a % is a %
        {"q": f"segurox{mark}"},  # a _ is a _
    ):
        assert await found(**params) == [], params

    # Who was in a task that is over is still found by it.
    await act(client, chief.headers, special["uuid"], "finish")
    assert await found(officer=member.officer, status="finished") == [special["code"]]


async def test_an_item_of_the_list_is_the_task_as_it_is_read(
    client: httpx.AsyncClient, caller: Callers
) -> None:
    chief, member = await caller(2), await caller(1, is_officer=True)
    made = await create(client, chief.headers, officers=[member.officer], location={"lat": 1, "lon": 2})
    listed = await client.get(TASKS, params={"officer": member.officer}, headers=chief.headers)
    assert listed.json() == {"items": [made], "next_cursor": None}


async def test_level_1_is_shown_its_own_whatever_it_asks_for(
    client: httpx.AsyncClient, caller: Callers
) -> None:
    chief, other = await caller(2), await caller(1, is_officer=True)
    own = await caller(1, is_officer=True)
    mark = uuid4().hex
    as_delegate = await create(client, chief.headers, description=mark, delegate=own.user)
    assigned = await create_in(client, chief.headers, "in_progress", description=mark, officers=[own.officer])
    theirs = await create(
        client, chief.headers, description=mark, delegate=other.user, officers=[other.officer]
    )

    mine = [assigned["code"], as_delegate["code"]]
    assert await codes(client, own.headers) == mine
    assert await codes(client, own.headers, q=mark) == mine
    for params in (
        {"delegate": other.user},
        {"officer": other.officer},
        {"q": theirs["code"]},
        {"status": ["programmed", "paused"], "delegate": chief.user, "q": mark},
    ):
        assert await codes(client, own.headers, **params) == []
    for params in ({"status": "programmed"}, {"delegate": own.user}):
        assert await codes(client, own.headers, **params) == [as_delegate["code"]]
    assert await codes(client, chief.headers, q=mark) == [theirs["code"], *mine]

    # A closed task has let its officers go: it stays the delegate's.
    await act(client, chief.headers, assigned["uuid"], "finish")
    assert await codes(client, own.headers) == [as_delegate["code"]]


async def test_pages_join_up_while_tasks_are_added(client: httpx.AsyncClient, caller: Callers) -> None:
    chief = await caller(2)
    made = [(await create(client, chief.headers))["code"] for _ in range(5)]
    params: dict[str, Any] = {"delegate": chief.user, "limit": 2}
    first = (await client.get(TASKS, params=params, headers=chief.headers)).json()
    await create(client, chief.headers)
    rest = await codes(client, chief.headers, **params, cursor=first["next_cursor"])
    assert [each["code"] for each in first["items"]] == made[:2:-1]
    assert rest == made[2::-1]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "ab"}, "query.q"),
        ({"q": "a\x00b"}, "query.q"),
        ({"status": "sleeping"}, "query.status"),
        ({"from": "2026-01-01"}, "query.from"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "query.to"),
        ({"officer": "x"}, "query.officer"),
        ({"cursor": "WyIyMDI2LTAxLTAxIiwieCJd"}, "query.cursor"),
        ({"cursor": "!"}, "query.cursor"),
        ({"limit": "101"}, "query.limit"),
    ],
)
async def test_what_a_list_refuses(
    client: httpx.AsyncClient, caller: Callers, params: dict[str, str], field: str
) -> None:
    chief = await caller(2)
    refused = await client.get(TASKS, params=params, headers=chief.headers)
    assert [each["field"] for each in assert_problem(refused, 422, "invalid")["errors"]] == [field]


# Many tasks: their texts are random words, except for one in a thousand.
ROWS = 20_000
FILL = (
    """
    INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)
    SELECT 'n' || n || '@distrito.example', 'A', 'B', 1, '!', '' FROM generate_series(1, 500) AS n
    """,
    "INSERT INTO officers (user_id, internal_code) SELECT id, 'LIST-' || id FROM users",
    f"""
    INSERT INTO tasks (code, title, description, type, status, priority, planned_start, delegate_id,
        created_by, created_at, actual_start, deleted_at)
    SELECT 'ROW-' || n, md5('t' || n) || CASE WHEN n % 1000 = 0 THEN ' Quitumbe sur' ELSE '' END,
        md5('d' || n) || CASE WHEN n % 1000 = 1 THEN ' en quitumbe' ELSE '' END,
        (ARRAY['patrol', 'investigation', 'training'])[1 + n % 3],
        (ARRAY['programmed', 'in_progress', 'cancelled'])[1 + n % 7 % 3], 1 + n % 5,
        timestamptz '2026-01-01 00:00Z' + n * interval '1 minute', 1 + n % 500, 1,
        timestamptz '2026-01-01 00:00Z' + n / 3 * interval '1 minute', now(),
        CASE WHEN n % 11 = 0 OR n > {ROWS - 300} THEN now() END
    FROM generate_series(1, {ROWS}) AS n
    """,  # noqa: S608 - our own constants
    """
    INSERT INTO task_assignments (task_id, officer_id, period, released_at)
    SELECT id, 1 + id % 499, tstzrange(planned_start, planned_start + interval '30 minutes'),
        CASE WHEN status = 'cancelled' THEN now() END FROM tasks
    """,
    # Not ANALYZE alone: what was just added to a trigram index waits in a list that every search reads.
    "VACUUM ANALYZE",
)


@dataclass(frozen=True)
class Archive:
    """A filled database, and each live task in it with the uuids of its people."""

    database: Database
    dsn: str
    rows: list[dict[str, Any]]
    users: list[UUID]
    officers: list[UUID]


@pytest.fixture(scope="module")
async def archive(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[Archive]:
    name = await asyncio.to_thread(new_database, "gad_head")
    await asyncio.to_thread(stores.execute, *FILL, database=name)
    dsn = stores.dsn("gad_app", name)
    database = Database(dsn, pool=PoolSize(2, 0), wait_s=5, statement_ms=5000, name="test")
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("""
        SELECT t.*, d.uuid AS delegate, o.uuid AS officer, p.uuid AS person, a.released_at IS NULL AS is_open
        FROM tasks t JOIN users d ON d.id = t.delegate_id JOIN task_assignments a ON a.task_id = t.id
        JOIN officers o ON o.id = a.officer_id JOIN users p ON p.id = o.user_id
        WHERE t.deleted_at IS NULL ORDER BY t.created_at DESC, t.id DESC
    """)
    users = [row["uuid"] for row in await connection.fetch("SELECT uuid FROM users ORDER BY id")]
    officers = [row["uuid"] for row in await connection.fetch("SELECT uuid FROM officers ORDER BY id")]
    await connection.close()
    yield Archive(database, dsn, [dict(row) for row in rows], users, officers)
    await database.close()


def fits(row: dict[str, Any], wanted: Filter) -> bool:
    """Whether a task is to be listed, said plainly."""
    q = (wanted.q or "").lower()
    return all(
        (
            not wanted.own
            or row["delegate"] == wanted.caller
            or (row["is_open"] and row["person"] == wanted.caller),
            not wanted.status or row["status"] in wanted.status,
            wanted.type in {None, row["type"]},
            wanted.priority is None or wanted.priority.number == row["priority"],
            wanted.delegate in {None, row["delegate"]},
            wanted.officer in {None, row["officer"]},
            wanted.since is None or row["planned_start"] >= wanted.since,
            wanted.until is None or row["planned_start"] < wanted.until,
            any(q in (row[name] or "").lower() for name in ("title", "code", "description")),
        )
    )


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly not asked for: else hardly a task fits all that is."""
    return st.one_of(st.none(), st.none(), st.none(), values)


moments = maybe(st.integers(0, ROWS).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n)))


@given(data=st.data())
@effort(max_examples=40)
async def test_any_mix_of_filters_equals_a_look_at_every_row(archive: Archive, data: st.DataObject) -> None:
    wanted = Filter(
        caller=data.draw(st.sampled_from(archive.users[:20])),
        own=data.draw(maybe(st.just(True))) or False,
        status=data.draw(maybe(st.lists(st.sampled_from(Status), unique=True))) or (),
        type=data.draw(maybe(st.sampled_from(TaskType))),
        priority=data.draw(maybe(st.sampled_from(Priority))),
        delegate=data.draw(maybe(st.sampled_from(archive.users[:20]))),
        officer=data.draw(maybe(st.sampled_from(archive.officers[:20]))),
        since=data.draw(moments),
        until=data.draw(moments),
        q=data.draw(st.sampled_from([None, None, "quitumbe", "ROW-1", "a1", "QUITUMBE SUR", "no such"])),
    )
    truth = [row["uuid"] for row in archive.rows if fits(row, wanted)]
    size = data.draw(st.integers(1, 40))
    first = (await search.page(archive.database, wanted, after=None, rows=size))[:size]
    assert [row["uuid"] for row in first] == truth[:size]
    last = [(row["created_at"], row["uuid"]) for row in first[-1:]]
    for after in last:
        following = await search.page(archive.database, wanted, after=after, rows=size)
        assert [row["uuid"] for row in following[:size]] == truth[size : 2 * size]


def walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(found for child in node.get("Plans", []) for found in walk(child))]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("filters", "indexes", "at_most"),
    [
        ({"q"}, {"tasks_title_trgm_idx", "tasks_code_trgm_idx", "tasks_description_trgm_idx"}, 40),
        ({"q", "own", "status"}, {"tasks_title_trgm_idx", "tasks_delegate_id_status_idx"}, 100),
        ({"own"}, {"tasks_delegate_id_status_idx"}, 100),
        ({"officer"}, {"task_assignments_officer_id_idx"}, 100),
        (set(), {"tasks_created_at_id_idx"}, 100),
        ({"after"}, {"tasks_created_at_id_idx"}, 100),
    ],
    ids=lambda value: "-".join(sorted(value)) or "all" if isinstance(value, set) else "",
)
async def test_the_plan_reads_few_rows_by_index(
    archive: Archive, mode: str, filters: set[str], indexes: set[str], at_most: int
) -> None:
    read = search.statement(frozenset(filters), 51)
    values = {
        "caller": archive.users[7],
        "officer": archive.officers[7],
        "status": ["programmed"],
        "q": contains("quitumbe"),
        "after": archive.rows[5000]["uuid"],
        "after_at": archive.rows[5000]["created_at"],
    }
    costs = {"random_page_cost": "1.1"}  # as config/templates/postgresql.conf.j2 sets it in every stack
    connection = await asyncpg.connect(archive.dsn, server_settings={"plan_cache_mode": mode, **costs})
    try:
        plan = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {read.sql}", *read.arguments(values)
        )
    finally:
        await connection.close()
    nodes = walk(json.loads(plan)[0]["Plan"])
    assert [
        node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith("task")
    ] == []
    assert indexes <= {node.get("Index Name") for node in nodes}
    of_tasks = [
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        for node in nodes
        if node.get("Relation Name") == "tasks"
    ]
    assert max(of_tasks) <= at_most
