"""Which share of the dies works, and which can be sold.

A die with x defects on average works with the chance e^-x. Defects are not spread evenly: on some
wafers there are more. Each yield model is a distribution of the defect density around its mean,
and its yield the mean of e^-xm over that distribution [Murphy 1964, Proc. IEEE 52(12)].
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from parity.catalogue.machine import Number

YieldModel = Literal["negative-binomial", "poisson", "murphy", "seeds", "bose-einstein"]
MODELS: tuple[YieldModel, ...] = get_args(YieldModel)

#: The grid over which a gamma distribution is averaged: the logarithm of the density over its mean.
_LOG_DENSITY = np.linspace(-14.0, 4.0, 181)
#: Points of the triangular distribution, on either side of its peak.
_POINTS = 24


def poisson(defects: Number) -> Number:
    """e^-x: the same density everywhere. x = area times defect density. [1]"""
    return np.exp(-np.asarray(defects, dtype=float))


def murphy(defects: Number) -> Number:
    """((1 - e^-x) / x)²: a triangle from none to twice the mean [Murphy 1964]. [1]"""
    x = np.asarray(defects, dtype=float)
    safe = np.where(x > 0, x, 1.0)
    return np.where(x > 0, (-np.expm1(-safe) / safe) ** 2, 1.0)


def seeds(defects: Number) -> Number:
    """1 / (1 + x): an exponential distribution [Seeds 1967, IEEE Int. Conv. Record]. [1]"""
    return 1.0 / (1.0 + np.asarray(defects, dtype=float))


def negative_binomial(defects: Number, clustering: Number) -> Number:
    """(1 + x/α)^-α: a gamma distribution [Stapper, Armstrong, Saji 1983, Proc. IEEE 71(4)]. [1]

    clustering: α; small where defects cluster, Poisson at infinity, Seeds at one.
    """
    return (1.0 + np.asarray(defects, dtype=float) / clustering) ** -np.asarray(clustering)


def bose_einstein(defects: Number, layers: Number) -> Number:
    """1 / (1 + x/n)^n over n critical layers, each with x/n defects. [1]

    [Price 1970, Proc. IEEE 58(8); Hennessy, Patterson 2017, section 1.6, where the
    density is that of one layer.] As a formula a negative binomial with α = n.
    """
    return negative_binomial(defects, layers)


def die_yield(model: YieldModel, defects: Number, clustering: Number, layers: Number) -> Number:
    """Share of dies without a defect, by the model of that name. [1]"""
    match model:
        case "poisson":
            return poisson(defects)
        case "murphy":
            return murphy(defects)
        case "seeds":
            return seeds(defects)
        case "bose-einstein":
            return bose_einstein(defects, layers)
        case "negative-binomial":
            return negative_binomial(defects, clustering)


def sellable_yield(
    model: YieldModel,
    defects: Number,
    clustering: Number,
    layers: Number,
    cores: tuple[int, int, Number],
) -> Number:
    """Share of dies that can be sold with some of their cores switched off. [1]

    cores: so many are needed, so many are made, and the share of the die that is under them. What
    is not under cores must be whole. At one density of defects the number of bad cores is
    binomial; the mean over the distribution of the model follows, so that clustered defects are
    not counted as independent [Koren, Koren 1998, Proc. IEEE 86(9)].
    """
    needed, made, share = cores
    x = np.asarray(defects, dtype=float)[..., None]
    part = np.asarray(share, dtype=float)[..., None]
    density, weight = _densities(model, clustering, layers)
    rest = np.exp(-x * (1.0 - part) * density)
    enough = _at_least(needed, made, x * part * density / made)
    return (rest * enough * weight).sum(axis=-1)


def _at_least(needed: int, made: int, per_core: Number) -> Number:
    """Chance that `needed` of `made` cores work, at so many defects a core."""
    z = np.maximum(per_core, 1e-300)
    bad = np.log(-np.expm1(-z))
    total = np.zeros_like(z)
    for off in range(made - needed + 1):
        ways = math.lgamma(made + 1) - math.lgamma(off + 1) - math.lgamma(made - off + 1)
        total = total + np.exp(ways + off * bad - (made - off) * z)
    return np.minimum(total, 1.0)


def _densities(model: YieldModel, clustering: Number, layers: Number) -> tuple[Number, Number]:
    """Densities over their mean and their weights, on a last axis."""
    if model == "poisson":
        return np.ones(1), np.ones(1)
    if model == "murphy":
        points, weights = np.polynomial.legendre.leggauss(_POINTS)
        low = (points + 1) / 2  # a triangle over 0 to 2, its peak at 1
        density = np.concatenate([low, 1 + low])
        return density, np.concatenate([weights * low, weights * (1 - low)]) / 2
    shape = {"seeds": 1.0, "bose-einstein": layers, "negative-binomial": clustering}[model]
    a = np.asarray(shape, dtype=float)[..., None]
    log_weight = a * (_LOG_DENSITY - np.exp(_LOG_DENSITY) + 1.0)
    weight = np.exp(log_weight)
    return np.exp(_LOG_DENSITY), weight / weight.sum(axis=-1, keepdims=True)
