"""Accounts and officers, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime

from infra.client.operation import Answer, Body, Nothing, Operation

USERS, OFFICERS = "/api/v1/users", "/api/v1/officers"


class NewUser(Body):
    """A person; without a password nobody can sign in as them yet."""

    email: str
    first_name: str
    last_name: str
    level: int = 1
    dni: str
    phone: str | None = None
    password: str | None = None


class User(Answer):
    """A person's account."""

    uuid: str
    email: str
    first_name: str
    last_name: str
    level: int
    version: int


class UserPage(Answer):
    """Some accounts."""

    items: list[User]
    next_cursor: str | None


class Place(Body):
    """Where somebody was, degrees (WGS 84), and when."""

    lat: float
    lon: float
    at: datetime


class NewOfficer(Body):
    """An officer together with the person, or of a known one (`user_id`)."""

    internal_code: str
    rank: str | None = None
    unit: str | None = None
    specialty: str | None = None
    position: Place | None = None
    user_id: str | None = None
    person: NewUser | None = None


class Position(Answer):
    """Where an officer was last seen, and when."""

    lat: float
    lon: float
    at: datetime


class Officer(Answer):
    """An officer."""

    uuid: str
    user_id: str
    internal_code: str
    availability: str
    position: Position | None
    version: int


class OfficerPage(Answer):
    """Some officers."""

    items: list[Officer]
    next_cursor: str | None


class NewAvailability(Body):
    """available, off_duty or unavailable; on_task is the system's."""

    availability: str


class NearOfficer(Officer):
    """An officer and how far away, metres."""

    distance_m: float


class Nearby(Answer):
    """Officers, nearest first."""

    items: list[NearOfficer]


READ_ME = Operation(method="GET", path=f"{USERS}/me", answer=User)
READ_USER = Operation(method="GET", path=f"{USERS}/{{user_id}}", answer=User)
CREATE_USER = Operation(method="POST", path=USERS, answer=User, status=201, body=NewUser, is_once=True)
LIST_USERS = Operation(method="GET", path=USERS, answer=UserPage, query=("limit", "cursor"))
LIST_OFFICERS = Operation(method="GET", path=OFFICERS, answer=OfficerPage, query=("limit", "cursor"))
READ_OFFICER = Operation(method="GET", path=f"{OFFICERS}/{{officer_id}}", answer=Officer)
FIND_NEAREST = Operation(
    method="GET", path=f"{OFFICERS}/nearest", answer=Nearby, query=("lat", "lon", "max_m", "limit")
)
CREATE_OFFICER = Operation(
    method="POST", path=OFFICERS, answer=Officer, status=201, body=NewOfficer, is_once=True
)
SET_AVAILABILITY = Operation(
    method="PUT", path=f"{OFFICERS}/{{officer_id}}/availability", answer=Officer, body=NewAvailability
)
REPORT_POSITION = Operation(
    method="POST", path=f"{OFFICERS}/{{officer_id}}/position", answer=Nothing, status=204, body=Place
)
