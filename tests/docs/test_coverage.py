"""The docs name everything there is to name, and nothing that is not there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from cyclopts import App

import doc_blocks
import findings
from parity.apps.cli import build_app
from parity.catalogue.load import chips
from parity.catalogue.machine import machine
from parity.errors import MissingFact
from parity.record import Finding
from parity.search.findings import CODES
from parity.timing.efficiency import Efficiency
from parity.timing.engine import Engine
from parity.timing.footprint import Footprint
from parity.timing.software import Software
from parity.workload.find import names

FIGURE = {"value", "low", "high", "unit", "provenance", "source", "note", "also"}
#: Dictionaries of the JSON whose keys are names of things, not fields.
NAMED = (
    ".values", ".figures", ".ratios", ".sources", ".dtypes", ".quantities", ".yields", "groups",
    "question",
)  # fmt: skip
#: Lists and objects that the page describes in one row.
WHOLE = (
    "memory", "chips[].prices[]", "answer.rows[].layout", "pareto[].layout",
    "answer.parts[].layout", "answer.rows[].parts[].layout", "answer.owned.parts[].layout",
    "findings[]", "runners_up[]", "answer.engine_settings",
    "answer.layout.prefill", "cases[]", "compared[]", "against[].books", "sensitivity[].books",
)  # fmt: skip
QUESTIONS = [
    ("plan", "train", "llama-3.2-1b", "--on", "8xh100", "--pareto"),
    ("plan", "train", "llama-3.2-1b", "--on", "32xh100,16xh20,1xv100"),
    ("plan", "serve", "gpt-oss-20b", "--on", "h100", "--rps", "2", "--simulate"),
    ("match", "llama-3.2-1b", "--have", "8xh100", "--want", "a100", "--train"),
    ("match", "llama-3.2-1b", "--have", "8xh100", "--want", "a100"),
    ("match", "llama-3.2-1b", "--have", "8xh100", "--want", "a100", "--equal", "cost"),
    ("match", "llama-3.1-70b", "--tokens-per-second", "1k", "--want", "v100", "--tpot", "18ms"),
    (
        "why",
        "llama-3.2-1b",
        "--on",
        "8xh100",
        "--train",
        "--measured",
        "10s",
        "--sweep",
        "memory.capacity=80..160GB",
    ),
    ("why", "gpt-oss-20b", "--on", "8xh100", "--simulate"),
    ("why", "llama-3.2-1b", "--on", "32xh100,16xh20", "--train"),
    ("why", "llama-3.2-1b", "--on", "2xh20", "--prefill-on", "2xh100"),
    ("why", "P104"),
    (
        "cost",
        "llama-3.2-1b",
        "--on",
        "8xh100",
        "--sell",
        "in=0.05,out=0.1",
        "--sensitivity",
        "--against",
        "8xh20,8xppu",
        "--switch-from",
        "8xa100",
        "--port-cost",
        "10k",
    ),
    ("cost", "llama-3.2-1b", "--on", "8xh100", "--own", "--sell", "llama-3.1-70b"),
    ("cost", "llama-3.2-1b", "--on", "8xh100", "--train", "--tokens", "100B"),
    ("match", "llama-3.2-1b", "--want", "h100,h20,ascend920", "--ladder"),
    ("match", "llama-3.2-1b", "--want", "h100,a100", "--ladder", "--train"),
    (
        "match",
        "llama-3.1-8b",
        "--train",
        "--days",
        "30",
        "--gbs",
        "2M",
        "--with",
        "8xh100",
        "--want",
        "a100",
    ),
    (
        "match",
        "llama-3.1-70b",
        "--have",
        "16xh100",
        "--with",
        "17xa100",
        "--want",
        "h20,ascend920",
        "--ttft",
        "2s",
        "--tpot",
        "50ms",
    ),
    ("models", "llama-3.2-1b"),
    ("models",),
    ("chips", "h20", "h100", "--compare"),
    ("chips", "h2000"),
    (
        "chips",
        "design",
        "--from",
        "h20",
        "--portfolio",
        "transformer-dense-only",
        "--later",
        "transformer-dense-only",
        "--optimise",
        "tokens/s/W",
        "--tries",
        "8",
    ),
    ("validate", "--set", "sc21"),
    ("rules", "810e", "--on-date", "2024-06-01"),
    ("fab", "h100", "--node", "tsmc-4n,tsmc-5", "--volume", "1M"),
    ("fab", "--supply", "smic-7nm-2025"),
    ("outlook", "ban-holds", "--compare", "ban-lifted"),
    ("match", "llama-3.2-1b", "--have", "8xh100", "--want", "a100,l4", "--to", "CN", "--risk"),
]
LAYERS = ("timing", "layout", "evaluate", "search", "supply", "economics")


@pytest.fixture(scope="module")
def pages(root):
    return {str(path.relative_to(root)): path.read_text() for path in doc_blocks.documents(root)}


def commands(app: App, chain: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something: `("plan", "train")`."""
    for name in app:
        if not name.startswith("-"):
            inner = list(commands(app[name], (*chain, name)))
            yield from inner
            if not inner or app[name].default_command is not None:
                yield (*chain, name)


