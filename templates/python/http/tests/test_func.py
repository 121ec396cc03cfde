import asyncio

import pytest

from function import new


def ask(query=""):
    """The status and body of the function's answer to GET /?query."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": []}
    asyncio.run(new().handle(scope, receive, send))
    start, *bodies = sent
    return start["status"], b"".join(message["body"] for message in bodies).decode()


@pytest.mark.parametrize("greeting, query, want", [
    ("", "", "Hello, World!\n"),
    ("", "name=Ada", "Hello, Ada!\n"),
    ("Moin", "name=Ada+L.", "Moin, Ada L.!\n"),
])
def test_greets(monkeypatch, greeting, query, want):
    monkeypatch.setenv("GREETING", greeting)
    assert ask(query) == (200, want)
