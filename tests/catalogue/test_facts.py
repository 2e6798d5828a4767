"""The built-in catalogue: complete, sourced, and the values that the notes decided on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from parity.catalogue import files, load
from parity.catalogue.build import NOT_INHERITED
from parity.catalogue.check import normalise
from parity.catalogue.schema import DTYPES, Chip, Cluster, Link, figure_at, figures_of
from parity.record import Fact

HERE = Path(__file__).parent
IDS = (HERE / "ids.txt").read_text().split()
LABELS = [line.split(" -> ") for line in (HERE / "labels.txt").read_text().splitlines()]


def every_figure() -> list[tuple[str, Fact]]:
    known = load.catalogue()
    found = []
    for record, things in ((Chip, known.chips), (Cluster, known.clusters), (Link, known.links)):
        for id_, thing in things.items():
            pairs = ((path, figure_at(thing, path)) for path in figures_of(record))
            found.extend((f"{id_}.{path}", fact) for path, fact in pairs if fact)
    found += [(f"{c.id}.prices", d.price) for c in load.chips() for d in c.prices]
    return found


def test_the_128_chips_are_there_and_a_few_more():
    assert len(IDS) == 128
    assert set(IDS) < set(load.catalogue().chips)


def test_there_are_38_clusters_and_the_links_they_need():
    known = load.catalogue()
    assert len(known.clusters) == 38
    assert len(known.links) == 55
    for cluster in known.clusters.values():
        assert cluster.chip in known.chips


@pytest.mark.parametrize(("label", "chip"), LABELS)
def test_every_label_of_the_evidence_leads_to_a_chip(label, chip):
    assert load.resolve(label) == chip


@pytest.mark.parametrize(
    ("typed", "chip"),
    [
        ("h100", "h100-sxm"), ("H100", "h100-sxm"), ("NVIDIA H100 SXM5 80GB", "h100-sxm"),
        ("h20", "h20-96"), ("a100", "a100-sxm-80"), ("a800", "a800-sxm-80"),
        ("h800", "h800-sxm"), ("h200", "h200-sxm"), ("b200", "b200-sxm"), ("gb200", "gb200"),
        ("910b", "ascend910b2"), ("910c", "ascend910c"), ("Ascend 910C", "ascend910c"),
        ("ppu", "ppu-96"), ("alibaba-ppu", "ppu-96"), ("trainium2", "trn2"),
        ("mi300x", "mi300x"), ("AMD Instinct MI300X", "mi300x"), ("gaudi2", "gaudi2"),
        ("v100", "v100-sxm2-32"), ("l40s", "l40s"), ("4090", "rtx4090"), ("RTX 4090", "rtx4090"),
        ("trillium", "tpu-v6e"), ("tpu-v6e", "tpu-v6e"), ("ironwood", "tpu-v7"),
        ("tpu v5e", "tpu-v5e"), ("wse-3", "wse3"), ("epyc-9654", "epyc-9654"),
    ],
)  # fmt: skip
def test_what_people_type_is_understood(typed, chip):
    assert load.chip(typed).id == chip


def test_every_source_exists_is_used_and_is_seen_as_its_figures_say():
    sources = load.catalogue().sources
    used = set()
    for place, fact in every_figure():
        used |= {fact.source, *(also.source for also in fact.also)}
        seen = sources[fact.source].seen
        if fact.provenance in ("read", "measured"):
            assert seen in ("read", "secondary"), place
        if fact.provenance == "recalled":
            assert seen == "recalled", place
        if fact.provenance == "estimated":
            assert fact.note, place
    for chip in load.chips():
        for dtype in DTYPES:
            if support := getattr(chip.dtypes, dtype):
                used.add(support.source)
    assert used == set(sources)


def test_every_figure_has_an_ordered_range():
    for place, fact in every_figure():
        assert 0 < fact.low <= fact.value <= fact.high, place


def test_a_native_dtype_with_a_peak_is_never_contradicted():
    for chip in load.chips():
        for dtype in DTYPES:
            support, peak = getattr(chip.dtypes, dtype), getattr(chip.compute.dense, dtype)
            if peak is not None and dtype not in ("fp64", "int8", "int4"):
                assert support is not None, (chip.id, dtype)
                assert support.support not in ("none", "unknown"), (chip.id, dtype)


def test_the_built_in_files_keep_one_bibliography_and_no_ids():
    for kind in ("chips", "clusters", "links"):
        for path in (files.BUILT_IN / kind).rglob("*.toml"):
            table = tomllib.loads(path.read_text())
            assert "sources" not in table
            assert "id" not in table


def test_names_of_the_built_in_chips_are_what_normalising_gives():
    for chip in load.chips():
        for name in (chip.id, chip.name, *chip.aliases, *chip.labels):
            assert load.catalogue().names[normalise(name)] == chip.id


#: Contested figures and the value that was decided on: chip, path, value.
DECIDED = [
    ("b200", "memory.capacity", 180e9), ("b200", "memory.bandwidth", 7.7e12),
    ("b200", "compute.dense.fp4", 9000e12),
    ("b300", "compute.dense.fp4", 14000e12), ("gb300", "compute.dense.fp4", 15000e12),
    ("b300", "compute.dense.int8", 157.5e12), ("gb300", "compute.dense.int8", 165e12),
    ("b300", "memory.capacity", 270e9), ("gb300", "memory.capacity", 288e9),
    ("vr200", "compute.dense.fp4", 35000e12), ("vr200", "memory.bandwidth", 22e12),
    ("mi455x", "compute.dense.fp8", 10000e12), ("mi455x", "compute.dense.fp4", 20000e12),
    ("mi455x", "memory.bandwidth", 23.3e12),
    ("mi350x", "compute.dense.fp8", 4614e12), ("mi355x", "compute.dense.fp8", 5033e12),
    ("mi308x", "compute.dense.fp16", 344e12), ("mi308x", "compute.dense.fp8", 688e12),
    ("mi308x", "memory.bandwidth", 5.3e12),
    ("h800", "compute.vector_fp64", 1e12), ("h20-96", "physical.tdp", 400),
    ("h20-141", "physical.tdp", 500), ("h20-141", "memory.bandwidth", 4.8e12),
    ("a100-pcie-40", "memory.bandwidth", 1555e9),
    ("gaudi3", "compute.dense.bf16", 1677e12), ("gaudi3", "compute.dense.fp8", 1677e12),
    ("gaudi3", "compute.dense.fp16", 459e12), ("gaudi2", "compute.dense.bf16", 432e12),
    ("910b1", "compute.dense.fp16", 376e12), ("910b2", "compute.dense.fp16", 354e12),
    ("910b3", "compute.dense.fp16", 295e12), ("910b4", "compute.dense.fp16", 263e12),
    ("910b2", "memory.bandwidth", 1600e9), ("910b4", "memory.bandwidth", 800e9),
    ("910c", "compute.dense.bf16", 708e12), ("910c", "memory.capacity", 128e9),
    ("910c", "memory.bandwidth", 3.2e12), ("910c", "scale_up.bandwidth", 392e9),
    ("950dt", "scale_up.bandwidth", 840e9), ("950pr", "scale_up.bandwidth", 840e9),
    ("950dt", "memory.capacity", 144e9), ("950dt-96", "memory.capacity", 96e9),
    ("ppu", "compute.dense.fp16", 119e12), ("810e", "compute.dense.fp16", 119e12),
    ("mlu590", "compute.dense.fp16", 345e12), ("c500", "memory.bandwidth", 1800e9),
    ("c600", "compute.dense.fp8", 1000e12), ("k100-ai", "memory.capacity", 64e9),
    ("k100-ai", "memory.bandwidth", 896e9), ("s60", "memory.bandwidth", 672e9),
    ("tpu-v6e", "scale_up.bandwidth", 400e9), ("tpu-v3", "compute.dense.bf16", 123e12),
    ("trn3", "scale_up.bandwidth", 352e9), ("wse3", "compute.dense.fp16", 15800e12),
    ("p150", "compute.dense.fp8", 774e12), ("sn40l", "memory.bandwidth", 1600e9),
    ("4090", "compute.dense.bf16", 165e12), ("5090", "compute.dense.bf16", 209.5e12),
]  # fmt: skip


@pytest.mark.parametrize(("chip", "path", "value"), DECIDED)
def test_a_contested_figure_has_the_value_decided_on(chip, path, value):
    assert figure_at(load.chip(chip), path).value == value


#: Contested or unpublished figures: chip, path, low, high.
CONTESTED = [
    ("ppu", "memory.bandwidth", 1.28e12, 2.76e12), ("810e", "memory.bandwidth", 1.28e12, 2.76e12),
    ("810e", "compute.dense.fp16", 119e12, 200e12), ("mi455x", "compute.dense.fp8", 10e15, 20e15),
    ("mi455x", "memory.bandwidth", 19.6e12, 23.3e12), ("h20-96", "physical.tdp", 400, 550),
    ("h20-141", "memory.bandwidth", 4.0e12, 4.8e12),
    ("mlu590", "compute.dense.fp16", 256e12, 345e12),
    ("c600", "compute.dense.fp16", 300e12, 500e12), ("tpu-v6e", "scale_up.bandwidth", 360e9, 448e9),
    ("trn3", "scale_up.bandwidth", 128e9, 1280e9), ("mi308x", "compute.dense.fp8", 400e12, 688e12),
    ("950dt", "memory.capacity", 96e9, 144e9), ("bi150", "memory.bandwidth", 590e9, 1100e9),
    ("p800", "memory.bandwidth", 1.8e12, 3.0e12),
]  # fmt: skip


@pytest.mark.parametrize(("chip", "path", "low", "high"), CONTESTED)
def test_a_contested_figure_keeps_its_range(chip, path, low, high):
    fact = figure_at(load.chip(chip), path)
    assert (fact.low, fact.high) == (low, high)


def test_contradicting_values_stay_visible():
    assert {also.value for also in load.chip("910c").compute.dense.fp16.also} == {
        752e12, 780e12, 800e12,
    }  # fmt: skip
    assert load.chip("b200").memory.bandwidth.also[0].value == 8e12


def test_the_h20_is_148_tflops_96_gb_and_4_tb_per_second():
    h20 = load.chip("h20")
    assert h20.compute.dense.bf16.value == 148e12
    assert h20.memory.capacity.value == 96e9
    assert h20.memory.bandwidth.value == 4e12
    assert h20.compute.units.value == 78


@pytest.mark.parametrize(
    ("chip", "gib"),
    [("tpu-v5p", 95), ("tpu-v6e", 32), ("tpu-v7", 192), ("trn2", 96), ("trn3", 144)],
)
def test_google_and_aws_count_memory_in_gib(chip, gib):
    assert load.chip(chip).memory.capacity.value == gib * 2**30


SUPPORT = [
    ("v100", "bf16", "none"), ("v100", "fp16", "native"), ("v100", "int8", "vector"),
    ("v100", "tf32", "none"), ("p100-sxm2-16", "fp16", "vector"), ("t4", "bf16", "none"),
    ("t4", "int4", "native"), ("a100", "fp8", "none"), ("a100", "bf16", "native"),
    ("h100", "fp8", "native"), ("h100", "int4", "none"), ("h20", "fp8", "native"),
    ("h100", "fp4", "none"), ("b200", "fp4", "native"), ("b200", "int8", "native"),
    ("b300", "int8", "emulated"), ("910b", "fp8", "none"), ("910b", "int8", "native"),
    ("910c", "fp4", "none"), ("950dt", "fp8", "native"), ("950dt", "fp4", "native"),
    ("ppu", "fp8", "none"), ("m890", "fp8", "native"), ("mi100", "bf16", "half-rate"),
    ("mi300x", "fp8", "native"), ("mi300x", "fp4", "none"), ("mi355x", "fp4", "native"),
    ("mi355x", "tf32", "emulated"), ("mi250x", "fp8", "none"), ("gaudi2", "fp8", "native"),
    ("tpu-v5p", "fp8", "none"), ("tpu-v7", "fp8", "native"), ("tpu-v4", "fp16", "none"),
    ("trn2", "int8", "unknown"), ("bw1000", "fp8", "none"), ("s60", "fp8", "none"),
    ("c550", "fp8", "none"), ("c600", "fp8", "native"), ("s5000", "fp8", "native"),
    ("mlu590", "fp8", "none"), ("br100", "fp16", "none"), ("wse3", "int8", "none"),
    ("epyc-9654", "bf16", "vector"), ("xeon-8592p", "bf16", "native"),
]  # fmt: skip


@pytest.mark.parametrize(("chip", "dtype", "support"), SUPPORT)
def test_native_support_is_stated(chip, dtype, support):
    assert getattr(load.chip(chip).dtypes, dtype).support == support


def test_a_dtype_that_is_missing_has_no_invented_peak():
    assert load.chip("v100").compute.dense.bf16 is None
    assert load.chip("a100").compute.dense.fp8 is None
    assert load.chip("910b").compute.dense.fp8 is None
    assert load.chip("trn2").compute.dense.int8 is None


@pytest.mark.parametrize("stub", ["jalapeno", "ai200", "kunlun-m100", "t100", "sohu", "l600"])
def test_stubs_are_there_without_rates(stub):
    assert not any(getattr(load.chip(stub).compute.dense, dtype) for dtype in DTYPES)


@pytest.mark.parametrize(
    ("cluster", "ratio", "chips"), [("llama3-roce-24k", 7, 3072), ("alibaba-hpn7", 15, 15360)]
)
def test_oversubscription_begins_where_the_papers_say(cluster, ratio, chips):
    out = load.cluster(cluster).scale_out
    assert (out.oversubscription.value, out.nonblocking.value) == (ratio, chips)


def test_a_chip_fits_the_cluster_it_is_put_in():
    for chip in load.chips():
        if chip.cluster and chip.scale_up.bandwidth:
            up = load.cluster(chip.cluster).scale_up.bandwidth
            assert chip.scale_up.bandwidth.value == up.value, chip.id


def test_records_survive_a_round_trip_through_json():
    known = load.catalogue()
    assert msgspec.json.decode(msgspec.json.encode(known), type=type(known)) == known


def test_the_names_that_are_not_inherited_are_fields_of_a_chip():
    assert set(NOT_INHERITED) <= set(Chip.__struct_fields__)
