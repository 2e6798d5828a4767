"""Filters, descriptions, comparisons, JSON."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.catalogue import load
from parity.catalogue.schema import Chip, figures_of
from parity.catalogue.spec import parse_fleet
from parity.catalogue.table import compare, describe, is_native, to_dict, where
from parity.errors import UnknownName, UsageError


def ids(text: str) -> set[str]:
    return {chip.id for chip in where(text, load.chips())}


class TestWhere:
    def test_terms_are_joined_by_and(self):
        assert ids("memory>=80GB vendor=huawei fp8") == {
            "ascend950pr", "ascend950dt", "ascend950dt-96", "ascend960", "ascend970",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        ["memory>=80GB vendor=huawei", "vendor = Huawei, memory >= 80e9B",
         "memory.capacity>=80GB vendor='huawei'"],
    )  # fmt: skip
    def test_spelling_does_not_matter(self, text):
        assert "ascend910c" in ids(text)
        assert "ascend910b2" not in ids(text)

    @pytest.mark.parametrize(
        ("text", "inside", "outside"),
        [
            ("family=hopper", "h20-96", "a100-sxm-80"),
            ("family!=hopper", "a100-sxm-80", "h20-96"),
            ("year>2024", "gb200", "h100-sxm"),
            ("bf16<=150TFLOP/s", "h20-96", "h100-sxm"),
            ("bandwidth=4TB/s", "h20-96", "h20-141"),
            ("bandwidth!=4TB/s", "h20-141", "h20-96"),
            ("link<300GB/s", "a800-sxm-80", "a100-sxm-80"),
            ("domain>=384", "ascend910c", "h100-sxm"),
            ("price<15000USD", "h20-96", "h100-sxm"),
            ("status=announced", "vr200", "h100-sxm"),
            ('vendor="alibaba t-head"', "ppu-96", "h20-96"),
            ("id=h20-96", "h20-96", "h20-141"),
            ("name=H20", "h20-141", "h100-sxm"),
            ("tdp<100W", "t4", "h100-sxm"),
            ("fp4", "b200-sxm", "h100-sxm"),
            ("bf16", "mi100", "v100-sxm2-32"),
            ("int8", "h100-sxm", "b300-sxm"),
            ("", "h20-96", ""),
        ],
    )
    def test_each_kind_of_term(self, text, inside, outside):
        found = ids(text)
        assert inside in found
        assert outside not in found

    def test_a_chip_without_the_figure_is_left_out(self):
        assert "jalapeno" not in ids("memory>=1GB")
        assert "jalapeno" not in ids("memory!=1GB")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("memry>=80GB", "Did you mean `memory`"), ("fp9", "Did you mean `fp8`"),
            ("vendr=huawei", "`vendor`"), ("prise<1USD", "`price`"), ("memory>=80W", "in byte"),
            ("memory>=80", "in byte"), ("vendor>=n", "with = or !="), ("year>soon", "plain number"),
            ("memory", "no dtype"), ("!!", "no term"), ("memory>=", "no term"),
            (">=80GB", "no term"),
            ("memory>=80GB ; rm", "no term"), ("x" * 2000, "at most 1,000"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said_in_a_sentence(self, text, said):
        with pytest.raises((UsageError, UnknownName)) as caught:
            ids(text)
        assert said in str(caught.value)
        assert len(str(caught.value)) < 400

    @given(st.text(max_size=40))
    def test_any_text_gives_chips_or_a_parity_error(self, text):
        with contextlib.suppress(UsageError):
            where(text, load.chips()[:3])


class TestDescribe:
    def test_every_figure_of_the_chip_is_there_once(self):
        rows = dict(describe(load.chip("h20")))
        assert len(rows) == len(describe(load.chip("h20")))
        assert rows["memory.bandwidth"].value == 4e12
        assert rows["prices.2025"].low == 9000
        assert "compute.dense.fp4" not in rows

    def test_a_stub_has_few(self):
        assert {path for path, _ in describe(load.chip("jalapeno"))} <= set(figures_of(Chip))


class TestCompare:
    def test_ratios_are_to_the_first_chip(self):
        rows = {row.path: row for row in compare([load.chip("h100"), load.chip("h20")])}
        assert rows["compute.dense.bf16"].ratios == (1, 148 / 989.4)
        assert rows["memory.bandwidth"].ratios[1] == pytest.approx(4.0 / 3.35)
        assert rows["price"].ratios[1] == pytest.approx(10500 / 23500)
        assert rows["year"].ratios == (None, None)

    def test_a_figure_only_one_has_gets_no_ratio(self):
        rows = {row.path: row for row in compare([load.chip("h100"), load.chip("b200")])}
        assert rows["compute.dense.fp4"].facts[0] is None
        assert rows["compute.dense.fp4"].ratios == (None, None)

    def test_nothing_to_compare(self):
        assert compare([]) == ()


class TestJson:
    @pytest.mark.parametrize("name", ["h20", "ppu", "jalapeno", "trn3"])
    def test_every_figure_is_whole_and_every_source_explained(self, name):
        table = json.loads(json.dumps(to_dict(load.chip(name)), allow_nan=False))
        for figure in figures(table):
            assert {"value", "low", "high", "unit", "provenance", "source"} <= figure.keys()
            assert figure["source"] in table["sources"]
        for source in table["sources"].values():
            assert source["title"]
            assert {"url", "date", "seen"} <= source.keys()

    def test_values_are_si_and_dtypes_are_there(self):
        table = to_dict(load.chip("h20"))
        assert table["memory"]["capacity"]["value"] == 96e9
        assert table["compute"]["dense"]["fp4"] is None
        assert table["dtypes"]["fp8"]["support"] == "native"
        assert table["prices"][0]["price"]["unit"] == "USD"

    def test_what_the_user_typed_is_explained(self):
        (batch,) = parse_fleet("h20@memory.bandwidth=4.8TB/s")
        assert to_dict(batch.chip)["sources"]["command line"]["title"]


def figures(table: object):
    if isinstance(table, dict):
        if "value" in table and "unit" in table:
            yield table
        for value in table.values():
            yield from figures(value)
    elif isinstance(table, list):
        for value in table:
            yield from figures(value)


def test_native_counts_half_rate_and_not_vector():
    assert is_native(load.chip("mi100"), "bf16")
    assert not is_native(load.chip("p100"), "fp16")
    assert not is_native(load.chip("jalapeno"), "bf16")
