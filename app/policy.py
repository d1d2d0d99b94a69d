"""Who may call what: one table for every route. A route that is not in it stops the start.

Pure: app/guard.py stands before the routes and asks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.errors import StartError
from app.limits import RateClass
from app.user.models import Level


@dataclass(frozen=True)
class Rule:
    """`level`: the least a caller needs; None: no token at all. `own_below`: callers under this level reach
    only what is their own, which the noun's service decides. `rate`: what its requests count as, where
    `rate_of` does not say it right."""

    level: Level | None
    own_below: int | None = None
    rate: RateClass | None = None


ANYONE = Rule(None)
SIGNING_IN = Rule(None, rate=RateClass.AUTH)
L1, L2, L3 = Rule(Level.OFFICER), Rule(Level.SUPERVISOR), Rule(Level.ADMINISTRATOR)
OWN_OR_L2 = Rule(Level.OFFICER, own_below=Level.SUPERVISOR)
EMERGENCY = Rule(Level.OFFICER, rate=RateClass.EMERGENCY)
OWN = Rule(Level.OFFICER, own_below=Level.ADMINISTRATOR + 1)  # whoever it is

API = "/api/v1"

RULES: Mapping[tuple[str, str], Rule] = {
    ("GET", "/health/live"): ANYONE,
    ("GET", "/health/ready"): ANYONE,
    ("GET", "/health/deep"): L3,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/docs"): ANYONE,
    ("GET", "/docs/{file}"): ANYONE,
    ("POST", f"{API}/auth/login"): SIGNING_IN,
    ("POST", f"{API}/auth/refresh"): SIGNING_IN,
    ("POST", f"{API}/auth/logout"): L1,
    ("POST", f"{API}/auth/logout-all"): L1,
    ("POST", f"{API}/auth/password"): L1,
    ("POST", f"{API}/auth/reauth"): L1,
    ("GET", f"{API}/users/me"): L1,
    ("PATCH", f"{API}/users/me"): L1,
    ("GET", f"{API}/users"): L3,
    ("POST", f"{API}/users"): L3,
    ("GET", f"{API}/users/{{user_id}}"): L3,
    ("PATCH", f"{API}/users/{{user_id}}"): L3,
    ("DELETE", f"{API}/users/{{user_id}}"): L3,
    ("GET", f"{API}/tasks"): OWN_OR_L2,
    ("POST", f"{API}/tasks"): L2,
    ("GET", f"{API}/tasks/{{task_id}}"): OWN_OR_L2,
    ("PATCH", f"{API}/tasks/{{task_id}}"): OWN_OR_L2,
    ("DELETE", f"{API}/tasks/{{task_id}}"): L3,
    ("GET", f"{API}/tasks/{{task_id}}/history"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/start"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/pause"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/resume"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/finish"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/cancel"): L2,
    ("POST", f"{API}/tasks/{{task_id}}/assignments"): L2,
    ("DELETE", f"{API}/tasks/{{task_id}}/assignments/{{officer_id}}"): L2,
    ("GET", f"{API}/officers"): L2,
    ("GET", f"{API}/officers/nearest"): L2,
    ("POST", f"{API}/officers"): L3,
    ("GET", f"{API}/officers/{{officer_id}}"): OWN_OR_L2,
    ("PATCH", f"{API}/officers/{{officer_id}}"): L3,
    ("DELETE", f"{API}/officers/{{officer_id}}"): L3,
    ("PUT", f"{API}/officers/{{officer_id}}/availability"): OWN_OR_L2,
    ("POST", f"{API}/officers/{{officer_id}}/position"): OWN,
    ("GET", f"{API}/officers/{{officer_id}}/shifts"): OWN_OR_L2,
    ("POST", f"{API}/officers/{{officer_id}}/shifts"): L2,
    ("DELETE", f"{API}/officers/{{officer_id}}/shifts/{{shift_id}}"): L2,
    ("POST", f"{API}/tasks/emergency"): EMERGENCY,
    ("GET", f"{API}/privacy/consents"): L1,
    ("POST", f"{API}/privacy/consents"): L1,
    ("DELETE", f"{API}/privacy/consents/{{purpose}}"): L1,
    ("GET", f"{API}/map"): L2,
    ("GET", f"{API}/stats/users/{{user_id}}"): OWN_OR_L2,
    ("GET", f"{API}/stats/team"): L2,
    ("GET", f"{API}/stats/tasks"): L2,
    ("GET", f"{API}/catalogue"): L1,
    ("GET", f"{API}/admin/cache"): L3,
    ("DELETE", f"{API}/admin/cache"): L3,
    ("POST", f"{API}/notifications"): L2,
    ("GET", f"{API}/admin/ws"): L3,
    ("GET", f"{API}/audit/events"): L3,
    ("GET", f"{API}/audit/events.csv"): Rule(Level.ADMINISTRATOR, rate=RateClass.EXPORT),
    ("GET", f"{API}/audit/verify"): L3,
}

# Left out where they must not exist; then they are 404, not forbidden.
OPTIONAL = frozenset({("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{file}")})


def rate_of(method: str, path: str, rule: Rule) -> RateClass | None:
    """What a request counts as (product contract, section 5); None: not counted, as probes must not be."""
    if path.startswith("/health/"):
        return None
    if rule.rate is not None:
        return rule.rate
    if rule.level is None:
        return RateClass.ANONYMOUS
    if rule.level is Level.ADMINISTRATOR:
        return RateClass.ADMIN
    return RateClass.READ if method == "GET" else RateClass.WRITE


def verify(routes: Iterable[tuple[str, str, bool]]) -> None:
    """Compare the table with (method, path, is guarded) of every route. Raises StartError on any gap."""
    found = {(method, path): guarded for method, path, guarded in routes}
    missing = sorted(found.keys() - RULES.keys())
    stale = sorted(RULES.keys() - found.keys() - OPTIONAL)
    open_doors = sorted(
        key for key, guarded in found.items() if not guarded and RULES.get(key, L3).level is not None
    )
    for keys, fact in (
        (missing, "has no rule in app/policy.py"),
        (stale, "has a rule in app/policy.py and no route"),
        (open_doors, "has a rule that nothing enforces"),
    ):
        if keys:
            names = ", ".join(f"{method} {path}" for method, path in keys)
            raise StartError(
                f"{names} {fact}", remedy="state who may call it in app/policy.py, on a GuardedRoute"
            )
