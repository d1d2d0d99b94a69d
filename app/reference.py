"""The API's reference for people, `/docs`: Swagger UI out of a package.

The framework's own page loads its script from another host and starts it by one in the page; the site forbids
both. Where the description is hidden (production) there is no page either.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.responses import FileResponse, Response

from app.errors import Code, Problem

_VENDORED = Path(str(files("fastapi_offline"))) / "static"
_FILES: Final = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_KEPT = {"Cache-Control": "public, max-age=3600"}  # chosen: another release may bring another version
# The site's own policy allows nothing; this page needs its files, and the pictures in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE = """<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GRUPO_GAD: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = "SwaggerUIBundle({url: '/openapi.json', dom_id: '#reference', deepLinking: true});\n"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> Response:
    """The page itself."""
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/{file}")
async def part(file: Annotated[str, InPath(max_length=64)]) -> Response:
    """What the page is made of. Raises Problem: not_found."""
    if file == "start.js":
        return Response(_START, media_type="text/javascript", headers=_KEPT)
    if file not in _FILES:
        raise Problem(Code.NOT_FOUND)
    return FileResponse(_VENDORED / file, media_type=_FILES[file], headers=_KEPT)
