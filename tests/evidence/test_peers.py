"""What another planner says of the same questions."""

from parity.evidence import peers


def test_every_run_is_predicted_with_its_range():
    found = peers.runs()
    assert len(found) == 8
    for one in found:
        for figure in (one.ttft_ms, one.tpot_ms, one.output_tokens_per_s_per_chip):
            assert figure.low <= figure.ours <= figure.high
            assert figure.theirs > 0
        # Two planners that know the same chips: tokens are within a factor of two of each other.
        assert 0.5 < one.tpot_ms.ours / one.tpot_ms.theirs < 2


def test_the_search_of_its_readme_finds_both_modes():
    apart, together = peers.searched()
    assert (apart.mode, together.mode) == ("disaggregated", "aggregated")
    assert apart.meets
    assert together.meets
    assert apart.plan.prefill is not None
    assert 0.5 < apart.ours / apart.theirs < 2
