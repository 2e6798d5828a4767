"""Words of `parity fab`, read once: what is made, where, and from how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec import structs

from parity.catalogue.schema import DatedPrice
from parity.catalogue.spec import COMMAND_LINE, parse_fleet, stated
from parity.errors import BadQuantity, UsageError, shorten
from parity.outputs.envelope import Answer
from parity.outputs.fab import fab_answer
from parity.outputs.fab_supply import supply_answer
from parity.outputs.fab_tables import FabCase
from parity.record import Fact
from parity.supply import capacity, recipe, tables
from parity.supply.recipe import DieRecipe, Recipe
from parity.supply.tables import Node
from parity.units import parse_count
from parity.words.asked import Quantity

T = TypeVar("T")
#: Cases of one answer: nodes times yields.
MOST_CASES = 24
#: Chips of one design.
MOST_UNITS = 1e12
#: Defects of a square centimetre beyond which no die of any size would work.
MOST_DEFECTS = 20.0


@dataclass(frozen=True)
class _Typed:
    """What is typed beside the chip."""

    package: str | None
    hbm: str | None
    harvest: str | None
    model: str
    d0: Quantity | None
    wafer_price: Quantity | None
    hbm_price: Quantity | None
    volume: Quantity | None


def fab(
    chip: str | None = None,
    *,
    node: str | None = None,
    die: Quantity | None = None,
    dies: Quantity = 1,
    hbm: str | None = None,
    package: str | None = None,
    harvest: str | None = None,
    yield_model: str = "negative-binomial",
    stated_yield: Quantity | None = None,
    d0: Quantity | None = None,
    wafer_price: Quantity | None = None,
    hbm_price: Quantity | None = None,
    volume: Quantity | None = None,
    keep: str = "area",
    supply: str | None = None,
) -> Answer:
    """What a chip costs to make, part by part, or how many a year there can be.

    chip: `h20`, `h20@die.area=700mm2`; or by hand: die, as in `800mm2`, dies in a package, and
    node. node: one or several, `tsmc-5,smic-n2`. hbm: `5xhbm3`, `8xhbm3e:36`, `none`. package:
    `cowos-s`, `cowos-l`, `info`, `fcbga`. harvest: cores needed of cores made, `132/144`, or
    `none`. yield_model: of dies without a defect. stated_yield: share of dies sold in place of a
    model, `40%`, `20%..50%`, or several. d0: defects a cm². wafer_price, hbm_price: dollars a
    wafer, a gigabyte. volume: chips over which design and masks are spread; None leaves them out.
    keep: on another node the same `area` or the same `transistors`. supply: a scenario or a TOML
    file, for units a year.

    Raises `UsageError` for words that cannot be read, `MissingFact`, `Infeasible` with P121, P122.
    """
    typed = _Typed(package, hbm, harvest, yield_model, d0, wafer_price, hbm_price, volume)
    found = capacity.scenario(supply) if supply is not None else None
    if found is not None and chip is None and die is None:
        chip = found.chip
    nodes = _listed(node, tables.node) if node is not None else ()
    base, home = _base(chip, die, dies, nodes)
    if keep not in ("area", "transistors"):
        raise UsageError(f"--keep is {shorten(keep)!r}; `area` or `transistors` was expected.")
    yields = _yields(stated_yield)
    if max(len(nodes), 1) * max(len(yields), 1) > MOST_CASES:
        raise UsageError(f"--node and --yield make more than {MOST_CASES} cases.")
    cases = []
    for place in nodes or (None,):
        moved = _on(base, place, keep)
        for share in yields or (None,):
            made = _as_typed(structs.replace(moved, stated_yield=share), typed)
            cases.append(FabCase(made, home if place is not None else None, keep))
    if found is None:
        return fab_answer(tuple(cases))
    if len(cases) > 1:
        raise UsageError("--supply takes one node and one yield at a time.")
    return supply_answer(found, cases[0].recipe)


def _base(
    chip: str | None, die: Quantity | None, dies: Quantity, nodes: Sequence[Node]
) -> tuple[Recipe, Recipe | None]:
    """The recipe before it is moved, and the catalogue's own, where there is one."""
    if chip is None:
        if die is None:
            raise UsageError(
                "Name a chip, as in `parity fab h20`, or a die: `parity fab --die 800mm2 --node "
                "tsmc-5 --hbm 5xhbm3`."
            )
        if not nodes:
            raise UsageError(f"--die needs --node; one of {', '.join(tables.nodes())}.")
        return by_hand(die, dies, nodes[0]), None
    if die is not None:
        raise UsageError(f"--die and a chip exclude each other; `{shorten(chip)}@die.area=…`.")
    batch, *more = parse_fleet(chip)
    if more or batch.count is not None:
        raise UsageError("`parity fab` takes one chip without a count, as in `parity fab h20`.")
    try:
        own = recipe.recipe_of(batch.chip)
    except UsageError:
        if not nodes:
            raise
        return recipe.recipe_of(batch.chip, nodes[0]), None
    return own, own


