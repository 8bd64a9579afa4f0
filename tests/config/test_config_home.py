"""Where past work lies is known even when other settings are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_cli.config.home import find_state
from kata_cli.config.resolve import resolve
from kata_cli.core.errors import KataError


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home with a repository in it, and no settings."""
    (tmp_path / "project/.git").mkdir(parents=True)
    (tmp_path / ".config/kata").mkdir(parents=True)
    return {"HOME": str(tmp_path)}


def _user(env: dict[str, str], text: str) -> None:
    Path(env["HOME"], ".config/kata/config.toml").write_text(text)


def _project(env: dict[str, str], text: str) -> Path:
    directory = Path(env["HOME"], "project")
    (directory / "kata.toml").write_text(text)
    return directory


@pytest.mark.parametrize(
    ("flag", "variable", "user", "is_trusted", "wanted"),
    [
        ("/flag", "/env", "/user", True, "/flag"),
        (None, "/env", "/user", True, "/env"),
        (None, None, "/user", True, "project/mine"),
        (None, None, "/user", False, "/user"),
        (None, None, None, False, ".local/state/kata"),
    ],
)
def test_the_order_is_that_of_all_settings(
    env: dict[str, str],
    flag: str | None,
    variable: str | None,
    user: str | None,
    is_trusted: bool,
    wanted: str,
) -> None:
    """Flag, variable, trusted project, own file, default: the same answer as the whole resolution gives."""
    project = _project(env, 'home = "mine"\n' if is_trusted else 'workflow = "spec"\n')
    told = [f"home = {user!r}"] if user else []
    told += [f"trusted_projects = [{str(project)!r}]"] if is_trusted else []
    _user(env, "\n".join(told))
    if variable:
        env["KATA_HOME"] = variable
    found, warnings = find_state(flag, env, project)
    assert (found, warnings) == (Path(env["HOME"], wanted), [])
    assert found == resolve({"home": flag}, env, project).paths.state


@pytest.mark.parametrize("text", ["not toml [", 'jobs = "many"\n', 'home = "stolen"\n', 'mode = "x"\n'])
def test_f81_a_broken_project_file_does_not_matter(env: dict[str, str], text: str) -> None:
    """A project that is not trusted cannot say where runs lie, so its file is not even read."""
    project = _project(env, text)
    with pytest.raises(KataError):
        resolve({}, env, project)
    assert find_state(None, env, project) == (Path(env["HOME"], ".local/state/kata"), [])


def test_a_broken_file_of_a_trusted_project_is_a_warning(env: dict[str, str]) -> None:
    """It might have named another place, so the user hears of it."""
    project = _project(env, "home = 3\n")
    _user(env, f"trusted_projects = [{str(project)!r}]\n")
    found, (warning,) = find_state(None, env, project)
    assert found == Path(env["HOME"], ".local/state/kata")
    assert warning.startswith(f"{project}/kata.toml:1: home: ")
    assert warning.endswith("; the file is ignored here")


def test_other_mistakes_in_the_own_file_do_not_matter(env: dict[str, str]) -> None:
    """A typing mistake beside `home` is the business of commands that need the other settings."""
    _user(env, 'home = "/user"\njobs = "many"\nunknown = 1\n')
    env["KATA_JOBS"] = "none"
    assert find_state(None, env, Path(env["HOME"])) == (Path("/user"), [])


@pytest.mark.parametrize("text", ["home = [", "home = 3\n"])
def test_an_own_file_that_does_not_tell_the_place_is_an_error(env: dict[str, str], text: str) -> None:
    """Guessing would show an empty history."""
    _user(env, text)
    with pytest.raises(KataError) as caught:
        find_state(None, env, Path(env["HOME"]))
    assert caught.value.failure.exit == 3
