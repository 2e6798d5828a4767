"""The chip of the guide is a chip."""

from __future__ import annotations

import pytest

import doc_blocks
from parity.catalogue import load
from parity.errors import BadCatalogue


@pytest.fixture
def guide(root, tmp_path):
    for block in doc_blocks.blocks((root / "docs" / "how-to" / "add-a-chip.md").read_text()):
        doc_blocks.write_file(block, tmp_path)
    return tmp_path


def test_the_file_of_the_guide_loads(guide, monkeypatch):
    monkeypatch.setenv("PARITY_CATALOGUE", str(guide / "my-catalogue"))
    chip = load.chip("Example One")
    assert chip.id == "my-chip"
    assert (chip.memory.bandwidth.low, chip.memory.bandwidth.high) == (2.4e12, 3.6e12)
    assert chip.scale_out.bandwidth.value == 50e9
    assert "invented" in load.source(chip.physical.tdp.source).title


def test_the_broken_file_of_the_guide_is_refused(guide, monkeypatch):
    monkeypatch.setenv("PARITY_CATALOGUE", str(guide / "broken"))
    with pytest.raises(BadCatalogue, match=r"memory\.bandwidth.*bare number"):
        load.chip("my-chip")
