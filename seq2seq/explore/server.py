"""Serve the page with a model, to this machine only.

The server listens on the loopback interface. Other web pages that the user has open must not reach
it. So it refuses requests with another host name (DNS rebinding) or from another origin, and it
sends no CORS headers. It serves only the page and answers, and no files.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from seq2seq.explore.live import Live, Question

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",  # one request a connection, so that its time is limited as a whole
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
MAX_BYTES = 64 * 1024  # per request
MAX_CHARACTERS = 4_000  # per text
PATIENCE = 10.0  # seconds until a request must have arrived
MAX_WAITING = 4  # requests; only the one being answered uses a thread


class Desk:
    """Queue of questions, which are answered one at a time.

    Args:
        live: the models that answer.
        max_waiting: most requests in the queue, including the one being answered.
        patience: seconds until a request must have arrived.
    """

    def __init__(
        self, live: Live, max_waiting: int = MAX_WAITING, patience: float = PATIENCE
    ) -> None:
        self.live = live
        self.max_waiting, self.patience = max_waiting, patience
        self._present = 0
        self._turn = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Handle ``POST /answer``: return the answer to a question, both as JSON."""
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import ClientDisconnect
        from starlette.responses import JSONResponse

        def refuse(status: int, why: str, **headers: str) -> Response:
            return JSONResponse({"error": why}, status, headers={**HEADERS, **headers})

        if not _from_own_page(request):
            return refuse(403, "only the page of this server may send questions")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return refuse(415, "send application/json")
        try:  # read before queuing, so that a request that never ends takes no place
            async with asyncio.timeout(self.patience):
                body = await _read(request, MAX_BYTES)
        except TimeoutError:
            return refuse(408, f"a request must arrive within {self.patience:g} seconds")
        except ClientDisconnect:  # nobody reads this
            return refuse(400, "the request ended too early")
        if body is None:
            return refuse(413, f"the request is too large; send at most {MAX_BYTES:,} bytes")
        if self._present >= self.max_waiting:
            return refuse(
                429, "other questions are waiting; try again soon", **{"Retry-After": "1"}
            )
        self._present += 1
        try:
            question = Question.of(json.loads(body))
            if max(len(question.source), len(question.reference or "")) > MAX_CHARACTERS:
                return refuse(
                    413, f"the text is too long; send at most {MAX_CHARACTERS:,} characters"
                )
            async with self._turn:
                answer = await run_in_threadpool(self.live.answer, question)
        except (ValueError, RecursionError) as error:
            return refuse(400, str(error))
        finally:
            self._present -= 1
        return JSONResponse(answer, headers=HEADERS)


def application(page: str, live: Live) -> Starlette:
    """Return the application: ``GET /`` returns the page, ``POST /answer`` an answer.

    Raises:
        ValueError: if Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.responses import HTMLResponse
        from starlette.routing import Route
    except ImportError as error:
        raise ValueError(
            "serve=true needs Starlette and uvicorn: pip install starlette uvicorn"
        ) from error

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
    routes = [Route("/", show), Route("/answer", Desk(live).answer, methods=["POST"])]
    return Starlette(routes=routes, middleware=[hosts])


def serve(page: str, live: Live, port: int) -> None:
    """Serve until interrupted.

    Raises:
        ValueError: if uvicorn is not installed, or the port is taken.
    """
    import socket

    server = patient_server(application(page, live))
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOSTS[0], port))
            listening.listen()
        except OSError as error:
            raise ValueError(
                f"port={port}: {error.strerror}; choose another port, or 0 for a free one"
            ) from error
        print(f"http://{HOSTS[0]}:{listening.getsockname()[1]}/  (Ctrl-C ends)", flush=True)
        server.run(sockets=[listening])


def patient_server(app: Starlette, patience: float = PATIENCE) -> uvicorn.Server:
    """Return the server, which closes connections that send no whole head of a request in time.

    uvicorn has no such limit, so that some silent connections would keep everybody out.

    Raises:
        ValueError: if uvicorn is not installed.
    """
    try:
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ImportError as error:
        raise ValueError("serve=true needs uvicorn: pip install uvicorn") from error

    class Patient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(patience, self.close_if_silent)

        def close_if_silent(self) -> None:
            if self.cycle is None:  # which the head of a request begins
                self.transport.close()

    config = uvicorn.Config(
        app,
        http=Patient,
        log_level="warning",
        limit_concurrency=32,
        server_header=False,
        lifespan="off",
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def _from_own_page(request: Request) -> bool:
    """Return True if a request comes from this server's page, or not from a browser."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    own = f"http://{request.headers.get('host', '')}"
    return site == "same-origin" and (origin is None or origin == own)


async def _read(request: Request, most: int) -> bytes | None:
    """Return the body; None as soon as it is longer than ``most`` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
