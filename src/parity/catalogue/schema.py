"""What a catalogue file may say.

One TOML a chip, a cluster, a link; the file name is the id. A figure is a table
`{ value = "4.0 TB/s", provenance = "read", source = "key" }`, never a bare number; its unit is
declared here, beside the field. `low`/`high` state a range; without them the range follows from
the provenance (`record.DEFAULT_SPREAD`). `sources.toml` is the one bibliography.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from parity.record import Fact, Provenance, Record

Count = Annotated[Fact | None, Meta(extra={"unit": "1"})]
Bytes = Annotated[Fact | None, Meta(extra={"unit": "byte"})]
BytesPerS = Annotated[Fact | None, Meta(extra={"unit": "byte/s"})]
FlopPerS = Annotated[Fact | None, Meta(extra={"unit": "FLOP/s"})]
Seconds = Annotated[Fact | None, Meta(extra={"unit": "s"})]
Watts = Annotated[Fact | None, Meta(extra={"unit": "W"})]
Hertz = Annotated[Fact | None, Meta(extra={"unit": "Hz"})]
Area = Annotated[Fact | None, Meta(extra={"unit": "mm2"})]
Fraction = Annotated[Fact | None, Meta(extra={"unit": "fraction"})]
Usd = Annotated[Fact | None, Meta(extra={"unit": "USD"})]

Status = Literal["shipping", "announced", "rumoured", "ended", "design"]
Topology = Literal["switch", "mesh", "torus2d", "torus3d", "hypercube", "dragonfly", "none"]
DTYPES = ("fp64", "tf32", "fp16", "bf16", "fp8", "int8", "int4", "fp4")


class Source(Record, frozen=True):
    """One entry of the bibliography."""

    title: str
    publisher: str = ""
    url: str = ""
    date: str = ""
    seen: Literal["read", "recalled", "secondary"] = "read"


class Support(Record, frozen=True):
    """Whether the matrix hardware takes a dtype, as somebody states it."""

    support: Literal["native", "half-rate", "vector", "emulated", "none", "unknown"]
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
    die_area: Area = None
    dies_per_package: Count = None
    transistors: Count = None
    tdp: Watts = None


class DatedPrice(Record, frozen=True):
    """A price that held from a date on."""

    since: str
    price: Usd
    note: str = ""


class Chip(Record, frozen=True, kw_only=True):
    """One accelerator package as sold."""

    id: str
    name: str
    vendor: str
    year: Count = None
    status: Status
    family: str  # names the efficiency curves of timing
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
