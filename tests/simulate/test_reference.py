"""Totals kept from step to step say the same as sequences looked at one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.simulate.records import Engine, Pool
from parity.simulate.run import simulate
from parity.workload.traffic import between, open_loop
from tests.simulate.engines import FULL_TABLE
from tests.simulate.reference import Reference


@st.composite
def cases(draw):
    traffic = open_loop(
        draw(st.integers(1, 30)),
        draw(st.sampled_from([5.0, 50.0, 1e5])),
        between(1, draw(st.integers(1, 300))),
        between(1, draw(st.integers(1, 80))),
        seed=draw(st.integers(0, 1000)),
    )
    block = draw(st.sampled_from([1, 4, 16]))
    engine = Engine(
        kv_blocks=400 // block + draw(st.integers(0, 400)) // block,
        block_tokens=block,
        token_budget=draw(st.integers(1, 500)),
        max_sequences=draw(st.integers(1, 30)),
        scheduler=draw(st.sampled_from(["chunked", "separate", "mixed"])),
        admission=draw(st.sampled_from(["on_demand", "reserve"])),
        tokens_per_step=draw(st.sampled_from([1.0, 1.7, 2.0])),
    )
    return traffic, engine


@given(cases())
@settings(max_examples=150)
def test_both_ways_of_counting_agree(case):
    traffic, engine = case
    fast = simulate(traffic, Pool(engine=engine, table=FULL_TABLE))
    slow = Reference(traffic, engine).run()
    assert fast.preemptions.tolist() == slow.preemptions.tolist()
    assert fast.first_token_s == pytest.approx(slow.first, rel=1e-9)
    assert fast.finish_s == pytest.approx(slow.finish, rel=1e-9)
    assert np.isfinite(fast.finish_s).all()
