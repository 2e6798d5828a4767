"""How many dies lie on a wafer, and what a lithography scanner can expose at once."""

from __future__ import annotations

import numpy as np

from parity.catalogue.machine import Number

#: Diameter of a wafer. [mm]
WAFER_MM = 300.0
#: The field that a scanner exposes at once, 26 by 33 mm [ASML NXT and NXE data sheets]. High-NA
#: scanners expose half of it.
RETICLE_WIDTH_MM, RETICLE_HEIGHT_MM = 26.0, 33.0
RETICLE_MM2 = RETICLE_WIDTH_MM * RETICLE_HEIGHT_MM
#: Positions of the grid of dies that are tried, in either direction, before the best is taken.
OFFSETS = 8


def die_shape(area_mm2: Number) -> tuple[Number, Number]:
    """Width and height of a die of so much area: square, or as wide as the field. [mm]"""
    width = np.minimum(np.sqrt(area_mm2), RETICLE_WIDTH_MM)
    return width, area_mm2 / width


def grid_dies(width_mm: Number, height_mm: Number, edge_mm: Number, scribe_mm: Number) -> Number:
    """Whole dies of width by height on a wafer, counted on a grid, at its best position.

    Dies step by their size and the scribe line; a die counts where all of it, with its share of
    the scribe line, lies `edge_mm` within the wafer. The closed formulas approximate this count
    [de Vries 2005, IEEE Trans. Semicond. Manuf. 18(1)]. Broadcasts.
    """
    across, up, edge, scribe = np.broadcast_arrays(width_mm, height_mm, edge_mm, scribe_mm)
    step_x = (across + scribe)[..., None, None, None]  # then: offset across, offset up, column
    step_y = (up + scribe)[..., None, None, None]
    radius = (WAFER_MM / 2 - edge)[..., None, None, None]
    most = int(np.ceil(np.max(radius / step_x))) + 1
    column = np.arange(-most, most + 1)
    offset = np.arange(OFFSETS) / OFFSETS
    left = (column + offset[:, None, None]) * step_x
    far = np.maximum(np.abs(left), np.abs(left + step_x))
    half = np.sqrt(np.maximum(radius**2 - far**2, 0.0))
    shift = offset[:, None] * step_y
    rows = np.floor((half - shift) / step_y) - np.ceil((-half - shift) / step_y)
    whole = np.where(far <= radius, np.maximum(rows, 0.0), 0.0).sum(axis=-1)
    return whole.max(axis=(-2, -1))


def closed_dies(area_mm2: Number) -> Number:
    """Dies on a wafer by area and circumference: π(d/2)²/A − πd/√(2A).

    The usual estimate [Hennessy, Patterson 2017, section 1.6].
    """
    whole = np.pi * (WAFER_MM / 2) ** 2 / area_mm2
    return np.maximum(whole - np.pi * WAFER_MM / np.sqrt(2 * area_mm2), 0.0)


def edge_dies(area_mm2: Number, edge_mm: Number = 5.0, scribe_mm: Number = 0.2) -> Number:
    """The same with the edge and the scribe lines taken off.

    [Feng, Ma 2022 (Chiplet Actuary), chip.py; its defaults are these.]
    """
    stepped = area_mm2 + 2 * scribe_mm * np.sqrt(area_mm2) + scribe_mm**2
    radius = WAFER_MM / 2 - edge_mm
    lost = np.pi * 2 * radius / np.sqrt(2 * stepped)
    return np.maximum(np.pi * radius**2 / stepped - lost, 0.0)


def fields_needed(area_mm2: Number) -> Number:
    """Least number of equal dies into which so much area must be cut to fit the reticle. [1]"""
    return np.ceil(np.asarray(area_mm2) / RETICLE_MM2 - 1e-9)
