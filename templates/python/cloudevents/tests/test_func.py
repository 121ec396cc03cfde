import asyncio

import pytest
from cloudevents.core.v1.event import CloudEvent

from function import new


def greet(data):
    """The data of the function's answer to an event."""
    sent = []

    class Send:
        async def binary(self, event, status=200):
            sent.append(event)

    event = CloudEvent(attributes={"id": "1", "source": "/test", "type": "greet"}, data=data)
    asyncio.run(new().handle({"event": event}, None, Send()))
    (answer,) = sent
    assert answer.get_type() == "function.greeted"
    return answer.get_data()


@pytest.mark.parametrize("greeting, data, want", [
    ("", None, "Hello, World!"),
    ("", {"name": "Ada"}, "Hello, Ada!"),
    ("", b'{"name": "Ada"}', "Hello, Ada!"),
    ("Moin", {"name": "Ada"}, "Moin, Ada!"),
])
def test_greets(monkeypatch, greeting, data, want):
    monkeypatch.setenv("GREETING", greeting)
    assert greet(data) == {"message": want}


def test_refuses_other_data():
    with pytest.raises(TypeError):
        greet(["Ada"])
