"""The grammar of chips on a command line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parity.catalogue.machine import machine
from parity.catalogue.schema import Support
from parity.catalogue.spec import parse_fleet
from parity.errors import BadQuantity, ParityError, UnknownName, UsageError


def shape(text: str) -> list[tuple[int | None, str]]:
    return [(batch.count, batch.chip.id) for batch in parse_fleet(text)]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("h20", [(None, "h20-96")]),
        ("64xh20", [(64, "h20-96")]),
        ("64 x h20", [(64, "h20-96")]),
        ("64×h20", [(64, "h20-96")]),
        ("64*h20", [(64, "h20-96")]),
        ("64XH20", [(64, "h20-96")]),
        ("1_024xh100", [(1024, "h100-sxm")]),
        ("10000000xh20", [(10_000_000, "h20-96")]),
        ("512xa100-sxm-80,256xh20", [(512, "a100-sxm-80"), (256, "h20-96")]),
        (" 512xa100 , h20 ", [(512, "a100-sxm-80"), (None, "h20-96")]),
        ("910b", [(None, "ascend910b2")]),
        ("8x910b", [(8, "ascend910b2")]),
        ("4090", [(None, "rtx4090")]),
        ("8x4090", [(8, "rtx4090")]),
        ("8xmi300x", [(8, "mi300x")]),
        ("tpu7x", [(None, "tpu-v7")]),
        ("4xNVIDIA H20", [(4, "h20-96")]),
    ],
)
def test_a_fleet_is_read(text, means):
    assert shape(text) == means


class TestOverrides:
    def test_a_figure_is_replaced_with_the_user_as_its_source(self):
        (batch,) = parse_fleet("256xh20@memory.bandwidth=4.8TB/s")
        fact = batch.chip.memory.bandwidth
        assert (fact.value, fact.low, fact.high) == (4.8e12, 4.8e12, 4.8e12)
        assert (fact.provenance, fact.source) == ("user", "command line")
        assert batch.chip.memory.capacity.value == 96e9
        assert batch.text == "256xh20@memory.bandwidth=4.8TB/s"

    def test_a_comma_before_a_field_goes_on_with_the_overrides(self):
        first, second = parse_fleet("h20@memory.bandwidth=4.8TB/s,memory.capacity=141GB,8xh100")
        assert first.chip.memory.capacity.value == 141e9
        assert (second.count, second.chip.id) == (8, "h100-sxm")

    @pytest.mark.parametrize("text", ["1.28..2.76TB/s", "1.28TB/s..2.76TB/s", "1280GB/s..2.76TB/s"])
    def test_a_range_has_its_middle(self, text):
        fact = parse_fleet(f"ppu@memory.bandwidth={text}")[0].chip.memory.bandwidth
        assert (fact.low, fact.value, fact.high) == (1.28e12, 2.02e12, 2.76e12)

    def test_short_names_do(self):
        (batch,) = parse_fleet("h20@bandwidth=4.8TB/s,tdp=500W,link=900GB/s,bf16=200TFLOP/s")
        assert batch.chip.physical.tdp.value == 500
        assert batch.chip.scale_up.bandwidth.value == 900e9
        assert batch.chip.compute.dense.bf16.value == 200e12

    def test_a_peak_says_that_the_chip_takes_the_dtype(self):
        (batch,) = parse_fleet("a100@compute.dense.fp8=624TFLOP/s")
        assert batch.chip.dtypes.fp8 == Support("native", "user", "command line")

    def test_the_catalogue_itself_stays_as_it_was(self):
        parse_fleet("a100@fp8=624TFLOP/s,memory=1TB")
        (batch,) = parse_fleet("a100")
        assert batch.chip.memory.capacity.value == 80e9
        assert batch.chip.dtypes.fp8.support == "none"


@pytest.mark.parametrize(
    "text", ["0xh20", "-3xh20", "1.5xh20", "10000001xh20", "9" * 60 + "xh20", "1e3xh20", "1kxh20",
             "+xh20", "-xh20", "1,5xh20"],
)  # fmt: skip
def test_a_count_that_is_no_whole_number_in_bounds_is_refused(text):
    with pytest.raises((BadQuantity, UnknownName)) as caught:
        parse_fleet(text)
    assert len(str(caught.value)) < 300
    if "," not in text:
        assert "a whole number from 1 to 10,000,000 was expected" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("h21", UnknownName, "Did you mean"),
        ("h20@memory.bandwith=4TB/s", UnknownName, "`memory.bandwidth`"),
        ("h20@name=x", UnknownName, "No field called 'name'"),
        ("h20@memory.bandwidth=4GB", BadQuantity, "as in `4TB/s`"),
        ("h20@memory.bandwidth=4", BadQuantity, "as in `4TB/s`"),
        ("h20@memory.bandwidth=nanTB/s", BadQuantity, "as in `4TB/s`"),
        ("h20@memory.bandwidth=-4TB/s", BadQuantity, "a value from"),
        ("h20@memory.bandwidth=0TB/s", BadQuantity, "a value from"),
        ("h20@memory.bandwidth=1e999TB/s", BadQuantity, "finite"),
        ("h20@memory.bandwidth=5..4TB/s", BadQuantity, "from low to high"),
        ("h20@memory.bandwidth=..4TB/s", BadQuantity, "as in `4TB/s`"),
        ("h20@memory.bandwidth=4TB/s..", BadQuantity, "as in `4TB/s`"),
        ("h20@node=2.5", BadQuantity, "whole number"),
        ("h20@memory.bandwidth", UsageError, "field=value"),
        ("h20@memory.bandwidth=", UsageError, "field=value"),
        ("h20@=4TB/s", UnknownName, "No field called ''"),
        ("h20@", UsageError, "no chip or no field"),
        ("@memory.bandwidth=4TB/s", UsageError, "no chip or no field"),
        ("", UsageError, "no chip or no field"),
        ("h20,", UsageError, "no chip or no field"),
        (",h20", UsageError, "no chip or no field"),
        (",".join(["h20"] * 65), UsageError, "at most 64"),
        ("h20" * 2000, UsageError, "at most 4,000"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text, error, said):
    with pytest.raises(error) as caught:
        parse_fleet(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_as_the_user_states_it_goes_before_that_of_the_cluster():
    text = "a100@scale_out.bandwidth=5GB/s,scale_up.bandwidth=100GB/s,scale_up.domain=4,node=4"
    (batch,) = parse_fleet(text)
    near, far = machine(batch.chip).levels
    assert (near.size, near.bandwidth_bytes_per_s, far.bandwidth_bytes_per_s) == (4, 100e9, 5e9)
    assert machine(batch.chip).node == 4
    usual = machine(parse_fleet("a100")[0].chip)
    assert [level.bandwidth_bytes_per_s for level in usual.levels] == [300e9, 25e9]


WORDS = st.sampled_from(
    ["h20", "910b", "ppu", "x", "@", "=", ",", "..", "8", "0", "-1", "memory.bandwidth", "bf16",
     "TB/s", "GB", "4.8", "nan", "inf", " ", "\n", "é", "1e9", "*", "×"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12).map("".join))
@example("8xh20@memory.bandwidth=4.8TB/s")
def test_words_in_any_order_give_a_fleet_or_a_parity_error(text):
    with contextlib.suppress(ParityError):
        for batch in parse_fleet(text):
            assert batch.count is None or 1 <= batch.count <= 10**7


@given(st.text(max_size=60))
def test_any_text_gives_a_fleet_or_a_parity_error(text):
    with contextlib.suppress(ParityError):
        parse_fleet(text)
