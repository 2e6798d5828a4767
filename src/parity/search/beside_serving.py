"""How many chips to add to those owned so that all together serve a load within its latencies.

Every kind serves by replicas of its own behind one router, or the owned and the added kind divide
the work: prompts on one, decoding on the other, in either order, each with its rest by itself. The
way that takes the fewest added chips is the answer; two pools over two kinds must save `WORTH`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from parity.catalogue.machine import Draw, Number
from parity.catalogue.schema import Chip
from parity.evaluate.step import step
from parity.layout.serving import degrees, describe_replica
from parity.record import Finding
from parity.search.beside import Added, Duty, Owned, more_in_nodes, refused
from parity.search.beside_fleet import (
    Fleet,
    Group,
    Way,
    best_way,
    carries,
    chosen,
    drawn,
    drawn_fleet,
    drawn_pools,
    groups,
    limit_of,
    needed,
)
from parity.search.beside_kinds import Kind, once_each
from parity.search.beside_units import Unit, division, enough, most
from parity.search.findings import note
from parity.search.match_range import sampled_plans
from parity.search.match_serving import Held, same, ways_of
from parity.search.mixed import joined_findings
from parity.search.prefill import Prefill, prompt_load
from parity.search.serve import bound_by
from parity.search.train import MOST_CHIPS
from parity.search.uncertainty import Answering, Spread, spread
from parity.search.walls_serving import ServingCase, serving_wall
from parity.timing.draw import USUAL_SAMPLES, Sampler
from parity.units import significant


def as_stated(draw: Draw) -> Number:  # noqa: ARG001
    """A load that is sure. [1]"""
    return 1.0


@dataclass(frozen=True)
class Load:
    """Requests/s to be served; relative: over that, for samples, where chips set them. [1]

    held: the chips that set them.
    """

    requests_per_s: float
    relative: Answering = as_stated
    held: Held | None = None

    def over(self, draw: Draw) -> Number:
        """The requests/s of each sample, () or of shape (samples, 1). [1/s]"""
        return self.requests_per_s * np.reshape(self.relative(draw), (-1, 1))


def load_of(held: Held) -> Load:
    """What chips carry by their plan, as what others have to."""
    ways, stated = ways_of(held.question, held.plan), held.plan.most_requests_per_s

    def relative(draw: Draw) -> Number:
        (rates,) = sampled_plans([(ways, draw)])
        return np.max([one.most for one in rates], axis=0) / stated

    return Load(stated, relative, held)


def owned_serving(fleet: Fleet, load: Load, sampler: Sampler = USUAL_SAMPLES) -> Owned:
    """What the owned chips carry of a load by themselves, and how sure that is."""
    stated = float(np.ravel(carries(fleet))[0])
    if stated == 0:
        reasons = [str(kind.refusal) for kind in fleet.kinds if kind.refusal]
        return Owned(0.0, None, (), "", " ".join(reasons) or "They hold not one replica.")
    used = _used(fleet)

    def reach(draw: Draw) -> Number:
        return np.ravel(carries(drawn_fleet(used, once_each(draw))) / load.over(draw))

    share = stated / load.requests_per_s
    found = list(groups(load.requests_per_s, fleet))
    bound = _bound(found[0].replicas[-1][1])
    return Owned(share, spread(reach, sampler).holding(share), duties(found), bound)


def _used(fleet: Fleet) -> Fleet:
    """The fleet with only the replicas that it is divided into."""
    kinds = tuple(chosen(kind, division(kind.able, kind.owned)) for kind in fleet.kinds)
    return Fleet(kinds, fleet.pair)


def added_serving(
    fleet: Fleet,
    new: Kind,
    load: Load,
    sampler: Sampler = USUAL_SAMPLES,
    *,
    few: bool = True,
) -> Added:
    """How many chips of a kind, whole nodes, reach the load beside the owned ones.

    new: the kind, open, with what is owned of it, which is then not in `fleet`. few: say also what
    knowing a figure would leave of the range, and what would move a wall.
    """
    chip, node, target = new.machine.chip, new.machine.node, load.requests_per_s
    stated = float(np.ravel(carries(fleet))[0]) + float(most(new.able, np.float64(new.owned)))
    twin = load.held if load.held and not fleet.kinds and same(new.question, load.held) else None
    suffices = stated >= target * (1 - 1e-9) or (twin is not None and new.owned >= twin.chips)
    way, total = (Way(), float(new.owned)) if suffices else best_way(target, fleet, new)
    if twin and not suffices:  # fewer may do, but nobody asked
        way, total = Way(), float(twin.chips)
    if not total <= MOST_CHIPS:
        return _wall(fleet, new, load, few=few)
    count = 0 if suffices else int(more_in_nodes(total, new.owned, node))
    found = list(groups(target, fleet, new, way))
    if suffices and new.owned:
        found = list(groups(target, Fleet((*fleet.kinds, new), fleet.pair)))
    carried = sum(group.requests_per_s for group in found)
    own = [
        unit for group in found for kind, unit, _ in group.replicas if kind.machine is new.machine
    ]
    bound = _bound(own[0] if own else found[0].replicas[-1][1])
    counts = _spread(fleet, new, way, load, sampler, few=few).through(
        lambda chips: float(more_in_nodes(chips, new.owned, node))
    )
    return Added(
        chip=chip,
        count=count,
        manner="owned" if suffices else "pools" if way.pools else "replicas",
        reach=carried / target,
        bound_by=bound,
        duties=duties(found),
        idle=_idle(fleet, found),
        spread=Spread(count, count, count) if twin else counts.holding(float(count)),
        findings=(*new.findings, *serving_findings(found), *_apart(fleet, new)),
    )  # fmt: skip


def _spread(
    fleet: Fleet, new: Kind, way: Way, load: Load, sampler: Sampler, *, few: bool
) -> Spread:
    """The range of the chips needed of the added kind, owned ones included; each sample takes the
    better of the way chosen and of replicas of their own.
    """
    left = load.requests_per_s - float(np.ravel(carries(fleet))[0])
    used, own = _used(fleet), chosen(new, enough(new.able, left))

    def chips(draw: Draw) -> Number:
        view = once_each(draw)
        seen, kind, asked = drawn_fleet(used, view), drawn(own, view), load.over(draw)
        ways = [Way()] + ([Way(way.to, drawn_pools(way.pools, view))] if way.pools else [])
        counts = [needed(asked, seen, kind, one) for one in ways]
        return np.minimum(np.min(np.broadcast_arrays(*counts), axis=0), MOST_CHIPS)

    return spread(chips, sampler, narrowed=few)


def _wall(fleet: Fleet, new: Kind, load: Load, *, few: bool) -> Added:
    """No number does: the kind serves nothing here, or waits for the owned kind it works with."""
    share = limit_of(fleet, new) / load.requests_per_s
    owned = float(np.ravel(carries(fleet))[0]) / load.requests_per_s
    chip = new.machine.chip
    if new.refusal is not None and share <= owned * (1 + 1e-9):
        one = new.question
        case = ServingCase(one.arch, new.job, new.machine, one.engine, new.job.precision.kv)
        row = refused(chip, new.refusal)
        return replace(row, reach=share, wall=serving_wall(case, moved=few))
    names = " and ".join(f"{kind.owned:,} {kind.machine.chip.id}" for kind in fleet.kinds)
    words = (
        f"{chip.id} does one phase within these latencies, and {names} do the other for "
        f"{significant(share)} of the load at most"
        if new.refusal
        else f"more than {MOST_CHIPS:,} chips would be needed"
    )
    wall = note("P104", f"No number of {chip.id} reaches the load: {words}.", "error")
    return Added(chip, None, "", share, "P104", reason=f"{words}.", findings=(wall,))


def duties(found: list[Group]) -> tuple[Duty, ...]:
    """Who does what share of the requests, at its most."""
    total = sum(group.requests_per_s for group in found)
    out = []
    for group in found:
        phases = ("replicas",) if len(group.replicas) == 1 else ("prompts", "decoding")
        for (kind, unit, number), does in zip(group.replicas, phases, strict=True):
            layout, detail = unit.by.layout, _detail(unit)
            fields: dict[str, int | str | bool] = {**degrees(layout), "replicas": number}
            out.append(
                Duty(
                    kind.machine.chip, unit.chips * number, does, group.requests_per_s / total,
                    f"{number:,} × {describe_replica(layout)}", fields,
                    {"requests_per_s": number * float(unit.requests_per_s), **detail},
                )
            )  # fmt: skip
    return tuple(out)


def _detail(unit: Unit) -> dict[str, float]:
    by = unit.by
    if isinstance(by, Prefill):
        return {"ttft_s": by.ttft_s, "pass_s": by.pass_s, "transfer_s": by.transfer_s}
    found = {"tpot_s": float(by.steady.tpot_s[0]), "batch": float(by.batch)}
    if np.isfinite(unit.job.ttft_s) or unit.job.patient:
        found["ttft_s"] = float(by.steady.ttft_s[0])
    return found


def _bound(unit: Unit) -> str:
    """What most of the time of a replica goes into."""
    by = unit.by
    if not isinstance(by, Prefill):
        return bound_by(by)
    one = step(by.model, by.layout, prompt_load(np.array([float(by.prompts)]), by.request))
    figures = {
        "compute": one.cost.compute_s,
        "memory bandwidth": one.cost.memory_s,
        "link": one.communication_s,
        "launches": one.cost.launch_s,
    }
    return "prefill " + max(figures, key=lambda name: float(np.mean(figures[name])))


def _idle(fleet: Fleet, found: list[Group]) -> tuple[tuple[Chip, int], ...]:
    """Owned chips that have no part, by kind."""
    replicas = [one for group in found for one in group.replicas]
    left = []
    for kind in fleet.kinds:
        used = sum(unit.chips * n for own, unit, n in replicas if own is kind)
        left.append((kind.machine.chip, kind.owned - used))
    return tuple((chip, count) for chip, count in left if count > 0)


def serving_findings(found: list[Group]) -> tuple[Finding, ...]:
    """What to know of a service on several kinds: how they reach each other, and in what dtypes
    each keeps the model.
    """
    out = [
        finding
        for group in found
        for finding in joined_findings(
            tuple(k.machine.chip for k, _, _ in group.replicas), "caches"
        )
    ]
    kept = {
        kind.machine.chip.id: kind.job.precision.weights
        for group in found
        for kind, _, _ in group.replicas
    }
    if len(set(kept.values())) > 1:
        words = " and ".join(f"{dtype} on {chip}" for chip, dtype in kept.items())
        message = f"The model is kept in {words}: answers depend on which chips give them."
        out.append(note("P314", message, "warning", "--dtype with one that all of them take"))
    return tuple(out)


def _apart(fleet: Fleet, new: Kind) -> tuple[Finding, ...]:
    """P315 where two kinds keep the cache in dtypes that are not the same."""
    out = []
    for kind in fleet.kinds:
        own, other = kind.job.precision.kv, new.job.precision.kv
        if own != other:
            names = f"{own} on {kind.machine.chip.id} and {other} on {new.machine.chip.id}"
            words = f"The cache is kept in {names}: neither takes over what the other cached."
            out.append(note("P315", words, "note", "--kv with a dtype that both take"))
    return tuple(out)
