"""A step of the deploy: what it does and which controls it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from pyinfra.api.deploy import deploy

from infra.host.controls import Values
from infra.host.plan import HostPlan

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Step:
    """A step by the module and name of its function; `serves` are ids of controls, or `topic.*`."""

    function: str
    serves: tuple[str, ...]


STEPS: dict[str, Step] = {}  # of every module imported so far, for the test that compares them with controls


def step(
    name: str, *, serves: tuple[str, ...]
) -> Callable[[Callable[Concatenate[HostPlan, Values, P], R]], Callable[Concatenate[HostPlan, P], R]]:
    """Make a pyinfra deploy of a function that gets the plan and the values of what it serves, no others.

    So what it declares is what it can read. `name` stands before its operations in every report.
    """

    def decorate(
        function: Callable[Concatenate[HostPlan, Values, P], R],
    ) -> Callable[Concatenate[HostPlan, P], R]:
        place = f"{function.__module__}.{function.__qualname__}"
        STEPS[place] = Step(place, serves)
        deployed: Callable[..., Any] = deploy(name)(function)

        @wraps(function)
        def run(plan: HostPlan, *args: P.args, **kwargs: P.kwargs) -> R:
            return cast(R, deployed(plan, plan.values.only(serves), *args, **kwargs))

        return cast(Callable[Concatenate[HostPlan, P], R], run)

    return decorate
