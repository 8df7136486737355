"""The arithmetic of a forecast's advice.

Interpolation between pruning rates, and the rule that says when a forecast cannot decide.

Plain functions over numbers, so that each can be checked by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gain:
    """An expected gain over random in points, with its 90 % interval."""

    gain: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.gain:+.1f} ({self.low:+.1f} to {self.high:+.1f})"


@dataclass(frozen=True)
class Option:
    """A candidate at one pruning rate."""

    name: str
    method: str
    params: Mapping[str, Any]
    gain: Gain


@dataclass(frozen=True)
class Decision:
    """The option taken, whether the forecast decided it, and a sentence on why."""

    option: Option
    decided: bool
    reason: str


def log_keep_ratio(prune_rate: float, origin: float = 0.0) -> float:
    """log(share kept at `origin` / share kept at `prune_rate`): 0 at the origin, rising."""
    return math.log(max(1 - origin, 1e-9) / max(1 - prune_rate, 1e-9))


def interpolate(points: Sequence[tuple[float, Gain]], prune_rate: float) -> Gain:
    """The gain at a pruning rate, linear in the logarithm of the share kept.

    Parameters
    ----------
    points : (pruning rate, Gain) pairs, ascending, at least one
    prune_rate : float
        Below the first point the gain falls linearly to 0 at rate 0, where all images are kept;
        above the last point it stays.
    """
    known = [(log_keep_ratio(rate), gain) for rate, gain in points]
    if known[0][0] > 0:
        known.insert(0, (0.0, Gain(0.0, 0.0, 0.0)))
    at = log_keep_ratio(prune_rate)
    if at >= known[-1][0]:
        return known[-1][1]
    above = next(i for i, (where, _) in enumerate(known) if where >= at)
    if known[above][0] == at or above == 0:
        return known[above][1]
    low_at, low = known[above - 1]
    high_at, high = known[above]
    part = (at - low_at) / (high_at - low_at)
    return Gain(
        low.gain + part * (high.gain - low.gain),
        low.low + part * (high.low - low.low),
        low.high + part * (high.high - low.high),
    )


def decide(
    options: Sequence[Option], prune_rate: float, safest: str, baseline: str = "random"
) -> Decision:
    """The option to take.

    The option of highest expected gain where the low end of its interval lies above zero. Otherwise
    the forecast cannot tell it from random, and the safest option is taken: that of the method
    `safest`, or the one whose interval has the highest low end. An option that is expected below
    the baseline is never taken; the baseline is, where no other is left.

    Parameters
    ----------
    options : Options
    prune_rate : float
        For the sentence.
    safest : str
        Methods that the benchmark sets showed below random least often at this rate, with commas
        between, the first of them that is an option counts; "" where none stood out.
    baseline : str
    """
    ranked = sorted(options, key=lambda option: (-option.gain.gain, option.name))
    real = [option for option in ranked if option.method != baseline]
    own = [option for option in ranked if option.method == baseline]
    nothing = own[0] if own else Option(baseline, baseline, {}, Gain(0.0, 0.0, 0.0))
    where = f"at {100 * prune_rate:.4g} % pruned"
    if not real:
        return Decision(nothing, False, f"{where} no method except {baseline} was estimated")
    best = real[0]
    if best.gain.low > 0:
        return Decision(best, True, _decided(real, where, baseline))
    doubt = (
        f"{where} the forecast cannot decide: {best.name}, the best of {len(real)}, is expected at "
        f"{best.gain} points over {baseline}"
    )
    safe = _safest([option for option in real if option.gain.gain > 0], safest)
    if safe is None:
        return Decision(nothing, False, f"{doubt}; so the safest is used, {nothing.name}")
    if safe is best:
        return Decision(safe, False, f"{doubt}; it is used anyway, as the safest")
    reason = f"{doubt}; so the safest is used, {safe.name} at {safe.gain}"
    return Decision(safe, False, reason)


def _safest(options: Sequence[Option], methods: str) -> Option | None:
    """The best option of the first of these methods that has one, else the highest lower bound."""
    for method in methods.split(","):
        own = [option for option in options if option.method == method]
        if own:
            return own[0]
    return max(options, key=lambda option: option.gain.low, default=None)


def _decided(real: Sequence[Option], where: str, baseline: str) -> str:
    best = real[0]
    reason = f"{where} {best.name} is expected {best.gain} points over {baseline}"
    others = [option for option in real[1:] if option.gain.high >= best.gain.low]
    if len(real) == 1:
        return reason
    if others:
        return f"{reason}, the highest of {len(real)} methods; {others[0].name} may be as good"
    return f"{reason}, above all other {len(real) - 1} methods"


def first_reaching(points: Sequence[tuple[int, float]], goal: float) -> int:
    """The smallest count at which a curve reaches `goal` and stays, rounded up.

    Parameters
    ----------
    points : (count, value) pairs, ascending by count; the last is at or above the goal
    goal : float

    Returns
    -------
    int
        By linear interpolation over the logarithm of the count; the first count where even that
        reaches the goal.
    """
    last_below = max((i for i, (_, value) in enumerate(points) if value < goal), default=-1)
    if last_below < 0:
        return points[0][0]
    if last_below == len(points) - 1:
        return points[-1][0]
    count, value = points[last_below]
    next_count, next_value = points[last_below + 1]
    part = (goal - value) / (next_value - value)
    reached: float = count * (next_count / count) ** part
    return math.ceil(reached - 1e-9)
