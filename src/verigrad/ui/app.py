"""The labelling pages over HTTP, for one person's own machine.

Whoever can reach the port could otherwise read the programs and judge in somebody's name, so every request must
carry the token of this start (in the printed address, then in a cookie) and name this host, which a page of another
site that points its own name here cannot. Other sites' scripts get no answer they may read, and no page runs a script,
loads a file or sends a form but ours.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from verigrad.errors import ConfigError, RunError
from verigrad.preferences.model_judge import Preference
from verigrad.ui.items import Item
from verigrad.ui.pages import agreement_page, compare_page, name_page, style_sheet, task_view
from verigrad.ui.pages.frame import STATIC
from verigrad.ui.store import Choice, Demonstration, Side, Store

__all__ = ["make_app", "serve"]

_MOST_BYTES = 1_000_000
_LONGEST_NAME = 60
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Refusal(Exception):
    """A request that is answered with `text`; `view` where the page should also show the current item."""

    def __init__(self, status: int, text: str, *, view: str = "") -> None:
        super().__init__(text)
        self.status, self.text, self.view = status, text, view


# ----------------------------------------------------------------------------------------------- guard


class _Guard:
    """Lets through what carries the token, names this host and does not come from another origin."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"verigrad_label_{port}"  # cookies are shared by all ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # there are no websockets here
            raise RuntimeError(f"cannot serve {scope['type']}")
        request = Request(scope)
        refusal = self._refusal(request)
        app = self._app if refusal is None else refusal
        in_address = request.query_params.get("token") is not None

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if refusal is None and in_address:
                    headers["Set-Cookie"] = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
            await send(message)

        await app(scope, receive, with_headers)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return PlainTextResponse("this server answers only to its own address", 403)
        given = request.query_params.get("token") or request.cookies.get(self._cookie) or ""
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return PlainTextResponse("open the address that verigrad label printed; it ends in a token", 401)
        if request.method not in ("GET", "HEAD") and not self._is_ours(request.headers):
            return PlainTextResponse("only this server's own page may do that", 403)
        return None

    def _is_ours(self, headers: Headers) -> bool:
        """Another port of this host is another origin but the same site, so the cookie alone does not keep it out."""
        origin = headers.get("origin")
        content = headers.get("content-type", "").partition(";")[0].strip()
        return content == "application/json" and (origin is None or origin.removeprefix("http://") in self._hosts)


# ---------------------------------------------------------------------------------------------- routes


def make_app(store: Store, *, token: str, port: int) -> ASGIApp:
    """The application on an open store.

    Args:
        store: where judgements go; closing it is the caller's.
        token: every request must carry it.
        port: the server listens on; requests must name it.
    """
    routes = _Routes(store)
    return _Guard(
        Starlette(
            routes=[
                Route("/", routes.name),
                Route("/compare", routes.compare),
                Route("/agreement", routes.agreement),
                Route("/label.css", routes.style),
                Route("/label.js", routes.script),
                Route("/api/choose", _api(routes.choose), methods=["POST"]),
                Route("/api/undo", _api(routes.undo), methods=["POST"]),
                Route("/api/tests", _api(routes.tests), methods=["POST"]),
                Route("/api/demonstration", _api(routes.demonstration), methods=["POST"]),
            ]
        ),
        token,
        port,
    )


_Answer = tuple[str, str]  # the view to show and a notice


def _api(action: Callable[[Mapping[str, Any]], _Answer]) -> Callable[[Request], Awaitable[Response]]:
    """A route that reads a JSON object and answers with `{"html", "notice"}`; what went wrong is a notice too."""

    async def route(request: Request) -> Response:
        try:
            html, notice = action(await _body(request))
        except _Refusal as refusal:
            return JSONResponse({"html": refusal.view, "notice": refusal.text}, refusal.status)
        except ConfigError as error:
            return JSONResponse({"html": "", "notice": str(error)}, 400)
        except RunError as error:
            return JSONResponse({"html": "", "notice": str(error)}, 500)
        return JSONResponse({"html": html, "notice": notice})

    return route


