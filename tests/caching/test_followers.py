"""Identical items in flight: one computes, all are answered, each by its own deadline."""

import pytest
import torch

from fleet_client.protocol import Meta
from fleet_encoder.admission import Ticket
from fleet_encoder.cache import Embedding
from fleet_encoder.errors import Expired, Invalid
from fleet_encoder.job import Job, Outcome, Source

ROWS = Embedding(torch.zeros(1, 2), Meta(tokens=1, patches=4))


def job(deadline: float | None = None) -> Job:
    return Job("r", 0, "image", Source(data=b""), Ticket(1, 1), deadline=deadline)


async def test_all_get_the_embedding_and_followers_are_marked() -> None:
    leader, follower = job(), job()
    leader.followers.append(follower)
    leader.finish(Outcome(ROWS, None))
    assert (leader.outcome.result().embedding, leader.outcome.result().shared) == (ROWS, False)
    assert (follower.outcome.result().embedding, follower.outcome.result().shared) == (ROWS, True)


async def test_the_same_bytes_fail_the_same_way() -> None:
    leader, follower = job(), job()
    leader.followers.append(follower)
    error = Invalid("truncated")
    leader.finish(Outcome(None, error))
    assert follower.outcome.result().error is error


@pytest.mark.parametrize("late", ["leader", "follower"])
async def test_lateness_is_each_ones_own(late: str) -> None:
    jobs = {name: job(deadline=0.0 if name == late else None) for name in ("leader", "follower")}
    jobs["leader"].followers.append(jobs["follower"])
    assert jobs["leader"].wanted(1.0)
    jobs["leader"].finish(Outcome(ROWS, None))
    for name, each in jobs.items():
        outcome = each.outcome.result()
        assert isinstance(outcome.error, Expired) == (name == late)


async def test_the_first_end_counts() -> None:
    each = job()
    each.finish(Outcome(ROWS, None))
    each.finish(Outcome(None, Invalid("too late")))
    assert each.outcome.result().embedding is ROWS
