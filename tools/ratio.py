"""Lines of tests for each line of code, and what is over the house's limits: `python tools/ratio.py`.

Counted are lines that are neither blank, nor comments, nor docstrings.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FUNCTION, LONGEST_MODULE = 60, 400
PARTS = {"src": (ROOT / "src", ROOT / "test"), "training": (ROOT / "training", ROOT / "test" / "training")}


def lines_of(path: Path) -> int:
    """Lines that are neither blank, nor comments, nor texts that stand alone, as docstrings do."""
    text = path.read_text()
    prose = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and line.lstrip()[0] != "#" and number not in prose for number, line in lines)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function after its docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def too_long(paths: list[Path]) -> Iterator[str]:
    """A line for each function and module over the limits."""
    for path in paths:
        text = path.read_text()
        if len(text.splitlines()) > LONGEST_MODULE:
            yield f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > LONGEST_FUNCTION:
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {body_lines(node)} lines"


def main() -> None:
    """Print both."""
    for name, (code, tests) in PARTS.items():
        product = sorted(code.rglob("*.py"))
        testing = [path for path in tests.rglob("*.py") if name == "training" or "training" not in path.parts]
        counts = sum(map(lines_of, testing)), sum(map(lines_of, product))
        print(f"{name}: {counts[0]} lines of tests, {counts[1]} of code: {counts[0] / counts[1]:.2f}")
        for line in too_long(product):
            print(f"  {line}")


if __name__ == "__main__":
    main()
