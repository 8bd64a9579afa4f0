"""Definitions in a text."""

from __future__ import annotations

import pytest

from kata_cli.context.symbols import MAX_SYMBOLS, listed, symbols


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.py", "class A:\n    async def b(self): ...\n", "class A:1, def b:2"),
        ("a.ts", "export default class A {}\nexport async function b() {}\n", "class A:1, function b:2"),
        ("a.js", "const run = async () => 1\nconst x = 1\n", "const run:1"),
        ("a.go", "type T struct{}\nfunc (t *T) Run() {}\n", "type T:1, func Run:2"),
        ("a.rs", "pub struct A;\npub(crate) async fn b() {}\n", "struct A:1, fn b:2"),
        ("A.java", "public final class A {\n", "class A:1"),
        ("a.kt", "data class A(val b: Int)\nfun run() = 1\n", "class A:1, fun run:2"),
        ("a.c", "struct point {\nint main(int argc) {\nreturn run(1);\n", "struct point:1, function main:2"),
        ("a.rb", "module A\n  def self.run?\n", "module A:1, def self.run?:2"),
        ("a.php", "<?php\nfinal class A {\n  public static function b() {\n", "class A:2, function b:3"),
        ("a.sh", "run() {\nfunction stop () {\n", "function run:1, function stop:2"),
        ("a.sql", "CREATE TABLE IF NOT EXISTS users (\n", "table users:1"),
        ("a.md", "# Title\ntext\n## Part\n", "# Title:1, ## Part:3"),
        ("a.txt", "class A:\n", ""),
        ("Makefile", "class A:\n", ""),
    ],
)
def test_each_family_of_languages_has_its_definitions(path: str, text: str, expected: str) -> None:
    """Name, kind and line, in the form of a fence attribute."""
    assert listed(symbols(path, text)) == expected


def test_lines_count_from_where_the_piece_begins() -> None:
    """A window in the middle of a file keeps the file's line numbers."""
    assert symbols("a.py", "\ndef b(): ...\n", first_line=40) == [(41, "def b")]


def test_symbols_are_capped() -> None:
    """A file of a thousand definitions lists the first ones."""
    assert len(symbols("a.py", "def a(): ...\n" * 1000)) == MAX_SYMBOLS


def test_a_hostile_line_costs_no_more_than_its_length() -> None:
    """One endless line of words makes no expression run wild."""
    for path in ("a.c", "a.java", "a.ts", "a.md", "a.go"):
        assert symbols(path, "static " * 100_000) == []
