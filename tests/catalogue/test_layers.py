"""A user's files lie over the built-in ones; the cache is never stale and never trusted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from parity.catalogue import files, load
from parity.errors import BadCatalogue, UnknownName

CHIP = """
name   = "My chip"
vendor = "Me"
status = "design"
family = "other"

[memory]
capacity = { value = "80 GB", provenance = "read", source = "page" }
"""


@pytest.fixture
def overlay(monkeypatch, user) -> Path:
    monkeypatch.setenv("PARITY_CATALOGUE", str(user))
    return user


class TestFolders:
    def test_a_folder_of_the_environment_adds_a_chip(self, overlay):
        (overlay / "my-chip.toml").write_text(CHIP)
        assert load.chip("My-Chip").memory.capacity.value == 80e9
        assert load.chip("h20").id == "h20-96"

    def test_a_file_of_the_same_id_replaces_the_built_in_one(self, overlay):
        (overlay / "h20-96.toml").write_text(CHIP)
        assert load.chip("h20-96").memory.capacity.value == 80e9
        with pytest.raises(UnknownName):
            load.chip("h20")

    def test_a_file_may_be_built_on_the_version_below_it(self, overlay):
        (overlay / "h20-96.toml").write_text(
            'base = "h20-96"\n[memory]\n'
            'bandwidth = { value = "3.9 TB/s", provenance = "measured", source = "page" }\n'
        )
        chip = load.chip("h20")
        assert chip.memory.bandwidth.value == 3.9e12
        assert chip.memory.capacity.value == 96e9
        assert chip.labels == ("H20-96G",)
        assert load.catalogue().sources["page"].title == "A page"

    def test_a_file_may_be_built_on_a_built_in_chip(self, overlay):
        (overlay / "chips" / "mine").mkdir(parents=True)
        (overlay / "chips" / "mine" / "h20-x.toml").write_text('base = "h20-96"\nname = "H20 X"\n')
        assert load.chip("h20-x").memory.capacity.value == 96e9

    def test_clusters_and_links_are_overlaid_too(self, overlay):
        for kind in ("clusters", "links"):
            (overlay / kind).mkdir()
        (overlay / "links" / "nvlink4.toml").write_text('kind = "scale-up"\nnotes = "mine"\n')
        (overlay / "clusters" / "hgx-h20-slow.toml").write_text(
            'base = "hgx-h20"\nname = "HGX H20 with four NICs"\n[scale_out]\n'
            'bandwidth = { value = "25 GB/s", provenance = "read", source = "page" }\n'
        )
        assert load.link("nvlink4").notes == "mine"
        assert load.cluster("hgx-h20-slow").scale_out.bandwidth.value == 25e9
        assert load.cluster("HGX H20").id == "hgx-h20"

    def test_the_later_of_several_folders_lies_on_top(self, monkeypatch, user, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        (user / "my-chip.toml").write_text(CHIP)
        (other / "my-chip.toml").write_text(CHIP.replace("80 GB", "90 GB"))
        monkeypatch.setenv("PARITY_CATALOGUE", os.pathsep.join([str(user), str(other)]))
        assert load.chip("my-chip").memory.capacity.value == 90e9

    def test_a_name_of_a_built_in_chip_cannot_be_taken(self, overlay):
        (overlay / "my-chip.toml").write_text('aliases = ["h100"]\n' + CHIP)
        with pytest.raises(BadCatalogue, match="already belongs to `h100-sxm`"):
            load.chip("h20")

    def test_other_files_of_the_folder_do_not_matter(self, overlay):
        (overlay / "README.md").write_text("x")
        (overlay / "notes").mkdir()
        (overlay / "notes" / "x.toml").write_text("not a chip")
        assert load.chip("h20").id == "h20-96"


class TestProjectFile:
    def test_it_names_folders_and_holds_chips(self, user):
        (user / "my-chip.toml").write_text(CHIP)
        Path("parity.toml").write_text(
            f'[catalogue]\nfolders = ["{user}"]\n'
            '[chips.h20-x]\nbase = "h20-96"\nname = "H20 X"\n'
            "[chips.h20-x.memory]\n"
            'capacity = { value = "144 GB", provenance = "user", source = "mail" }\n'
            '[sources.mail]\ntitle = "A mail of the vendor"\n'
        )
        assert load.chip("my-chip").memory.capacity.value == 80e9
        assert load.chip("h20-x").memory.capacity.value == 144e9
        assert load.chip("h20-x").memory.bandwidth.value == 4e12

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[catalog]\n", "Did you mean `catalogue`"),
            ("[catalogue]\nfolders = 'x'\n", "list of texts"),
            ("[catalogue]\nfolders = [1]\n", "list of texts"),
            ("catalogue = 1\n", "list of texts"),
            ("[catalogue]\nfolders = ['nowhere']\n", "no folder"),
            ("chips = 1\n", "a table was expected"),
            ("[chips]\nx = 1\n", "a table was expected"),
            ("[chips.X]\nname = 'x'\n", "the file name is the id"),
            ("[[[", "not valid TOML"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, text, said):
        Path("parity.toml").write_text(text)
        with pytest.raises(BadCatalogue, match=r"parity\.toml") as caught:
            load.chip("h20")
        assert said in str(caught.value)


class TestPlugins:
    @pytest.fixture
    def plugin(self, monkeypatch, tmp_path, user):
        site = tmp_path / "site"
        info = site / "their_chips-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-chips\nVersion: 1.0\n")
        (user / "their-chip.toml").write_text(CHIP)
        monkeypatch.syspath_prepend(str(site))
        files._plugin_folders.cache_clear()
        yield lambda entry, code: (
            (info / "entry_points.txt").write_text(f"[parity.catalogue]\ntheirs = {entry}\n"),
            (site / f"{entry.partition(':')[0]}.py").write_text(code),
        )
        files._plugin_folders.cache_clear()
        for name in ("their_a", "their_b", "their_c"):
            sys.modules.pop(name, None)

    def test_an_installed_package_brings_a_folder(self, plugin, user):
        plugin("their_a:folder", f"def folder(): return {str(user)!r}\n")
        assert load.chip("their-chip").name == "My chip"

    @pytest.mark.parametrize(
        ("entry", "code"),
        [("their_b:folder", "def folder(): raise OSError('gone')"), ("their_c:x", "x = 'nowhere'")],
    )
    def test_one_that_fails_is_named(self, plugin, entry, code):
        plugin(entry, code)
        with pytest.raises(BadCatalogue, match="'theirs'"):
            load.chip("h20")


class TestCache:
    @pytest.fixture
    def cache(self, monkeypatch, tmp_path) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        load._loaded.cache_clear()
        return tmp_path / "cache" / "parity"

    def reload(self, name: str = "my-chip"):
        load._loaded.cache_clear()
        return load.chip(name)

    def test_an_edited_file_has_its_new_value_at_once(self, cache, overlay):
        path = overlay / "my-chip.toml"
        path.write_text(CHIP)
        assert load.chip("my-chip").memory.capacity.value == 80e9
        path.write_text(CHIP.replace("80 GB", "81.5 GB"))
        assert load.chip("my-chip").memory.capacity.value == 81.5e9
        path.unlink()
        with pytest.raises(UnknownName):
            load.chip("my-chip")

    def test_the_kept_catalogue_equals_the_built_one(self, cache):
        built = load.catalogue()
        assert len(list(cache.glob("catalogue-*.json"))) == 1
        load._loaded.cache_clear()
        assert load.catalogue() == built

    @pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 100, b"half"])
    def test_a_damaged_file_is_ignored_and_written_anew(self, cache, damage):
        load.catalogue()
        (path,) = cache.glob("catalogue-*.json")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if damage == b"half" else damage)
        assert self.reload("h20").memory.bandwidth.value == 4e12
        assert path.read_bytes() == whole

    def test_a_file_with_another_value_under_its_checksum_is_ignored(self, cache):
        load.catalogue()
        (path,) = cache.glob("catalogue-*.json")
        path.write_bytes(path.read_bytes().replace(b"4000000000000.0", b"5000000000000.0"))
        assert self.reload("h20").memory.bandwidth.value == 4e12

    def test_a_file_of_another_shape_is_ignored(self, cache):
        texts = files.read_all(())
        files.write_cache(files.digest(texts), b'{"chips": 1}')
        assert self.reload("h20").id == "h20-96"

    def test_few_files_are_kept(self, cache, overlay):
        for size in range(80, 92):
            (overlay / "my-chip.toml").write_text(CHIP.replace("80 GB", f"{size} GB"))
            assert self.reload().memory.capacity.value == size * 1e9
        assert len(list(cache.iterdir())) == 6

    def test_a_folder_that_cannot_be_written_does_no_harm(self, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert self.reload("h20").id == "h20-96"

    def test_no_home_does_no_harm(self, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
        assert self.reload("h20").id == "h20-96"


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("typed", "near"),
        [("h2o", "h20"), ("mi300", None), ("h100-smx", "h100-sxm"), ("b20", "b200")],
    )
    def test_a_near_name_is_offered(self, typed, near):
        if near is None:
            assert load.chip(typed).id == "mi300x"
            return
        with pytest.raises(UnknownName) as caught:
            load.chip(typed)
        assert near in caught.value.suggestions

    @pytest.mark.parametrize("find", [load.chip, load.cluster, load.link, load.source])
    @pytest.mark.parametrize("name", ["", " ", "\0", "?" * 100_000, "中文", "../../etc/passwd"])
    def test_a_strange_name_is_unknown(self, find, name):
        with pytest.raises(UnknownName) as caught:
            find(name)
        assert len(str(caught.value)) < 400
