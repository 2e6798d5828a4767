"""`parity cost` on the command line."""

import re

import pytest

ONE = ("cost", "llama-3.2-1b", "--on", "8xh100")
OWN = (*ONE, "--own")
SOLD = ("--sell", "in=0.02,out=0.08,cached=0.01")


def books(run, *argv):
    done = run(*argv, "--json")
    assert done.code == 0, done.err
    return {
        k: v["value"] for k, v in done.json["answer"]["books"].items() if v["value"] is not None
    }


def test_the_first_line_says_what_tokens_cost_and_what_makes_the_range(run):
    done = run(*ONE, "-q")
    first = " ".join(done.out.split("\n\n")[0].split())
    assert done.code == 0
    assert re.match(
        r"llama-3.2-1b on 8 x H100 SXM5 80GB costs [\d.]+ USD \([\d.]+–[\d.]+\) per million output "
        r"tokens, prompts included, rented at [\d.]+ USD \([\d.]+–[\d.]+\) a chip-hour; .+ makes",
        first,
    )


def test_rent_is_the_price_given_times_the_chips(run):
    found = books(run, *ONE, "--price", "2.5usd/h", "--utilisation", "50%")
    assert found["usd_per_day"] == pytest.approx(8 * 24 * 2.5)
    plan = run("plan", "serve", *ONE[1:], "--json").json["answer"]
    tokens = plan["most_requests_per_s"] * 0.5 * 86_400 * plan["request"]["output_tokens"]
    assert found["usd_per_mtoken_whole_output"] == pytest.approx(480 / tokens * 1e6)
    a_day = [found[f"usd_per_mtoken_{kind}"] for kind in ("input", "output")]
    each = plan["request"]["output_tokens"] / plan["request"]["input_tokens"]
    assert found["usd_per_mtoken_whole_output"] == pytest.approx(a_day[1] + a_day[0] / each)


def test_every_sum_has_a_range_and_every_figure_a_source(run):
    answer = run(*OWN, *SOLD, "--json").json["answer"]
    for name, found in answer["books"].items():
        assert found["low"] <= found["value"] <= found["high"], name
    assert all(figure["source"] for figure in answer["figures"].values())
    swings = [driver["swing"] for driver in answer["drivers"]]
    assert swings == sorted(swings, reverse=True)
    assert len(swings) > 3


def test_the_parts_of_an_hour_add_up(run):
    answer = run(*OWN, "--json").json["answer"]
    parts = sum(part["value"] for part in answer["own_parts_usd_per_hour"].values())
    assert parts == pytest.approx(answer["books"]["usd_per_chip_hour"]["value"])


def test_a_run_costs_its_days(run):
    words = ("--train", "--tokens", "100B", "--price", "2")
    found = books(run, *ONE, *words)
    days = run("plan", "train", *ONE[1:], "--tokens", "100B", "--json").json["answer"]["days"]
    assert found["usd_per_run"] == pytest.approx(8 * 24 * days * 2)
    assert found["usd_per_mtoken"] == pytest.approx(found["usd_per_run"] / 1e5, rel=1e-3)
    assert books(run, *OWN, "--train", "--tokens", "100B")["kwh_per_run"] > 0


def test_a_word_of_owning_means_chips_of_ones_own(run):
    words = ("--chip-price", "20000", "--json")
    assert run(*ONE, *words).json["answer"]["basis"] == "own"
    assert run(*ONE, *words, "--rent").json["answer"]["basis"] == "rent"
    used = run("cost", "llama-3.2-1b", "--on", "8xa100", "--used", "--json").json["answer"]
    assert used["figures"]["chip_usd"]["value"] == 11_000  # of 4,000 to 18,000 in 2026


def test_a_curve_of_the_day_counts_with_its_mean(run):
    curve = ",".join(["0.2"] * 12 + ["0.8"] * 12)
    one, two = (books(run, *ONE, "--utilisation", u) for u in (curve, "50%"))
    assert one == pytest.approx(two)


def test_at_the_break_even_price_nothing_is_left(run):
    found = books(run, *ONE, *SOLD, "--price", "2")
    even = str(found["break_even_usd_per_chip_hour"])
    assert books(run, *ONE, *SOLD, "--price", even)["gross_margin"] == pytest.approx(0, abs=1e-9)
    load = found["break_even_utilisation"]
    assert 0 < load < 1
    again = books(run, *ONE, *SOLD, "--price", "2", "--utilisation", f"{load:.12f}")
    assert again["gross_margin"] == pytest.approx(0, abs=1e-6)


