# Sourced by ./parity and ./test with $root set: makes $root/.venv hold what requirements.lock
# says. Nothing is printed and nothing started when it already does. All the work is in setup.py;
# here only its need is decided (one cksum) and a Python is found.

parity_find_python() {
    local name names=(python3 python3.15 python3.14 python3.13 python3.12 python3.11)
    [ -n "${PARITY_PYTHON:-}" ] && names=("$PARITY_PYTHON")
    for name in "${names[@]}"; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    echo "parity: Python 3.11 or newer is needed and none was found on the PATH." \
        "Install it, or name one: PARITY_PYTHON=/path/to/python3 $0" >&2
    return 1
}

parity_setup() {
    local stamp have='' python
    # What .venv must have been made from, and where: a moved folder is set up anew.
    stamp="$root $(cd -- "$root" && cksum requirements.lock pyproject.toml tools/setup.py)"
    [ -r "$root/.venv/.parity-stamp" ] && have=$(<"$root/.venv/.parity-stamp")
    [ "$have" = "$stamp" ] && [ -x "$root/.venv/bin/python" ] && return 0
    python=$(parity_find_python) || return 1
    "$python" "$root/tools/setup.py" "$stamp"
}

parity_setup
