#!/usr/bin/env python3
"""Holds the tree against the budgets of its style: prints each violation, then `N passed, N failed` over the rules.

Usage: check_style.py [--quiet] [--write] [PATH ...]

Violations fail the run; what the style calls an aim is printed as a warning (not with --quiet). --write brings the
table of stages in README.md up to date with lib/Pipeline/Stages.def. With PATHs only violations there are printed.
"""
import ast
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPP = {".cpp", ".h", ".hpp", ".c"}
SOURCE = CPP | {".td", ".def", ".py", ".pyi", ".sh", ".mlir", ".cmake", ".in", ".S"}
TEXT = SOURCE | {".md", ".toml", ".txt"}

FILE_HARD, FILE_AIM, HEADER_AIM, LIT_AIM = 800, 400, 300, 200
FUNCTION_HARD, FUNCTION_AIM, FUNCTION_LONG = 80, 40, 100
ROOT_CMAKE_HARD = 120
DOCUMENTED_AIM, DOCUMENTED_HARD = 100, 95
REASONS_AIM, REASONS_HARD = 95, 80
ERROR_TESTS_AIM, ERROR_TESTS_HARD = 20, 10

# Spelled so that this file does not match itself.
UNPLANNED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
INIT_ALL = re.compile(r"\bInit" r"All\w*\.h|\bregister" r"All(Dialects|Passes|Extensions)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:root|home|work|Users|opt|mnt|data|private)/[\w.-]+")
REGISTRY = re.compile(r"\b(?:[\w-]+\.)*(?:py" r"pi\.org|python" r"hosted\.org|npm" r"js\.(?:com|org)|crates" r"\.io|docker" r"\.(?:io|com)|ghcr"
                      r"\.io|quay" r"\.io|debian" r"\.org|apt\.ll" r"vm\.org|ana" r"conda\.org|proxy\.go" r"lang\.org)\b")


class Report:
    """Violations and warnings by rule."""

    def __init__(self):
        self.rules: dict[str, list[str]] = collections.OrderedDict()
        self.warnings: list[str] = []
        self.facts: list[str] = []

    def rule(self, name: str) -> None:
        self.rules.setdefault(name, [])

    def fail(self, name: str, where, message: str) -> None:
        self.rules.setdefault(name, []).append(f"{where}: {message}")

    def warn(self, name: str, where, message: str) -> None:
        self.warnings.append(f"{where}: warning: {message} [{name}]")

    def share(self, name: str, part: int, whole: int, aim: int, hard: int, what: str) -> None:
        """Grades a percentage: fails below `hard`, warns below `aim`."""
        self.rule(name)
        if not whole:
            return
        percent = 100 * part / whole
        self.facts.append(f"{name}: {percent:.0f} % of {whole} {what}")
        if percent < hard:
            self.fail(name, "tree", f"{percent:.0f} % of {whole} {what}; at least {hard} %")
        elif percent < aim:
            self.warn(name, "tree", f"{percent:.0f} % of {whole} {what}; aim {aim} %")


class Tree:
    """The files that are or will be checked in, with their text."""

    def __init__(self):
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
        names = sorted(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())
        self.files = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in names if is_text(name)}
        self.names = set(names)

    def items(self, suffixes, *folders):
        for name, text in self.files.items():
            if pathlib.PurePath(name).suffix in suffixes and (not folders or name.startswith(folders)):
                yield name, text


def is_text(name: str) -> bool:
    return pathlib.PurePath(name).suffix in TEXT or name.endswith("CMakeLists.txt") or name.startswith(".ci/")


# ---- reading C++ -------------------------------------------------------------------------------------------------

