"""What a piece of text defines, by one regular expression per family of languages."""

from __future__ import annotations

import re

MAX_SYMBOLS = 40

_C_LIKE_TYPES = r"class|struct|enum|interface|union|namespace|record|trait|object"
# Repetitions over free text are bounded: a hostile line costs no more than its length.
_PATTERNS = {
    "python": r"^[ \t]*(?:async[ ])?(?P<kind>def|class)[ ](?P<name>\w+)",
    "javascript": (
        r"^[ \t]*(?:export[ ])?(?:default[ ])?(?:declare[ ])?(?:abstract[ ])?(?:async[ ])?"
        r"(?P<kind>function|class|interface|type|enum|const(?=[ ]\w+[ ]*=[ ]*(?:async[ ]*)?(?:\(|function)))"
        r"[ *]+(?P<name>[\w$]+)"
    ),
    "go": r"^(?P<kind>func|type)[ ](?:\([^)\n]*\)[ ])?(?P<name>\w+)",
    "rust": (
        r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ ])?(?:async[ ]|unsafe[ ]|const[ ])*"
        r"(?P<kind>fn|struct|enum|trait|mod|macro_rules!)[ ](?P<name>\w+)"
    ),
    "jvm": (
        rf"^[ \t]*(?:(?:public|private|protected|internal|static|final|abstract|sealed|data|open|override"
        rf"|partial|suspend|inline)[ ])*(?P<kind>{_C_LIKE_TYPES}|fun)[ ](?P<name>\w+)"
    ),
    "c": (
        r"^(?:(?P<kind>struct|enum|union|class|namespace)[ ](?P<name>\w+)[ ]*(?:[:{]|$)"
        r"|[A-Za-z_][\w \t*&:<>,]{0,80}?[ *&](?P<function>[A-Za-z_]\w{0,80})\([^;\n]*(?:\{|$))"
    ),
    "ruby": r"^[ \t]*(?P<kind>def|class|module)[ ](?P<name>[\w.:?!]+)",
    "php": (
        r"^[ \t]*(?:(?:public|private|protected|static|final|abstract)[ ])*"
        r"(?P<kind>function|class|interface|trait|enum)[ ]&?(?P<name>\w+)"
    ),
    "shell": r"^[ \t]*(?:function[ ]+)?(?P<function>[\w-]+)[ ]*\(\)",
    "sql": (
        r"(?i:^[ \t]*create[ ](?:or[ ]replace[ ])?(?:temp(?:orary)?[ ]|unique[ ])?"
        r"(?P<kind>table|view|index|function|procedure|trigger|type)[ ]"
        r"(?:if[ ]not[ ]exists[ ])?(?P<name>[\w.]+))"
    ),
    "markdown": r"^(?P<kind>#{1,4})[ ](?P<name>[^\n#,\"]{1,80})",
}
_SUFFIXES = {
    "python": "py pyi",
    "javascript": "js jsx mjs cjs ts tsx mts cts",
    "go": "go",
    "rust": "rs",
    "jvm": "java kt kts cs scala swift",
    "c": "c h cc cpp cxx hpp hh m mm",
    "ruby": "rb rake",
    "php": "php",
    "shell": "sh bash zsh",
    "sql": "sql",
    "markdown": "md markdown",
}
_FAMILY = {suffix: family for family, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def symbols(path: str, text: str, first_line: int = 1) -> list[tuple[int, str]]:
    """`(line, "def gather")` for each definition, at most 40; nothing for a language not known."""
    pattern = _PATTERNS.get(_FAMILY.get(path.rpartition(".")[2].lower(), ""))
    if pattern is None:
        return []
    found: list[tuple[int, str]] = []
    line, position = first_line, 0
    for match in re.finditer(pattern, text, re.MULTILINE):
        line += text.count("\n", position, match.start())
        position = match.start()
        found.append((line, _label(match)))
        if len(found) == MAX_SYMBOLS:
            break
    return found


def _label(match: re.Match[str]) -> str:
    named = match.groupdict()
    if named.get("function"):
        return f"function {named['function']}"
    return f"{named['kind'].lower()} {named['name'].strip()}"


def listed(found: list[tuple[int, str]]) -> str:
    """The form inside a fence: `class A:3, def b:20`."""
    return ", ".join(f"{label}:{line}" for line, label in found)
