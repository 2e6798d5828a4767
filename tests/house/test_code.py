"""Sizes: a file or function that grows past the limit holds two subjects."""

from __future__ import annotations

import ast
from pathlib import Path

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60  # its docstring not counted


def python_files(root: Path) -> list[Path]:
    return [path for folder in ("src", "tests", "tools") for path in (root / folder).rglob("*.py")]


def test_no_file_is_longer_than_400_lines(root):
    sizes = {path: len(path.read_text().splitlines()) for path in python_files(root)}
    assert [str(path) for path, size in sizes.items() if size > MOST_LINES_OF_A_FILE] == []


def test_no_function_is_longer_than_60_lines(root):
    long = []
    for path in python_files(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = code_lines(node)
                if size > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{path}:{node.lineno} {node.name} {size}")
    assert long == []


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    size = (node.end_lineno or 0) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        size -= (first.end_lineno or 0) - first.lineno + 1
    return size
