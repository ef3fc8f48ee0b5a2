"""Settings of the pages that `make docs` builds from docs/, the READMEs and the docstrings of both packages."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (ROOT / "src" / "prehend", ROOT / "training" / "prehend_training")
sys.path[:0] = [str(package.parent) for package in PACKAGES]

import prehend  # noqa: E402
from prehend.hand_model.unpickling import stand_ins  # noqa: E402
from prehend_training import objects  # noqa: E402

del stand_ins._Closed.__setattr__  # autodoc notes on classes what annotations it found; no pickle is read here
objects.__all__.remove("catalogue")  # the module's page has the function; here it would be a second of that name

project = "Prehend"
author = "The Prehend authors"
release = prehend.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "training/*.md", "training/**/README.md", "src/**/NOTICE.md"]
suppress_warnings = ["ref.python"]  # a type's name may be a field's too: `bytes`
html_theme = "furo"
html_title = f"Prehend {release}"

myst_heading_anchors = 3
autodoc_mock_imports = ["mediapipe"]  # runs in an environment of its own
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True  # attributes of a class once, in its own text

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)\)")


def keep_links_to_pages(app: Any, docname: str, source: list[str]) -> None:
    """Links to files and folders that are no pages become their text: they are for readers of the repository."""
    folder = Path(app.env.doc2path(docname)).parent

    def shown(match: re.Match[str]) -> str:
        text, target = match.groups()
        page = (folder / target).resolve().relative_to(ROOT)
        return match[0] if str(page.with_suffix("")) in app.env.found_docs else text

    source[0] = LINK.sub(shown, source[0])


def markup(app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings mark code with single backticks and mean every other character as it stands."""
    parts = re.split(r"(`[^`]+`)", "\n".join(lines))
    parts[1::2] = [f"`{code}`" if "\n" not in code else code.replace("`", "") for code in parts[1::2]]
    parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", text) for text in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def keep_underscores(app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Types that end with one, as `numpy.str_`, are no links."""
    lines[:] = [re.sub(r"_(?!\w)", r"\\_", line) if line.startswith(":vartype ") else line for line in lines]


def write_api_pages(app: Any) -> None:
    """A page for each folder of modules, in docs/api."""
    from sphinx.ext.apidoc import main

    for package in PACKAGES:
        main(["--force", "-q", "--module-first", "--no-toc", "-o", str(ROOT / "docs" / "api"), str(package)])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_api_pages)
    app.connect("source-read", keep_links_to_pages)
    app.connect("autodoc-process-docstring", markup, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", keep_underscores, priority=600)  # of what napoleon writes