def test_power_is_dearer_in_germany(run):
    here, there = (books(run, *OWN, "--region", place) for place in ("cn-west", "DE"))
    assert there["usd_per_mtoken_all"] > here["usd_per_mtoken_all"]
    assert there["kwh_per_day"] == here["kwh_per_day"]
    assert there["co2_g_per_mtoken_output"] < here["co2_g_per_mtoken_output"]


def test_other_chips_each_have_a_cost_or_a_reason(run):
    done = run(*ONE, *SOLD, "--against", "h20,ppu,1xp100", "--json")
    h20, ppu, p100 = done.json["against"]
    assert h20["basis"] == "own"
    assert h20["chips"] == 8
    assert h20["books"]["gross_margin"]["value"] is not None
    assert ppu["basis"] is None
    assert ppu["books"]["break_even_usd_per_chip_hour"]["value"] > 0
    assert ppu["reason"]
    assert p100["reason"] or p100["books"]


def test_a_change_of_chips_pays_back_what_it_costs(run):
    words = ("--price", "1", "--switch-from", "8xa100", "--port-cost", "10k..30k")
    found = run(*ONE, *words, "--port-loss", "0..20%", "--json").json["switch"]
    saved = found["old_usd_per_day"]["value"] - found["new_usd_per_day"]["value"]
    assert found["saved_usd_per_day"]["value"] == pytest.approx(saved)
    assert found["payback_days"]["value"] == pytest.approx(20_000 / saved)
    assert found["new_usd_per_day"]["value"] == pytest.approx(8 * 24 / 0.9)
    assert found["payback_days"]["low"] < found["payback_days"]["value"]


def test_what_if_is_typed_as_it_is_shown(run):
    done = run(*ONE, *SOLD, "--sensitivity", "--json").json["sensitivity"]
    by_change = {one["change"]: one["books"] for one in done}
    hit = by_change["--prefix 0.8"]["usd_per_mtoken_whole_output"]["value"]
    assert hit == pytest.approx(
        books(run, *ONE, *SOLD, "--prefix", "0.8")["usd_per_mtoken_whole_output"]
    )
    dear = by_change["tokens at half the price"]["gross_margin"]["value"]
    assert dear < books(run, *ONE, *SOLD)["gross_margin"]


def test_pages_and_charts_are_written(run, tmp_path):
    html, svg = tmp_path / "c.html", tmp_path / "c.svg"
    assert run(*ONE, *SOLD, "--html", str(html), "--svg", str(svg)).code == 0
    assert "utilisation" in html.read_text()
    assert svg.read_text().startswith("<svg")


