"""`parity chips`: what is known of chips, and who says so."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parity.catalogue import load, table
from parity.catalogue.schema import Chip
from parity.catalogue.spec import parse_fleet
from parity.errors import UsageError
from parity.outputs import chips as saying
from parity.outputs.envelope import Answer


def chips(
    *ids: Annotated[
        str, Parameter(help="Names of chips, as in h20 or h20@memory.bandwidth=5TB/s.")
    ],
    where: Annotated[
        str | None, Parameter(help='Only those that meet "memory>=80GB vendor=huawei fp8".')
    ] = None,
    compare: Annotated[
        bool, Parameter(help="Side by side, with ratios to the first.", show_default=False)
    ] = False,
) -> Answer:
    """List, filter, show or compare chips."""
    named = tuple(chip for text in ids for chip in _chips(text))
    found = named or load.chips()
    if where is not None:
        found = table.where(where, found)
    if compare:
        if len(found) < 2 or (not named and where is None):
            raise UsageError(
                "--compare needs two chips or more, as in `parity chips h20 h100 --compare`."
            )
        return saying.compare_answer(found)
    if len(named) == 1 == len(found):
        return saying.chip_answer(found[0])
    return saying.list_answer(found, where or "")


def _chips(text: str) -> tuple[Chip, ...]:
    batches = parse_fleet(text)
    for batch in batches:
        if batch.count is not None:
            raise UsageError(f"`parity chips` takes names without a count: `{batch.chip.id}`.")
    return tuple(batch.chip for batch in batches)
