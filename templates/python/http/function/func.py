"""Answers HTTP requests."""

import os
from urllib.parse import parse_qs


def new():
    """Called once, when the process starts."""
    return Function(os.environ.get("GREETING") or "Hello")


class Function:
    """Holds what lives as long as the process: settings, clients, caches."""

    def __init__(self, greeting):
        self.greeting = greeting

    async def handle(self, scope, receive, send):
        """Called for each request, as ASGI has it: https://asgi.readthedocs.io."""
        query = parse_qs(scope["query_string"].decode())
        name = query.get("name", ["World"])[0]
        body = f"{self.greeting}, {name}!\n".encode()
        await send({
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
            ],
        })
        await send({"type": "http.response.body", "body": body})
