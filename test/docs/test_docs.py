"""Documentation that can be checked is: generated pages are fresh, links lead somewhere, commands that are named exist."""
import re
import subprocess
import sys

import pytest

from support.places import ONAGER, ROOT

PAGES = sorted(str(path.relative_to(ROOT)) for pattern in ("*.md", "docs/*.md", "examples/*.md", "benchmarks/*.md", "lib/**/README.md", "dialects/**/README.md", "runtime/**/README.md")
               for path in ROOT.glob(pattern))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_passes_page_is_fresh():
    result = subprocess.run([sys.executable, ROOT / "scripts" / "docs.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", read(page)) if not target.startswith("http")]
    broken = [target for target in targets if target and not ((ROOT / page).parent / target).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    """Paths in code marks that begin with a folder of the repository."""
    folders = "benchmarks|cmake|dialects|docs|examples|include|lib|python|runtime|scripts|test|tools"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", read(page))
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", ["README.md", *[page for page in PAGES if page.startswith("docs/")]])
def test_options_that_commands_are_shown_with_exist(page):
    """Each `onager COMMAND --option` in the text is known to that command's --help."""
    unknown = []
    for command, rest in re.findall(r"\bonager (cache|compile|run|bench|verify|inspect) ([^\n`#]*)", read(page)):
        known = subprocess.run([ONAGER, command, "--help"], capture_output=True, text=True, check=True).stdout
        unknown += [f"{command} {option}" for option in re.findall(r"--[a-z][a-z-]+", rest) if option not in known]
    assert not unknown
