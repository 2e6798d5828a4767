"""What one file cannot know by itself: names that belong to two, and names of nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from parity.catalogue.schema import FAMILIES, Catalogue, Chip
from parity.errors import BadCatalogue, nearest, shorten

#: Words that people put before a chip's own name or leave out.
VENDOR_WORDS = frozenset((
    "nvidia", "amd", "google", "cloud", "aws", "amazon", "microsoft", "meta", "openai", "intel",
    "huawei", "alibaba", "thead", "baidu", "biren", "metax", "moore", "threads", "cambricon",
    "hygon", "iluvatar", "corex", "enflame", "tecorigin", "apple", "qualcomm", "tenstorrent",
    "tesla", "instinct",
))  # fmt: skip

_SINCE = re.compile(r"\d{4}(-\d{2}){0,2}")
_MOST_NAMES = 64


def normalise(name: str) -> str:
    """`name` without case, spaces, punctuation and vendor words: `NVIDIA H20-96G` -> `h2096g`."""
    words = re.findall(r"[^\W_]+", name.casefold().replace("t-head", "thead"))
    own = [word for word in words if word not in VENDOR_WORDS]
    return "".join(own or words)


def check(catalogue: Catalogue, shown: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The index of names that lead to a chip. Raises `BadCatalogue` where something is amiss.

    `shown` names the file of each (kind, id).
    """
    for chip in catalogue.chips.values():
        file = shown["chips", chip.id]
        _must_be(chip.family, FAMILIES, f"{file}: `family`")
        _must_be(chip.cluster, ("", *catalogue.clusters), f"{file}: `cluster`")
        _must_be(chip.host_link, ("", *catalogue.links), f"{file}: `host_link`")
        _must_be(chip.scale_up.link, ("", *catalogue.links), f"{file}: `scale_up.link`")
        _check_dates(chip, file)
    for cluster in catalogue.clusters.values():
        file = shown["clusters", cluster.id]
        _must_be(cluster.chip, tuple(catalogue.chips), f"{file}: `chip`")
        for part, link in (
            ("scale_up", cluster.scale_up.link),
            ("scale_out", cluster.scale_out.link),
        ):
            _must_be(link, ("", *catalogue.links), f"{file}: `{part}.link`")
    return _names(catalogue.chips.values(), shown)


def _must_be(value: str, known: Iterable[str], what: str) -> None:
    known = tuple(known)
    if value not in known:
        near = nearest(value, known)
        meant = f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
        raise BadCatalogue(f"{what} is {shorten(value)!r}, which is not known.{meant}")


def _check_dates(chip: Chip, file: str) -> None:
    for dated in chip.prices:
        if not _SINCE.fullmatch(dated.since):
            raise BadCatalogue(
                f"{file}: `prices.since` is {shorten(dated.since)!r}; "
                "a year, month or day was expected, as in `2025` or `2025-09`."
            )


def _names(chips: Iterable[Chip], shown: Mapping[tuple[str, str], str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for chip in chips:
        file = shown["chips", chip.id]
        if len(chip.aliases) + len(chip.labels) > _MOST_NAMES:
            raise BadCatalogue(f"{file}: more than {_MOST_NAMES} aliases and labels.")
        for name in (chip.id, chip.name, *chip.aliases, *chip.labels):
            key = normalise(name)
            if not key:
                raise BadCatalogue(f"{file}: the name {shorten(name)!r} has no letter or digit.")
            if names.setdefault(key, chip.id) != chip.id:
                raise BadCatalogue(
                    f"{file}: the name {shorten(name)!r} already belongs to `{names[key]}` "
                    f"({shown['chips', names[key]]}); two chips cannot share one."
                )
    return names