def test_deepseeks_day_is_near_what_it_published(run):
    # 545 % over cost; the plan finds its own layout and batch on 22 nodes of H800.
    words = (
        "--isl",
        "4384",
        "--osl",
        "1211",
        "--prefix",
        "0.563",
        "--ttft",
        "5s",
        "--tpot",
        "50ms",
    )
    money = ("--price", "2usd/h", "--sell", "deepseek-r1", "--on-date", "2025-02-28")
    found = books(
        run, "cost", "deepseek-r1", "--on", "176xh800", *words, *money, "--utilisation", "100%"
    )
    assert found["cost_profit_margin"] == pytest.approx(5.45, rel=0.25)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--price", "-1"), 2, "--price is '-1'"),
        (("--price", "0"), 2, "--price is '0'"),
        (("--price", "nan"), 2, "--price is 'nan'"),
        (("--price", "3..2"), 2, "from low to high"),
        (("--price", "2parsecs"), 2, "2.5USD/h"),
        (("--own", "--price", "2"), 2, "one of them"),
        (("--own", "--chip-price", "0"), 2, "--chip-price"),
        (("--own", "--years", "0"), 2, "--years is '0'"),
        (("--own", "--pue", "0.9"), 2, "--pue is '0.9'"),
        (("--own", "--electricity", "-0.1usd/kWh"), 2, "--electricity"),
        (("--region", "cn-wst"), 2, "cn-west"),
        (("--terms", "2-year"), 2, "1-year"),
        (("--utilisation", "120%"), 2, "--utilisation is '120%'"),
        (("--utilisation", "0.5,0.6"), 2, "2 shares"),
        (("--on-date", "2015"), 2, "the first is of"),
        (("--on-date", "yesterday"), 2, "2026-03"),
        (("--sell", "in=0,out=0"), 2, "asks nothing"),
        (("--sell", "in=1"), 2, "lacks out"),
        (("--sell", "in=1,out=x"), 2, "--sell out"),
        (("--sell", "deepseek-v33"), 2, "deepseek-v3"),
        (("--train", "--sell", "in=1,out=2"), 2, "--train"),
        (("--train", "--isl", "8k"), 2, "--isl is of serving"),
        (("--train", "--sensitivity"), 2, "--sensitivity is of serving"),
        (("--days", "30"), 2, "--days is of training"),
        (("--tokens", "1T"), 2, "--tokens is of training"),
        (("--switch-from", "8xa100"), 2, "--port-cost"),
        (("--port-loss", "10%"), 2, "--switch-from"),
        (("--against-region", "de"), 2, "--against"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, words, code, said):
    done = run(*ONE, *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.count("error:") == 1


@pytest.mark.parametrize(
    ("on", "code", "said"),
    [
        ("8xppu", 3, "--chip-price"),
        ("8xh10", 2, "h100"),
        ("1xp100", 3, "p100"),
    ],
)
def test_chips_without_a_price_or_a_plan(run, on, code, said):
    done = run("cost", "llama-3.1-70b", "--on", on)
    assert done.code == code
    assert said in done.err


def test_an_old_price_and_what_is_left_out_are_remarked_on(run):
    codes = {
        f["code"]
        for f in run("cost", *ONE[1:2], "--on", "8xh20", "--own", "--json").json["findings"]
    }
    assert {"P401", "P402"} <= codes
    staffed = run(*OWN, "--staff", "500", "--interest", "8%", "--json").json
    assert "P402" not in {f["code"] for f in staffed["findings"]}
    usual = run(*OWN, "--json").json["answer"]["own_parts_usd_per_hour"]["staff"]
    assert usual["value"] == pytest.approx(0.3 * 700 * 1.67 / 8760)
    assert staffed["answer"]["own_parts_usd_per_hour"]["staff"]["value"] == pytest.approx(
        500 / 8760
    )


FLEET = ("cost", "llama-3.2-1b", "--on", "8xa100,4xh20", "--own")


def one_kind(run, on, *words):
    return books(run, "cost", "llama-3.2-1b", "--on", on, "--own", *words)


class TestFleet:
    def test_a_day_and_its_tokens_are_those_of_the_kinds_together(self, run):
        whole = books(run, *FLEET, *SOLD)
        kinds = [one_kind(run, on, *SOLD) for on in ("8xa100", "4xh20")]
        for name in ("usd_per_day", "revenue_usd_per_day", "profit_usd_per_day", "kwh_per_day"):
            assert whole[name] == pytest.approx(sum(kind[name] for kind in kinds)), name
        tokens = [k["usd_per_day"] / k["usd_per_mtoken_whole_output"] for k in kinds]
        each = whole["usd_per_day"] / whole["usd_per_mtoken_whole_output"]
        assert each == pytest.approx(sum(tokens))

    def test_a_kind_that_is_named_twice_costs_as_if_it_were_named_once(self, run):
        once, twice = (one_kind(run, on) for on in ("8xa100", "4xa100,4xa100"))
        assert twice["usd_per_day"] == pytest.approx(once["usd_per_day"])

    def test_a_load_is_shared_so_that_all_are_as_busy(self, run):
        answer = run(*FLEET, "--rps", "20", "--json").json["answer"]
        rates = {
            name: figure["value"]
            for name, figure in answer["figures"].items()
            if name.endswith(".requests_per_s")
        }
        assert sum(rates.values()) == pytest.approx(20)
        most = [
            run("plan", "serve", "llama-3.2-1b", "--on", on, "--json").json["answer"]
            for on in ("8xa100", "4xh20")
        ]
        shares = [
            rate / plan["most_requests_per_s"]
            for rate, plan in zip(rates.values(), most, strict=True)
        ]
        assert shares[0] == pytest.approx(shares[1])

    def test_half_the_load_takes_the_power_of_half_the_work(self, run):
        most = sum(
            run("plan", "serve", "llama-3.2-1b", "--on", on, "--json").json["answer"][
                "most_requests_per_s"
            ]
            for on in ("8xa100", "4xh20")
        )
        words = ("--utilisation", "100%")
        half = books(run, *FLEET, "--rps", f"{most / 2:.9f}", *words)
        same = books(run, *FLEET, "--utilisation", "50%")
        assert half["kwh_per_day"] == pytest.approx(same["kwh_per_day"])

    def test_a_load_beyond_the_fleet_is_a_target_missed(self, run):
        done = run(*FLEET, "--rps", "1e5", "--json")
        assert done.code == 4
        assert "P405" in {finding["code"] for finding in done.json["findings"]}

    def test_a_run_on_several_kinds_costs_their_days(self, run):
        words = ("--train", "--tokens", "100B", "--json")
        answer = run("cost", "llama-3.2-1b", "--on", "8xh100,8xa100", *words).json["answer"]
        days = answer["figures"]["hours"]["value"] / 24
        a_day = sum(kind["books"]["usd_per_day"]["value"] for kind in answer["kinds"])
        assert answer["books"]["usd_per_run"]["value"] == pytest.approx(a_day * days)
        assert {kind["basis"] for kind in answer["kinds"]} == {"rent"}

    def test_fleets_stand_beside_each_other_each_in_its_place(self, run):
        words = ("--against", "8xv100+8xa100,h20", "--against-region", "cn-west", "--json")
        old, new = run(*FLEET, *words).json["against"]
        assert (old["chip"], old["chips"]) == ("8xv100-sxm2-32+8xa100-sxm-80", 16)
        assert (new["chip"], new["chips"]) == ("h20-96", 12)
        assert {old["region"], new["region"]} == {"cn-west"}

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--price", "2"), "--price takes one kind"),
            (("--chip-price", "9000"), "--chip-price takes one kind"),
            (("--sensitivity",), "--sensitivity takes one kind"),
            (("--concurrency", "64"), "--concurrency takes one kind"),
            (("--rps", "0"), "--rps is 0"),
        ],
    )
    def test_what_a_fleet_does_not_take(self, run, words, said):
        done = run(*FLEET[:-1], *words)
        assert (done.code, done.out) == (2, "")
        assert said in done.err

    def test_each_kind_of_a_fleet_has_a_count(self, run):
        done = run("cost", "llama-3.2-1b", "--on", "8xa100,h20")
        assert done.code == 2
        assert "a count of each" in done.err


