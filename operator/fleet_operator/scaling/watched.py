"""What is remembered of one pool between two looks."""

from dataclasses import dataclass, field

from fleet_operator.api import EncoderPool
from fleet_operator.autoscale import Decision, Observation, PodLoad, Reading, State, load_between, step


@dataclass
class Watched:
    """A pool whose load is looked at. All of it can be learnt again.

    Attributes:
        uid: Of the pool, and what it runs: another one of its name, or of another program, begins anew.
        readings: The last one of each pod.
        loads: Of the pods between the last two readings.
        state: What the last decision left.
        decision: The last one.
        fingerprint: Of the model that the encoders serve; empty where they do not agree, None where none has told it.
        refusal: Why the last decision could not be done; empty where it could.
    """

    uid: str = ""
    readings: dict[str, Reading] = field(default_factory=dict)
    loads: dict[str, PodLoad] = field(default_factory=dict)
    state: State = field(default_factory=State)
    decision: Decision | None = None
    fingerprint: str | None = None
    refusal: str = ""

    def decide(self, pool: EncoderPool, readings: dict[str, Reading], ready: int, now: float) -> Decision:
        """What the new readings ask for.

        Args:
            pool: As it was when its encoders were asked.
            readings: Of the pods that answered.
            ready: Pods that serve.
            now: Seconds, by the clock of the readings.
        """
        self.loads = {
            name: load
            for name, reading in readings.items()
            if name in self.readings and (load := load_between(self.readings[name], reading))
        }
        self.readings = readings
        prints = {reading.fingerprint for reading in readings.values() if reading.ready and reading.fingerprint}
        fingerprint = prints.pop() if len(prints) == 1 else "" if prints else self.fingerprint
        if fingerprint != self.fingerprint:
            self.fingerprint, self.state = fingerprint, State()  # another model has another capacity
        seen = Observation(pool.spec.replicas, ready, self.loads, len(readings))
        self.state, self.decision = step(pool.spec.autoscaling, self.state, seen, now)
        return self.decision
