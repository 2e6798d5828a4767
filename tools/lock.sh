#!/usr/bin/env bash
# Rewrites requirements.lock: every version and hash of the core, all extras and the developer
# tools, for Python 3.11 and later on any platform. Needs uv (`pip install uv`).
# Pass `--upgrade` for the newest versions, else what is locked stays.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=uv
exec "$uv" --no-config pip compile pyproject.toml \
    --all-extras --group dev --universal --python-version 3.11 \
    --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
    --custom-compile-command tools/lock.sh --quiet --output-file requirements.lock "$@"
