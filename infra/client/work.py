"""Tasks and emergencies, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime

from infra.client.operation import Answer, Body, Nothing, Operation

TASKS = "/api/v1/tasks"
_ONE = f"{TASKS}/{{task_id}}"


class Location(Body):
    """Where something is to be done, degrees (WGS 84)."""

    lat: float
    lon: float


class NewTask(Body):
    """A task with its officers (uuids). Without `delegate` (a user's uuid) the caller answers for it."""

    code: str | None = None
    title: str
    description: str | None = None
    type: str
    priority: str = "medium"
    planned_start: datetime | None = None
    planned_end: datetime | None = None
    delegate: str | None = None
    location: Location | None = None
    officers: tuple[str, ...] = ()


class TaskChange(Body):
    """What is to be different; what is None stays."""

    title: str | None = None
    description: str | None = None
    notes: str | None = None
    priority: str | None = None
    planned_end: datetime | None = None
    delegate: str | None = None


class Reason(Body):
    """Why a task is given up."""

    reason: str


class NewAssignment(Body):
    """Who is to come along."""

    officer: str


class Assignment(Answer):
    """An officer's place in a task."""

    officer_id: str
    user_id: str
    engaged: bool


class Task(Answer):
    """A task, with the officers who are assigned now."""

    uuid: str
    code: str
    title: str
    type: str
    status: str
    priority: str
    planned_start: datetime
    planned_end: datetime | None
    delegate: str
    officers: list[Assignment]
    version: int


class TaskPage(Answer):
    """Some tasks, the newest first."""

    items: list[Task]
    next_cursor: str | None


class HistoryLine(Answer):
    """One line of a task's life."""

    at: datetime
    event: str
    from_status: str | None
    to_status: str | None
    reason: str | None


class HistoryPage(Answer):
    """Some of a task's life, from its beginning."""

    items: list[HistoryLine]
    next_cursor: str | None


class NewEmergency(Body):
    """Where help is needed, and how many officers."""

    lat: float
    lon: float
    title: str | None = None
    description: str | None = None
    officers: int = 1
    max_distance_m: float | None = None


class SentOfficer(Answer):
    """An officer who was sent, and from how far, metres."""

    officer_id: str
    distance_m: float


class Emergency(Answer):
    """The task that was made and who was sent."""

    task: Task
    officers: list[SentOfficer]


FILTERS = ("status", "type", "priority", "q", "limit", "cursor")
LIST_TASKS = Operation(method="GET", path=TASKS, answer=TaskPage, query=FILTERS)
READ_TASK = Operation(method="GET", path=_ONE, answer=Task)
READ_HISTORY = Operation(method="GET", path=f"{_ONE}/history", answer=HistoryPage, query=("limit", "cursor"))
CREATE_TASK = Operation(method="POST", path=TASKS, answer=Task, status=201, body=NewTask, is_once=True)
CHANGE_TASK = Operation(method="PATCH", path=_ONE, answer=Task, body=TaskChange, is_versioned=True)
DELETE_TASK = Operation(method="DELETE", path=_ONE, answer=Nothing, status=204, is_versioned=True)
START = Operation(method="POST", path=f"{_ONE}/start", answer=Task, is_once=True)
PAUSE = Operation(method="POST", path=f"{_ONE}/pause", answer=Task, is_once=True)
RESUME = Operation(method="POST", path=f"{_ONE}/resume", answer=Task, is_once=True)
FINISH = Operation(method="POST", path=f"{_ONE}/finish", answer=Task, is_once=True)
CANCEL = Operation(method="POST", path=f"{_ONE}/cancel", answer=Task, body=Reason, is_once=True)
ASSIGN = Operation(
    method="POST", path=f"{_ONE}/assignments", answer=Task, status=201, body=NewAssignment, is_once=True
)
RELEASE = Operation(
    method="DELETE",
    path=f"{_ONE}/assignments/{{officer_id}}",
    answer=Nothing,
    status=204,
    is_versioned=True,
)
RAISE_EMERGENCY = Operation(
    method="POST", path=f"{TASKS}/emergency", answer=Emergency, status=201, body=NewEmergency, is_once=True
)
