"""A local hub, with the requests of ``huggingface_hub`` that fetch and push a model."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

SHA = "a" * 40


class HubServer(ThreadingHTTPServer):
    """Repositories by name, their files by name; ``private`` says how each was made."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.fetched: list[str] = []


class _Requests(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0]).strip("/")
        if path.startswith("api/models/"):
            self._describe(path.split("/"))
        elif path.count("/") >= 4:
            self._file(path)
        else:
            self._json({"name": "me"})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(self.path.partition("?")[0]).strip("/")
        if path == "api/repos/create":
            given = json.loads(body)
            name = f"{given['organization']}/{given['name']}"
            self.server.repositories.setdefault(name, {})
            self.server.private[name] = given.get("visibility") == "private" or bool(
                given.get("private")
            )
            self._json({"url": f"{self.server.url}/{name}"})
        elif "/preupload/" in path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif "/commit/" in path:
            name = "/".join(path.split("/")[2:4])
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    self.server.repositories[name][entry["value"]["path"]] = content
            commit = f"{self.server.url}/{name}/commit/{SHA}"
            self._json({"success": True, "commitOid": SHA, "commitUrl": commit})
        else:
            self._json({"valid": True})

    def _describe(self, parts: list[str]) -> None:
        name, rest = "/".join(parts[2:4]), parts[4:]
        files = self.server.repositories.get(name)
        if files is None:
            self._missing("RepoNotFound")
        elif len(rest) > 1 and rest[1] not in ("main", SHA):
            self._missing("RevisionNotFound")
        elif rest[:1] == ["tree"]:
            self._json(
                [
                    {"type": "file", "path": f, "size": len(c), "oid": _oid(c)}
                    for f, c in files.items()
                ]
            )
        else:
            siblings = [{"rfilename": file} for file in files]
            self._json(
                {
                    "id": name,
                    "modelId": name,
                    "sha": SHA,
                    "siblings": siblings,
                    "tags": [],
                    "downloads": 0,
                    "private": False,
                }
            )

    def _file(self, path: str) -> None:
        owner, name, _, _, file = path.split("/", 4)
        content = self.server.repositories[f"{owner}/{name}"].get(file)
        if content is None:
            self._missing("EntryNotFound")
            return
        self.send_response(200)
        self.send_header("ETag", f'"{_oid(content)}"')
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.server.fetched.append(file)
            self.wfile.write(content)

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextlib.contextmanager
def serving() -> Iterator[HubServer]:
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
