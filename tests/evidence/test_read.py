"""CSV files of evidence: what is read, and how a hostile one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.errors import BadFile
from parity.evidence import read, table
from parity.evidence.schema import COLUMNS, REQUIRED, SOME
from parity.evidence.sources import sets

HEADER = "id,model,chip,chip_count,metric,value"
LINE = "a,llama3-8b,H100-SXM-80GB,8,iteration_time,1.5"


def parse(text: str):
    return read.parse(text.encode(), "mine.csv")


def test_the_bundled_rows_are_all_read():
    rows = read.bundled()
    assert len(rows) == 958
    assert len({row.id for row in rows}) == 958
    assert all(row.source and row.where and row.provenance for row in rows)
    assert all(row.time_kind and row.task for row in rows)
    assert {row.set for row in rows} == {known.id for known in sets()}


def test_the_bundled_rows_state_what_a_flop_rate_counts():
    rated = [r for r in read.bundled() if r.metric in ("mfu", "tflops_per_chip")]
    assert rated
    assert all(row.flop_convention for row in rated)


def test_the_bundled_kernels_are_all_read():
    kernels = read.kernels()
    assert len(kernels) == 1337
    assert all(k.kind and k.value > 0 and k.source for k in kernels)


def test_a_file_in_the_same_columns(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\n{LINE}\n")
    (row,) = read.read_file(path)
    assert (row.id, row.chip_count, row.value, row.unit, row.set) == ("a", 8, 1.5, "s", "unnamed")


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}\n{LINE}\n",
        f"{HEADER}\r\n{LINE}\r\n",
        f"{HEADER}\n\n{LINE}\n,,,,,\n",
        f"{HEADER}\n{LINE}",
        f" id , model,chip,chip_count,metric, value\n{LINE}\n",
        f"{HEADER},lab,comment\n{LINE},Oslo,hot day\n",
    ],
    ids=["byte order mark", "CRLF", "blank lines", "no last line end", "spaces", "own columns"],
)
def test_harmless_variants_are_read(text):
    (row,) = parse(text)
    assert (row.id, row.value) == ("a", 1.5)


def test_only_four_columns_are_needed():
    (row,) = parse("model,chip,metric,value\ngpt2,h100,mfu,40\n")
    assert (row.id, row.unit) == ("line 2", "percent")


def test_spellings_of_published_tables():
    (row,) = parse(
        f"{HEADER},ffn,interleave\n{LINE},2048 (expert); 18432 (dense),>1\n",
    )
    assert (row.expert_ffn, row.ffn, row.interleave) == (2048, 18432, SOME)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line of column names"),
        ("\n\n", "no line of column names"),
        (HEADER.replace("value", "worth"), "no column `value`"),
        (f"{HEADER},microbach\n{LINE},1", "is `microbatch` meant?"),
        (f"{HEADER},chip\n{LINE},x", "column 'chip' twice"),
        (f"{HEADER}\n{LINE},7", "line 2: 7 fields; 6 were expected"),
        (f"{HEADER}\na,b", "line 2: 2 fields"),
        (f"{HEADER}\n{LINE}\na,,h100,8,mfu,1", "line 3: `model` is blank"),
        (f"{HEADER}\n{LINE.replace('1.5', 'nan')}", "line 2, column value: 'nan'"),
        (f"{HEADER}\n{LINE.replace('1.5', 'inf')}", "line 2, column value: 'inf'"),
        (f"{HEADER}\n{LINE.replace('1.5', '-1')}", "line 2, column value: '-1'"),
        (f"{HEADER}\n{LINE.replace('1.5', '0')}", "a number above zero was expected"),
        (f"{HEADER}\n{LINE.replace('1.5', '1e300')}", "line 2, column value: '1e300'"),
        (f"{HEADER}\n{LINE.replace('1.5', '9' * 5000)}", "line 2, column value"),
        (f"{HEADER}\n{LINE.replace(',8,', ',8.5,')}", "column chip_count: '8.5'; a whole number"),
        (f"{HEADER}\n{LINE.replace(',8,', ',0,')}", "column chip_count: '0'"),
        (f"{HEADER}\n{LINE.replace(',8,', ',-8,')}", "column chip_count: '-8'"),
        (f"{HEADER}\n{LINE.replace(',8,', ',eight,')}", "column chip_count: 'eight'"),
        (f"{HEADER}\n{LINE.replace('iteration_time', 'iteration')}", "Is iteration_time meant?"),
        (f"{HEADER},zero_or_fsdp\n{LINE},stage three", "distributed, zero, fsdp, shard were exp"),
        (f"{HEADER},unit\n{LINE},parsecs", "column unit: 'parsecs'; s or ms or min"),
        (f"{HEADER},ffn\n{LINE},wide", "column ffn: 'wide'"),
        (f"{HEADER},notes\n{LINE},{'x' * 5000}", "column notes: 5,000 characters"),
        (f"{HEADER},notes\n{LINE},{'x' * 200_000}", "is not CSV"),
        (f'{HEADER}\n{LINE}\n"a', "line 3: this is not CSV"),
        (f"{HEADER}\n{LINE}\0", "NUL character"),
        (",".join(f"c{i}" for i in range(500)), "no line of column names"),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(text, words):
    with pytest.raises(BadFile) as error:
        parse(text)
    assert words in str(error.value)
    assert str(error.value).startswith("mine.csv")


def test_bytes_that_are_no_text():
    with pytest.raises(BadFile, match="not text in UTF-8"):
        read.parse(b"\xff\xfe\x00", "mine.csv")


def test_a_huge_file_is_not_even_opened(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)  # one line of a gigabyte, without a byte on the disk
    with pytest.raises(BadFile, match="1,000,000,000 bytes; at most 16,000,000"):
        read.read_file(path)


def test_too_many_rows(monkeypatch):
    monkeypatch.setattr(table, "MOST_ROWS", 2)
    with pytest.raises(BadFile, match="more than 2 rows"):
        parse("\n".join([HEADER, LINE, LINE, LINE]))


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_what_is_no_file(tmp_path, name):
    with pytest.raises(BadFile, match="There is no file"):
        read.read_file(tmp_path / name)


def refusal(data: bytes) -> str:
    """What is said of a file, or "" where it is read."""
    try:
        read.parse(data, "mine.csv")
    except BadFile as error:
        return str(error)
    return ""


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_refused(data):
    said = refusal(HEADER.encode() + b"\n" + data)
    assert not said or said.startswith("mine.csv")


@given(st.dictionaries(st.sampled_from(sorted(COLUMNS)), st.text(max_size=20), max_size=8))
def test_any_cells_are_a_row_or_refused(cells):
    given = {**dict.fromkeys(REQUIRED, "x"), **cells}
    line = ",".join('"' + value.replace('"', '""') + '"' for value in given.values())
    said = refusal((",".join(given) + "\n" + line).encode())
    assert "\n" not in said
