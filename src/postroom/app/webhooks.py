"""Webhooks: events of mail become calls in the store, and one worker makes them.

`WebhookWriter` runs in every worker: it takes events as they are told, which costs an append, and once a second writes
down in a thread what the hooks are to hear. `WebhookCaller` runs in whichever worker holds the lock: it posts what is
due, signed, and tries again for three days with longer and longer pauses. A receiver may hear of something twice, with
the same webhook-id. What a killed process had not written down yet, a second at most, is lost; what is in the store is
told.
Owns: which messages' contexts are known in memory; how each hook fares. Trusts: the administrator for URLs; answers of
receivers are read up to 4 KiB and mean nothing but their status. Redirects are not followed.
Standards: Standard Webhooks 1.0; RFC 9110 10.2.3 (Retry-After).
On failure: an event, an alarm when a hook takes nothing; mail never waits for a webhook.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from postroom.app.runfolder import RunFolder
from postroom.config import Webhook, parse_url
from postroom.net.https import FetchFailed, Request, ask
from postroom.net.tls import client_context
from postroom.observe import webhooks
from postroom.observe.log import Events
from postroom.observe.webhooks import ACCEPTED, TYPES, Context, Hook
from postroom.store.api import Call, HookChange, HookStore, StoreError
from postroom.values.clock import Clock
from postroom.values.told import Told

WEBHOOKS_LOCK: Final = "webhooks.lock"
TURN_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 5.0  # between looks of workers that do not hold the lock, or have no hooks
_SWEEP_SECONDS: Final = 3600.0
_MOST_EVENTS: Final = 50_000  # that wait to be written
_KNOWN: Final = 10_000  # contexts in memory
#: seconds between tries: they double from the first to the longest; and after how many a call is given up
FIRST_RETRY: Final = 5.0
LONGEST_RETRY: Final = 8 * 3600.0
LIFETIME: Final = 3 * 86400.0
_LONGEST_PAUSE: Final = 300.0  # of a whole hook that takes nothing
_AT_ONCE: Final = 8
_BATCH: Final = 100
_CALL_SECONDS: Final = 15.0
_MOST_ANSWER: Final = 4096
#: failures in a row after which somebody must look
_ALARM_AFTER: Final = 5


def hook_of(config: Webhook) -> Hook:
    """What it wants to hear."""
    types = frozenset(str(one.value) for one in config.events) or frozenset(TYPES)
    return Hook(name=config.name, types=types, domain=config.domain, login=config.login)


class WebhookWriter:
    """Events of this worker become calls."""

    def __init__(self, store: HookStore, events: Events, clock: Clock) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._hooks: tuple[Hook, ...] = ()
        self._waiting: list[Told] = []
        self._known: OrderedDict[str, Context] = OrderedDict()
        self._writing = asyncio.Lock()

    def follow(self, config: Sequence[Webhook]) -> None:
        """These hooks from now on."""
        self._hooks = tuple(map(hook_of, config))

    def add(self, at: float, name: str, fields: Mapping[str, Any]) -> None:
        """An event of webhooks.WATCHED."""
        if self._hooks and len(self._waiting) < _MOST_EVENTS:
            self._waiting.append(Told(time=at, name=name, fields=dict(fields)))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TURN_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write down what waits; what cannot be written waits for the next turn."""
        async with self._writing:
            waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            try:
                await self._write(waiting)
            except StoreError as fault:
                room = _MOST_EVENTS - len(self._waiting)
                self._waiting = waiting[:room] + self._waiting
                if len(waiting) > room:
                    self._events("webhook.dropped", hook="", count=len(waiting) - room, reason=str(fault))

    async def _write(self, waiting: Sequence[Told]) -> None:
        contexts = await self._contexts(waiting)
        now, calls = self._clock.now(), []
        touched: dict[str, bytes | None] = {}
        for told in waiting:
            if told.name == ACCEPTED:
                contexts[told.id] = webhooks.context_of(told)
                touched[told.id] = b""
                continue
            context = contexts.get(told.id)
            calls += [
                Call(hook=one.hook, id=one.id, type=one.type, time=one.time, body=one.body, next=now)
                for one in webhooks.messages(told, context, self._hooks)
            ]
            if context is not None and webhooks.is_final(told):
                contexts[told.id] = replace(context, left=context.left - 1)
                touched[told.id] = b""
        for name in touched:
            done = contexts[name].left <= 0
            touched[name] = None if done else msgspec.msgpack.encode(contexts[name])
        dropped = await self._store.add(HookChange(at=now, calls=calls, contexts=touched))
        for name, data in touched.items():
            self._remember(name, contexts[name] if data is not None else None)
        if dropped:
            self._events("webhook.dropped", hook="", count=dropped, reason="too many calls wait already")

    def _remember(self, name: str, context: Context | None) -> None:
        self._known.pop(name, None)
        if context is not None:
            self._known[name] = context
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)

    async def _contexts(self, waiting: Sequence[Told]) -> dict[str, Context]:
        """Those that these events need: from memory, else from the store."""
        new = {told.id for told in waiting if told.name == ACCEPTED}
        names = {told.id for told in waiting} - new
        found = {name: self._known[name] for name in names if name in self._known}
        missing = names - found.keys()
        if missing:
            kept = await self._store.contexts(missing)
            found |= {name: msgspec.msgpack.decode(data, type=Context) for name, data in kept.items()}
        return found


