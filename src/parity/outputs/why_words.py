"""What parts, losses and levers are called, and numbers of them as text."""

from __future__ import annotations

from itertools import pairwise

from parity.evaluate.classes import CLASSES, Parts
from parity.evaluate.losses import Rung
from parity.outputs.document import Bars, Fields, Part, Table
from parity.search.train import WORDS
from parity.search.why import total
from parity.search.why_figures import FACTORS, Effect, words_of
from parity.search.why_measured import Measured
from parity.units import prefix, render, significant

#: Shares and effects below this are not worth a word.
NEGLIGIBLE = 0.0005
#: More of a figure that brings less than this does not help.
NO_HELP = 0.005
#: Figures that are named where better ones bring nothing.
MOST_NAMED = 8
#: Faults that are shown.
MOST_FAULTS = 6
CLASS_WORDS = {
    "projections": "attention projections", "scores": "attention scores",
    "scan": "state-space layers", "mlp": "MLP", "experts": "experts",
    "ends": "head and embedding", "elementwise": "elementwise work",
}  # fmt: skip
OTHER_WORDS = {
    **{name: words.removeprefix("the ") for name, words in WORDS.items()},
    "ep_s": "expert-parallel dispatch and combine", "host_s": "host processor",
    "drafts_s": "drafting",
}  # fmt: skip
LOSS_WORDS = {
    "peak": "peak of the data sheet", "roofline": "roofline of the data sheet",
    "work": "work beyond the model's own", "one by one": "one operator after another",
    "kernels": "achievable kernels", "shapes": "small shapes", "memory": "memory bandwidth",
    "imbalance": "busiest expert, filled-up batch", "exchanges": "communication",
    "pipeline": "pipeline bubble, uneven stages", "launches": "launches and host",
    "host": "host between steps", "stragglers": "slow chips",
    "interruptions": "failures and checkpoints",
    "waiting": "waiting for the slowest kind", "closing": "gradients between kinds",
}  # fmt: skip
FIRST_TOKEN = {"queue": "waiting", "prompt": "its own steps", "transfer": "KV transfer that shows"}


def part_rows(parts: Parts) -> list[tuple[str, str, float]]:
    """(kind, part, seconds) of all parts: compute and memory by class, then the rest."""
    rows = []
    for kind in ("compute", "memory"):
        own = getattr(parts, kind)
        rows += [(kind, name, total(own[name])) for name in CLASSES if name in own]
    return rows + [("other", name, total(value)) for name, value in parts.others.items()]


def part_words(kind: str, name: str) -> str:
    """`MLP`, `memory: elementwise work`, `tensor-parallel communication`."""
    if kind == "other":
        return OTHER_WORDS[name]
    return f"memory: {CLASS_WORDS[name]}" if kind == "memory" else CLASS_WORDS[name]


def spent(parts: Parts, title: str) -> Bars:
    """Where the time of a step goes, the most first."""
    whole = total(parts.total_s)
    rows = [
        (part_words(kind, name), s, f"{render(s, 's')}  {100 * s / whole:.1f} %")
        for kind, name, s in part_rows(parts)
        if s > NEGLIGIBLE * whole
    ]
    return Bars(tuple(sorted(rows, key=lambda row: -row[1])), f"{title}, {render(whole, 's')}")


def ladder(rungs: tuple[Rung, ...], title: str) -> Bars:
    """The distance from the limit, one loss after another."""
    best, before = rungs[0].time_s, 1.0
    rows = []
    for rung in rungs:
        share = best / rung.time_s
        lost = f"-{100 * (before - share):.1f}  " if before - share > NEGLIGIBLE else ""
        rows.append((LOSS_WORDS[rung.loss], share, f"{lost}{100 * share:.1f} %"))
        before = share
    return Bars(tuple(rows), title)


def largest_loss(rungs: tuple[Rung, ...]) -> str:
    """The loss that takes most of the limit away."""
    lost = {after.loss: 1 / before.time_s - 1 / after.time_s for before, after in pairwise(rungs)}
    return LOSS_WORDS[max(lost, key=lambda loss: lost[loss])]


def spanned(span: tuple[float, float], unit: str) -> str:
    """`27.1–33.0 s`."""
    size, name = prefix(span[1], unit)
    return f"{significant(span[0] / size)}–{significant(span[1] / size)} {name}"


def percent(gain: float | None) -> str:
    """`+9.1 %`; `0` where nothing changes, a dash where it cannot be."""
    if gain is None:
        return "—"
    return "0" if abs(gain) < NEGLIGIBLE else f"{100 * gain:+.1f} %"


