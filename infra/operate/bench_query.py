"""How the database finds the nearest officers: the application's statements, explained and timed by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from infra.errors import GadError
from infra.operate import bench_crowd
from infra.operate.bench_figure import Figure, percentile
from infra.operate.district import STATIONS
from infra.operate.outputs import StackOutputs

LIMIT, WITHIN_M = 5, 50_000  # the route's own defaults
TARGET_MS = 3.0  # specified for 100,000 officers (product contract)
# The statement is the application's; only its process may import it. 32 is the candidates of a limit of 5.
PRINT_STATEMENT = "from app.officer.repository import nearest_sql; print(nearest_sql(32))"
# The two that look for officers, the second with who can be sent; and what is said before it.
PRINT_STATEMENTS = (
    "import json; from app.officer.repository import nearest_sql;"
    " from app.task.dispatch import FEW, WALK, pick_sql;"
    " print(json.dumps([nearest_sql(32), pick_sql(FEW), WALK]))"
)
CROWD_VALUES = {
    "rows": str(LIMIT),
    "officers": str(LIMIT),
    "max_m": str(WITHIN_M),
    "starts": "now()",
    "ends": "now() + interval '2 hours'",
    "fresh": "now() - interval '30 minutes'",
}
SEPARATOR = bench_crowd.SEPARATOR
PSQL = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "gad")


class Node(BaseModel):
    """A step of a plan, as `EXPLAIN (FORMAT JSON)` writes it; what is read here of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str = Field(alias="Node Type")
    index: str | None = Field(default=None, alias="Index Name")
    relation: str | None = Field(default=None, alias="Relation Name")
    plans: tuple[Node, ...] = Field(default=(), alias="Plans")

    def walk(self) -> Iterator[Node]:
        """This step and all below it."""
        yield self
        for node in self.plans:
            yield from node.walk()


class Plan(BaseModel):
    """One executed statement."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    root: Node = Field(alias="Plan")
    executed_ms: float = Field(alias="Execution Time")

    @property
    def scans_whole(self) -> list[str]:
        """Tables that were read from end to end."""
        return [n.relation or "?" for n in self.root.walk() if n.kind.removeprefix("Parallel ") == "Seq Scan"]

    @property
    def indexes(self) -> list[str]:
        """Indexes that were used, in the plan's order."""
        return [node.index for node in self.root.walk() if node.index]


_PLANS = TypeAdapter(tuple[Plan])


def measure(outputs: StackOutputs) -> list[Figure]:
    """Explain and run the statement around each station of the district, warm. Raises GadError."""
    statement = _exec(outputs, outputs.live, ["python", "-c", PRINT_STATEMENT], "")
    count = int(
        _exec(outputs, "postgres", [*PSQL], "SELECT count(*) FROM officers WHERE last_position IS NOT NULL")
    )
    if count == 0:
        raise GadError(
            f"stack {outputs.stack} has no officers with positions to search",
            remedy=f"load a district with `gad demo {outputs.stack}`",
        )
    plans = read_plans(_exec(outputs, "postgres", [*PSQL], script(statement)))
    return [*figures(plans[len(STATIONS) :], what=f"{LIMIT} nearest of {count:,} officers"), *_crowd(outputs)]


def _crowd(outputs: StackOutputs) -> list[Figure]:
    """The same, and an emergency's choice, among 100,000 officers that exist for this session alone."""
    nearest, pick, walk = json.loads(_exec(outputs, outputs.live, ["python", "-c", PRINT_STATEMENTS], ""))
    commands = bench_crowd.script([nearest, pick], CROWD_VALUES, before=walk)
    return crowd_figures(read_plans(_exec(outputs, "postgres", [*PSQL], commands)))


def crowd_figures(plans: Sequence[Plan]) -> list[Figure]:
    """Of the plans of both statements, all rounds of one before those of the other."""
    half, warm = len(plans) // 2, len(STATIONS)
    of = f"of {bench_crowd.OFFICERS:,} officers"
    return [
        *figures(plans[warm:half], what=f"{LIMIT} nearest {of}", slow_ms=TARGET_MS),
        *figures(plans[half + warm :], what=f"{LIMIT} nearest who can be sent {of}", slow_ms=TARGET_MS),
    ]


def script(statement: str) -> str:
    """For psql: all stations twice, as the first round only warms the caches."""
    lines = [f"\\set rows {LIMIT}", f"\\set max_m {WITHIN_M}"]
    for station in (*STATIONS, *STATIONS):
        lines += [f"\\set lat {station.lat}", f"\\set lon {station.lon}"]
        lines += [f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.strip()};", f"\\echo {SEPARATOR}"]
    return "\n".join(lines) + "\n"


def read_plans(output: str) -> list[Plan]:
    """The plans that psql printed, one for each statement."""
    return [_PLANS.validate_json(part)[0] for part in output.split(SEPARATOR) if part.strip()]


def figures(plans: Sequence[Plan], *, what: str, slow_ms: float | None = None) -> list[Figure]:
    """Time and form of executed plans; `slow_ms` is the target of the slowest twentieth, if it has one."""
    times = [plan.executed_ms for plan in plans]
    scanned = sorted({table for plan in plans for table in plan.scans_whole})
    used = sorted({index for plan in plans for index in plan.indexes})
    return [
        Figure(what=f"{what}, SQL p50", measured=percentile(times, 0.5), unit="ms", target=TARGET_MS),
        Figure(what=f"{what}, SQL p95", measured=percentile(times, 0.95), unit="ms", target=slow_ms),
        Figure(
            what=f"{what}, SQL, whole-table scans",
            measured=len(scanned),
            unit="",
            target=0,
            detail=f"scans {', '.join(scanned)}" if scanned else f"uses {', '.join(used)}",
        ),
    ]


def _exec(outputs: StackOutputs, role: str, command: list[str], stdin: str) -> str:
    container = outputs.containers[role].name
    done = subprocess.run(
        ["docker", "exec", "-i", container, *command],
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise GadError(f"{container} did not answer {command[0]}: {lines[-1]}", remedy="look at `gad status`")
    return done.stdout
