"""`parity validate`: how far Parity is from what others measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from parity.outputs.envelope import Answer

EVIDENCE = Group("Evidence", sort_key=1)


def validate(
    *,
    set_names: Annotated[
        str,
        Parameter(
            name="--set",
            group=EVIDENCE,
            help="Sources to predict, as in sc21,vtrain-multi.",
            show_default=False,
        ),
    ] = "",
    evidence: Annotated[
        Path | None, Parameter(group=EVIDENCE, help="A CSV of measurements in the same columns.")
    ] = None,
    kind: Annotated[
        str,
        Parameter(group=EVIDENCE, help="`training` or `serving` alone.", show_default=False),
    ] = "",
    leave_out: Annotated[
        str,
        Parameter(
            group=EVIDENCE,
            help="`source`: refit without each row's own source first.",
            show_default=False,
        ),
    ] = "",
    tolerance: Annotated[
        str | None, Parameter(group=EVIDENCE, help="Exit 6 where the median error is above, 10%.")
    ] = None,
) -> Answer:
    """Predict published measurements, or your own, and print the error."""
    from parity.outputs import accuracy

    sets = tuple(name.strip() for name in set_names.split(",") if name.strip())
    return accuracy.validate(
        evidence, sets=sets, kind=kind, leave_out=leave_out, tolerance=tolerance
    )
