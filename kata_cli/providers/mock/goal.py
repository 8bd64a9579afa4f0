"""What a goal says, as far as a few rules can tell: its clauses, its terms, a title."""

from __future__ import annotations

import re

import msgspec

_VERB_LIST = """
    add adopt allow answer apply archive attach avoid build cache change check clean close collect combine
    compute convert create cut deduplicate delete deny deprecate describe detect disable document drop emit
    enable encrypt enforce ensure explain export expose extend extract fail fix forbid format generate handle
    hide ignore implement import improve include increase keep let limit list load lock log make mark measure
    merge migrate move name normalise normalize offer open optimise optimize parse pause port prevent print
    protect provide publish raise read record redact reduce refactor refuse reject release remove rename
    render reorder replace report require reset respond restore resume retry return rewrite rotate run save
    search send separate serve set show simplify sort speed split stop store stream strip support surface
    switch sync teach test throttle track translate trim turn unify update upgrade use validate verify warn
    wrap write
"""
_STOPWORD_LIST = """
    about after again all also and any are because been before being but can cannot could does done each
    for from had has have how into its just less let like make makes more most must not now off one only onto
    other our out over own per please same shall should some such than that the their them then there these
    they this those through too under until upon use used user users uses very via was way were what when
    where which while who whose why will with within without would you your
"""
_GENERIC_LIST = """
    add allow build change create do enable ensure fix generate handle implement improve keep let make need
    offer provide put say set show support update use write
"""
_WEAK_LIST = """
    answer call case code data default document error exception file function give get instead line message
    name new number option output path print raise result return run string test text thing time type value
    warn warning work
"""
_FUNCTION_WORD_LIST = """
    a an and are as at be but by for from has have if in into is it its no not of on or over so than that the
    their then this to under until was when where which while who will with without
"""
VERBS = frozenset(_VERB_LIST.split())
GENERIC = frozenset(_GENERIC_LIST.split())
STOPWORDS = frozenset(_STOPWORD_LIST.split())
FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())
WEAK = frozenset(form for word in _WEAK_LIST.split() for form in (word, f"{word}s"))
MAX_CLAUSES = 12
MAX_TERMS = 100
TITLE_CHARS = 72
CLAUSE_CHARS = 300

_LABEL = re.compile(
    r"^(?:feat(?:ure)?|(?:bug)?fix|bug|chore|docs?|refactor|perf|task|story|issue|goal|request|enhancement)"
    r"(?:\([^()\n]*\))?!?:\s+(?=\S)",
    re.I | re.M,
)

_POINT = re.compile(r"(:)?[.;,]?\s*\n\s*(?:[-*+]|\d+[.)])\s+")
_CODE_OR_HOLE = re.compile(r"`[^`]*`|<[A-Za-z][\w -]*>|\?{2,}")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+", re.M)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"'(])|\n+|;\s+")
_JOINT = re.compile(r",?\s+(?:and|then|and then)\s+(?=([a-z]+)(?: (\S+)|$))", re.I)
# Words that are as often things as deeds; as a deed they take an object, and that begins like this.
_NOUN_LIST = """
    cache change fix format import limit list load lock log merge name port print record report request
    reset return search set show split stop store stream switch test track turn update use
"""
_NOUNS = frozenset(_NOUN_LIST.split())
_OBJECT = re.compile(
    r"(?:(?:an?|the|its?|their|them|every|each|all|any|no|this|that|how|what|when|why)\b|[-`\d])", re.I
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,}")
_POLITE = re.compile(
    r"^(?:please|we (?:need|want) to|i (?:need|want) to|it should|kata should|you should)\s+", re.I
)


class Goal(msgspec.Struct, frozen=True):
    """A goal in pieces. `clauses` are imperative where the goal is; `terms` are lower case, in order.

    `left_out` counts the clauses beyond `MAX_CLAUSES`.
    """

    text: str
    title: str
    clauses: list[str]
    left_out: int
    terms: list[str]


def read_goal(text: str) -> Goal:
    """Take a goal apart."""
    text = _CODE_OR_HOLE.sub(_as_said, text)
    bare = _LABEL.sub("", _BULLET.sub("", text).strip())
    pointed = _POINT.sub(lambda match: ": " if match[1] else "; ", text.strip())
    flat = " ".join(_LABEL.sub("", _BULLET.sub("", pointed)).split())
    sentences = [part.strip().rstrip(".;,:") for part in _SENTENCE_END.split(bare)]
    said = dict.fromkeys(clause for sentence in sentences if sentence for clause in _clauses(sentence))
    clauses = list(said) or [flat]
    title = shortened(clauses[0])
    kept = [shortened(clause, CLAUSE_CHARS) for clause in clauses[:MAX_CLAUSES]]
    return Goal(
        flat, title[:1].upper() + title[1:], kept, len(clauses) - len(kept), terms_of(bare)[:MAX_TERMS]
    )


def _as_said(match: re.Match[str]) -> str:
    """What lint would take for a gap in the draft, `???` or `<name>`, as the person meant it."""
    found = match[0]
    return "?" if found.startswith("?") else f"`{found}`" if found.startswith("<") else found


def terms_of(text: str) -> list[str]:
    """The words that carry meaning, lower case, without repeats."""
    words = (word.lower() for word in _WORD.findall(text))
    return list(dict.fromkeys(word for word in words if word not in STOPWORDS | GENERIC))


def is_imperative(clause: str) -> bool:
    """Whether a clause begins with a verb that says what to build."""
    return clause.split(" ", 1)[0].lower() in VERBS


def _clauses(sentence: str) -> list[str]:
    """Split at `and VERB`; what stands before must be imperative itself, else the sentence stays whole."""
    sentence = _POLITE.sub("", " ".join(sentence.split()))
    if not is_imperative(sentence):
        return [sentence]
    parts, start = [], 0
    for match in _JOINT.finditer(sentence):
        if _is_deed(match[1].lower(), match[2] or ""):
            parts.append(sentence[start : match.start()])
            start = match.end()
    parts.append(sentence[start:])
    return [part.strip() for part in parts if part.strip()]


def _is_deed(word: str, following: str) -> bool:
    """Whether `and WORD …` begins a wish of its own: `and log it`, but not `load and store atomic`."""
    return word in VERBS and (word not in _NOUNS or _OBJECT.match(following) is not None)


def ended(text: str) -> str:
    """A text with a full stop, where it has no end of its own."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def shortened(text: str, max_chars: int = TITLE_CHARS) -> str:
    """A text cut at a word that can end it, outside of any code span."""
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    if head.count("`") % 2:
        head = head.rpartition("`")[0]
    elif text[max_chars] != " ":
        head = head.rpartition(" ")[0]
    words = head.split()
    while words and words[-1].lower() in FUNCTION_WORDS:
        words.pop()
    return f"{' '.join(words).rstrip(',;:') or text[:max_chars]} …"
