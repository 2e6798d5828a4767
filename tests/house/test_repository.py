"""What stands in the repository: no machine, no index host; a lock that is whole."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tomllib

import pytest

#: Written so that this file does not match itself.
FOREIGN = re.compile(
    r"pypi[.]org/simp[l]e|pythonhosted[.]o[r]g|fi[l]e:///|(?<![\w.])/(wor[k]|roo[t]|hom[e])/"
    r"|[.][.]/share[d]/"
)


@pytest.fixture(scope="module")
def tracked(root):
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True
    )
    return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def test_no_file_names_an_index_host_or_a_path_of_some_machine(tracked):
    found = []
    for path in tracked:
        if path.suffix == ".whl":
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if FOREIGN.search(line):
                found.append(f"{path}:{number}: {line[:100]}")
    assert found == []


def test_the_lock_pins_every_dependency_with_hashes_and_names_no_place(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    packages = [line for line in lines if line[:1].isalnum()]
    assert all(re.match(r"[\w.-]+==\S+( ; .*)? \\$", line) for line in packages)
    others = [line for line in lines if not line[:1].isalnum() and not line.startswith("#")]
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in others)

    project = tomllib.loads((root / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(name for extra in project["project"]["optional-dependencies"].values() for name in extra),
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    locked = {line.split("==")[0] for line in packages}
    assert {re.split(r"[^\w-]", name)[0] for name in wanted} <= locked


def test_the_vendored_pip_is_the_one_that_is_described(root):
    (wheel,) = (root / "tools" / "vendor").glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for describing in ("tools/vendor/README.md", "tools/setup.py"):
        text = (root / describing).read_text()
        assert wheel.name in text
        assert digest in text


@pytest.mark.parametrize("script", ["parity", "test", ".ci/run", "tools/setup.sh", "tools/lock.sh"])
def test_scripts_are_valid_bash(root, script):
    subprocess.run(["bash", "-n", root / script], check=True)
