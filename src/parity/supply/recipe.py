"""What a chip is made of: its dies and their node, its memory, its package, and how it is sold."""

from __future__ import annotations

import math
import re
from typing import Any

from msgspec import structs

from parity.catalogue.schema import Chip
from parity.catalogue.spec import COMMAND_LINE
from parity.errors import BadQuantity, Infeasible, MissingFact, UnknownName, UsageError, shorten
from parity.record import Fact, Finding, Record
from parity.supply import tables
from parity.supply.tables import Hbm, Node, Package
from parity.supply.wafer import RETICLE_MM2, fields_needed
from parity.supply.yields import MODELS, YieldModel
from parity.units import significant

BEYOND_RETICLE, BEYOND_PACKAGE, UNPRICED_MEMORY = "P121", "P122", "P221"
MOST_DIES, MOST_STACKS, MOST_CORES = 64, 64, 4096
#: More dies than this are nobody's way out of the reticle.
MOST_PARTS = 8
#: Dies smaller than this are no accelerators, and their count is not worth the time. [mm²]
LEAST_MM2 = 1.0


class DieRecipe(Record, frozen=True, kw_only=True):
    """So many dies of one kind in a package."""

    name: str
    node: Node
    area: Fact  # of one die [mm²]
    count: int
    cores: int = 0  # made
    needed: int = 0  # of them, in a part that is sold; all where none is said
    core_share: Fact | None = None  # of the die, under cores
    stacked: bool = False  # on the other dies, not on the interposer

    @property
    def harvested(self) -> bool:
        """Whether a die may be sold with cores switched off."""
        return 0 < self.needed < self.cores


class Stacks(Record, frozen=True):
    """Stacks of memory in a package."""

    hbm: Hbm
    count: int
    gb: float  # of one stack, decimal gigabytes


class Recipe(Record, frozen=True, kw_only=True):
    """One chip as a fab makes it."""

    name: str
    dies: tuple[DieRecipe, ...]
    package: Package
    memory: Stacks | None = None
    sites: int = 0  # places for stacks on the interposer
    model: YieldModel = "negative-binomial"
    stated_yield: Fact | None = None  # share of dies that are sold, in place of a model
    units: Fact | None = None  # made over the life of the design
    transistors: Fact | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def beside(self) -> int:
        """Dies that lie on the interposer themselves."""
        return sum(die.count for die in self.dies if not die.stacked)

    @property
    def on_top(self) -> int:
        """Dies that lie on others."""
        return sum(die.count for die in self.dies if die.stacked)


def recipe_of(chip: Chip, node: Node | None = None) -> Recipe:
    """What a chip of the catalogue is made of, on its own node or on `node`.

    Raises `MissingFact` where no die area or no node is known, `Infeasible` with P121 for a die
    larger than the reticle.
    """
    known = tables.makings().get(chip.id)
    if known is None:
        dies: tuple[DieRecipe, ...] = (_worked_out(chip, node),)
        stacks, named, sites = _stacks_of(chip), "", 0
    else:
        kinds = [(tables.dies()[name], count) for name, count in known.dies.items()]
        dies = tuple(_listed(chip, kind, count, len(kinds), node) for kind, count in kinds)
        stacks, named, sites = parse_stacks(known.hbm), known.package, known.sites
    for die in dies:
        check_die(die, chip.id)
    findings: tuple[Finding, ...] = ()
    if stacks is None and chip.memory.kind not in ("", "SRAM"):
        findings = (_unpriced(chip),)
    count = stacks.count if stacks else 0
    sites = max(sites, count)
    package = tables.package(named) if named else usual_package(dies, stacks, sites)
    return Recipe(
        name=chip.id, dies=dies, package=package, memory=stacks, sites=sites,
        transistors=chip.physical.transistors, findings=findings,
    )  # fmt: skip


def _listed(chip: Chip, kind: tables.Die, count: int, kinds: int, node: Node | None) -> DieRecipe:
    own = node or tables.node(kind.node)
    area = kind.area
    if area is None or (kinds == 1 and _typed(chip.physical.die_area)):
        area = _one_die(chip, count)
    cores = int(kind.cores.value) if kind.cores else 0
    sold = chip.compute.units
    needed = math.ceil(sold.value / count) if sold is not None and cores else 0
    share = tables.constants()["yields"].core_share if cores else None
    return DieRecipe(
        name=kind.id, node=own, area=area, count=count, cores=cores,
        needed=min(needed, cores), core_share=share, stacked=kind.stacked,
    )  # fmt: skip


def _worked_out(chip: Chip, node: Node | None) -> DieRecipe:
    made = chip.physical.dies_per_package
    count = int(made.value) if made else 1
    if node is None:
        node = node_of(chip)
    return DieRecipe(name="die", node=node, area=_one_die(chip, count), count=count)


