"""Prices as they are held, and what they come to on a day."""

from datetime import date

import numpy as np
import pytest

from parity.catalogue.load import chip, chips
from parity.economics import prices, quotes
from parity.errors import BadCatalogue, UnknownName, UsageError
from parity.workload.find import names

NOW = date(2026, 11, 1)


def test_every_quote_names_a_chip_or_a_model_of_the_catalogue():
    ids = {one.id for one in chips()}
    for quote in quotes.quotes():
        known = names() if quote.kind == "token" else ids
        assert quote.subject == "" or quote.subject in known, quote
        assert quote.source
        assert quote.day.year >= 2017


def test_rent_is_the_median_of_the_quotes_of_the_year_before():
    found = prices.rent(chip("a100-sxm-40"), date(2025, 3, 31))
    values = sorted(q.value for q in found.quotes)
    assert all(date(2024, 3, 31) <= q.day <= date(2025, 3, 31) for q in found.quotes)
    assert values[0] == found.price.low
    assert found.price.low <= found.price.value <= found.price.high == values[-1]


@pytest.mark.parametrize("kind", ["rent", "purchase"])
def test_what_sellers_differ_by_is_counted_from_the_quotes(kind):
    groups = {}
    for quote in quotes.quotes():
        if quote.kind == kind and quote.subject and quote.terms != "used":
            key = (quote.subject, quote.terms, quote.day.year)
            groups.setdefault(key, []).append(quote)
    apart = []
    for found in groups.values():
        sellers = {q.place if kind == "rent" else q.source for q in found}
        if len(sellers) >= prices.FEW_SELLERS:
            values = [q.value for q in found]
            low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
            apart.append((high - low) / 2 / middle)
    assert np.median(apart) == pytest.approx(prices.DIFFER[kind], abs=0.01)


def test_a_price_that_one_seller_asks_is_no_exact_one():
    found = prices.purchase(chip("h200"), NOW)[0].price
    assert found.low == pytest.approx(found.value * (1 - prices.DIFFER["purchase"]))
    banded = prices.purchase(chip("mi325x"), NOW)[0].price
    assert (banded.low, banded.high) == (10_000, 20_000)


def test_the_lease_that_deepseek_counts_with_is_there():
    found = prices.rent(chip("h800"), date(2025, 2, 28))
    assert [q.value for q in found.quotes if q.place == "DeepSeek assumption"] == [2.0]


def test_terms_are_kept_apart():
    on = date(2025, 3, 31)
    dear, cheap = (prices.rent(chip("v100-sxm2-16"), on, t) for t in ("on-demand", "3-year"))
    assert cheap.price.value < dear.price.value
    with pytest.raises(quotes.NoPrice, match="--terms on-demand"):
        prices.rent(chip("h800"), on, "3-year")


def test_old_quotes_say_how_old_they_are():
    found = prices.rent(chip("h800"), NOW)
    assert found.days_old(NOW) > 365


def test_a_date_before_any_quote_names_the_first():
    with pytest.raises(UsageError, match="the first is of 2022"):
        prices.purchase(chip("h100"), date(2021, 1, 1))


def test_a_chip_without_a_price_says_what_to_type():
    with pytest.raises(quotes.NoPrice, match="--price"):
        prices.rent(chip("ppu"), NOW)
    with pytest.raises(quotes.NoPrice, match="--chip-price") as caught:
        prices.purchase(chip("ppu"), NOW)
    assert caught.value.exit_code == 3


def test_yuan_become_dollars_and_servers_are_divided():
    price, with_server = prices.purchase(chip("910b"), date(2024, 6, 1))
    assert not with_server
    assert price.price.value == pytest.approx(120_000 / 7.19)
    assert price.price.low <= 120_000 * 0.85 / 7.3 * (1 + 1e-9)
    server = next(q for q in quotes.quotes() if q.item == "NVIDIA H20 8-GPU server")
    assert server.value == 1_400_000 / 8


def test_the_factors_of_a_server_are_those_of_their_sources():
    factor = quotes.operation("server_factor")
    h20, h100 = 1_400_000 / (8 * 110_000), 310_000 / 8 / 26_268
    assert factor.value == pytest.approx((h20 + h100) / 2, abs=0.005)
    assert factor.low == pytest.approx(310_000 / 8 / 30_000, abs=0.005)
    assert factor.high == pytest.approx(310_000 / 8 / 23_000, abs=0.006)
    assert quotes.operation("utilisation").value == pytest.approx(226.75 / 278, abs=5e-4)


def test_token_prices_are_those_of_the_newest_list_of_each_seller():
    r1 = prices.token_prices("deepseek-r1", date(2025, 2, 28))
    assert (r1.input.value, r1.cached.value, r1.output.value) == (0.55, 0.14, 2.19)
    v3 = prices.token_prices("deepseek-v3", NOW)
    assert v3.output.low < v3.output.value < v3.output.high
    one = prices.token_prices("deepseek/deepseek-v3", NOW)
    assert (one.input.value, one.cached.value, one.output.value) == (0.27, 0.07, 1.1)
    bare = prices.token_prices("together_ai/deepseek-ai/DeepSeek-V3", NOW)
    assert bare.cached == bare.input


def test_an_unknown_model_and_region_name_the_nearest():
    with pytest.raises(UnknownName, match="deepseek-v3"):
        prices.token_prices("deepseek-v33", NOW)
    with pytest.raises(UnknownName, match="cn-west"):
        quotes.operation("electricity", "cn-wst")


HEAD = b"name,place,since,unit,low,value,high,source,provenance,note\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"a,,2025,1,,nan,,x,read,\n", "`value` is 'nan'"),
        (b"a,,2025,1,,-1,,x,read,\n", "`value` is '-1'"),
        (b"a,,2025,1,,,,x,read,\n", "`value`"),
        (b"a,,2025,1,3,2,,x,read,\n", "not in order"),
        (b"a,,2025,1,,2,,,read,\n", "without a source"),
        (b"a,,2025-13,1,,2,,x,read,\n", "a date"),
        (b"a,,2025,1,,2,,x,guessed,\n", "provenance"),
        (b"a,,2025,1,,2\n", "cells"),
        (b"a,,2025,1,,2,,x,read," + b"y" * 700 + b"\n", "longer"),
        (b"\xff\n", "no CSV"),
    ],
)
def test_a_table_that_breaks_its_format_is_refused_with_the_line(row, words):
    with pytest.raises(BadCatalogue, match=words):
        list(quotes.read_table(HEAD + row, quotes.Operating, "mine.csv"))


def test_a_table_of_other_columns_or_too_large_is_refused():
    with pytest.raises(BadCatalogue, match="columns"):
        list(quotes.read_table(b"a,b\n1,2\n", quotes.Operating, "mine.csv"))
    with pytest.raises(BadCatalogue, match="at most"):
        list(quotes.read_table(b"x" * (quotes.MOST_BYTES + 1), quotes.Operating, "mine.csv"))
