"""`python -m parity`: the same as the command `parity`."""

from parity.apps.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
