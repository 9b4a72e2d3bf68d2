"""The server's application: pages, their JSON, pixels and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from imagetree.core.errors import ImagetreeError
from imagetree.web import media, wording
from imagetree.web.chart import chart
from imagetree.web.contexts import ErrorPage
from imagetree.web.page import Page
from imagetree.web.routes import PAGES

if TYPE_CHECKING:
    from imagetree.database import Database

HERE = Path(__file__).parent

# Meters and boxes carry their measures in style attributes; scripts come from files only.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(database: Database, *, version: str) -> FastAPI:
    """The application that serves a database; reads only, GET and HEAD."""
    app = FastAPI(title="imagetree", version=version, docs_url=None, redoc_url=None)
    app.openapi_url = None
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
    templates.trim_blocks = templates.lstrip_blocks = True
    templates.filters.update(wording.FILTERS)
    templates.globals.update(
        database=database.name, folder=wording.typed(database.folder), version=version, chart=chart
    )

    def render(request: Request, template: str, *, page: Any) -> str:
        path = request.url.path
        query = f"?{request.url.query}" if request.url.query else ""
        return templates.get_template(template).render(page=page, path=path, query=query)

    for page in PAGES:
        _add_page(app, database, page=page, render=render)
    app.include_router(media.router(database))
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _add_errors(app, render)

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    return app


def _add_page(app: FastAPI, database: Database, *, page: Page, render: Callable[..., str]) -> None:
    def build(request: Request) -> Any:
        asked = request.query_params
        query = {name: asked[name] for name in page.query if name in asked}
        return page.build(database, {**query, **request.path_params})

    def as_json(request: Request) -> JSONResponse:
        found = build(request)
        return JSONResponse(asdict(found))

    def as_html(request: Request) -> HTMLResponse:
        found = build(request)
        return HTMLResponse(render(request, page.template, page=found))

    # Sync functions: they run in a thread, so a slow statement holds up nobody else.
    app.add_api_route(f"{page.path}.json", as_json, methods=["GET", "HEAD"])
    app.add_api_route(page.path, as_html, methods=["GET", "HEAD"], response_model=None)


def _add_errors(app: FastAPI, render: Callable[..., str]) -> None:
    def answer(request: Request, found: ErrorPage) -> Response:
        if request.url.path.endswith(".json"):
            return JSONResponse(asdict(found), status_code=found.status)
        return HTMLResponse(render(request, "error.html", page=found), status_code=found.status)

    @app.exception_handler(ImagetreeError)
    def known(request: Request, error: ImagetreeError) -> Response:
        return answer(request, ErrorPage(**error.as_dict(), status=error.http_status))

    @app.exception_handler(Exception)
    def unknown(request: Request, error: Exception) -> Response:
        # Starlette raises it again behind this answer, so the server's log has the traceback.
        return answer(
            request,
            ErrorPage(
                code="unexpected",
                message="This page could not be made.",
                hint=f"What is stored is safe. The server's log tells where it was: "
                f"{type(error).__name__}. Then: imagetree doctor",
                status=500,
            ),
        )

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        code = "not_found" if error.status_code == 404 else "http_error"
        message = (
            "There is no page at this address." if error.status_code == 404 else str(error.detail)
        )
        return answer(
            request,
            ErrorPage(
                code=code,
                message=message,
                hint="Search for a synset, or begin at the tree.",
                status=error.status_code,
            ),
        )
