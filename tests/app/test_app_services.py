"""Which token goes to which service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kata_cli.app.services import Address, addresses, open_client, without_services
from kata_cli.config.resolve import Resolved, resolve
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Timeouts
from kata_cli.core.redact import Redactor

HERE, THERE = "http://127.0.0.1:8765", "https://agents.example"
TOKEN = "t" * 43


def resolved(tmp_path: Path, **flags: Any) -> Resolved:
    return resolve(flags, {"HOME": str(tmp_path)}, tmp_path)


def test_the_own_token_goes_to_this_machine_only(tmp_path: Path) -> None:
    """Without a token file, a service elsewhere is refused rather than shown the token of this one."""
    found = addresses(resolved(tmp_path, services=[HERE, "local"]))
    assert found == [Address(HERE, tmp_path / ".local/state/kata/serve.token")]
    with pytest.raises(KataError) as caught:
        addresses(resolved(tmp_path, services=[THERE]))
    assert (caught.value.failure.code, caught.value.failure.hint) == ("missing_auth", "--token-file FILE")


@pytest.mark.parametrize(("files", "expected"), [(["a"], ["a", "a"]), (["a", "b"], ["a", "b"])])
def test_one_file_holds_for_all_or_each_for_one(
    tmp_path: Path, files: list[str], expected: list[str]
) -> None:
    """`local` takes none, and a service that is named twice is one."""
    given = resolved(tmp_path, services=[HERE, "local", HERE, THERE], service_token_file=files)
    assert [address.token_file for address in addresses(given)] == list(map(Path, expected))


def test_any_other_number_of_files_is_refused(tmp_path: Path) -> None:
    """No guess which token is whose."""
    given = resolved(tmp_path, services=[HERE], service_token_file=["a", "b"])
    with pytest.raises(KataError, match="2 token files for 1 services") as caught:
        addresses(given)
    assert caught.value.failure.code == "usage"


def test_the_default_is_used_where_nothing_is_set(tmp_path: Path) -> None:
    """Only where nothing is: `local` alone is something, and no address."""
    assert [address.url for address in addresses(resolved(tmp_path), HERE)] == [HERE]
    assert addresses(resolved(tmp_path)) == []
    assert addresses(resolved(tmp_path, services=["local"]), HERE) == []


def test_the_redactor_learns_the_token(tmp_path: Path) -> None:
    """It shows up in nothing that is written or shown."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    redactor = Redactor()
    client = open_client(Address(HERE, file), redactor, Timeouts())
    assert client.host == "127.0.0.1:8765"
    assert TOKEN not in redactor.text(f"it is {TOKEN}")


def test_no_token_is_told_with_the_way_to_one(tmp_path: Path) -> None:
    """Exit 4, and the file that was looked for."""
    with pytest.raises(KataError) as caught:
        open_client(Address(HERE, tmp_path / "none"), Redactor(), Timeouts())
    assert caught.value.failure.code == "missing_auth"
    assert "kata serve" in caught.value.failure.hint


def test_a_service_has_its_agents_itself(tmp_path: Path) -> None:
    """`kata serve` would ask itself otherwise, where the user's settings name it for runs."""
    given = resolved(tmp_path, runtime_mode="pi", services=[HERE])
    assert not given.starts_agents
    assert without_services(given).starts_agents
