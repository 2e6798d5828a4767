"""The words for the fields of a chip, in a fleet, a filter, a table."""

from __future__ import annotations

from parity.catalogue.schema import DTYPES, Chip, figures_of
from parity.errors import UnknownName

#: What people type -> the path of the figure.
SHORT: dict[str, str] = {
    "memory": "memory.capacity",
    "bandwidth": "memory.bandwidth",
    "sram": "memory.sram",
    "units": "compute.units",
    "fp32": "compute.vector_fp32",
    "link": "scale_up.bandwidth",
    "domain": "scale_up.domain",
    "nic": "scale_out.bandwidth",
    "tdp": "physical.tdp",
    "die": "physical.die_area",
    "die.area": "physical.die_area",
    "transistors": "physical.transistors",
    **{dtype: f"compute.dense.{dtype}" for dtype in DTYPES},
}

#: Fields of a chip that are words -> where they are.
WORDS: dict[str, str] = {
    "id": "id",
    "name": "name",
    "vendor": "vendor",
    "status": "status",
    "family": "family",
    "market": "sold_for",
    "cluster": "cluster",
    "kind": "memory.kind",
    "process": "physical.process",
    "foundry": "physical.foundry",
    "form_factor": "physical.form_factor",
}


def figure_path(name: str, more: tuple[str, ...] = ()) -> tuple[str, str]:
    """The path and the unit of the figure that `name` means: `bandwidth` is `memory.bandwidth`.

    Raises `UnknownName`, which offers the names of `more` as well.
    """
    units = figures_of(Chip)
    word = name.strip().lower()
    path = SHORT.get(word, word)
    if path not in units:
        raise UnknownName("field", name, (*SHORT, *units, *more))
    return path, units[path]