def _one_die(chip: Chip, count: int) -> Fact:
    area = chip.physical.die_area
    if area is None:
        raise MissingFact(chip.id, "die.area", "600mm2")
    return structs.replace(
        area, value=area.value / count, low=area.low / count, high=area.high / count, also=()
    )


def _typed(fact: Fact | None) -> bool:
    return fact is not None and fact.provenance == "user"


def node_of(chip: Chip) -> Node:
    """The node that the catalogue's words for a chip mean. Raises `UsageError`."""
    foundry = chip.physical.foundry.split("/")[0].strip()
    for node in tables.nodes().values():
        if node.foundry == foundry and chip.physical.process in node.processes:
            return node
    said = " ".join((chip.physical.foundry, chip.physical.process)).strip() or "nothing"
    raise UsageError(
        f"The node of `{chip.id}` is not known well enough (the catalogue says: {said}). "
        "Name one: `--node smic-n2`, `--node tsmc-5`."
    )


def _stacks_of(chip: Chip) -> Stacks | None:
    """Stacks worked out from the capacity, of the usual size of the generation."""
    capacity = chip.memory.capacity
    for hbm in tables.memories().values():
        if chip.memory.kind in hbm.kinds and capacity is not None and hbm.gb_per_stack:
            gb = capacity.value / 1e9
            count = max(round(gb / hbm.gb_per_stack.value), 1)
            if gb / count > hbm.gb_per_stack.high:
                count = math.ceil(gb / hbm.gb_per_stack.high)
            return Stacks(hbm, count, gb / count)
    return None


def usual_package(dies: tuple[DieRecipe, ...], stacks: Stacks | None, sites: int) -> Package:
    """A silicon interposer where memory or several dies share a package and it is large enough."""
    if stacks is None and sum(die.count for die in dies) == 1:
        return tables.package("fcbga")
    small, large = tables.package("cowos-s"), tables.package("cowos-l")
    fields, most = interposer_fields(dies, stacks, sites, small), small.reticles
    return small if most is not None and fields <= most.value else large


def interposer_fields(
    dies: tuple[DieRecipe, ...], stacks: Stacks | None, sites: int, package: Package
) -> float:
    """Size of the interposer in fields of a scanner, at the stated figures. [1]"""
    silicon = sum(die.area.value * die.count for die in dies if not die.stacked)
    beside = sites * stacks.hbm.area_mm2.value if stacks and stacks.hbm.area_mm2 else 0.0
    factor = package.area_factor.value if package.area_factor else 1.0
    return (silicon + beside) * factor / RETICLE_MM2


def check_die(die: DieRecipe, owner: str) -> None:
    """Raises `Infeasible` with P121 for a die that no scanner exposes, `BadQuantity` for none."""
    area = die.area.value
    if area < LEAST_MM2:
        raise BadQuantity(
            f"A die of {significant(area)} mm² is too small; from {LEAST_MM2:g} mm² were expected."
        )
    if area <= RETICLE_MM2:
        return
    parts = int(fields_needed(area))
    message = (
        f"A die of {significant(area, 4)} mm² ({owner}) is larger than the field that a scanner "
        f"exposes, 26 by 33 mm: {RETICLE_MM2:.0f} mm²."
    )
    fix = (
        f"{parts} dies of {significant(area / parts)} mm² in one package: `--die "
        f"{math.ceil(area / parts)}mm2 --dies {parts * die.count}`"
        if parts * die.count <= MOST_PARTS
        else "wafer-scale parts are stitched over the scribe lines, which is not priced here"
    )
    raise Infeasible(message, (Finding(BEYOND_RETICLE, "error", message, fix),))


def check_package(recipe: Recipe) -> None:
    """Raises `Infeasible` with P122 where the interposer is larger than the package allows."""
    fields = interposer_fields(recipe.dies, recipe.memory, recipe.sites, recipe.package)
    most = recipe.package.reticles
    if most is None or fields <= most.value * (1 + 1e-9):
        return
    larger = [
        one.id
        for one in tables.packages().values()
        if one.wafer_usd and one.reticles and one.reticles.value >= fields
    ]
    message = (
        f"{recipe.name} needs an interposer of {significant(fields)} reticles; {recipe.package.id} "
        f"reaches {significant(most.value)}."
    )
    fix = f"`--package {larger[0]}`" if larger else "fewer dies or stacks in a package"
    raise Infeasible(message, (Finding(BEYOND_PACKAGE, "error", message, fix),))


def _unpriced(chip: Chip) -> Finding:
    return Finding(
        UNPRICED_MEMORY, "warning",
        f"The memory of {chip.id} ({chip.memory.kind}) cannot be priced from what is known; the "
        "cost is without it.",
        "`--hbm 5xhbm3`",
    )  # fmt: skip


_STACKS = re.compile(r"(\d{1,3})\s*[xX×*]\s*([A-Za-z0-9-]+)(?::(\d{1,4}(?:\.\d+)?))?")


