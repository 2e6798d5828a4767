"""What a plan hangs on."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue import load
from parity.errors import UnknownName
from parity.supply.risk import Holding, dependences, foundries, makers

IDS = sorted(load.catalogue().chips)


def shares(
    *batches: tuple[float, str], to: str | None = None
) -> dict[tuple[str, str], tuple[float, float]]:
    holdings = [Holding(load.chip(name), count) for count, name in batches]
    return {(d.on, d.name): (d.low, d.high) for d in dependences(holdings, to)}


def test_one_kind_of_chip_hangs_on_its_maker_as_a_whole():
    found = shares((8, "h100"))
    assert found["vendor", "NVIDIA"] == (1, 1)
    assert found["home", "US"] == (1, 1)
    assert found["foundry", "TSMC"] == (1, 1)


def test_several_kinds_hang_by_their_count():
    found = shares((30, "h100"), (10, "910c"))
    assert found["vendor", "NVIDIA"] == (0.75, 0.75)
    assert found["vendor", "Huawei"] == (0.25, 0.25)
    # TSMC made the H100, and SMIC or TSMC the 910C.
    assert found["foundry", "TSMC"] == (0.75, 1)
    assert found["foundry", "SMIC"] == (0, 0.25)


def test_makers_of_memory_are_possibilities_where_several_make_it():
    assert shares((1, "rtx4090"))["memory maker", "Micron"] == (1, 1)
    assert shares((1, "h100"))["memory maker", "SK hynix"] == (0, 1)
    assert "CXMT" not in makers(load.chip("a100"))
    assert "CXMT" in makers(load.chip("910c"))
    assert makers(load.chip("groq-lpu-v1")) == ()


def test_what_nobody_published_is_said():
    assert foundries(load.chip("810e")) == ()
    assert shares((1, "810e"))["foundry", "not published"] == (1, 1)


def test_a_licence_is_that_of_the_vendor_s_export():
    found = shares((1, "h100"), (1, "t4"), (2, "910c"), to="CN")
    assert found["licence", "3A090.a and .b"] == (0.25, 0.25)
    assert not any(on == "licence" for on, _ in shares((1, "910c"), to="CN"))
    assert shares((1, "h100"), to="BR")["licence", "perhaps one"] == (0, 1)
    with pytest.raises(UnknownName):
        shares((1, "h100"), to="nowhere")


@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.sampled_from(IDS)), min_size=1, max_size=5),
)
def test_shares_of_one_kind_cover_the_plan(batches):
    low, high = defaultdict(float), defaultdict(float)
    for (on, _), (least, most) in shares(*batches).items():
        assert 0 <= least <= most <= 1 + 1e-9
        low[on] += least
        high[on] += most
    assert set(low) == {"vendor", "home", "foundry", "memory maker"}
    for on in low:
        assert low[on] <= 1 + 1e-9
        assert high[on] >= 1 - 1e-9
    for on in ("vendor", "home"):
        assert low[on] == pytest.approx(1)
