"""The Telemetry API of one generation: subscriptions, and the delivery of what happened to those who listen.

Events that were made before a subscription are delivered too. Delivery pauses while the environment is frozen, retries
with a growing pause while nobody listens, and drops the oldest events, saying so, when a subscriber falls behind.
Source: AWS Lambda developer guide, "Lambda Telemetry API reference".
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import web

from . import answers
from .extensions_api import Agent
from .signals import Signal
from .telemetry_events import Event, logs_dropped, subscription

_VERSIONS = ("2022-07-01", "2022-12-13", "2025-01-29")
_TYPES = ("platform", "function", "extension")
#: The names under which an extension's own listener is known inside an environment.
_SANDBOX_HOSTS = ("sandbox.localdomain", "sandbox")
_LIMITS = {
    "maxItems": (1000, 10_000, 10_000),
    "maxBytes": (262_144, 1_048_576, 262_144),
    "timeoutMs": (25, 30_000, 1000),
}
_MAX_QUEUED = 20_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25


@dataclass(frozen=True)
class Subscription:
    """What one extension asked for."""

    name: str
    url: str
    types: tuple[str, ...]
    max_items: int
    max_bytes: int
    timeout: float
    json_logs: bool


class InvalidSubscription(ValueError):
    """The body of a subscription does not fit the schema."""


def parse_subscription(name: str, body: Any) -> Subscription:
    """The subscription in a request's decoded body; raises `InvalidSubscription`."""
    if not isinstance(body, dict):
        raise InvalidSubscription("body: expected an object")
    if body.get("schemaVersion") not in _VERSIONS:
        raise InvalidSubscription(f"schemaVersion: expected one of {', '.join(_VERSIONS)}")
    types = body.get("types")
    if not isinstance(types, list) or not types or any(kind not in _TYPES for kind in types):
        raise InvalidSubscription(f"types: expected some of {', '.join(_TYPES)}")
    destination = body.get("destination")
    if not isinstance(destination, dict) or destination.get("protocol") != "HTTP":
        raise InvalidSubscription('destination: expected {"protocol":"HTTP","URI":…}')
    buffering = body.get("buffering", {})
    if not isinstance(buffering, dict):
        raise InvalidSubscription("buffering: expected an object")
    values = {}
    for key, (least, most, default) in _LIMITS.items():
        value = values[key] = buffering.get(key, default)
        if not isinstance(value, int) or not least <= value <= most:
            raise InvalidSubscription(f"buffering.{key}: expected a number from {least} to {most}")
    return Subscription(
        name=name,
        url=_resolve(str(destination.get("URI", ""))),
        types=tuple(dict.fromkeys(types)),
        max_items=values["maxItems"],
        max_bytes=values["maxBytes"],
        timeout=values["timeoutMs"] / 1000,
        json_logs=body["schemaVersion"] != "2022-07-01",
    )


def _resolve(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme != "http" or parts.hostname not in _SANDBOX_HOSTS:
        raise InvalidSubscription("destination.URI: expected http://sandbox.localdomain:PORT")
    return urlunsplit(parts._replace(netloc=f"127.0.0.1:{parts.port or 80}"))


class TelemetryApi:
    """Keeps what happened and brings it to every subscriber."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._events: list[Event] = []
        self._subscribers: dict[str, Subscriber] = {}
        self._thawed = Signal()
        self._thawed.set()
        self.open = True

    def emit(self, made: Event) -> None:
        """Something happened."""
        if self.open:  # afterwards nobody can ask for what happened before
            self._events.append(made)
        for subscriber in self._subscribers.values():
            subscriber.offer(made)

    def close_subscriptions(self) -> None:
        """Every extension has asked for its first event: what nobody subscribed to needs no keeping."""
        self.open = False
        self._events.clear()

    def freeze(self) -> None:
        """Deliver nothing until `thaw`."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on delivering."""
        self._thawed.set()

    def flush(self) -> None:
        """Deliver what is buffered now: the environment is about to end."""
        for subscriber in self._subscribers.values():
            subscriber.hurry()

    def close(self) -> None:
        """The generation is over."""
        for subscriber in self._subscribers.values():
            subscriber.task.cancel()

    async def handle(self, request: web.BaseRequest, agent: Agent) -> web.Response:
        """Answer `PUT /2022-07-01/telemetry`."""
        if not self.open:
            return answers.error(403, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already")
        try:
            wanted = parse_subscription(agent.name, json.loads(await request.read()))
        except ValueError as error:
            return answers.error(400, "ValidationError", str(error))
        if agent.name in self._subscribers:  # a second subscription takes the place of the first
            self._subscribers.pop(agent.name).task.cancel()
        subscriber = self._subscribers[agent.name] = Subscriber(wanted, self._session, self._thawed)
        for past in self._events:
            subscriber.offer(past)
        self.emit(subscription(agent.name, wanted.types))
        return answers.as_json(200, "OK")


class Subscriber:
    """The queue and the courier of one subscription."""

    def __init__(self, wanted: Subscription, session: aiohttp.ClientSession, thawed: Signal) -> None:
        self._wanted = wanted
        self._session = session
        self._thawed = thawed
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._filled = Signal()
        self._enough = Signal()
        self._hurried = Signal()
        self._dropped = [0, 0]
        self.task = asyncio.get_running_loop().create_task(self._deliver())

    def offer(self, made: Event) -> None:
        """Queue an event when its type was asked for."""
        kind = str(made["type"]).split(".", 1)[0]
        if kind not in self._wanted.types:
            return
        data = json.dumps(made if self._wanted.json_logs else _as_text(made), separators=(",", ":")).encode()
        if len(self._queue) >= _MAX_QUEUED:
            oldest = self._queue.popleft()
            self._size -= len(oldest)
            self._dropped[0] += 1
            self._dropped[1] += len(oldest)
        self._queue.append(data)
        self._size += len(data)
        self._filled.set()
        if len(self._queue) >= self._wanted.max_items or self._size >= self._wanted.max_bytes:
            self._enough.set()

    def hurry(self) -> None:
        """Do not wait for more, nor between two attempts."""
        self._hurried.set()
        if self._queue:
            self._enough.set()

    async def _deliver(self) -> None:
        while True:
            await self._filled.future
            await asyncio.wait({self._enough.future}, timeout=self._wanted.timeout)
            batch = self._take()
            pause = _FIRST_PAUSE
            while not await self._post(batch):
                if self._hurried.is_set():
                    await asyncio.sleep(_FIRST_PAUSE)
                else:
                    await asyncio.wait({self._hurried.future}, timeout=pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _take(self) -> bytes:
        taken: list[bytes] = []
        size = 0
        while self._queue and len(taken) < self._wanted.max_items and size < self._wanted.max_bytes:
            data = self._queue.popleft()
            taken.append(data)
            size += len(data)
        self._size -= size
        self._enough.clear()
        if not self._queue:
            self._filled.clear()
        if self._dropped[0]:
            taken.append(json.dumps(logs_dropped(*self._dropped)).encode())
            self._dropped = [0, 0]
        return b"[" + b",".join(taken) + b"]"

    async def _post(self, batch: bytes) -> bool:
        await self._thawed.future
        try:
            async with self._session.post(
                self._wanted.url, data=batch, headers={"Content-Type": "application/json"}
            ) as response:
                await response.read()
                return response.status == 200
        except (aiohttp.ClientError, OSError, ValueError):
            return False


def _as_text(made: Event) -> Event:
    record = made["record"]
    if made["type"] in ("function", "extension") and not isinstance(record, str):
        return {**made, "record": json.dumps(record)}
    return made
