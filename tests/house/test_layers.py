"""The layers of the package hold."""

from importlinter.cli import lint_imports


def test_a_package_imports_only_from_those_below_it(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    code = lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out
