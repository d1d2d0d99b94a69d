"""/api/v1/audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import StreamingResponse

from app.audit import service
from app.audit.schemas import AuditEventPage, Filters, Verification, filters
from app.audit.service import Verifier
from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.page import Cursor, Limit, json_response
from app.policy import API

PREFIX = f"{API}/audit"
router = APIRouter(prefix=PREFIX, tags=["audit"], route_class=GuardedRoute)

Narrowed = Annotated[Filters, Depends(filters)]
CSV = "text/csv; charset=utf-8; header=present"  # RFC 4180, section 3


async def _verifier(request: Request) -> Verifier:
    verifier: Verifier = request.app.state.verifier
    return verifier


@router.get("/events", response_model=AuditEventPage)
async def list_page(database: Db, narrowed: Narrowed, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Events, the latest first."""
    return json_response(await service.list_events(database, narrowed, cursor=cursor, limit=limit))


@router.get(
    "/events.csv",
    response_class=StreamingResponse,
    responses={
        200: {"description": "RFC 4180, UTF-8.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    },
)
async def export_csv(caller: Authorized, database: Db, narrowed: Narrowed) -> Response:
    """The same events as a file, the latest first. Taking it is itself audited."""
    await service.note_export(database, narrowed, caller.principal.user)
    parts = service.export_events(database, narrowed)
    first = await anext(parts)  # a database that does not answer is a 503, not half a file
    name = f"auditoria-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv"
    return StreamingResponse(
        _after(first, parts),
        media_type=CSV,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _after(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part


@router.get("/verify", response_model=Verification)
async def verify(verifier: Annotated[Verifier, Depends(_verifier)]) -> Response:
    """Whether the trail is as it was written; else the first row that is not."""
    return json_response(await verifier.verify())
