"""A steady load on a pool, and the count of what became of it. Runs in a pod of the encoder's image.

`python load.py NAME ENDPOINT PHOTO...` sends crops of the photos, no two alike, until there is a file `/tmp/stop`;
then it waits for all answers and prints what it counted as one line of JSON.
"""

import asyncio
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from fleet_client import AsyncClient, Encoding, image

CALLERS = 2
PAUSE_SECONDS = 0.05
"""Between an answer and the next request: the pool is busy, and not overloaded."""
ITEM_SECONDS = 120.0
SIDE = 160
STOP = Path("/tmp/stop")


class Tally:
    """What was sent, and what became of it. `lost` is a difference, not a claim."""

    def __init__(self) -> None:
        self.sent = self.answered = self.retried = 0
        self.by: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()

    def dump(self) -> dict[str, object]:
        """For JSON."""
        counted = {"sent": self.sent, "answered": self.answered, "retried": self.retried}
        return counted | {"lost": self.sent - self.answered, "by": dict(self.by), "problems": dict(self.problems)}


def crop(photo: Image.Image) -> bytes:
    """A JPEG of a piece of the photo, most likely never sent before: no cache answers."""
    left, top = random.randrange(photo.width - SIDE), random.randrange(photo.height - SIDE)
    data = io.BytesIO()
    photo.crop((left, top, left + SIDE, top + SIDE)).save(data, "JPEG", quality=random.randrange(70, 96))
    return data.getvalue()


async def call(client: AsyncClient, photos: Sequence[Image.Image], tally: Tally) -> None:
    """One caller: the next item a moment after the last one's answer."""
    while not STOP.exists():
        tally.sent += 1
        (outcome,) = await client.encode([image(crop(random.choice(photos)))], return_errors=True)
        if isinstance(outcome, Encoding) and len(outcome.embedding) == outcome.meta.tokens > 0:
            tally.answered += 1
            tally.retried += outcome.attempts > 1
            tally.by[outcome.endpoint] += 1
        else:
            tally.problems[f"{type(outcome).__name__}: {outcome}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def run(name: str, endpoint: str, photos: Sequence[Image.Image]) -> Tally:
    """Until somebody says stop; every answer is waited for."""
    tally = Tally()
    async with AsyncClient(endpoint, timeout=ITEM_SECONDS, name=name) as client:
        await asyncio.gather(*(call(client, photos, tally) for _ in range(CALLERS)))
    return tally


if __name__ == "__main__":
    given = [Image.open(path).convert("RGB") for path in sys.argv[3:]]
    print(json.dumps(asyncio.run(run(sys.argv[1], sys.argv[2], given)).dump()))