def parse_stacks(text: str) -> Stacks | None:
    """`5xhbm3`, `8xhbm3e:36` (gigabytes of a stack), or `none`. Raises `UsageError`."""
    if text.strip().lower() in ("none", "0", ""):
        return None
    match = _STACKS.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= MOST_STACKS:
        raise BadQuantity(
            f"--hbm is {shorten(text)!r}; so many stacks of a generation were expected, from 1 to "
            f"{MOST_STACKS}, as in `5xhbm3`, `8xhbm3e:36`, or `none`."
        )
    hbm = tables.memory(match[2])
    usual = hbm.gb_per_stack
    gb = float(match[3]) if match[3] else (usual.value if usual else 0.0)
    if usual is None or not 1 <= gb <= 2 * usual.high:
        raise BadQuantity(
            f"A stack of {hbm.name} holds {gb:g} GB in {shorten(text)!r}; no such is made."
        )
    return Stacks(hbm, int(match[1]), gb)


def parse_harvest(text: str) -> tuple[int, int]:
    """`132/144`: cores needed of cores made. Raises `BadQuantity`."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*/\s*(\d{1,5})\s*", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST_CORES:
        raise BadQuantity(
            f"--harvest is {shorten(text)!r}; cores needed of cores made were expected, as in "
            "`132/144`, or `none`."
        )
    return int(match[1]), int(match[2])


def with_harvest(recipe: Recipe, text: str) -> Recipe:
    """The recipe whose dies may be sold with fewer cores: `132/144`, or `none`, of each die.

    In a package of several kinds of dies it is of those that have cores, else of the first.
    """
    if text.strip().lower() == "none":
        whole = tuple(structs.replace(die, needed=0, cores=0) for die in recipe.dies)
        return structs.replace(recipe, dies=whole)
    needed, made = parse_harvest(text)
    share = tables.constants()["yields"].core_share
    has = [die for die in recipe.dies if die.cores] or list(recipe.dies[:1])
    changed = tuple(
        structs.replace(die, needed=needed, cores=made, core_share=share) if die in has else die
        for die in recipe.dies
    )
    return structs.replace(recipe, dies=changed)


def on_node(recipe: Recipe, node: Node) -> Recipe:
    """The same dies, of the same area, on another node."""
    return structs.replace(
        recipe, dies=tuple(structs.replace(die, node=node) for die in recipe.dies)
    )


def same_transistors(recipe: Recipe, node: Node) -> Recipe:
    """The same transistors on another node: areas by the ratio of densities, cut where they must.

    Memory cells and input and output shrink less than logic, so the area on a sparser node is an
    upper bound, on a denser one a lower. A die that outgrows the reticle becomes equal dies.
    """
    dies = []
    for die in recipe.dies:
        ours, theirs = die.node.density_mtr_per_mm2, node.density_mtr_per_mm2
        if ours is None or theirs is None:
            raise MissingFact(node.id, "density_mtr_per_mm2", "90")
        ratio = ours.value / theirs.value
        parts = int(fields_needed(die.area.value * ratio))
        scaled: dict[str, Any] = {
            end: getattr(die.area, end) * ratio / parts for end in ("value", "low", "high")
        }
        cores, needed = -(-die.cores // parts), -(-die.needed // parts)
        dies.append(
            structs.replace(
                die, node=node, count=die.count * parts, cores=cores, needed=needed,
                area=structs.replace(die.area, **scaled),
            )
        )  # fmt: skip
    package = usual_package(tuple(dies), recipe.memory, recipe.sites)
    if recipe.package.wafer_usd is None and recipe.memory is None and len(dies) == 1:
        package = recipe.package if dies[0].count == 1 else package
    return structs.replace(recipe, dies=tuple(dies), package=package)


def priced_on(recipe: Recipe, day: str) -> Recipe:
    """The recipe with its memory at the price of a day, as in `2026-02`, or the first there is."""
    if recipe.memory is None:
        return recipe
    held = structs.replace(recipe.memory, hbm=recipe.memory.hbm.known_on(day))
    return structs.replace(recipe, memory=held)


def selling(recipe: Recipe, share: float) -> Recipe:
    """The recipe of which so many of the dies are sold, whatever a model says."""
    stated = Fact(share, share, share, "fraction", "user", COMMAND_LINE)
    return structs.replace(recipe, stated_yield=stated)


def yield_model(text: str) -> YieldModel:
    """The yield model of that name; `nb` is the negative binomial. Raises `UnknownName`."""
    short = {"nb": "negative-binomial", "be": "bose-einstein"}
    word = text.strip().lower()
    for model in MODELS:
        if short.get(word, word) == model:
            return model
    raise UnknownName("yield model", text, MODELS, f"Known: {', '.join(MODELS)}.")
