"""Git's own view of a project, and the walk where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from context_project import Project, git

from kata_cli.context.repository import find_root, list_files


def test_the_root_is_found_from_a_subdirectory_without_running_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walking up for `.git` is enough."""
    project = Project(tmp_path / "p")
    project.write("a/b/c.txt")
    monkeypatch.setenv("PATH", "")
    assert find_root(project.root / "a" / "b") == project.root


def test_a_worktree_is_a_root_of_its_own(tmp_path: Path) -> None:
    """A worktree has a `.git` file, not a directory."""
    project = Project(tmp_path / "p")
    project.write("a.txt")
    project.commit()
    git(project.root, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert find_root(tmp_path / "tree") == tmp_path / "tree"
    assert list_files(tmp_path / "tree").paths == [b"a.txt"]


def test_tracked_and_untracked_files_are_listed_but_not_ignored_ones(tmp_path: Path) -> None:
    """The list is sorted and holds what git would show."""
    project = Project(tmp_path / "p")
    project.write(".gitignore", "*.log\n")
    project.write("tracked.py")
    project.commit()
    project.write("new.py")
    project.write("noise.log")
    assert list_files(project.root).paths == [b".gitignore", b"new.py", b"tracked.py"]


def test_an_empty_repository_has_no_files(tmp_path: Path) -> None:
    """Neither a missing commit nor an empty directory is an error."""
    found = list_files(Project(tmp_path / "p").root)
    assert (found.paths, found.diagnostics) == ([], [])


def test_a_subdirectory_is_listed_relative_to_itself(tmp_path: Path) -> None:
    """`--context DIR` inside a repository sees only that directory."""
    project = Project(tmp_path / "p")
    project.write("a/one.py")
    project.write("b/two.py")
    assert list_files(project.root / "a").paths == [b"one.py"]


def test_an_unmerged_file_is_listed_once(tmp_path: Path) -> None:
    """Git lists each stage of a conflict; the project has one file."""
    project = Project(tmp_path / "p")
    project.write("a.txt", "base\n")
    project.commit()
    blob = git(project.root, "rev-parse", "HEAD:a.txt").strip()
    entries = "".join(f"100644 {blob} {stage}\ta.txt\n" for stage in (1, 2, 3))
    (project.root / "entries").write_text(f"0 {'0' * 40}\ta.txt\n{entries}")
    git(project.root, "-c", "alias.load=!git update-index --index-info < entries", "load")
    (project.root / "entries").unlink()
    assert len(git(project.root, "ls-files", "-s").splitlines()) == 3
    assert list_files(project.root).paths == [b"a.txt"]


def test_a_submodule_is_one_entry_and_is_not_entered(tmp_path: Path) -> None:
    """The files of a submodule belong to another project."""
    inner, outer = Project(tmp_path / "inner"), Project(tmp_path / "outer")
    inner.write("parser.py", "parser\n")
    inner.commit()
    git(outer.root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "sub")
    outer.commit()
    assert list_files(outer.root).paths == [b".gitmodules", b"sub"]
    assert outer.gather().left_out == {"not_regular": 1}
    assert find_root(outer.root / "sub") == outer.root / "sub"


def test_a_hostile_configuration_runs_no_program(tmp_path: Path) -> None:
    """A repository that names programs for git to run gets none of them run."""
    project = Project(tmp_path / "p")
    witness = tmp_path / "ran"
    program = project.write("evil.sh", f"#!/bin/sh\ntouch {witness}\ncat\n")
    program.chmod(0o755)
    project.write(".gitattributes", "*.py filter=evil diff=evil\n")
    project.write("parser.py", "parser\n")
    project.commit()
    for key in (
        "core.fsmonitor",
        "core.pager",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
    ):
        git(project.root, "config", key, str(program))
    project.write("parser.py", "parser changed\n")
    witness.unlink(missing_ok=True)
    assert "parser changed" in project.gather().text
    assert not witness.exists()


def test_the_environment_of_a_hook_does_not_mislead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIT_DIR of another repository, as set inside its hooks, is ignored."""
    project, other = Project(tmp_path / "p"), Project(tmp_path / "other")
    project.write("mine.py")
    other.write("theirs.py")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    assert list_files(project.root).paths == [b"mine.py"]


def test_outside_a_repository_the_directory_is_walked(tmp_path: Path) -> None:
    """Sorted, without the usual folders of tools, without following links."""
    project = Project(tmp_path / "p", is_git=False)
    for path in ("b/two.py", "a.py", "node_modules/x.js", "target/x.o", "b/__pycache__/x.pyc"):
        project.write(path)
    (project.root / "loop").symlink_to(project.root)
    assert list_files(project.root).paths == [b"a.py", b"b/two.py", b"loop"]


def test_a_broken_repository_is_walked_with_gits_own_words(tmp_path: Path) -> None:
    """What git says about the failure reaches the diagnostics."""
    project = Project(tmp_path / "p", is_git=False)
    project.write(".git/HEAD", "nonsense")
    project.write("a.py")
    found = list_files(project.root)
    assert found.paths == [b"a.py"]
    assert found.diagnostics[0].startswith("git: fatal:")


def test_a_git_file_that_leads_nowhere_is_no_context(tmp_path: Path) -> None:
    """Without a repository behind it the directory is walked, and `.git` itself is left out."""
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    (tmp_path / "a.py").write_text("a = 1\n")
    assert list_files(tmp_path).paths == [b"a.py"]