def test_every_command_shows_its_help(pages):
    page = pages["docs/reference/cli.md"]
    found = [" ".join(chain) for chain in commands(build_app())]
    assert {"plan train", "plan serve", "match", "chips", "models"} <= set(found)
    assert [name for name in found if f"$ parity {name} --help\n" not in page] == []


def test_every_finding_has_a_section(pages, root):
    titles = dict(re.findall(r"^## (P\d\d\d): (.+)$", pages["docs/reference/findings.md"], re.M))
    sources = "".join(path.read_text() for path in (root / "src").rglob("*.py"))
    assert set(titles) == set(re.findall(r"\"(P\d\d\d)\"", sources))
    assert {code: titles[code] for code in CODES} == {c: title for c, (title, _) in CODES.items()}


def test_the_command_explains_what_the_page_of_findings_says(pages, root):
    data = (root / "src/parity/search/data/findings.toml").read_text()
    assert data == findings.data_of(pages["docs/reference/findings.md"]), "run tools/findings.py"


def test_every_field_of_the_json_is_described_and_no_other(pages, run):
    page = pages["docs/reference/json.md"]
    described = set(re.findall(r"^\| `([^`]+)` \|", page, re.M))
    real = FIGURE - {"also"} | {"also[]"} | set(Finding.__struct_fields__)
    for question in QUESTIONS:
        real |= set(paths(run(*question, "--json").json)) - {"findings[]", "runners_up[]"}
    assert sorted(real - described) == []
    assert sorted(described - real) == []


def paths(value: object, at: str = "") -> Iterator[str]:
    """The paths of all leaves: `answer.rows[].chip`."""
    if at in WHOLE:
        yield at
    elif isinstance(value, dict) and not (set(value) >= FIGURE):
        for name, inner in value.items():
            if at.endswith(NAMED):
                yield f"{at}.*"
            else:
                yield from paths(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        inside = [path for item in value for path in paths(item, f"{at}[]")]
        yield from inside or [f"{at}[]"]
    else:
        yield at


def test_the_equations_page_has_a_section_for_every_file(pages, root):
    page = pages["docs/equations.md"]
    files = [
        f"{layer}/{path.name}"
        for layer in LAYERS
        for path in sorted((root / "src/parity" / layer).glob("[a-z]*.py"))
    ]
    assert [name for name in files if f"\n### {name}\n" not in page] == []


def test_the_equations_page_names_the_functions_that_exist(pages, root):
    named: dict[str, set[str]] = {}
    for line in pages["docs/equations.md"].splitlines():
        if heading := re.match(r"### (\w+/\w+\.py)$", line):
            functions = named.setdefault(heading[1], set())
        elif line.startswith("Functions: "):
            functions.update(re.findall(r"`(\w+)`", line))
    wrong = {}
    for name, functions in named.items():
        path = root / "src" / "parity" / name
        defined = {
            node.name: isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            for node in ast.parse(path.read_text()).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }
        public = {name for name, function in defined.items() if function}
        if gone_or_new := (functions - set(defined)) | (public - functions):
            wrong[name] = sorted(gone_or_new)
    assert wrong == {}


@pytest.mark.parametrize("record", [Software, Engine, Efficiency, Footprint])
def test_the_equations_page_names_every_coefficient(pages, record):
    if issubclass(record, msgspec.Struct):
        names_of = set(record.__struct_fields__) - {"name", "owners", "title", "source"}
    else:
        names_of = set(record.__dataclass_fields__) - {"basis"}
    page = pages["docs/equations.md"]
    assert sorted(name for name in names_of if f"`{name}`" not in page) == []


def test_the_readme_shows_the_main_job(pages):
    shown = doc_blocks.blocks(pages["README.md"])
    first = next(step for block in shown for step in doc_blocks.steps(block) if step.output)
    assert first.command.startswith("./parity match llama-3.1-70b --have 1024xh100")
    told = first.output[: first.output.index("...")]  # equality itself: test_pages
    assert any(line.startswith("chips needed") for line in told)


def test_the_readme_counts_the_catalogue(pages):
    page = pages["README.md"]
    table = dict(re.findall(r"\| ([A-Z\w][^|`]*?) \| (\d+) (?=\|)", page))
    assert {k: int(v) for k, v in table.items()} == Counter(chip.vendor for chip in chips())
    ready = 0
    for chip in chips():
        try:
            machine(chip)
        except MissingFact:
            continue
        ready += 1
    assert f"**Chips.** {len(chips())} are in the catalogue; {ready} of them" in page
    assert f"**Models.** {len(names())} configurations are bundled" in page


def test_every_relative_link_leads_somewhere(pages, root):
    broken = []
    for name, text in pages.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (root / name).parent / path if path else root / name
            if not file.is_file() or (anchor and anchor not in anchors(file.read_text())):
                broken.append(f"{name}: {target}")
    assert broken == []


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_no_page_names_a_machine_or_an_index(pages):
    foreign = re.compile(
        r"pypi[.]org|pythonhosted|index-url|(?<![\w.])/(work|root|home|tmp|Users)/|localhost"
    )
    assert [
        f"{name}: {found[0]}" for name, text in pages.items() if (found := foreign.search(text))
    ] == []
