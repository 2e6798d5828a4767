"""Every way to write a catalogue file wrongly is named with file, key and expectation."""

from __future__ import annotations

import os

import pytest

from parity.catalogue import files
from parity.errors import BadCatalogue

CHIP = """
name   = "Test chip"
vendor = "Nobody"
status = "design"
family = "other"

[memory]
capacity = { value = "80 GB", provenance = "read", source = "page" }
"""


def test_a_plain_chip_is_read_in_si(alone):
    chip = alone({"x.toml": CHIP}).chips["x"]
    assert chip.name == "Test chip"
    assert chip.memory.capacity.value == 80e9
    assert chip.memory.capacity.unit == "byte"
    assert chip.memory.bandwidth is None


def figure(text: str) -> str:
    return CHIP.replace('{ value = "80 GB", provenance = "read", source = "page" }', text)


BAD_FIGURES = {
    "a bare number": ("80", "bare number"),
    "a bare float": ("80.5", "bare number"),
    "a bare text": ('"80 GB"', "sourced table"),
    "a list": ("[1, 2]", "sourced table"),
    "no value": ('{ provenance = "read", source = "page" }', "`value` is missing"),
    "no unit": ('{ value = "80", provenance = "read", source = "page" }', "quantity in byte"),
    "a number for a value": ('{ value = 80, provenance = "read", source = "page" }', "its unit"),
    "a truth for a value": ('{ value = true, provenance = "read", source = "page" }', "its unit"),
    "another unit": ('{ value = "80 GB/s", provenance = "read", source = "page" }', "in byte"),
    "an unknown unit": ('{ value = "80 parsec", provenance = "read", source = "page" }', "in byte"),
    "negative": ('{ value = "-80 GB", provenance = "read", source = "page" }', "from 1 to"),
    "zero": ('{ value = "0 GB", provenance = "read", source = "page" }', "from 1 to"),
    "absurd": ('{ value = "80000000000 EB", provenance = "read", source = "page" }', "from 1 to"),
    "infinite": ('{ value = "1e999 GB", provenance = "read", source = "page" }', "finite"),
    "not a number": ('{ value = "nan GB", provenance = "read", source = "page" }', "in byte"),
    "nan": ('{ value = nan, provenance = "read", source = "page" }', "its unit"),
    "no provenance": ('{ value = "80 GB", source = "page" }', "`provenance` is missing"),
    "a strange provenance": (
        '{ value = "80 GB", provenance = "guessed", source = "page" }', "expected one of read"),
    "a provenance of another type": (
        '{ value = "80 GB", provenance = 3, source = "page" }', "expected one of read"),
    "no source": ('{ value = "80 GB", provenance = "read" }', "`source` is missing"),
    "an empty source": ('{ value = "80 GB", provenance = "read", source = "" }', "is missing"),
    "an unknown source": (
        '{ value = "80 GB", provenance = "read", source = "pgae" }', "Did you mean `page`?"),
    "an unknown key": (
        '{ value = "80 GB", provenance = "read", source = "page", hihg = "90 GB" }',
        "Did you mean `high`"),
    "low above value": (
        '{ value = "80 GB", low = "81 GB", provenance = "read", source = "page" }',
        "low ≤ value ≤ high"),
    "high below value": (
        '{ value = "80 GB", high = "79 GB", provenance = "read", source = "page" }',
        "low ≤ value ≤ high"),
    "low of another unit": (
        '{ value = "80 GB", low = "70 W", provenance = "read", source = "page" }', "low is '70 W'"),
    "a note of another type": (
        '{ value = "80 GB", provenance = "read", source = "page", note = 1 }', "a text"),
    "an endless note": (
        f'{{ value = "80 GB", provenance = "read", source = "page", note = "{"x" * 3000}" }}',
        "at most"),
    "also of another type": (
        '{ value = "80 GB", provenance = "read", source = "page", also = 1 }', "a list"),
    "also without a source": (
        '{ value = "80 GB", provenance = "read", source = "page", also = [{ value = "8 GB" }] }',
        "`source` is missing"),
    "also of another unit": (
        '{ value = "80 GB", provenance = "read", source = "page", '
        'also = [{ value = "8 W", source = "page" }] }', "in byte"),
    "too many others": (
        '{ value = "80 GB", provenance = "read", source = "page", also = ['
        + '{ value = "8 GB", source = "page" }, ' * 20 + "] }", "at most 16"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD_FIGURES.values(), ids=BAD_FIGURES)
def test_a_bad_figure_is_refused(alone, text, said):
    with pytest.raises(BadCatalogue) as caught:
        alone({"chips/x.toml": figure(text)})
    message = str(caught.value)
    assert "chips/x.toml" in message
    assert "memory.capacity" in message
    assert said in message
    assert "\n" not in message
    assert len(message) < 400


BAD_CHIPS = {
    "an unknown field": (CHIP + "[memory.cache]\n", "unknown field 'cache'"),
    "a near field": (CHIP.replace("capacity", "capasity"), "Did you mean `capacity`?"),
    "a near table": (CHIP.replace("[memory]", "[memroy]"), "Did you mean `memory`?"),
    "an id": ('id = "x"\n' + CHIP, "the file name is the id"),
    "no name": (CHIP.replace("name ", "notes"), "`name`"),
    "no vendor": (CHIP.replace('vendor = "Nobody"', ""), "`vendor`"),
    "a strange status": (CHIP.replace('"design"', '"sold"'), "status"),
    "a strange family": (CHIP.replace('"other"', '"hoper"'), "Did you mean `hopper`"),
    "a number for a name": (CHIP.replace('"Test chip"', "7"), "Expected `str`"),
    "a text for a table": (
        CHIP.split("[memory]")[0] + 'memory = "80 GB"\n', "a table was expected"),
    "a text for aliases": ('aliases = "y"\n' + CHIP, "Expected `array`"),
    "a number among aliases": ("aliases = [7]\n" + CHIP, "Expected `str`"),
    "an alias without letters": ('aliases = ["--"]\n' + CHIP, "no letter or digit"),
    "a missing cluster": ('cluster = "dgx"\n' + CHIP, "`cluster` is 'dgx'"),
    "a missing link": ('host_link = "pcie9"\n' + CHIP, "`host_link` is 'pcie9'"),
    "a strange dtype": (CHIP + '[dtypes]\nfp7 = { support = "native" }\n', "unknown field 'fp7'"),
    "a bare support": (CHIP + '[dtypes]\nfp8 = "native"\n', "dtypes.fp8"),
    "support without a source": (
        CHIP + '[dtypes]\nfp8 = { support = "native", provenance = "read" }\n', "`source`"),
    "a strange support": (
        CHIP + '[dtypes]\nfp8 = { support = "yes", provenance = "read", source = "page" }\n',
        "dtypes.fp8"),
    "prices as a table": (CHIP + "[prices]\nsince = 1\n", "a list"),
    "a price without a price": (CHIP + '[[prices]]\nsince = "2025"\n', "`price`"),
    "a price without a date": (
        CHIP + '[[prices]]\nprice = { value = "1 USD", provenance = "read", source = "page" }\n',
        "since"),
    "a price with a strange date": (
        CHIP + '[[prices]]\nsince = "soon"\n'
        'price = { value = "1 USD", provenance = "read", source = "page" }\n', "a year, month"),
    "a year out of time": (
        'year = { value = 1066, provenance = "read", source = "page" }\n' + CHIP, "1990"),
    "half a TOML": ("name = ", "not valid TOML"),
    "bytes that are no text": (b"name = '\xff\xfe'", "not valid TOML"),
    "a key twice": (CHIP + "[memory]\n", "not valid TOML"),
    "endless nesting": ("x = " + "[" * 100_000, "not valid TOML"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD_CHIPS.values(), ids=BAD_CHIPS)
def test_a_bad_chip_is_refused(alone, text, said):
    with pytest.raises(BadCatalogue) as caught:
        alone({"x.toml": text})
    message = str(caught.value)
    assert "x.toml" in message
    assert said in message
    assert "\n" not in message
    assert len(message) < 500


def test_a_file_beyond_the_size_limit_is_refused(alone):
    with pytest.raises(BadCatalogue, match="larger than 4 MB"):
        alone({"x.toml": "#" * 4_100_000})


def test_a_pipe_is_not_waited_for(alone, user):
    os.mkfifo(user / "x.toml")
    with pytest.raises(BadCatalogue, match="not a regular file"):
        alone({})


@pytest.mark.parametrize("name", ["X.toml", "a b.toml", "é.toml", "x" * 65 + ".toml"])
def test_a_file_name_that_is_no_id_is_refused(alone, name):
    with pytest.raises(BadCatalogue, match="the file name is the id"):
        alone({name: CHIP})


class TestNames:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ('aliases = ["y"]\n', ""),
            ('aliases = ["common"]\n', 'labels = ["Common"]\n'),
            ('aliases = ["H 100"]\n', 'aliases = ["NVIDIA-H100"]\n'),
            ('aliases = ["y"]\n', 'aliases = ["x"]\n'),
        ],
    )
    def test_two_chips_cannot_share_a_name(self, alone, first, second):
        other = CHIP.replace("Test chip", "Other chip")
        with pytest.raises(BadCatalogue, match="two chips cannot share one"):
            alone({"x.toml": first + CHIP, "y.toml": second + other})

    def test_two_files_cannot_describe_one_chip(self, alone):
        with pytest.raises(BadCatalogue, match="also described in"):
            alone({"x.toml": CHIP, "chips/x.toml": CHIP})

    def test_a_source_cannot_be_described_twice(self, alone):
        with pytest.raises(BadCatalogue, match="described twice"):
            alone({"x.toml": CHIP + '[sources.page]\ntitle = "Other"\n'})

    def test_a_chip_may_bring_its_own_source(self, alone):
        text = CHIP.replace('"page"', '"mine"') + '[sources.mine]\ntitle = "Mine"\n'
        assert alone({"x.toml": text}).sources["mine"].title == "Mine"

    @pytest.mark.parametrize(
        "source", ['url = "u"', 'title = ""', "title = 1", 'title = "t"\nx = 1']
    )
    def test_a_bad_source_is_refused(self, alone, source):
        with pytest.raises(BadCatalogue, match=r"x\.toml: `mine`"):
            alone({"x.toml": CHIP + f"[sources.mine]\n{source}\n"})