async def _body(request: Request) -> Mapping[str, Any]:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _MOST_BYTES:
            raise _Refusal(413, f"more than {_MOST_BYTES} bytes; nothing was recorded")
    try:
        row = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Refusal(400, f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise _Refusal(400, "wanted a JSON object")
    return row


class _Routes:
    """Handlers; they run one after another on one event loop, and each write is on the disk before its answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Pages.

    async def name(self, request: Request) -> Response:
        return HTMLResponse(name_page(self._store))

    async def compare(self, request: Request) -> Response:
        try:
            annotator = self._annotator(request.query_params)
        except _Refusal as refusal:
            return HTMLResponse(name_page(self._store, refusal.text), refusal.status)
        return HTMLResponse(compare_page(self._store, annotator))

    async def agreement(self, request: Request) -> Response:
        return HTMLResponse(agreement_page(self._store, request.query_params.get("annotator", "")[:_LONGEST_NAME]))

    async def style(self, request: Request) -> Response:
        return Response(style_sheet(), media_type="text/css")

    async def script(self, request: Request) -> Response:
        return Response((STATIC / "label.js").read_bytes(), media_type="text/javascript")

    # Actions.

    def choose(self, row: Mapping[str, Any]) -> _Answer:
        annotator = self._annotator(row)
        item = self._item(row, annotator)
        left = self._store.left_of(item.id, annotator)
        preferred = _preferred(row.get("choice"), left)
        self._store.choose(item.id, annotator, preferred, left=left)
        return task_view(self._store, annotator), ""

    def undo(self, row: Mapping[str, Any]) -> _Answer:
        annotator = self._annotator(row)
        self._current(row, annotator)  # asked a second time, or by an old page, it would take back another one
        taken = self._store.undo(annotator)
        if taken is None:
            raise _Refusal(409, "there is nothing to take back")
        return task_view(self._store, annotator), f"Taken back: {_in_words(taken)}"

    def tests(self, row: Mapping[str, Any]) -> _Answer:
        annotator = self._annotator(row)
        self._store.show_tests(self._item(row, annotator).id, annotator)
        return task_view(self._store, annotator), ""

    def demonstration(self, row: Mapping[str, Any]) -> _Answer:
        annotator = self._annotator(row)
        item = self._item(row, annotator)
        program, source = row.get("program"), row.get("source")
        if not isinstance(program, str) or source not in ("left", "right", "new"):
            raise _Refusal(400, "wanted a program, and where it started from")
        left = self._store.left_of(item.id, annotator)
        side: Side | None = None if source == "new" else left if source == "left" else _other(left)
        self._store.demonstrate(item.id, annotator, _as_completion(program, item), side)
        return task_view(self._store, annotator), "Saved as a demonstration"

    # What they have in common.

    def _annotator(self, row: Mapping[str, Any]) -> str:
        name = row.get("annotator")
        name = " ".join(name.split()) if isinstance(name, str) else ""
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise _Refusal(400, f"a name has 1 to {_LONGEST_NAME} characters that can be seen")
        if self._store.annotators.get(name, "person") != "person":
            raise _Refusal(400, f"{name!r} is the name of a program that judges here; take another")
        return name

    def _current(self, row: Mapping[str, Any], annotator: str) -> Item | None:
        """What is on the annotator's screen, None at the end; a request must name it, for another tab may change it."""
        current = self._store.next_item(annotator)
        if row.get("item") != (current.id if current else ""):
            raise self._out_of_date(annotator)
        return current

    def _item(self, row: Mapping[str, Any], annotator: str) -> Item:
        """The item a request is about."""
        current = self._current(row, annotator)
        if current is None:
            raise self._out_of_date(annotator)
        return current

    def _out_of_date(self, annotator: str) -> _Refusal:
        said = "the page was out of date; nothing was recorded"
        return _Refusal(409, said, view=task_view(self._store, annotator))


def _preferred(choice: Any, left: Side) -> Preference:
    known: dict[Any, Preference] = {"left": left, "right": _other(left), "tie": "tie", "skip": "skip"}
    if not isinstance(choice, str) or choice not in known:
        raise _Refusal(400, f"choice is {choice!r}, wanted one of {', '.join(known)}")
    return known[choice]


def _other(side: Side) -> Side:
    return "b" if side == "a" else "a"


def _in_words(event: Choice | Demonstration) -> str:
    if isinstance(event, Demonstration):
        return "the demonstration"
    if event.preferred in ("tie", "skip"):
        return event.preferred
    return "left is better" if event.preferred == event.left else "right is better"


def _as_completion(program: str, item: Item) -> str:
    """A program in the form a chat model gives it, as gold programs are; text where the answers are no programs."""
    text = program.replace("\r\n", "\n")
    is_text = item.a.program is None and item.b.program is None
    return text if is_text or not text.strip() else f"```python\n{text.strip()}\n```"


# ---------------------------------------------------------------------------------------------- server


def serve(store: Store, *, port: int = 0, on_ready: Callable[[str], None] = print) -> None:
    """Serve the pages on the loopback interface until interrupted.

    Args:
        store: where judgements go.
        port: to listen on; 0 takes a free one.
        on_ready: called with the address to open, token included, once connections are accepted.

    Raises:
        RunError: the port is taken, or none.
    """
    import uvicorn

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()
        except (OSError, OverflowError) as error:  # the latter of a number that is no port
            raise RunError(f"cannot listen on port {port}: {error}; --port 0 takes a free one") from error
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(32)
        config = uvicorn.Config(
            make_app(store, token=token, port=port),
            lifespan="off",
            ws="none",
            access_log=False,  # the address holds the token
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        on_ready(f"http://127.0.0.1:{port}/?token={token}")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            return
