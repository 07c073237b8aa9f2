"""The connections of one client: makes them, tries again what could not be made, and closes them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import zmq
import zmq.asyncio

from fleet_client.connection import SOCKETS_EACH, Connection, context_for, no_sockets
from fleet_client.threads import beside

LINGER_SECONDS = 0.25
"""How long the last Cancels to an encoder have to leave."""

MAX_OF_A_NAME = 1024
"""Encoders that a name stands for; room for their sockets costs nothing until they are made."""

Connect = Callable[[zmq.asyncio.Context, str], Connection]

_log = logging.getLogger("fleet_client")


class Connections:
    """One for each address. Belongs to one event loop.

    Args:
        addresses: To connect to now.
        names: For how many others, each with up to `MAX_OF_A_NAME` addresses, there must be room.
        connect: Makes a connection.

    Raises:
        ValueError: libzmq does not accept an address.
        OSError: This process may not have sockets enough; says what to raise.
    """

    def __init__(self, addresses: Sequence[str], names: int, connect: Connect) -> None:
        self._connect = connect
        self._context = context_for(len(addresses) + MAX_OF_A_NAME * names)
        self._open: dict[str, Connection] = {}
        self._left_out: set[str] = set()
        self._ended: set[asyncio.Task[None]] = set()
        try:
            for address in addresses:
                self._open[address] = connect(self._context, address)
        except (ValueError, zmq.ZMQError) as error:
            for each in self._open.values():
                each.close(0.0)
            self._context.destroy(0)
            if isinstance(error, zmq.ZMQError):
                raise no_sockets(len(addresses), error) from error
            raise

    def meet(self, addresses: Iterable[str]) -> dict[str, str]:
        """Connect to those of `addresses` that are new, or that could not be connected to the last time.

        Returns:
            Those that cannot be connected to, with the reason.
        """
        problems: dict[str, str] = {}
        for address in addresses:
            if address not in self._open:
                try:
                    self._open[address] = self._connect(self._context, address)
                except (ValueError, zmq.ZMQError) as error:
                    problems[address] = self._reason(error)
        _warn({address: problem for address, problem in problems.items() if address not in self._left_out})
        self._left_out = {*problems}
        return problems

    def send(self, address: str, frames: Sequence[Any]) -> bool:
        """See `Connection.send`; False too where there is none any more."""
        return address in self._open and self._open[address].send(frames)

    def part(self, address: str) -> None:
        """Close one, if there is one; what was sent may still leave."""
        if address in self._open:
            tasks = self._open.pop(address).close(LINGER_SECONDS)
            self._ended.update(tasks)
            for task in tasks:
                task.add_done_callback(self._ended.discard)

    def close(self, linger: float) -> list[asyncio.Task[None]]:
        """Close all; what is still unsent has `linger` seconds. Returns tasks for the caller to await."""
        return [*self._ended, *(task for each in self._open.values() for task in each.close(linger))]

    async def term(self) -> None:
        """Wait until all has left, or had its time."""
        await beside(self._context.term)

    def _reason(self, error: ValueError | zmq.ZMQError) -> str:
        if isinstance(error, ValueError):
            return str(error)
        room = int(self._context.get(zmq.MAX_SOCKETS)) // SOCKETS_EACH
        if len(self._open) >= room:
            return f"this client has room for {room} encoders: a name should stand for {MAX_OF_A_NAME} at most"
        return str(no_sockets(len(self._open) + 1, error).strerror)


def _warn(problems: Mapping[str, str]) -> None:
    """In one line, as a name may have thousands of addresses."""
    if problems:
        address, problem = next(iter(problems.items()))
        others = f" and {len(problems) - 1} others are" if len(problems) > 1 else " is"
        _log.warning("%s%s left out for now: %s", address, others, problem)