SKIP = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\((?:.*?)\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
TYPE_HEAD = re.compile(r"\b(class|struct|union|enum)\b[^()=]*$")
NAMESPACE_HEAD = re.compile(r'\bnamespace\b[^()=;]*$|\bextern\s*""?\s*$')
INIT_HEAD = re.compile(r"\)\s*(?:noexcept\s*)?:\s*[^{}]*[\w>]\s*$", re.S)


def blank(text: str) -> str:
    """Replaces comments, strings and preprocessor lines by spaces; lines stay where they are."""
    return SKIP.sub(lambda match: '""' if match.group().startswith('"') and "\n" not in match.group() and len(match.group()) == 3
                    else re.sub(r"[^\n]", " ", match.group()), text)


def find_functions(text: str):
    """Yields (name, first line, lines) of each function outside of others."""
    code = blank(text)
    stack, start = [], 0
    for match in re.finditer(r"[{};]", code):
        at, inside = match.start(), any(kind == "function" for kind, _ in stack)
        if match.group() == "{":
            head = code[start:at]
            kind = "other" if inside else classify(head)
            first = at - len(head.lstrip()) if kind == "function" else at
            stack.append((kind, first))
            if kind != "init":
                start = match.end()
        elif match.group() == "}" and stack:
            kind, first = stack.pop()
            if kind == "function":
                yield describe(code[first:at]), code.count("\n", 0, first) + 1, code.count("\n", first, at) + 1
            if kind != "init":
                start = match.end()
        elif match.group() == ";" and not inside:
            start = match.end()


def classify(head: str) -> str:
    if NAMESPACE_HEAD.search(head):
        return "namespace"
    if TYPE_HEAD.search(head):
        return "type"
    if INIT_HEAD.search(head):
        return "init"
    if "(" in head and not re.search(r"=\s*$", head):
        return "function"
    return "other"


def describe(text: str) -> str:
    match = re.search(r"([~\w:]+|operator\s*\S+?)\s*\(", text)
    return match.group(1) if match else "function"


# ---- rules -------------------------------------------------------------------------------------------------------

def check_lengths(tree: Tree, report: Report) -> None:
    report.rule("file-length")
    for name, text in tree.items(SOURCE):
        lines = text.count("\n")
        aim = LIT_AIM if name.endswith(".mlir") else HEADER_AIM if name.endswith((".h", ".hpp")) else FILE_AIM
        if lines > FILE_HARD:
            report.fail("file-length", name, f"{lines} lines, limit {FILE_HARD}")
        elif lines > aim:
            report.warn("file-length", name, f"{lines} lines, aim {aim}")
    report.rule("root-cmake-length")
    lines = tree.files.get("CMakeLists.txt", "").count("\n")
    if lines > ROOT_CMAKE_HARD:
        report.fail("root-cmake-length", "CMakeLists.txt", f"{lines} lines, limit {ROOT_CMAKE_HARD}")


def python_functions(name: str, text: str, report: Report):
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        report.fail("function-length", f"{name}:{error.lineno}", "does not parse")
        return
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def check_functions(tree: Tree, report: Report) -> None:
    report.rule("function-length")
    total = over_aim = over_long = 0
    for name, text in tree.items(CPP | {".py"}):
        functions = python_functions(name, text, report) if name.endswith(".py") else find_functions(text)
        for function, line, lines in functions:
            total, over_aim, over_long = total + 1, over_aim + (lines > FUNCTION_AIM), over_long + (lines > FUNCTION_LONG)
            if lines > FUNCTION_HARD:
                report.fail("function-length", f"{name}:{line}", f"{function} has {lines} lines, limit {FUNCTION_HARD}")
            elif lines > FUNCTION_AIM:
                report.warn("function-length", f"{name}:{line}", f"{function} has {lines} lines, aim {FUNCTION_AIM}")
    report.facts.append(f"function-length: {total} functions, {over_aim} over {FUNCTION_AIM} lines, {over_long} over {FUNCTION_LONG}")


def check_pattern(tree: Tree, report: Report, rule: str, pattern, message: str, suffixes=TEXT, folders=(), but=()) -> None:
    report.rule(rule)
    for name, text in tree.items(suffixes, *folders):
        if name.startswith(tuple(but)) if but else False:
            continue
        for match in pattern.finditer(text):
            report.fail(rule, f"{name}:{text.count(chr(10), 0, match.start()) + 1}", f"{match.group().strip()}: {message}")


def check_words(tree: Tree, report: Report) -> None:
    check_pattern(tree, report, "no-unplanned", UNPLANNED, "what is missing is written down in docs/")
    check_pattern(tree, report, "no-init-all", INIT_ALL, "name the dialects and passes that are used", CPP)
    check_pattern(tree, report, "no-machine-path", MACHINE_PATH, "a path of one machine")
    check_pattern(tree, report, "no-registry-host", REGISTRY, "host names belong into the machine's configuration")
    check_pattern(tree, report, "no-using-in-header", re.compile(r"^\s*using namespace [\w:]+;", re.M), "in a header", {".h", ".hpp"})
    check_pattern(tree, report, "no-pass-wrapper", re.compile(r"\bPassWrapper<"), "declare the pass in a Passes.td", CPP, but=("test/",))
    check_pattern(tree, report, "no-library-option", re.compile(r"\bcl::(opt|list)<"), "options belong to passes and tools", CPP, but=("tools/", "test/"))
    check_pattern(tree, report, "no-glob", re.compile(r"^[ \t]*file\(\s*GLOB\w*", re.M), "list the files", {".txt", ".cmake"})
    check_pattern(tree, report, "no-banner", re.compile(r"\A(//|/\*|#)[^\n]*(===-+ \S+\.(cpp|h|td)|\(c\) \d{4}|@author)"), "banners go stale", SOURCE)


def check_asserts(tree: Tree, report: Report) -> None:
    report.rule("assert-message")
    for name, text in tree.items({".cpp", ".h"}):
        for match in re.finditer(r"(?<![\w_])assert\(([^;]*)\);", text):
            if '"' not in match.group(1):
                report.fail("assert-message", f"{name}:{text.count(chr(10), 0, match.start()) + 1}", "an assert says what must hold")


def check_openings(tree: Tree, report: Report) -> None:
    report.rule("file-opening")
    for name, text in tree.items({".cpp", ".h", ".hpp", ".c", ".td"}):
        if not text.startswith(("//", "/*")):
            report.fail("file-opening", name, "opens without a comment that says why it exists")
    for name, text in tree.items({".mlir"}, "test/"):
        first = text.split("\n", 1)[0]
        if not first.startswith("//") or "RUN:" in first:
            report.fail("file-opening", name, "the first line of a test says what it shows")


def check_readmes(tree: Tree, report: Report) -> None:
    report.rule("folder-readme")
    folders = {str(pathlib.PurePath(name).parent) for name, _ in tree.items(CPP, "lib/", "dialects/", "runtime/")}
    folders = {re.sub(r"^(dialects/\w+)/.*", r"\1", folder) for folder in folders}
    for folder in sorted(folders):
        if f"{folder}/README.md" not in tree.names:
            report.fail("folder-readme", folder, "has no README.md (what enters, what leaves, what must hold)")


def kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def check_passes(tree: Tree, report: Report) -> None:
    for rule in ("pass-description", "pass-name", "pass-file", "pass-test"):
        report.rule(rule)
    tests = {pathlib.PurePath(name).stem: text for name, text in tree.items({".mlir"}, "test/")}
    runs = "\n".join(line for text in tests.values() for line in text.splitlines() if "RUN:" in line)
    for name, text in tree.items({".td"}):
        for match in re.finditer(r'^def (\w+)\s*:\s*Pass<"([^"]+)".*?(?=^def |\Z)', text, re.S | re.M):
            line = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            check_pass(tree, report, line, str(pathlib.PurePath(name).parent), match.group(1), match.group(2), match.group(0))
            if match.group(2) not in tests:
                report.fail("pass-test", line, f"no lit test {match.group(2)}.mlir")
            elif not re.search(rf"--?{re.escape(match.group(2))}\b", runs):
                report.fail("pass-test", line, f"no RUN line has --{match.group(2)}")


def check_pass(tree: Tree, report: Report, line: str, folder: str, def_name: str, flag: str, body: str) -> None:
    if flag != kebab(def_name) or flag.endswith("-pass"):
        report.fail("pass-name", line, f"{def_name} has flag '{flag}', expected '{kebab(def_name)}'")
    found = re.search(r"let description = \[\{(.*?)\}\]", body, re.S)
    if not found or "```mlir" not in found.group(1):
        report.fail("pass-description", line, f"{flag} has no description with an example")
    else:
        words = len(re.sub(r"```.*?```", "", found.group(1), flags=re.S).split())
        if not 25 <= words <= 150:
            report.warn("pass-description", line, f"{flag}: {words} words, aim 40 to 150")
    stems = {def_name, re.sub(r"^(Graph|Kernel)", "", def_name)}
    files = [f"{folder}/{stem}.cpp" for stem in stems if f"{folder}/{stem}.cpp" in tree.names]
    if not files:
        report.fail("pass-file", line, f"no file {folder}/{min(stems, key=len)}.cpp")
    elif f'DEBUG_TYPE "{flag}"' not in tree.files[files[0]]:
        report.fail("pass-file", files[0], f'DEBUG_TYPE is not "{flag}"')
    if "OpRewritePattern" in "".join(tree.files[f] for f in files) and "Statistic<" not in body:
        report.warn("pass-statistic", line, f"{flag} rewrites without counting")


def check_reasons(tree: Tree, report: Report) -> None:
    named = bare = 0
    for _, text in tree.items({".cpp"}, "lib/", "dialects/"):
        for match in re.finditer(r"matchAndRewrite\([^;{]*\{", text):
            body = text[match.end():]
            body = body[:body.find("\n  }\n")]
            named += body.count("notifyMatchFailure")
            bare += len(re.findall(r"return failure\(\);", body))
    report.share("rewrite-reasons", named, named + bare, REASONS_AIM, REASONS_HARD, "failed rewrites say why")


DECLARATION = re.compile(r"^(?:ONAGER_API|struct|class|enum|typedef (?:struct|enum) \w+ \{|#define ONAGER_\w+ \S|(?:inline |static |constexpr |template ?<.*> ?)*"
                         r"[A-Za-z_][\w:<>,*& ]*[ *&]~?\w+\()(?!.*\bfriend\b)")


def check_documented(tree: Tree, report: Report) -> None:
    whole = 0
    missing = []
    for name, text in tree.items({".h", ".hpp"}, "include/"):
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if not DECLARATION.match(line) or re.match(r"(namespace|using|return|extern|struct \w+;|class \w+;|#define ONAGER_API|else|if)\b", line):
                continue
            whole += 1
            before = lines[number - 1].strip() if number else ""
            if not (before.startswith(("///", "//", "/*", "*")) or before.endswith("*/") or "///<" in line or "/*" in line):
                missing.append(f"{name}:{number + 1}")
    for where in missing:
        report.warn("documented", where, "a public declaration without a sentence before it")
    report.share("documented", whole - len(missing), whole, DOCUMENTED_AIM, DOCUMENTED_HARD, "public declarations have a sentence")


def check_error_tests(tree: Tree, report: Report) -> None:
    tests = [text for _, text in tree.items({".mlir"}, "test/")]
    errors = sum("expected-error" in text or re.search(r"RUN:.*\bnot\b", text) is not None for text in tests)
    report.share("error-tests", errors, len(tests), ERROR_TESTS_AIM, ERROR_TESTS_HARD, "lit files check an error")


CHECK_ID = re.compile(r"\b[a-z]\w*_c\d+\b")


def check_ids(tree: Tree, report: Report) -> None:
    """A verifier's check has an id, which its code, the description of its operation or pass and a test name."""
    report.rule("check-id")
    folders = ("dialects/", "lib/Conversion/")
    found = {kind: {name: where for where, text in tree.items(suffixes, *places) for name in CHECK_ID.findall(text)}
             for kind, suffixes, places in (("code", {".cpp"}, folders), ("description", {".td"}, folders), ("test", {".mlir"}, ("test/",)))}
    for name in sorted(set().union(*found.values())):
        for kind, names in found.items():
            where = next(places[name] for places in found.values() if name in places)
            if name not in names:
                report.fail("check-id", where, f"check {name} has no {kind}")


STAGES = re.compile(r"(<!-- stages -->\n).*?(<!-- end of stages -->)", re.S)


def stage_table(tree: Tree) -> str:
    stages = re.findall(r'^STAGE\((\w+), "([^"]*)"\)', tree.files["lib/Pipeline/Stages.def"], re.M)
    return "| stage | what leaves it |\n|---|---|\n" + "".join(f"| `{stage}` | {leaves} |\n" for stage, leaves in stages)


def check_stages(tree: Tree, report: Report, write: bool) -> None:
    report.rule("readme-stages")
    readme = tree.files.get("README.md", "")
    fresh = STAGES.sub(lambda match: match.group(1) + stage_table(tree) + match.group(2), readme)
    if not STAGES.search(readme):
        report.fail("readme-stages", "README.md", "has no table of stages")
    elif fresh != readme and write:
        (ROOT / "README.md").write_text(fresh, encoding="utf-8")
    elif fresh != readme:
        report.fail("readme-stages", "README.md", "the table of stages differs from Stages.def; run scripts/check_style.py --write")


def main() -> int:
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    paths = tuple(word for word in sys.argv[1:] if not word.startswith("--"))
    if options - {"--quiet", "--write"}:
        print(__doc__)
        return 2
    tree, report = Tree(), Report()
    for check in (check_lengths, check_functions, check_words, check_asserts, check_openings, check_readmes, check_passes, check_reasons,
                  check_documented, check_error_tests, check_ids):
        check(tree, report)
    check_stages(tree, report, "--write" in options)
    wanted = lambda line: not paths or line.startswith(paths)
    if "--quiet" not in options:
        print("\n".join(filter(wanted, report.warnings)))
        print("\n".join(report.facts))
    for rule, violations in report.rules.items():
        for violation in filter(wanted, violations):
            print(f"{violation} [{rule}]")
    print(f"{sum(map(len, report.rules.values()))} violations, {len(report.warnings)} warnings")
    failed = sum(bool(violations) for violations in report.rules.values())
    print(f"{len(report.rules) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