def by_hand(die: Quantity, dies: Quantity, node: Node) -> Recipe:
    """The recipe of dies of one size. Raises `BadQuantity`, `Infeasible` with P121."""
    count = parse_count(dies, "--dies", most=recipe.MOST_DIES)
    area = _fact(die, "mm2", "--die", least=recipe.LEAST_MM2)
    one = DieRecipe(name="die", node=node, area=area, count=count)
    recipe.check_die(one, "--die")
    return Recipe(name="by hand", dies=(one,), package=recipe.usual_package((one,), None, 0))


def _on(base: Recipe, node: Node | None, keep: str) -> Recipe:
    if node is None:
        return base
    return (
        recipe.same_transistors(base, node) if keep == "transistors" else recipe.on_node(base, node)
    )


def _as_typed(made: Recipe, typed: _Typed) -> Recipe:
    """The recipe with what was typed beside the chip."""
    if typed.hbm is not None:
        stacks = recipe.parse_stacks(typed.hbm)
        count = stacks.count if stacks else 0
        package = recipe.usual_package(made.dies, stacks, count)
        made = structs.replace(made, memory=stacks, sites=count, package=package, findings=())
    if typed.package is not None:
        made = structs.replace(made, package=tables.package(typed.package))
    if typed.harvest is not None:
        made = recipe.with_harvest(made, typed.harvest)
    if typed.d0 is not None:
        defects = _fact(typed.d0, "1", "--d0", least=0.001, most=MOST_DEFECTS)
        made = _with_node(made, lambda one: structs.replace(one, defects_per_cm2=defects))
    if typed.wafer_price is not None:
        price = _fact(typed.wafer_price, "USD", "--wafer-price", least=1.0, most=1e6)
        made = _with_node(made, lambda one: structs.replace(one, wafer_usd=price))
    if typed.hbm_price is not None:
        if made.memory is None:
            raise UsageError("--hbm-price needs stacks of HBM: `--hbm 5xhbm3`.")
        gigabyte = _fact(typed.hbm_price, "USD", "--hbm-price", least=0.01, most=1e4)
        prices = (DatedPrice("", gigabyte),)
        held = structs.replace(made.memory, hbm=structs.replace(made.memory.hbm, prices=prices))
        made = structs.replace(made, memory=held)
    if typed.volume is not None:
        count = parse_count(typed.volume, "--volume", most=MOST_UNITS)
        units = Fact(count, count, count, "1", "user", COMMAND_LINE)
        made = structs.replace(made, units=units)
    made = structs.replace(made, model=recipe.yield_model(typed.model))
    recipe.check_package(made)
    return made


def _with_node(made: Recipe, change: Callable[[Node], Node]) -> Recipe:
    dies = tuple(structs.replace(die, node=change(die.node)) for die in made.dies)
    return structs.replace(made, dies=dies)


def _yields(text: Quantity | None) -> tuple[Fact, ...]:
    if text is None:
        return ()
    return _listed(str(text), _share)


def _share(text: str) -> Fact:
    """A share of the dies that are sold. Raises `BadQuantity`."""
    try:
        return _fact(text, "fraction", "--yield", least=0.001, most=1.0)
    except BadQuantity as error:
        if "low to high" in str(error):
            raise
        raise BadQuantity(
            f"--yield is {shorten(text)!r}; a share of the dies above 0 and up to 1 was expected, "
            "as in `40%`."
        ) from None


def _listed(text: str, read: Callable[[str], T]) -> tuple[T, ...]:
    return tuple(read(one.strip()) for one in text.split(","))


def _fact(
    text: Quantity, unit: str, what: str, *, least: float, most: float = float("inf")
) -> Fact:
    """A figure as it was typed: a value, or `low..high` with the middle. Raises `BadQuantity`."""
    found = stated(str(text), unit, what)
    if least <= found.low and found.high <= most:
        return found
    above = f" to {most:g}" if most < float("inf") else " on"
    raise BadQuantity(
        f"{what} is {shorten(str(text))!r}; a value from {least:g}{above} was expected."
    )
