"""Plans that questions of why are asked of, in tests."""

from __future__ import annotations

from parity.catalogue.spec import parse_fleet
from parity.search.grid import USUAL
from parity.search.serving_plan import serve
from parity.search.why_training import training_case
from parity.search.why_ways import serving_case
from parity.words.asked import stated_failures, training_run
from parity.words.serving import Said, serving_chips, serving_question, work
from parity.words.training import trained
from parity.workload.find import model as find_model


def training(model: str, on: str, dtype: str = "auto"):
    run = training_run(model, "1T", "8k", "4M", "current")
    found = trained(
        run, parse_fleet(on)[0], days=None, dtype=dtype, cluster="",
        stated=stated_failures(None, None, None), top=1, space=USUAL,
    )  # fmt: skip
    return training_case(run.arch, found.plans[0], run.era)


def serving(model: str, on: str, mode: str = "auto", prefill_on: str | None = None, **said):
    words = dict.fromkeys(Said.__dataclass_fields__) | {"drafted": 0, "isl": "2k", "osl": 500}
    arch, batch = find_model(model), serving_chips(on, "--on")
    asked = work(arch.name, Said(**(words | said)), counted=batch.count is not None, on=on)
    question, _, _ = serving_question(
        arch, batch, asked, None, "auto", "auto", "", mode, prefill_on, 1
    )
    return serving_case(question, serve(question).best)
