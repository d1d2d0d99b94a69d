"""What the officers of the demo district are at: tasks in every status, and emergencies. All of it invented.

Pure: the same seed gives the same work, and a larger district's work begins with the smaller one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from infra.client.work import Location, NewEmergency, NewTask
from infra.operate.district import SEED, STATIONS

OFFICERS_PER_TASK = 40  # chosen: 250 tasks for the 10,000 officers, 15 s of loading
LEAST, MOST = 10, 500
CREW = 2  # the officers of one task; each officer of the district has one task at most
EMERGENCIES = 3
EMERGENCY_TITLE = "Emergencia de demostración"

# Twenty in their order: of each status already among the first ten.
STATUSES = (
    *("programmed", "in_progress", "finished", "paused", "cancelled"),
    *("programmed", "in_progress", "finished", "finished", "programmed"),
    *("programmed", "in_progress", "finished", "paused", "finished"),
    *("programmed", "in_progress", "finished", "cancelled", "in_progress"),
)
KINDS = (  # type, what is done there
    ("patrol", "Patrullaje a pie en {place}"),
    ("patrol", "Patrullaje motorizado en {place}"),
    ("surveillance", "Vigilancia del parque de {place}"),
    ("intervention", "Control de espectáculo público en {place}"),
    ("investigation", "Entrevistas por hurtos en {place}"),
    ("administrative", "Inventario de equipos de la UPC {place}"),
    ("training", "Capacitación en primeros auxilios, UPC {place}"),
)
PRIORITIES = ("low", "medium", "medium", "high", "urgent", "critical")
REASON = "El evento se suspendió por lluvia."


@dataclass(frozen=True)
class DemoTask:
    """A task and the status it is brought to. `crew`: numbers of officers in the district, from 1."""

    code: str
    title: str
    type: str
    priority: str
    status: str
    lat: float
    lon: float
    starts_in_s: int
    lasts_s: int
    crew: tuple[int, ...]

    def body(self, now: datetime, officers: tuple[str, ...], delegate: str) -> NewTask:
        """For the API, with the crew's officer uuids and the delegate's user uuid."""
        start = (now + timedelta(seconds=self.starts_in_s)).replace(microsecond=0)
        return NewTask(
            code=self.code,
            title=self.title,
            description="Tarea de demostración.",
            type=self.type,
            priority=self.priority,
            planned_start=start,
            planned_end=start + timedelta(seconds=self.lasts_s),
            delegate=delegate,
            location=Location(lat=self.lat, lon=self.lon),
            officers=officers,
        )


def tasks(officers: int, seed: int = SEED) -> Iterator[DemoTask]:
    """The work of a district of so many officers; fewer tasks where there are too few to go."""
    wanted = min(MOST, max(LEAST, officers // OFFICERS_PER_TASK))
    for number in range(1, min(wanted, officers // CREW) + 1):
        chance = Random(f"{seed}:task:{number}")  # noqa: S311 - scenery, not secrets
        station = chance.choice(STATIONS)
        kind, title = chance.choice(KINDS)
        status = STATUSES[(number - 1) % len(STATUSES)]
        minutes = chance.randrange(30, 48 * 60)
        yield DemoTask(
            code=f"DEM-{number:05d}",
            title=title.format(place=station.name),
            type=kind,
            priority=chance.choice(PRIORITIES),
            status=status,
            lat=round(station.lat + chance.uniform(-0.01, 0.01), 6),
            lon=round(station.lon + chance.uniform(-0.01, 0.01), 6),
            starts_in_s=60 * minutes if status in {"programmed", "cancelled"} else -60 * (minutes // 24),
            lasts_s=3600 * chance.randrange(2, 9),
            crew=tuple(range(CREW * (number - 1) + 1, CREW * number + 1)),
        )


def emergencies(seed: int = SEED) -> Iterator[tuple[str, NewEmergency]]:
    """A key that stays the same, and what is raised; the title tells it from real ones."""
    for number in range(1, EMERGENCIES + 1):
        chance = Random(f"{seed}:emergency:{number}")  # noqa: S311 - scenery, not secrets
        station = chance.choice(STATIONS)
        yield (
            f"demo-emergency-{number}",
            NewEmergency(
                lat=station.lat,
                lon=station.lon,
                title=f"{EMERGENCY_TITLE} {number}, {station.name}",
                description="Simulacro.",
                officers=number,
            ),
        )


# From a status to the wanted one: what is done, in order. Absent: nobody can get there, or it is there.
STEPS = {
    ("programmed", "in_progress"): ("start",),
    ("programmed", "paused"): ("start", "pause"),
    ("programmed", "finished"): ("start", "finish"),
    ("programmed", "cancelled"): ("cancel",),
    ("in_progress", "paused"): ("pause",),
    ("in_progress", "finished"): ("finish",),
}
