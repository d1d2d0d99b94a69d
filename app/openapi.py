"""The contract as others read it: problems on every route, examples, levels from the policy table."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.errors import MEDIA_TYPE, ProblemBody
from app.policy import RULES

CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"description": "Where the new thing is.", "schema": {"type": "string"}}}}
}
_REF = {"$ref": "#/components/schemas/Problem"}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can refuse with these statuses, all of them problem+json."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        described[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": _REF}},
            **({"headers": _RETRY} if status in {429, 503} else {}),
        }
    return described


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: complete, with `Problem` as the only error schema."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            rule = RULES[method.upper(), path]
            operation["security"] = [{"bearer": []}] if rule.level is not None else []
            operation["x-gad-level"] = int(rule.level) if rule.level is not None else 0
            if rule.own_below is not None:
                operation["x-gad-own-below"] = int(rule.own_below)
    return document
