"""Which Deployments of a pool may get another pod template now. Pure.

Each Deployment keeps its own `maxUnavailable`, and a pool has one for each shape of node: given a new template side by
side they would take as many replicas away as there are shapes. So they take turns, and what a pool allows to be away is
its own: a template goes to the next Deployment only as far as all of them together stay within it. As within a
Deployment, replicas that are away for another cause count too. Where none serves there is nothing to lose.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_operator.api import EncoderPool


@dataclass(frozen=True, slots=True)
class Part:
    """One Deployment of a pool.

    Attributes:
        name: Of the Deployment.
        replicas: That it shall have.
        ready: Of these, how many serve.
        most: How many it may itself take away at a time.
        rolling: Whether it may be about to: it has pods of another template, or has not looked at its own yet.
        mixed: Whether it has pods of another template.
        changed: Whether its template shall be another one.
    """

    name: str
    replicas: int
    ready: int
    most: int
    rolling: bool = False
    mixed: bool = False
    changed: bool = False

    @property
    def missing(self) -> int:
        """Replicas that are away."""
        return max(0, self.replicas - self.ready)

    @property
    def away(self) -> int:
        """The same, with those that it may take away by what it was told already."""
        return max(self.missing, self.most) if self.rolling else self.missing


def in_turn(parts: Sequence[Part], allowed: int) -> frozenset[str]:
    """Names of those that get their new template now.

    Args:
        parts: All Deployments of the pool.
        allowed: Replicas of the pool that may be away at a time.
    """
    chosen: set[str] = set()
    held = {part.name: part.away for part in parts}
    rolling = {part.name for part in parts if part.rolling}
    # Those with replicas that are away anyway come first: their rollout begins with these.
    for part in sorted(parts, key=lambda each: (not each.missing, each.name)):
        if not part.changed:
            continue
        then = max(part.missing, part.most)
        fits = sum(held.values()) - held[part.name] + then <= allowed
        takes_none = part.missing >= part.most and not rolling - {part.name}
        if part.ready == 0 or part.mixed or fits or takes_none:
            chosen.add(part.name)
            if part.ready:
                held[part.name] = then
                rolling.add(part.name)
    return frozenset(chosen)


def parts(
    pool: EncoderPool,
    there: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int] | None = None,
    changed: Collection[str] = (),
) -> list[Part]:
    """The Deployments of a pool.

    Args:
        pool: The pool.
        there: As they are, by name.
        counts: Replicas that they shall have, by name; as they have them where not given.
        changed: Names of those whose template shall be another one.
    """
    made = []
    for name, body in there.items():
        status, meta = body.get("status") or {}, body["metadata"]
        count = body["spec"].get("replicas") or 0 if counts is None else counts.get(name, 0)
        mixed = (status.get("updatedReplicas") or 0) < (status.get("replicas") or 0)
        unseen = (status.get("observedGeneration") or 0) < (meta.get("generation") or 0)
        ready = status.get("readyReplicas") or 0
        made.append(Part(name, count, ready, _most(pool, count), mixed or unseen, mixed, name in changed))
    return made


def away(pool: EncoderPool) -> int:
    """How many replicas of a pool may be away while others come in their place."""
    return max(1, _amount(pool.spec.rollout.max_unavailable, pool.spec.replicas))


def spare(pool: EncoderPool, there: Mapping[str, Mapping[str, Any]]) -> int:
    """The same, less those that rollouts may take and have not taken yet."""
    return max(0, away(pool) - sum(part.away - part.missing for part in parts(pool, there)))


def _most(pool: EncoderPool, replicas: int) -> int:
    """Replicas that a Deployment takes away at a time: Kubernetes makes it one where it could neither add nor take."""
    rollout = pool.spec.rollout
    stuck = not _amount(rollout.max_unavailable, replicas) and rollout.max_surge in (0, "0%")
    return min(replicas, 1 if stuck else _amount(rollout.max_unavailable, replicas))


def _amount(value: int | str, replicas: int) -> int:
    return replicas * int(value.removesuffix("%")) // 100 if isinstance(value, str) else value