class TestInheritance:
    def test_tables_merge_and_figures_replace(self, alone):
        below = CHIP.replace(
            "[memory]",
            '[memory]\nkind = "HBM3"\n'
            'bandwidth = { value = "3 TB/s", low = "2 TB/s", '
            'provenance = "read", source = "page" }',
        )
        above = 'base = "x"\nname = "Y"\n[memory]\nkind = "HBM3e"\n' + (
            'bandwidth = { value = "4 TB/s", provenance = "read", source = "page" }\n'
        )
        chip = alone({"x.toml": below, "y.toml": above}).chips["y"]
        assert chip.memory.kind == "HBM3e"
        assert chip.memory.capacity.value == 80e9
        assert (chip.memory.bandwidth.low, chip.memory.bandwidth.value) == (4e12, 4e12)
        assert chip.vendor == "Nobody"

    def test_what_belongs_to_the_product_is_not_inherited(self, alone):
        below = (
            'aliases = ["ex"]\nnotes = "n"\nexport_note = "e"\n'
            + CHIP
            + (
                '[[prices]]\nsince = "2025"\n'
                'price = { value = "1 USD", provenance = "read", source = "page" }\n'
            )
        )
        chip = alone({"x.toml": below, "y.toml": 'base = "x"\nname = "Y"\n'}).chips["y"]
        assert (chip.aliases, chip.notes, chip.export_note, chip.prices) == ((), "", "", ())

    def test_a_derived_chip_needs_its_own_name(self, alone):
        with pytest.raises(BadCatalogue, match="`name`"):
            alone({"x.toml": CHIP, "y.toml": 'base = "x"\n'})

    @pytest.mark.parametrize(
        "texts",
        [
            {"x.toml": 'base = "x"\nname = "X"\n'},
            {"x.toml": 'base = "y"\nname = "X"\n', "y.toml": 'base = "x"\nname = "Y"\n'},
            {f"c{i}.toml": f'base = "c{(i + 1) % 60}"\nname = "C{i}"\n' for i in range(60)},
        ],
    )
    def test_a_circle_is_refused(self, alone, texts):
        with pytest.raises(BadCatalogue, match=r"built on itself|no other chip") as caught:
            alone(texts)
        assert len(str(caught.value)) < 400

    def test_an_unknown_base_offers_the_nearest(self, alone):
        with pytest.raises(BadCatalogue, match="Did you mean `tester`"):
            alone({"tester.toml": CHIP, "y.toml": 'base = "testr"\nname = "Y"\n'})

    @pytest.mark.parametrize("base", ["7", "[]", "{}"])
    def test_a_base_of_another_type_is_refused(self, alone, base):
        with pytest.raises(BadCatalogue, match="base"):
            alone({"y.toml": f'base = {base}\nname = "Y"\n'})