class _Health:
    """How a hook fares. failures: in a row; until: no call before then."""

    __slots__ = ("failures", "told", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0
        self.told = False


class WebhookCaller:
    """Makes the calls of all workers, in the one that holds the lock."""

    def __init__(
        self, store: HookStore, events: Events, clock: Clock, config: Callable[[], Sequence[Webhook]], folder: RunFolder
    ) -> None:
        """config: the webhooks in force now."""
        self._store = store
        self._events = events
        self._clock = clock
        self._config = config
        self._lock = folder.lock(WEBHOOKS_LOCK)
        self._health: dict[str, _Health] = {}
        self._client = WebhookClient()
        self._swept = -_SWEEP_SECONDS

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                mine = bool(self._config()) and self._lock.take()
                more = mine and await self._turn()
                await asyncio.sleep(0 if more else TURN_SECONDS if mine else _IDLE_SECONDS)
        finally:
            self._lock.release()

    async def _turn(self) -> bool:
        try:
            return await self.turn()
        except StoreError:
            return False  # it is tried again in a second

    async def turn(self) -> bool:
        """Make the calls that are due; is there more? Raises StoreError."""
        now = self._clock.now()
        hooks = {one.name: one for one in self._config()}
        if self._clock.monotonic() - self._swept >= _SWEEP_SECONDS:
            self._swept = self._clock.monotonic()
            await self._store.sweep(now, hooks.keys())
        ready = [name for name in hooks if self._of(name).until <= now]
        calls = await self._store.due(now, ready, _BATCH) if ready else []
        for start in range(0, len(calls), _AT_ONCE):
            part = [one for one in calls[start : start + _AT_ONCE] if self._of(one.hook).until <= now]
            faults = await asyncio.gather(*(self._call(hooks[one.hook], one) for one in part))
            await self._settle(part, faults)
        return len(calls) == _BATCH

    def _of(self, hook: str) -> _Health:
        return self._health.setdefault(hook, _Health())

    async def _call(self, hook: Webhook, call: Call) -> CallFailed | None:
        try:
            await self._client.post(hook, call.id, call.body, int(self._clock.now()))
        except CallFailed as fault:
            return fault
        return None

    async def _settle(self, calls: Sequence[Call], faults: Sequence[CallFailed | None]) -> None:
        now = self._clock.now()
        done = [call for call, fault in zip(calls, faults, strict=True) if fault is None]
        failed = [_later(call, fault, now) for call, fault in zip(calls, faults, strict=True) if fault is not None]
        await self._store.settle(done, failed)
        for call, fault in zip(calls, faults, strict=True):
            self._note(call.hook, fault, now)
        for hook in {one.hook for one in failed if one.dead}:
            given_up = [one for one in failed if one.dead and one.hook == hook]
            self._events("webhook.dropped", hook=hook, count=len(given_up), reason=given_up[0].last)

    def _note(self, hook: str, fault: CallFailed | None, now: float) -> None:
        health = self._of(hook)
        if fault is None:
            if health.told:
                self._events("webhook.recovered", hook=hook)
            health.failures, health.until, health.told = 0, 0.0, False
            return
        health.failures += 1
        if fault.everybody:
            health.until = max(health.until, now + min(max(_pause(health.failures), fault.retry_in), _LONGEST_PAUSE))
        if health.failures >= _ALARM_AFTER and not health.told:
            health.told = True
            self._events("webhook.failing", hook=hook, reason=str(fault))


def _pause(attempts: int) -> float:
    """Seconds after so many failures."""
    return min(FIRST_RETRY * 2.0 ** min(attempts - 1, 30), LONGEST_RETRY)


def _later(call: Call, fault: CallFailed, now: float) -> Call:
    """The call as it waits for its next try, or is given up."""
    attempts = call.attempts + 1
    at = now + max(_pause(attempts), min(fault.retry_in, LONGEST_RETRY))
    dead = now - call.time >= LIFETIME
    return replace(call, attempts=attempts, next=now if dead else at, last=str(fault)[:300], dead=dead)


class CallFailed(Exception):
    """The receiver has not taken a call. everybody: others would fare no better; retry_in: what it asks for."""

    def __init__(self, text: str, *, everybody: bool = True, retry_in: float = 0.0) -> None:
        super().__init__(text)
        self.everybody = everybody
        self.retry_in = retry_in


class WebhookClient:
    """Posts signed bodies."""

    def __init__(self, authorities: str | None = None) -> None:
        self._authorities = authorities
        self._tls: ssl.SSLContext | None = None  # the authorities take 10 ms and 5 MB to load

    async def post(self, hook: Webhook, name: str, body: bytes, now: int) -> int:
        """One call; the status of the answer. Raises CallFailed."""
        try:
            keys = webhooks.read_secrets(await asyncio.to_thread(_read, hook.secret_file))
            place = parse_url(hook.url)
        except (OSError, ValueError) as fault:
            raise CallFailed(f"it cannot be called: {fault}") from fault
        if not keys:
            raise CallFailed(f"{hook.secret_file} holds no secret")
        request = Request(
            host=place.host,
            addresses=await _addresses(place.host, place.port),
            path=place.target,
            method="POST",
            port=place.port,
            fields=(("Content-Type", "application/json"), *webhooks.headers(name, now, body, keys)),
            body=body,
            seconds=_CALL_SECONDS,
            most=_MOST_ANSWER,
        )
        try:
            answer = await ask(request, self._context() if place.tls else None)
        except FetchFailed as fault:
            raise CallFailed(str(fault)) from fault
        if 200 <= answer.status < 300:
            return answer.status
        retry_after = answer.fields.get("retry-after", "")
        raise CallFailed(
            f"it answered {answer.status}",
            everybody=answer.status >= 500 or answer.status in (408, 410, 429),
            retry_in=float(retry_after[:9]) if retry_after.isascii() and retry_after.isdigit() else 0.0,
        )

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = client_context(True, self._authorities)
        return self._tls


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


async def _addresses(host: str, port: int) -> list[str]:
    """Raises CallFailed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    except OSError as fault:
        raise CallFailed(f"{host} cannot be found: {fault}") from fault
    return list(dict.fromkeys(str(one[4][0]) for one in found))
