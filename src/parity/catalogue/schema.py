"""What a catalogue file may say.

One TOML a chip, a cluster, a link; the file name is the id. A figure is a table
`{ value = "4.0 TB/s", provenance = "read", source = "key" }`, never a bare number; its unit is
declared here, beside the field. `low`/`high` state a range; without them the range follows from
the provenance (`record.DEFAULT_SPREAD`). `sources.toml` is the one bibliography.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_type_hints

from msgspec import Meta

from parity.record import Fact, Provenance, Record

Count = Annotated[Fact | None, Meta(extra={"unit": "1"})]
Year = Annotated[Fact | None, Meta(extra={"unit": "year"})]
Bytes = Annotated[Fact | None, Meta(extra={"unit": "byte"})]
BytesPerS = Annotated[Fact | None, Meta(extra={"unit": "byte/s"})]
FlopPerS = Annotated[Fact | None, Meta(extra={"unit": "FLOP/s"})]
Seconds = Annotated[Fact | None, Meta(extra={"unit": "s"})]
Watts = Annotated[Fact | None, Meta(extra={"unit": "W"})]
Area = Annotated[Fact | None, Meta(extra={"unit": "mm2"})]
Fraction = Annotated[Fact | None, Meta(extra={"unit": "fraction"})]
Usd = Annotated[Fact, Meta(extra={"unit": "USD"})]

Status = Literal["shipping", "announced", "rumoured", "ended", "design"]
Topology = Literal["switch", "mesh", "torus2d", "torus3d", "hypercube", "dragonfly", "none"]
DTYPES = ("fp64", "tf32", "fp16", "bf16", "fp8", "int8", "int4", "fp4")

#: Names of the efficiency curves that timing knows; a chip belongs to one.
FAMILIES = (
    "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell", "rubin",
    "cdna1", "cdna2", "cdna3", "cdna4", "cdna5",
    "tpu-v2", "tpu-v3", "tpu-v4", "tpu-v5", "tpu-v6", "tpu-v7", "tpu-v8",
    "trainium1", "trainium2", "trainium3", "gaudi2", "gaudi3", "ponte-vecchio",
    "ascend910", "ascend910b", "ascend950", "ascend960", "ppu", "biren", "metax", "mthreads",
    "cambricon", "kunlun", "hygon", "iluvatar", "enflame", "maia", "mtia", "cerebras", "groq",
    "sambanova", "graphcore", "tenstorrent", "dmatrix", "apple", "cpu", "other",
)  # fmt: skip


class Source(Record, frozen=True):
    """One entry of the bibliography.

    `seen` says how its figures reached us: `read` in the document itself, `secondary` as another
    document quotes it, `recalled` from memory, `own` where we reasoned it out (the figure's note
    says how).
    """

    title: str
    publisher: str = ""
    url: str = ""
    date: str = ""
    seen: Literal["read", "recalled", "secondary", "own"] = "read"
    note: str = ""


class Support(Record, frozen=True):
    """Whether the matrix hardware takes a dtype, as somebody states it."""

    support: Literal["native", "half-rate", "vector", "emulated", "none", "unknown"]
    provenance: Provenance
    source: str
    note: str = ""


class Market(Record, frozen=True):
    """What a chip is designed or sold for, as somebody states it."""

    value: Literal["data-centre", "workstation", "consumer"]
    provenance: Provenance
    source: str
    note: str = ""


class Dense(Record, frozen=True):
    """Peak rates of the matrix units, dense, per chip [FLOP/s]."""

    fp64: FlopPerS = None
    tf32: FlopPerS = None
    fp16: FlopPerS = None
    bf16: FlopPerS = None
    fp8: FlopPerS = None
    int8: FlopPerS = None
    int4: FlopPerS = None
    fp4: FlopPerS = None


class Compute(Record, frozen=True):
    """Arithmetic of one chip."""

    dense: Dense = Dense()
    vector_fp32: FlopPerS = None
    vector_fp64: FlopPerS = None
    units: Count = None  # SMs, CUs, AI cores: what a wave of tiles is spread over


class Dtypes(Record, frozen=True):
    """Native support of each dtype in the matrix hardware."""

    fp64: Support | None = None
    tf32: Support | None = None
    fp16: Support | None = None
    bf16: Support | None = None
    fp8: Support | None = None
    int8: Support | None = None
    int4: Support | None = None
    fp4: Support | None = None


class Memory(Record, frozen=True):
    """Main memory of one chip, and what it holds on die."""

    kind: str = ""
    capacity: Bytes = None
    bandwidth: BytesPerS = None
    sram: Bytes = None


class ScaleUp(Record, frozen=True):
    """The link between chips of one scale-up domain; bandwidth per direction, per chip."""

    kind: str = ""
    link: str = ""  # id of the link, which holds latency and achieved fraction
    bandwidth: BytesPerS = None
    domain: Count = None  # the largest domain the link allows


class ScaleOut(Record, frozen=True):
    """The network port of one chip; bandwidth per direction, per chip."""

    bandwidth: BytesPerS = None


class Physical(Record, frozen=True):
    """What the package is."""

    process: str = ""
    foundry: str = ""
    form_factor: str = ""
    die_area: Area = None  # as published; of several dies their sum, or a footprint
    logic_area: Area = None  # sum of the logic dies, where `die_area` is something else
    dies_per_package: Count = None
    transistors: Count = None
    tdp: Watts = None


class DatedPrice(Record, frozen=True):
    """A price that held from a date (year, month or day) on."""

    since: str
    price: Usd
    note: str = ""


class Chip(Record, frozen=True, kw_only=True):
    """One accelerator package as sold."""

    id: str
    name: str
    vendor: str
    year: Year = None
    status: Status
    family: str  # names the efficiency curves of timing
    like: str = ""  # id of the chip whose own curves and kernels hold of it, for a design
    market: Market | None = None  # what its maker sells it for; None where nobody says
    aliases: tuple[str, ...] = ()  # what people type
    labels: tuple[str, ...] = ()  # what published tables call it
    cluster: str = ""  # the cluster it is put in when none is named
    host_link: str = ""  # id of the host link
    node: Count = None  # chips in one server
    compute: Compute = Compute()
    dtypes: Dtypes = Dtypes()
    memory: Memory = Memory()
    scale_up: ScaleUp = ScaleUp()
    scale_out: ScaleOut = ScaleOut()
    physical: Physical = Physical()
    prices: tuple[DatedPrice, ...] = ()
    export_note: str = ""
    notes: str = ""

    @property
    def sold_for(self) -> str:
        """Its market in one word, or nothing."""
        return self.market.value if self.market else ""


class ClusterScaleUp(Record, frozen=True):
    """How chips of one domain are wired."""

    topology: Topology
    bandwidth: BytesPerS = None
    domain: Count = None
    link: str = ""  # id of the link, which holds latency and achieved fraction
    note: str = ""


class ClusterScaleOut(Record, frozen=True):
    """How domains are wired to each other."""

    fabric: str = ""
    link: str = ""
    bandwidth: BytesPerS = None
    rails: Count = None
    oversubscription: Count = None  # above the first switch level: 7 means 1:7
    nonblocking: Count = None  # chips that reach each other before oversubscription begins
    note: str = ""


class Cluster(Record, frozen=True, kw_only=True):
    """A way chips are built into nodes, domains and fabrics."""

    id: str
    name: str
    chip: str
    chips_per_node: Count
    scale_up: ClusterScaleUp
    scale_out: ClusterScaleOut
    chips_total: Count = None
    notes: str = ""


class Link(Record, frozen=True, kw_only=True):
    """A kind of link; bandwidth per direction."""

    id: str
    name: str = ""
    kind: Literal["scale-up", "scale-out", "host", "both"]
    per: str = ""  # what the bandwidth counts: a chip, a port, a slot
    bandwidth: BytesPerS = None
    latency: Seconds = None
    achieved_bandwidth: BytesPerS = None
    achieved_fraction: Fraction = None
    notes: str = ""


class Catalogue(Record, frozen=True):
    """All that is known, by id, with the index of names that lead to a chip."""

    chips: dict[str, Chip]
    clusters: dict[str, Cluster]
    links: dict[str, Link]
    sources: dict[str, Source]
    names: dict[str, str]  # normalised id, alias, label or name -> chip id


class Field(NamedTuple):
    """How one field of a record is written in a file."""

    kind: Literal["figure", "support", "market", "table", "prices", "plain"]
    unit: str = ""
    record: type[Record] | None = None


@cache
def fields_of(record: type[Record]) -> dict[str, Field]:
    """The fields of a record: which are figures, and of which unit; which are tables."""
    hints = get_type_hints(record, include_extras=True)
    return {name: _field(hint) for name, hint in hints.items()}


def _field(hint: object) -> Field:
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, Meta) and note.extra:
            return Field("figure", unit=note.extra["unit"])
    if hint == tuple[DatedPrice, ...]:
        return Field("prices")
    if Support in get_args(hint):
        return Field("support")
    if Market in get_args(hint):
        return Field("market")
    if isinstance(hint, type) and issubclass(hint, Record):
        return Field("table", record=hint)
    return Field("plain")


@cache
def figures_of(record: type[Record]) -> dict[str, str]:
    """The path of every figure a record may hold -> its unit: `memory.bandwidth` -> `byte/s`."""
    found: dict[str, str] = {}
    for name, field in fields_of(record).items():
        if field.kind == "figure":
            found[name] = field.unit
        elif field.record is not None:
            inner = figures_of(field.record)
            found.update({f"{name}.{path}": unit for path, unit in inner.items()})
    return found


def figure_at(record: Record, path: str) -> Fact | None:
    """The figure at a path of `figures_of`, or None where nothing is published."""
    value: Any = record
    for name in path.split("."):
        value = getattr(value, name)
    return value if isinstance(value, Fact) else None