def figure_table(
    effects: tuple[Effect, ...],
    values: dict[str, str],
    speed: str,
    anew: str = "the layout held and planned anew",
) -> Table:
    """Hardware figures with the effects of more of each, the largest first."""
    keys = dict.fromkeys(one.lever for one in effects if one.hardware)
    by = {(one.lever, one.amount): one for one in effects}
    rows = []
    for key in keys:
        cells = [key, values.get(key, "")]
        found = [by.get((key, words_of(factor))) for factor in FACTORS]
        for one, factor in zip(found, FACTORS, strict=True):
            held = percent(one.held) if one else "—"
            if one and one.span and factor == FACTORS[-1] and held != "0":
                held += f" ({between(one.span)})"
            cells += [held, percent(one.replanned) if one else "—"]
        rows.append((*cells, next((one.layout for one in found[::-1] if one), "")))
    columns = ["figure", "now"]
    for factor in FACTORS:
        columns += [f"{words_of(factor)}: held", "anew"]
    title = (
        f"what better figures do to {speed}, {anew} (latencies and launches so many times shorter)"
    )
    return Table((*columns, f"layout at {words_of(FACTORS[-1])}"), tuple(rows), "lrrrrrl", title)


def lever_table(effects: tuple[Effect, ...], speed: str) -> Table:
    """Software and the question itself."""
    rows = tuple(
        (f"{one.lever} {one.amount}".strip(), percent(one.held), percent(one.replanned), one.layout)
        for one in effects
        if not one.hardware
    )
    columns = ("choice", "held", "anew", "layout then")
    return Table(columns, rows, "lrrl", f"what other choices do to {speed}")


def helps(effects: tuple[Effect, ...], speed: str) -> str:
    """`Twice memory.bandwidth would help most (+29 % tokens/s); … would bring nothing.`"""
    doubled = [one for one in effects if one.hardware and one.amount == words_of(FACTORS[-1])]
    best, *_ = sorted(doubled, key=lambda one: -(one.replanned or 0.0))
    none = [one.lever for one in doubled if (one.replanned or 0.0) < NO_HELP]
    gain = best.replanned or 0.0
    if gain < NO_HELP:
        return "No figure of the chip would help much, even doubled."
    if len(none) > MOST_NAMED:
        none = [*none[:MOST_NAMED], f"{len(none) - MOST_NAMED} other figures"]
    rest = f"; better {named(none)} would bring nothing" if none else ""
    verb = "Half of" if best.lever.endswith(("latency", "launches")) else "Twice"
    watts = " at the same watts" if "compute." in best.lever else ""
    span = f"; {between(best.span)} % with the layout held" if best.span else ""
    return f"{verb} {best.lever}{watts} would help most ({percent(gain)} {speed}{span}){rest}."


def between(span: tuple[float, float]) -> str:
    """`21–36`, of two shares, in percent."""
    return f"{significant(100 * span[0], 2)}–{significant(100 * span[1], 2)}"


def named(names: list[str]) -> str:
    """`a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def measured_words(found: Measured) -> str:
    """Whether a measurement is normal, and what would explain it."""
    low, high = (f"{significant(end)}" for end in (found.low, found.high))
    place = f"P{found.percentile:.0f} of what is predicted, {low}–{high} tokens/s"
    said = f"{found.text} is {significant(found.speed)} tokens/s"
    if found.normal:
        return f"{said}, and that is normal: {place}."
    if found.speed > found.high:
        return f"{said}, faster than most: {place}."
    if not found.faults:
        return f"{said}, lower than usual: {place}; nothing that is known here explains it."
    first = next((one for one in found.faults if one.explains), found.faults[0])
    if not first.explains:
        return (
            f"{said}, lower than usual: {place}; no one or two things that are known here explain "
            f"it, the nearest being {first.name}."
        )
    return f"{said}, lower than usual: {place}; the likeliest reason is {first.name}."


def measured_parts(found: Measured | None) -> tuple[Part, ...]:
    """The measurement beside the prediction, what may be wrong, and how to see it."""
    if found is None:
        return ()
    span = f"{significant(found.low)}–{significant(found.high)}"
    facts = Fields(
        (
            ("measured", f"{found.text}, {significant(found.speed)} tokens/s of all chips"),
            ("predicted", f"{significant(found.predicted)} tokens/s (P10–P90 {span})"),
            ("percentile", f"{found.percentile:.0f} of the samples are slower, in percent"),
        )
    )
    shown = found.faults[:MOST_FAULTS]
    if not shown or found.speed >= found.predicted:
        return (facts,)
    rows = tuple(
        (one.name, significant(one.speed), f"{100 * (one.speed / found.speed - 1):+.0f} %")
        for one in shown
    )
    columns = ("if this were so", "tokens/s", "over the measurement")
    checks = {
        name.split(":")[0]: check
        for one in shown
        for name, check in zip(one.names, one.checks, strict=True)
    }
    return (
        facts,
        Table(columns, rows, "lrr", "what may be wrong, one thing or two, the likeliest first"),
        Fields(tuple(checks.items()), "how to see whether it is so"),
    )
