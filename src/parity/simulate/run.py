"""Run a simulation to its end, in pieces that can be watched and interrupted."""

from __future__ import annotations

from collections.abc import Callable

from parity.simulate.records import Limits, Pool, Transfer
from parity.simulate.result import SimulationResult, result_of
from parity.workload.traffic import Traffic

#: Engine steps between two calls of `report`: some hundredths of a second.
STEPS_A_PIECE = 100_000
#: The same without Numba.
PLAIN_STEPS_A_PIECE = 1_000


def simulate(
    traffic: Traffic,
    pool: Pool,
    decode: Pool | None = None,
    transfer: Transfer | None = None,
    limits: Limits | None = None,
    report: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """What becomes of every request of `traffic` on the replicas of `pool`.

    decode: a second pool that decodes while `pool` makes prompts and first tokens (disaggregated:
        Zhong et al. 2024, DistServe, arXiv 2401.09670; Patel et al. 2024, Splitwise, arXiv
        2311.18677). A request leaves its prefill replica, which holds its blocks so long, for a
        decode replica once its KV cache has been transferred. What is preempted there is computed
        again there. The prefix cache is that of the prefill pool.
    transfer: how long the KV cache of a prompt is on its way; no time unless given.
    limits: where to stop although requests are left; finding P321 says so.
    report: called now and then with requests finished and all there are.

    The simulation draws nothing: the same traffic gives the same result. Every step is gone
    through; a step in which nobody joins or leaves costs a few operations whatever the batch, so
    none are lumped together. Between pieces Ctrl-C ends it.

    Raises `BadQuantity` where the arrays would be too large, or prefix blocks are no whole number
    of the engine's.
    """
    from parity.simulate.kernel.compiled import is_compiled
    from parity.simulate.kernel.loop import OUT_OF_TIME, STEPS_LEFT, advance
    from parity.simulate.kernel.state import begin

    limits = limits or Limits()
    sim = begin(traffic, pool, decode, transfer or Transfer(), limits)
    world = sim.world[0]
    piece = STEPS_A_PIECE if is_compiled() else PLAIN_STEPS_A_PIECE
    status = STEPS_LEFT
    while status == STEPS_LEFT and world.steps < limits.steps:
        status = advance(sim, min(piece, limits.steps - int(world.steps)))
        if report is not None:
            report(int(world.done), len(traffic))
    stopped = {STEPS_LEFT: "steps", OUT_OF_TIME: "time"}.get(status, "")
    return result_of(traffic, sim, pool, decode, stopped)
