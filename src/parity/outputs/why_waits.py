"""Where requests wait, as bars and a sentence."""

from __future__ import annotations

from parity.outputs.document import Bars, Part
from parity.search.why_waits import Waits, queue_share
from parity.units import render

PHASE_WORDS = {"queue": "waiting", "prompt": "its prompt", "decode": "decoding"}


def waiting_words(waits: Waits | None) -> str:
    """`Requests wait for 12 % of the time to the first token, the slowest 1 % for 61 %.`"""
    if waits is None:
        return ""
    if not waits.requests:
        return " No request of the simulation got its whole answer."
    mean, slow = (100 * queue_share(phases) for phases in (waits.mean, waits.slowest))
    rest = 100 - waits.percentile
    return (
        f" Requests wait for {mean:.0f} % of the time to their first token, the slowest {rest} % "
        f"for {slow:.0f} %."
    )


def waiting_parts(waits: Waits | None) -> tuple[Part, ...]:
    """The time of an answer by phase, of all simulated requests and of the slowest."""
    if waits is None or not waits.requests:
        return ()
    rest = 100 - waits.percentile
    return (
        _phases(waits.mean, f"an answer, mean of {waits.requests:,} simulated requests"),
        _phases(waits.slowest, f"the {rest} % whose first token is the latest"),
    )


def _phases(phases: tuple[tuple[str, float], ...], title: str) -> Bars:
    whole = max(sum(seconds for _, seconds in phases), 1e-30)
    return Bars(
        tuple(
            (PHASE_WORDS[phase], seconds, f"{render(seconds, 's')}  {100 * seconds / whole:.1f} %")
            for phase, seconds in phases
        ),
        f"{title}, {render(whole, 's')}",
    )


def waiting_fields(waits: Waits | None) -> dict[str, object] | None:
    """The same as plain numbers."""
    if waits is None:
        return None

    def parts(phases: tuple[tuple[str, float], ...]) -> list[dict[str, object]]:
        return [{"part": phase, "time_s": seconds} for phase, seconds in phases]

    return {
        "percentile": waits.percentile,
        "requests": waits.requests,
        "mean": parts(waits.mean),
        "slowest": parts(waits.slowest),
        "waited": waits.waited,
    }
