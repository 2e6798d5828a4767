"""`parity plan train` on the command line."""


def test_days_and_failures_are_on_the_first_lines(run):
    done = run("plan", "train", "llama-3.2-1b", "--on", "512xh100", "--tokens", "10T", "-q")
    assert done.code == 0
    words = " ".join(done.out.split())
    assert "days" in words
    assert "% go to failures, checkpoints and slow chips" in words


def test_own_figures_of_failures_are_options(run):
    plain = ("plan", "train", "llama-3.2-1b", "--on", "512xh100", "--json")
    own = ("--mtbf", "20000h", "--checkpoint", "30s", "--restart", "5min")
    goodput = run(*plain, *own).json["answer"]["goodput"]
    assert goodput["mtbf_hours"] == 20_000 / 512
    assert (goodput["checkpoint_cost_s"], goodput["restart_s"]) == (30, 300)
    assert goodput["fraction"] < run(*plain).json["answer"]["goodput"]["fraction"]


def test_a_cluster_that_only_fails_is_refused_with_exit_code_3(run):
    done = run("plan", "train", "llama-3.2-1b", "--on", "512xh100", "--mtbf", "1h")
    assert done.code == 3
    assert "P107" in done.err
    assert "Traceback" not in done.err


def test_a_time_without_a_unit_is_refused(run):
    done = run("plan", "train", "llama-3.2-1b", "--on", "512xh100", "--mtbf", "50000")
    assert done.code == 2
    assert "--mtbf" in done.err