class TestOwnRentOrBuy:
    def test_at_the_load_from_which_a_way_beats_buying_it_costs_the_same(self, run):
        words = ("--buy", "in=0.02,out=0.08", "--json")
        ways = run(*ONE, *words).json["answer"]["ways"]
        assert set(ways) == {"rent", "own"}
        for name, way in ways.items():
            even = way["cheaper_than_bought_from"]["value"]
            assert 0 < even < 1
            at = run(*ONE, f"--{name}", *words, "--utilisation", f"{even:.12f}").json["answer"]
            bought = at["bought_usd_per_day"]["value"]
            assert at["ways"][name]["usd_per_day"]["value"] == pytest.approx(bought, rel=1e-6)

    def test_owning_is_cheaper_than_renting_by_the_hour_from_the_load_that_is_said(self, run):
        answer = run(*OWN, "--json").json["answer"]
        even = answer["own_cheaper_than_rent_from"]["value"]
        rent = answer["ways"]["rent"]["usd_per_chip_hour"]["value"]
        at = books(run, *OWN, "--utilisation", f"{even:.12f}")
        assert at["usd_per_chip_hour"] == pytest.approx(rent * even, rel=1e-6)

    def test_a_contract_of_a_year_is_paid_whatever_the_load(self, run):
        answer = run(*OWN, "--terms", "1-year", "--json").json["answer"]
        assert answer["own_cheaper_than_rent_from"] is None

    def test_a_model_nobody_sells_has_the_prices_of_one_of_its_size(self, run):
        answer = run("cost", "qwen2.5-72b", "--on", "8xh100", "--json").json["answer"]
        assert answer["bought_from"].startswith("llama-3.1-70b, of 70")
        assert run(*ONE, "--json").json["answer"]["bought_from"] is None  # none is as small

    def test_what_is_left_of_the_price_makes_owning_cheaper(self, run):
        whole, left = (books(run, *OWN, *words) for words in ((), ("--residual", "20%")))
        assert left["usd_per_chip_hour"] < whole["usd_per_chip_hour"]

    @pytest.mark.parametrize("asked", ["in=0,out=0", "in=1", "in=-1,out=2"])
    def test_prices_of_buying_that_are_none(self, run, asked):
        done = run(*ONE, "--buy", asked)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: --buy")

    def test_words_about_buying_that_are_none(self, run):
        done = run(*ONE, "--buy", "deepseek-v33")
        assert (done.code, done.out) == (2, "")
        assert "deepseek-v3" in done.err
        assert "--buy is of serving" in run(*ONE, "--train", "--buy", "list").err


def test_a_change_from_a_fleet_costs_the_work_at_the_fleet_s_cost_of_a_token(run):
    words = ("--switch-from", "8xa100,4xh20", "--port-cost", "10k..30k", "--port-loss", "0..20%")
    found = run(*OWN, *words, "--json").json
    switch, new = found["switch"], found["answer"]["books"]
    old = books(run, *FLEET)
    unit = "usd_per_mtoken_whole_output"
    before = new["usd_per_day"]["value"] * old[unit] / new[unit]["value"]
    assert switch["from_chip"] == "8xa100-sxm-80+4xh20-96"
    assert switch["from_chips"] == 12
    assert switch["old_usd_per_day"]["value"] == pytest.approx(before)
    assert switch["payback_days"]["low"] < switch["payback_days"]["value"]
    assert "port_loss" in {driver["name"] for driver in switch["drivers"]}
