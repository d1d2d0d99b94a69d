"""How the database finds the nearest officers: the application's own statement, explained and timed by it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from infra.errors import GadError
from infra.operate.bench_figure import Figure, percentile
from infra.operate.district import STATIONS
from infra.operate.outputs import StackOutputs

LIMIT, WITHIN_M = 5, 50_000  # the route's own defaults
TARGET_MS = 3.0  # specified for 100,000 officers (product contract)
# The statement is the application's; only its process may import it. 32 is the candidates of a limit of 5.
PRINT_STATEMENT = "from app.officer.repository import nearest_sql; print(nearest_sql(32))"
SEPARATOR = "--8<--"


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
    psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "gad"]
    count = int(
        _exec(outputs, "postgres", psql, "SELECT count(*) FROM officers WHERE last_position IS NOT NULL")
    )
    if count == 0:
        raise GadError(
            f"stack {outputs.stack} has no officers with positions to search",
            remedy=f"load a district with `gad demo {outputs.stack}`",
        )
    plans = read_plans(_exec(outputs, "postgres", psql, script(statement)))
    return figures(plans[len(STATIONS) :], officers=count)


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


def figures(plans: Sequence[Plan], *, officers: int) -> list[Figure]:
    """Time and form of executed plans."""
    times = [plan.executed_ms for plan in plans]
    scanned = sorted({table for plan in plans for table in plan.scans_whole})
    used = sorted({index for plan in plans for index in plan.indexes})
    what = f"{LIMIT} nearest of {officers:,} officers, SQL"
    return [
        Figure(what=f"{what} p50", measured=percentile(times, 0.5), unit="ms", target=TARGET_MS),
        Figure(what=f"{what} p95", measured=percentile(times, 0.95), unit="ms"),
        Figure(
            what=f"{what}, whole-table scans",
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
