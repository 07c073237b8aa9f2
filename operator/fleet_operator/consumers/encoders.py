"""What encoders say of themselves where language servers ask them: each is asked once, when it has become ready."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from fleet_operator.addresses import at
from fleet_operator.api import EncoderPool
from fleet_operator.consumers.asking import MODEL, Asker, NoAnswerError
from fleet_operator.consumers.compatibility import encoder_facts
from fleet_operator.consumers.told import NOTHING
from fleet_operator.consumers.wishes import Identity, serving
from fleet_operator.observed.mirror import Key
from fleet_operator.observed.pods import PodState
from fleet_operator.specs.names import HTTP_PORT, SGLANG_PORT

TRIES = 3
"""Before an encoder that refuses connections is taken for one that listens nowhere."""
TRY_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""Until one that has not said what it is is asked again."""
_MOST_SAME = 1000
"""Different answers that are remembered, so that those that are alike are one object."""


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
        self._identities: dict[Key, Mapping[str, Identity]] = {}
        """Made of `_known` when they are asked for, and forgotten when that changes."""
        self._same: dict[Identity, Identity] = {}
        self._asking: dict[tuple[Key, str], asyncio.Task[None]] = {}

    def identities(self, key: Key) -> Mapping[str, Identity]:
        """Of a pool's encoders, by the names of their pods."""
        if key not in self._identities:
            self._identities[key] = {name: each.identity for name, each in self._known.get(key, {}).items()}
        return self._identities[key]

    def look(self, key: Key, pool: EncoderPool, pods: Iterable[PodState]) -> None:
        """Ask those of a pool that have not been asked; those that are no more are forgotten."""
        now, known = time.monotonic(), self._known.get(key, {})
        there = {pod.name: pod for pod in serving(pods)}
        kept = {name: each for name, each in known.items() if name in there and there[name].ip == each.ip}
        self._known[key] = kept
        if len(kept) != len(known):
            self._identities.pop(key, None)
        for name, pod in there.items():
            asked = kept.get(name)
            if asked is not None and (asked.until is None or asked.until > now):
                continue
            if pool.spec.runtime != "Native":
                identity = Identity(encoder_facts(pool, NOTHING))
                kept[name] = _Asked(pod.ip, self._same.setdefault(identity, identity), None)
                self._identities.pop(key, None)
            elif (key, name) not in self._asking:
                task = self._asking[key, name] = asyncio.create_task(self._ask(key, pool, pod))
                task.add_done_callback(partial(self._asked, key, name))

    def keep(self, keys: Iterable[Key]) -> None:
        """Forget all other pools."""
        keys = set(keys)
        self._known = {key: each for key, each in self._known.items() if key in keys}
        self._identities = {key: each for key, each in self._identities.items() if key in keys}
        if len(self._same) > _MOST_SAME:
            self._same.clear()

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, key: Key, name: str, _: asyncio.Task[None]) -> None:
        self._asking.pop((key, name), None)

    async def _ask(self, key: Key, pool: EncoderPool, pod: PodState) -> None:
        identity = await self._identity(pool, pod.ip)
        seconds = None if identity.told else TRY_SECONDS if identity.deaf else AGAIN_SECONDS
        until = None if seconds is None else time.monotonic() + seconds
        self._known.setdefault(key, {})[pod.name] = _Asked(pod.ip, self._same.setdefault(identity, identity), until)
        self._identities.pop(key, None)
        self._changed(key)

    async def _identity(self, pool: EncoderPool, ip: str) -> Identity:
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                return Identity(encoder_facts(pool, await self._asker.told(at(ip, SGLANG_PORT), MODEL)))
            except NoAnswerError as error:
                if not error.refused:
                    break
                if last:
                    return Identity(encoder_facts(pool, NOTHING), told=False, deaf=True)
            await asyncio.sleep(TRY_SECONDS)
        # A NetworkPolicy may let language servers in and keep us out; the port of metrics it leaves open to all.
        try:
            return Identity(encoder_facts(pool, await self._asker.told(at(ip, HTTP_PORT), MODEL)))
        except NoAnswerError:
            return Identity(encoder_facts(pool, NOTHING), told=False)
