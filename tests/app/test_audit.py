"""The audit trail through the API: pages, filters, the file."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest
from bodies import Callers, assert_problem
from hypothesis import given
from hypothesis import strategies as st
from stores import Stores

from app.audit import export, service
from app.audit.models import Severity
from app.audit.recorder import Audit, note
from app.audit.schemas import AuditEventPage, Filters
from app.audit.sealer import seal
from app.main import Process
from app.settings import Settings

EVENTS = "/api/v1/audit/events"


def event(mark: str, **changes: Any) -> Audit:
    """An event that only this test finds, by its resource."""
    given = {"type": "task.create", "resource": mark, "actor": None, **changes}
    return Audit(**given)


@pytest.fixture
def mark() -> str:
    return f"test/{uuid4()}"


async def listed(client: httpx.AsyncClient, headers: dict[str, str], **query: object) -> list[dict[str, Any]]:
    answer = await client.get(EVENTS, params=query, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    AuditEventPage.model_validate_json(answer.content)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_an_event_is_shown_with_what_is_known_of_it(
    client: httpx.AsyncClient, process: Process, caller: Callers, mark: str, stores: Stores
) -> None:
    admin = await caller(3)
    given = event(
        mark,
        actor=UUID(admin.user),
        severity=Severity.HIGH,
        success=False,
        payload={"fields": ["título"], "deep": {"n": [1, 2.5, None]}},
    )
    await note(process.database, given)
    (before,) = await listed(client, admin.headers, resource=mark)
    connection = await asyncpg.connect(stores.dsn())
    await seal(connection)
    await connection.close()
    (after,) = await listed(client, admin.headers, resource=mark)
    # The leader of the process under test does not run, so the first look was before the seal.
    assert (before["seq"], before["hash"]) == (None, None)
    assert after["seq"] > 0
    assert len(after["hash"]) == 64
    assert {**after, "seq": None, "hash": None} == before
    assert before["payload"] == {"fields": ["título"], "deep": {"n": [1, 2.5, None]}}
    shown = {name: before[name] for name in ("type", "severity", "actor", "channel", "success")}
    assert shown == {
        "type": "task.create",
        "severity": "high",
        "actor": admin.user,
        "channel": "api",
        "success": False,
    }


async def test_pages_hold_each_event_once_the_latest_first(
    client: httpx.AsyncClient, process: Process, caller: Callers, mark: str
) -> None:
    headers = (await caller(3)).headers
    await note(process.database, *(event(mark, payload={"n": n}) for n in range(7)))
    seen: list[int] = []
    query: dict[str, Any] = {"resource": mark, "limit": 3}
    sizes = []
    while True:
        answer = (await client.get(EVENTS, params=query, headers=headers)).json()
        sizes.append(len(answer["items"]))
        seen += [item["payload"]["n"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    assert sizes == [3, 3, 1]
    assert seen == [6, 5, 4, 3, 2, 1, 0]


async def test_each_filter_narrows(
    client: httpx.AsyncClient, process: Process, caller: Callers, mark: str
) -> None:
    admin, other = await caller(3), await caller(1)
    first = datetime.now(UTC)
    await note(process.database, event(mark, actor=UUID(admin.user)))
    await asyncio.sleep(0.01)
    middle = datetime.now(UTC)
    await note(process.database, event(mark, actor=UUID(other.user), type="task.delete", success=False))
    last = datetime.now(UTC) + timedelta(seconds=1)

    async def types(**query: object) -> list[str]:
        return [each["type"] for each in await listed(client, admin.headers, resource=mark, **query)]

    both = ["task.delete", "task.create"]
    assert await types() == both
    assert await types(type="task.create") == ["task.create"]
    assert await types(type="task") == []
    assert await types(actor=other.user) == ["task.delete"]
    assert await types(actor=str(uuid4())) == []
    assert await types(success="true") == ["task.create"]
    assert await types(success="false") == ["task.delete"]
    assert await types(**{"from": first.isoformat(), "to": last.isoformat()}) == both
    assert await types(**{"from": middle.isoformat()}) == ["task.delete"]
    assert await types(to=middle.isoformat()) == ["task.create"]
    assert await types(type="task.delete", actor=other.user, success="false") == ["task.delete"]
    assert await listed(client, admin.headers, resource=f"{mark}x") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "Task"),
        ("type", "a\0"),
        ("actor", "7"),
        ("resource", "ñ"),
        ("resource", ""),
        ("from", "2026-01-01T00:00:00"),
        ("from", "0001-01-01T00:00:00+14:00"),
        ("to", "9999-12-31T23:59:59-14:00"),
        ("success", "x"),
        ("limit", "0"),
        ("cursor", "WyIwIl0"),  # ["0"]: no place has this number
        ("cursor", "WyI5MjIzMzcyMDM2ODU0Nzc1ODA4Il0"),  # ["9223372036854775808"]: 2**63
    ],
)
@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}.csv"])
async def test_what_no_event_can_have_is_refused(
    client: httpx.AsyncClient, caller: Callers, path: str, name: str, value: str
) -> None:
    headers = (await caller(3)).headers
    in_file = name in {"limit", "cursor"} and path.endswith(".csv")
    response = await client.get(path, params={name: value}, headers=headers)
    assert response.status_code == (200 if in_file else 422), response.text


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}.csv", "/api/v1/audit/verify"])
async def test_only_administrators_see_it(client: httpx.AsyncClient, caller: Callers, path: str) -> None:
    assert_problem(await client.get(path), 401, "unauthenticated")
    for level in (1, 2):
        assert_problem(await client.get(path, headers=(await caller(level)).headers), 403, "forbidden")


async def test_the_file_holds_the_same_events_and_is_itself_audited(
    client: httpx.AsyncClient,
    process: Process,
    caller: Callers,
    mark: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "CHUNK", 4)  # more than one portion, the last of them empty
    admin = await caller(3)
    await note(process.database, *(event(mark, payload={"n": n, "text": 'a "b", c\r\nd'}) for n in range(8)))
    answer = await client.get(f"{EVENTS}.csv", params={"resource": mark}, headers=admin.headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].startswith('attachment; filename="auditoria-2')
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    items = await listed(client, admin.headers, resource=mark)
    assert [row["uuid"] for row in rows] == [item["uuid"] for item in items]
    assert [orjson.loads(row["payload"]) for row in rows] == [item["payload"] for item in items]
    assert {row["at"] for row in rows} == {items[0]["at"]}
    assert answer.content.count(b"\r\n") == 9

    (taken,) = await listed(client, admin.headers, type="audit.export", actor=admin.user)
    assert taken["payload"] == {"filters": {"resource": mark}}
    assert taken["severity"] == "high"


async def test_the_file_is_read_in_portions(
    process: Process, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK", 10)
    await note(process.database, *(event(mark) for _ in range(35)))
    parts = [part async for part in service.export_events(process.database, Filters(resource=mark))]
    assert [part.count(b"\r\n") for part in parts] == [11, 10, 10, 5]


@given(st.text(max_size=20))
def test_no_cell_begins_a_formula(text: str) -> None:
    cell = export.harmless(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert cell.removeprefix("'") == text.removeprefix("'")


async def test_a_request_id_of_a_stranger_begins_no_formula(
    client: httpx.AsyncClient, process: Process, caller: Callers
) -> None:
    admin = await caller(3)
    named = {**admin.headers, "X-Request-ID": "-2.3.cmd.calc"}
    await client.get(f"{EVENTS}.csv", params={"type": "audit.export", "actor": admin.user}, headers=named)
    again = await client.get(
        f"{EVENTS}.csv", params={"type": "audit.export", "actor": admin.user}, headers=admin.headers
    )
    assert b",'-2.3.cmd.calc," in again.content


async def test_unsealed_events_are_counted_on_the_private_port(
    process: Process, settings: Settings, mark: str, stores: Stores
) -> None:
    async def unsealed() -> str:
        transport = httpx.ASGITransport(app=process.private)
        async with httpx.AsyncClient(transport=transport, base_url="http://gad") as private:
            text = (await private.get("/metrics")).text
        return next(line for line in text.splitlines() if line.startswith("gad_audit_unsealed "))

    connection = await asyncpg.connect(stores.dsn())
    await seal(connection)
    assert await unsealed() == "gad_audit_unsealed 0.0"
    await note(process.database, event(mark), event(mark))
    assert await unsealed() == "gad_audit_unsealed 2.0"
    await seal(connection)
    assert await unsealed() == "gad_audit_unsealed 0.0"
    await connection.close()
