"""The contract as others read it: problems on every route, examples, levels from the policy table.

What a whole class of routes can answer is derived here from the table and the operation; a route states
only the refusals that are its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.errors import MEDIA_TYPE, Code, ProblemBody
from app.i18n import text
from app.policy import RULES, Rule


def _always(description: str, kind: str) -> dict[str, Any]:
    """A header that no such answer lacks."""
    return {"description": description, "required": True, "schema": {"type": kind}}


CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": _always("Where the new thing is.", "string")}}
}
_REF = {"$ref": "#/components/schemas/Problem"}
_RETRY = {"Retry-After": _always("Seconds to wait.", "integer")}
_ETAG = {"ETag": _always("The version; send it back as If-Match.", "string")}
# The problem that stands for its status in the examples; a 409 of a route may have another code.
_EXAMPLES = {code.status: code for code in reversed(Code)} | {
    401: Code.UNAUTHENTICATED,
    403: Code.FORBIDDEN,
    503: Code.UNAVAILABLE,
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can refuse with these statuses, all of them problem+json.

    Those of its class (401, 403, 404, 412, 413, 422, 428, 429, 503) are added by `describe`.
    """
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    code = _EXAMPLES[status]
    example = {
        "type": f"urn:gad:problem:{code}",
        "title": text(f"problem.{code}.title"),
        "status": status,
        "detail": text(f"problem.{code}.detail"),
        "code": code.value,
        "request_id": "5f0c7a52b3c94b0f9a3e8f6f0d7f1f11",
    }
    if code is Code.INVALID:
        detail = text("invalid.missing")
        example["errors"] = [{"field": "body.title", "code": "missing", "detail": detail}]
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": _REF, "example": example}},
        **({"headers": _RETRY} if status in {429, 503} else {}),
    }


def statuses_of(path: str, rule: Rule, operation: dict[str, Any]) -> Iterator[int]:
    """The refusals that every operation of this form can answer (product contract, section 4)."""
    parameters = {(each["in"], each["name"].lower()) for each in operation.get("parameters", ())}
    probe = path.startswith("/health/")
    if rule.level is not None:
        yield from (401, 403)
    if "{" in path:
        yield 404
    if ("header", "idempotency-key") in parameters:
        yield 409
    if ("header", "if-match") in parameters:
        yield from (412, 428)
    if "requestBody" in operation or ("header", "idempotency-key") in parameters:
        yield 413
    if parameters or "requestBody" in operation:
        yield 422
    if not probe:
        yield 429
    if path != "/health/live":
        yield 503


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
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            _restore_nulls(example, schema, schemas)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(path, RULES[method.upper(), path], operation, schemas)
    return document


def _restore_nulls(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Put back what is null in an example: the framework drops each null of the whole document."""
    schema = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    for choice in schema.get("anyOf", ()):
        _restore_nulls(value, choice, schemas)
    if isinstance(value, list):
        for item in value:
            _restore_nulls(item, schema.get("items", {}), schemas)
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in schema.get("required", ()) and {"type": "null"} in part.get("anyOf", ()):
                value.setdefault(name, None)
            if name in value:
                _restore_nulls(value[name], part, schemas)


def _complete(path: str, rule: Rule, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    operation["security"] = [{"bearer": []}] if rule.level is not None else []
    operation["x-gad-level"] = int(rule.level) if rule.level is not None else 0
    if rule.own_below is not None:
        operation["x-gad-own-below"] = int(rule.own_below)
    answers = operation["responses"]
    answers.pop("422", None)  # the framework's own, of another form
    for status in statuses_of(path, rule, operation):
        answers.setdefault(str(status), _problem(status))
    if "201" in answers:
        answers["201"].setdefault("headers", {}).update(CREATED[201]["headers"])
    for answer in answers.values():
        ref = answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
        fields = schemas.get(ref.rpartition("/")[2], {}).get("properties", {})
        if fields.get("version", {}).get("type") == "integer":
            answer.setdefault("headers", {}).update(_ETAG)
    operation["responses"] = dict(sorted(answers.items()))
