"""`./parity` and `./test` set themselves up: once, again when the lock changes, never half."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import threading

import pytest


@pytest.fixture
def setup(root, tmp_path, monkeypatch):
    """tools/setup.py at work in an empty folder, with a pip that only writes down its words."""
    spec = importlib.util.spec_from_file_location("parity_setup", root / "tools" / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("VENV", "PYTHON", "STAMP", "UNFINISHED", "LOCK", "LOG"):
        inside = getattr(module, name).relative_to(module.ROOT)
        monkeypatch.setattr(module, name, tmp_path / inside)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "calls", [], raising=False)
    monkeypatch.setattr(module, "real_pip", module.pip, raising=False)
    monkeypatch.setattr(module, "pip", lambda *words: module.calls.append(words))
    (tmp_path / "requirements.lock").write_text("one==1 \\\n    --hash=sha256:00\n")
    return module


def test_it_installs_the_lock_with_hashes_then_the_project(setup):
    setup.main(f"{setup.ROOT} 1")
    lock, project = setup.calls
    assert lock == ("--require-hashes", "-r", str(setup.ROOT / "requirements.lock"))
    assert {"--no-deps", "--no-build-isolation", "--editable"} < set(project)
    assert setup.STAMP.read_text() == f"{setup.ROOT} 1\n"
    assert not setup.UNFINISHED.exists()
    subprocess.run([setup.PYTHON, "-c", ""], check=True)


def test_the_same_stamp_is_done_already(setup):
    setup.main(f"{setup.ROOT} 1")
    setup.main(f"{setup.ROOT} 1")
    assert len(setup.calls) == 2


def test_another_stamp_installs_over_what_is_there(setup):
    setup.main(f"{setup.ROOT} 1")
    (setup.VENV / "mine").touch()
    setup.main(f"{setup.ROOT} 2")
    assert len(setup.calls) == 4
    assert (setup.VENV / "mine").exists()


def test_a_stopped_set_up_is_begun_anew(setup, monkeypatch):
    def stopped(*words):
        (setup.VENV / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup, "pip", stopped)
        with pytest.raises(KeyboardInterrupt):
            setup.main(f"{setup.ROOT} 1")
    assert not setup.STAMP.exists()
    setup.main(f"{setup.ROOT} 1")
    assert not (setup.VENV / "half").exists()


def test_a_moved_environment_is_made_anew(setup):
    setup.main("/somewhere/else 1")
    (setup.VENV / "old").touch()
    setup.main(f"{setup.ROOT} 1")
    assert not (setup.VENV / "old").exists()


def test_a_broken_environment_is_made_anew(setup):
    setup.main(f"{setup.ROOT} 1")
    setup.PYTHON.unlink()
    setup.PYTHON.symlink_to("/nowhere/python")
    setup.main(f"{setup.ROOT} 2")
    subprocess.run([setup.PYTHON, "-c", ""], check=True)


def test_two_at_once_install_once(setup):
    both = [threading.Thread(target=setup.main, args=(f"{setup.ROOT} 1",)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(setup.calls) == 2


def test_a_damaged_pip_is_not_run(setup, tmp_path, monkeypatch):
    wheel = tmp_path / "pip.whl"
    wheel.write_bytes(b"not pip")
    monkeypatch.setattr(setup, "PIP", wheel)
    with pytest.raises(setup.SetupError, match="damaged"):
        setup.real_pip("x")


@pytest.fixture
def checkout(root, tmp_path):
    """The scripts in a folder with a space in its name, and an environment that echoes."""
    folder = tmp_path / "my parity"
    (folder / "tools").mkdir(parents=True)
    for name in ("parity", "tools/setup.sh", "tools/setup.py"):
        shutil.copy(root / name, folder / name)
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).write_text("")
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("parity", "python"):
        (binaries / name).write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
        (binaries / name).chmod(0o755)
    return folder


def stamp(folder):
    sums = subprocess.run(
        ["cksum", "requirements.lock", "pyproject.toml", "tools/setup.py"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (folder / ".venv" / ".parity-stamp").write_text(f"{folder} {sums.stdout}")


def parity(command, *words, **settings):
    return subprocess.run(
        [command, *words], capture_output=True, text=True, check=False, env=os.environ | settings
    )


def test_when_all_is_ready_the_command_just_runs(checkout):
    stamp(checkout)
    done = parity(checkout / "parity", "chips", "a b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "<chips><a b>", "")


def test_it_runs_through_a_link(checkout, tmp_path):
    stamp(checkout)
    link = tmp_path / "p"
    link.symlink_to(checkout / "parity")
    assert parity(link, "x").stdout == "<x>"


def test_without_a_python_it_says_what_is_needed(checkout):
    done = parity(checkout / "parity", PARITY_PYTHON="/nowhere/python3")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stdout == ""
