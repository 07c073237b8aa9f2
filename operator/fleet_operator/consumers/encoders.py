"""What encoders say of themselves where language servers ask them: each is asked once, when it has become ready."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from fleet_operator.api import EncoderPool
from fleet_operator.consumers.asking import MODEL, Asker, NoAnswerError
from fleet_operator.consumers.compatibility import encoder_facts
from fleet_operator.consumers.registry import host
from fleet_operator.consumers.wishes import Identity, serving
from fleet_operator.observed.mirror import Key
from fleet_operator.observed.pods import PodState
from fleet_operator.specs.names import SGLANG_PORT

TRIES = 3
"""Before an encoder that refuses connections is taken for one that listens nowhere."""
TRY_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""Until one that has not said what it is is asked again."""


class _Asked(NamedTuple):
    """One encoder: `until` says when to ask it again, None for never."""

    ip: str
    identity: Identity
    until: float | None


class Encoders:
    """Asks them.

    Args:
        asker: Asks.
        changed: Called with a pool when something new is known of one of its encoders.
    """

    def __init__(self, asker: Asker, changed: Callable[[Key], None]) -> None:
        self._asker = asker
        self._changed = changed
        self._known: dict[Key, dict[str, _Asked]] = {}
        self._asking: dict[tuple[Key, str], asyncio.Task[None]] = {}

    def identities(self, key: Key) -> Mapping[str, Identity]:
        """Of a pool's encoders, by the names of their pods."""
        return {name: each.identity for name, each in self._known.get(key, {}).items()}

    def look(self, key: Key, pool: EncoderPool, pods: Iterable[PodState]) -> None:
        """Ask those of a pool that have not been asked; those that are no more are forgotten."""
        now, known = time.monotonic(), self._known.get(key, {})
        there = {pod.name: pod for pod in serving(pods)}
        kept = {name: each for name, each in known.items() if name in there and there[name].ip == each.ip}
        self._known[key] = kept
        for name, pod in there.items():
            asked = kept.get(name)
            if asked is not None and (asked.until is None or asked.until > now):
                continue
            if pool.spec.runtime != "Native":
                kept[name] = _Asked(pod.ip, Identity(encoder_facts(pool, {})), None)
            elif (key, name) not in self._asking:
                task = self._asking[key, name] = asyncio.create_task(self._ask(key, pool, pod))
                task.add_done_callback(partial(self._asked, key, name))

    def keep(self, keys: Iterable[Key]) -> None:
        """Forget all other pools."""
        keys = set(keys)
        self._known = {key: each for key, each in self._known.items() if key in keys}

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, key: Key, name: str, _: asyncio.Task[None]) -> None:
        self._asking.pop((key, name), None)

    async def _ask(self, key: Key, pool: EncoderPool, pod: PodState) -> None:
        identity, until = await self._identity(pool, f"{host(pod.ip)}:{SGLANG_PORT}")
        self._known.setdefault(key, {})[pod.name] = _Asked(pod.ip, identity, until)
        self._changed(key)

    async def _identity(self, pool: EncoderPool, address: str) -> tuple[Identity, float | None]:
        deaf = False
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                return Identity(encoder_facts(pool, await self._asker.told(address, MODEL))), None
            except NoAnswerError as error:
                deaf = error.refused
            # Where a policy keeps us out that lets language servers in, there is never an answer.
            if not deaf or last:
                break
            await asyncio.sleep(TRY_SECONDS)
        identity = Identity(encoder_facts(pool, {}), told=False, deaf=deaf)
        return identity, time.monotonic() + (TRY_SECONDS if deaf else AGAIN_SECONDS)
