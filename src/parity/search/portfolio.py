"""A portfolio: pieces of work, each with its part of the time of a fleet of a reference chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from parity.catalogue.build import parse_toml
from parity.catalogue.figures import Place, refuse_unknown
from parity.catalogue.files import Text
from parity.catalogue.shelf import Shelf
from parity.errors import BadFile, shorten
from parity.units import parse, parse_count, parse_length
from parity.workload.find import model as find_model

Kind = Literal["train", "serve"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_MOST_WORKS, _LONGEST = 24, 200
_SHELF = Shelf("portfolio", "parity.search", "portfolios")
_KEYS = (
    "name", "kind", "model", "share", "seq", "gbs", "chips", "isl", "osl", "ttft", "tpot",
)  # fmt: skip
#: What a training takes where the file says nothing.
_CHIPS, _SEQ, _GBS = 256, "8k", "4M"
#: Waits of a service where the file says nothing. [s]
_TTFT_S, _TPOT_S = 5.0, 0.1


@dataclass(frozen=True)
class Work:
    """A piece of work. share: of the time of the reference fleet [1].

    Of a training: tokens of a sequence and of a batch, and chips. Of a service: tokens of a prompt
    and of an answer, and the waits allowed [s].
    """

    name: str
    kind: Kind
    model: str
    share: float
    seq_len: int = 0
    batch_tokens: int = 0
    chips: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    ttft_s: float = _TTFT_S
    tpot_s: float = _TPOT_S


@dataclass(frozen=True)
class Portfolio:
    """Pieces of work whose shares come to one."""

    name: str
    title: str
    works: tuple[Work, ...]
    about: str = ""


def names() -> tuple[str, ...]:
    """Portfolios that are shipped."""
    return _SHELF.names


def portfolio(name: str) -> Portfolio:
    """A shipped portfolio by name, or one in a TOML file. Raises `UnknownName`, `BadFile`."""
    return _read(_SHELF.text(name))


def _read(text: Text) -> Portfolio:
    table = parse_toml(text)
    at = Place(text.shown)
    refuse_unknown(table, ("title", "about", "work"), at)
    rows = table.get("work")
    if not isinstance(rows, list) or not 1 <= len(rows) <= _MOST_WORKS:
        raise BadFile(f"{at.into('work')}: 1 to {_MOST_WORKS} tables `[[work]]` were expected.")
    works = tuple(_work(row, at.into(f"work[{i}]")) for i, row in enumerate(rows))
    if len({one.name for one in works}) < len(works):
        raise BadFile(f"{at.into('work')}: two pieces of work have one name.")
    whole = sum(one.share for one in works)
    if not 0.99 <= whole <= 1.01:
        raise BadFile(f"{at.into('work')}: the shares come to {whole:.3g}; 1 was expected.")
    title, about = (_said(table, key, at) for key in ("title", "about"))
    return Portfolio(text.id, title or text.id, works, about)


def _work(row: object, at: Place) -> Work:
    if not isinstance(row, Mapping):
        raise BadFile(f"{at}: a table was expected.")
    refuse_unknown(row, _KEYS, at)
    for key in ("name", "kind", "model", "share"):
        if key not in row:
            raise BadFile(f"{at}: `{key}` is missing.")
    name, kind, model = (_said(row, key, at) for key in ("name", "kind", "model"))
    if kind not in KINDS:
        raise BadFile(f"{at.into('kind')}: {shorten(kind)!r}; `train` or `serve` was expected.")
    share = parse(_number(row, "share", at), "fraction", str(at.into("share")))
    if not 0 < share <= 1:
        raise BadFile(f"{at.into('share')}: {share:g}; a part above 0 and up to 1 was expected.")
    model = find_model(model).name
    if kind == "train":
        return Work(
            name, "train", model, share,
            seq_len=parse_length(row.get("seq", _SEQ), str(at.into("seq")), least=16, most=1e7),
            batch_tokens=parse_length(row.get("gbs", _GBS), str(at.into("gbs")), most=1e12),
            chips=parse_count(row.get("chips", _CHIPS), str(at.into("chips")), most=1e5),
        )  # fmt: skip
    return Work(
        name, "serve", model, share,
        input_tokens=parse_length(_number(row, "isl", at), str(at.into("isl")), most=1e7),
        output_tokens=parse_length(_number(row, "osl", at), str(at.into("osl")), most=1e6),
        ttft_s=_wait(row, "ttft", _TTFT_S, at),
        tpot_s=_wait(row, "tpot", _TPOT_S, at),
    )  # fmt: skip


def _wait(row: Mapping[str, Any], key: str, usual: float, at: Place) -> float:
    found = parse(row.get(key, usual), "s", str(at.into(key)))
    if not 0 < found <= 86_400:
        raise BadFile(f"{at.into(key)}: {found:g} s; a wait up to a day was expected.")
    return found


def _number(row: Mapping[str, Any], key: str, at: Place) -> str | float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise BadFile(f"{at.into(key)}: a number was expected.")
    return value


def _said(row: Mapping[str, Any], key: str, at: Place) -> str:
    value = row.get(key, "")
    if not isinstance(value, str) or len(value) > _LONGEST * 2:
        raise BadFile(f"{at.into(key)}: a short text was expected.")
    return " ".join(value.split())