class TestRanges:
    @pytest.mark.parametrize(
        ("provenance", "spread"),
        [("read", 0), ("measured", 0.03), ("recalled", 0.05), ("derived", 0.1),
         ("secondary", 0.25), ("estimated", 0.5), ("user", 0)],
    )  # fmt: skip
    def test_provenance_gives_the_range(self, alone, provenance, spread):
        fact = (
            alone(
                {
                    "x.toml": figure(
                        f'{{ value = "80 GB", provenance = "{provenance}", source = "page" }}'
                    )
                }
            )
            .chips["x"]
            .memory.capacity
        )
        assert fact.low == pytest.approx(80e9 * (1 - spread))
        assert fact.high == pytest.approx(80e9 * (1 + spread))

    def test_a_stated_end_stands_and_the_other_follows(self, alone):
        text = '{ value = "80 GB", high = "90 GB", provenance = "recalled", source = "page" }'
        fact = alone({"x.toml": figure(text)}).chips["x"].memory.capacity
        assert (fact.low, fact.high) == (76e9, 90e9)

    def test_a_count_is_exact_however_it_is_known(self, alone):
        text = 'node = { value = 8, provenance = "estimated", source = "page" }\n' + CHIP
        node = alone({"x.toml": text}).chips["x"].node
        assert (node.low, node.high) == (8, 8)


def test_a_missing_folder_is_named(monkeypatch):
    monkeypatch.setenv("PARITY_CATALOGUE", "/nowhere/at/all")
    with pytest.raises(BadCatalogue, match="PARITY_CATALOGUE names"):
        files.user_folders()
