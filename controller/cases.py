"""What is remembered of each container as a victim, and of one decision round while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from controller.claims import Ledger
from controller.config import Config
from controller.states import Event, State, transition
from models.container import FloatArray
from models.control import Gains, Sensitivity
from models.learner import Learner, LearnerSettings
from models.observation import Observation


class Verdict(StrEnum):
    """Where the diagnosis of a pressured container stands."""

    DIAGNOSING = "diagnosing"
    OWN_LIMIT = "own-limit"  # throttled by its own quota
    PEERS = "peers"  # waits for CPU that less important peers use
    NOT_LOCAL = "not-local"  # slow, but nothing on this node can help
    EXHAUSTED = "exhausted"  # everything that may be done is done, and it still hurts


@dataclass(frozen=True, slots=True)
class Step:
    """The last adjustment made for a victim, and the signal that it answered, until its effect is known.

    `boldness` is the factor that the learner chose for it.
    """

    at_seconds: float
    metric: str
    target: float
    error: float
    ratio: dict[str, float]
    boldness: float = 1.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A test under way: the peers held back for it, the signal that should get better, and since when."""

    suspects: tuple[str, ...]
    metric: str
    since_seconds: float


@dataclass(slots=True)
class Case:
    """One container as a victim. `own_cores` is its own raised limit, None while it has its base.

    `ill_at_seconds` is when a rule of its was last not clear: until then it missed CPU, or caught up on what
    it had missed, and its use says nothing about what it needs. `hurt_demand_cores` is what it needed when
    its peers hurt it: below a safe part of that, peers may have their limits back even where the sum of all
    demands exceeds the node. `suspects` holds, for each peer, the score of the last ranking and what it was
    made of.
    """

    id: str
    inode: int
    sensitivity: Sensitivity
    state: State = State.NORMAL
    since_seconds: float = 0.0
    verdict: Verdict | None = None
    verdict_reason: str = ""
    verdict_since_seconds: float = 0.0
    own_cores: float | None = None
    ill_at_seconds: float = float("-inf")
    hurt_demand_cores: float | None = None
    need_known: bool = False
    step: Step | None = None
    gave_back_at_seconds: float = float("-inf")
    relapses: int = 0
    acquitted: dict[str, float] = field(default_factory=dict)
    probe: Probe | None = None
    suspects: dict[str, dict[str, float]] = field(default_factory=dict)
    gone: bool = False

    def tests(self, peer: str) -> bool:
        """Whether a peer is held back for a probe that is under way."""
        return self.probe is not None and peer in self.probe.suspects

    def suspicion_of(self, peers: list[str]) -> FloatArray:
        """The scores of the last ranking."""
        return np.array([self.suspects.get(peer, {}).get("score", 0.0) for peer in peers])


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state, with what caused it and the numbers it was decided on."""

    container: str
    source: State
    dest: State
    trigger: str
    reason: str
    inputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """The limit a container should have instead of its base, and for whom.

    `victim` is the container itself where its own limit is raised. `reference_cores` is what it used before.
    """

    container: str
    cores: float
    victim: str
    reason: str
    reference_cores: float


@dataclass(frozen=True, slots=True)
class WeightTarget:
    """A container that is to give way by weight (rung 0): `group` is the group that carries it."""

    container: str
    group: str
    victim: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person or the cluster has to know, as long as it lasts."""

    kind: str
    container: str
    message: str


@dataclass(slots=True)
class Decision:
    """What one round came to. A container without a target goes back to its base, and so does a group that
    is not in `weights` (by group).

    `write` is False when nothing at all may be written, and `clear_history` True when the past says nothing
    any more; both come with a frozen node.
    """

    targets: dict[str, Target] = field(default_factory=dict)
    weights: dict[str, WeightTarget] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    write: bool = True
    clear_history: bool = False


@dataclass(slots=True)
class Round:
    """One decision round while it runs: what is seen, what is remembered, what has been decided so far."""

    seen: Observation
    settings: Config
    ledger: Ledger
    decision: Decision
    learner: Learner | None = None

    @property
    def now(self) -> float:
        """The observation's monotonic seconds."""
        return self.seen.now_seconds

    def move(self, case: Case, event: Event, trigger: str, reason: str, **inputs: Any) -> None:
        """Let an event happen to a container, and record the transition."""
        source, case.state = case.state, transition(case.state, event)
        case.since_seconds = self.now
        self.decision.transitions.append(Transition(case.id, source, case.state, trigger, reason, inputs))
        if case.state is State.NORMAL:
            case.verdict, case.step, case.relapses = None, None, 0
            case.hurt_demand_cores, case.need_known = None, False
            case.probe, case.suspects = None, {}

    def boldness(self, case: Case, error: float) -> float:
        """How many times as large as the gains say its next step is to be; 1 where nothing is learnt."""
        if self.learner is None or not self.settings.learner.enabled:
            return 1.0
        return self.learner.choose(workload_of(case.id, self), error)

    def judge(self, case: Case, verdict: Verdict, reason: str) -> None:
        """Note where the diagnosis stands, why, and since when."""
        case.verdict_reason = reason
        if case.verdict is not verdict:
            case.verdict, case.verdict_since_seconds = verdict, self.now

    def tell(self, case: Case) -> None:
        """Alert upwards while this node has not been able to help a container for some time."""
        helpless = case.verdict in (Verdict.NOT_LOCAL, Verdict.EXHAUSTED)
        hurt = case.state in (State.PRESSURED, State.THROTTLING_PEER)
        lasted = self.now - case.verdict_since_seconds
        if hurt and helpless and lasted >= self.settings.diagnosis.not_local_for:
            self.decision.alerts.append(Alert(str(case.verdict), case.id, case.verdict_reason))


def workload_of(name: str, round_: Round) -> str:
    """What is learnt of a container is learnt of this: its release."""
    return next((c.release for c in round_.seen.containers if c.id == name), name)


def gains_of(config: Config, boldness: float = 1.0) -> Gains:
    """The control model's gains of a configuration, for a step so many times as bold."""
    control = config.control
    return Gains(
        model=control.model,
        gain=control.gain * boldness,
        margin=control.margin,
        step_min_ratio=control.step_min_ratio,
        step_max_ratio=min(1.0, max(control.step_min_ratio, control.step_max_ratio * boldness)),
        prior_sensitivity=control.prior_sensitivity,
        effort=control.effort,
        forgetting=control.forgetting,
        fit_samples=control.fit_samples,
        fit_min=control.fit_min,
        step_min_cores=config.executor.dead_band_cores,
    )


def learner_settings_of(config: Config) -> LearnerSettings:
    """The learner's settings of a configuration."""
    learner = config.learner
    return LearnerSettings(
        factor_min=learner.factor_min,
        factor_max=learner.factor_max,
        exploration=learner.exploration,
        prior_samples=learner.prior_samples,
        forgetting=learner.forgetting,
    )
