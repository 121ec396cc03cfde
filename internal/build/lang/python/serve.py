"""Serves a function: the package or module `function` of the project, which has
new() -> an object with an ASGI method handle(scope, receive, send), or such a
handle itself. The object may have start(settings), stop(), alive() and ready()
too, async or not; the last two return a truth value, or one and a message.

With the argument `events`, requests are CloudEvents: scope["event"] is the event,
and send(event) answers with one, as in func-python."""

import asyncio
import inspect
import logging
import os
import signal
import sys

# Last, so that what the function brings along comes first.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402

log = logging.getLogger("kn-lite")


def load():
    """The function's object, or None when handle stands alone, and its handler."""
    import function

    if hasattr(function, "new"):
        instance = function.new()
        return instance, instance.handle
    if hasattr(function, "handle"):
        return None, function.handle
    raise SystemExit("the module function has neither new nor handle")


class Application:
    def __init__(self, instance, handle):
        self.instance = instance
        self.handle = handle

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
        elif scope["type"] == "http" and scope["path"] == "/health/liveness":
            await self.report("alive", send)
        elif scope["type"] == "http" and scope["path"] == "/health/readiness":
            await self.report("ready", send)
        elif scope["type"] == "http":
            await self.answer(scope, receive, send)
        else:
            await self.handle(scope, receive, send)

    async def lifespan(self, receive, send):
        while True:
            message = await receive()
            step = message["type"].removeprefix("lifespan.")
            try:
                if step == "startup":
                    await self.call("start", os.environ.copy())
                else:
                    await self.call("stop")
            except Exception as error:
                log.exception("%s", step)
                await send({"type": message["type"] + ".failed", "message": str(error)})
                return
            await send({"type": message["type"] + ".complete"})
            if step == "shutdown":
                return

    async def answer(self, scope, receive, send):
        begun = False

        async def watched(message):
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.invoke(scope, receive, watched)
        except Exception:
            log.exception("%s %s", scope["method"], scope["path"])
            if begun:
                raise  # the server cuts the connection: half an answer is none
            await self.text(send, 500, "the function failed; its log says why\n")

    async def invoke(self, scope, receive, send):
        await self.handle(scope, receive, send)

    async def report(self, method, send):
        code, message = 200, "OK"
        try:
            result = await self.call(method)
        except Exception as error:
            log.exception("%s", method)
            code, message = 500, str(error)
        else:
            well = True if result is None else result
            if isinstance(result, tuple):
                well, message = result
            if not well:
                code, message = 503, "not " + method if message == "OK" else message
        await self.text(send, code, str(message))

    async def call(self, method, *args):
        f = getattr(self.instance, method, None)
        if f is None:
            return None
        result = f(*args)
        return await result if inspect.isawaitable(result) else result

    @staticmethod
    async def text(send, code, text):
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


class EventApplication(Application):
    """Turns requests into events and events into responses."""

    def __init__(self, instance, handle):
        super().__init__(instance, handle)
        self.sdk = SDK()

    async def invoke(self, scope, receive, send):
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            event = self.sdk.decode(headers, body)
        except Exception as error:  # the SDK has no one kind for what is no event
            await self.text(send, 400, f"not a CloudEvent: {error}\n")
            return
        sender = Sender(self.sdk, send)
        await self.handle({**scope, "event": event}, receive, sender)
        if not sender.used:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})


class SDK:
    """The CloudEvents SDK that the project asks for, whatever its release."""

    def __init__(self):
        try:
            from cloudevents.core.bindings import http
        except ImportError:  # before 2.0
            from cloudevents import http

            self.read, self.binary, self.structured = http.from_http, http.to_binary, http.to_structured
            return

        def pair(message):
            return message.headers, message.body

        self.read = lambda headers, body: http.from_http_event(http.HTTPMessage(headers, body))
        self.binary = lambda event: pair(http.to_binary_event(event))
        self.structured = lambda event: pair(http.to_structured_event(event))

    def decode(self, headers, body):
        # The SDK makes up what is missing, and takes any JSON for an event.
        binary = [name for name in ("ce-specversion", "ce-id", "ce-source", "ce-type") if headers.get(name)]
        if binary and len(binary) < 4:
            raise ValueError("an attribute is missing: there are only " + ", ".join(binary))
        if not binary and not headers.get("content-type", "").startswith("application/cloudevents+json"):
            raise ValueError("there are neither Ce- headers nor the content type application/cloudevents+json")
        return self.read(headers, body)


class Sender:
    """What a function of events answers with."""

    def __init__(self, sdk, send):
        self.sdk = sdk
        self.send = send
        self.used = False

    async def __call__(self, event, status=200):
        await self.structured(event, status)

    async def structured(self, event, status=200):
        await self.encoded(status, *self.sdk.structured(event))

    async def binary(self, event, status=200):
        await self.encoded(status, *self.sdk.binary(event))

    async def http(self, message):
        """A message of ASGI, as it is."""
        self.used = True
        await self.send(message)

    async def encoded(self, status, headers, body):
        body = body.encode() if isinstance(body, str) else body or b""
        fields = [(name.encode(), str(value).encode()) for name, value in headers.items()]
        fields.append((b"content-length", str(len(body)).encode()))
        await self.http({"type": "http.response.start", "status": status, "headers": fields})
        await self.http({"type": "http.response.body", "body": body})


def settings():
    config = Config()
    address = os.environ.get("LISTEN_ADDRESS", "")
    config.bind = [address or "0.0.0.0:" + os.environ.get("PORT", "8080")]
    # How long a request may take is the revision's business, when it starts and
    # when it ends: Kubernetes kills the process when the grace period is over.
    config.graceful_timeout = 24 * 3600
    config.shutdown_timeout = 30
    config.startup_timeout = 3600
    return config


async def main():
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    kind = EventApplication if "events" in sys.argv[1:] else Application
    await serve(kind(*load()), settings(), shutdown_trigger=stop.wait, mode="asgi")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
