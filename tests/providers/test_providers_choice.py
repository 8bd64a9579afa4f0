"""What the provider service decides before any byte is sent: mode, model, credential."""

from __future__ import annotations

import msgspec
import pytest
from provider_bench import (
    CANARY,
    CLAUDE,
    DONE,
    GPT,
    OVERLOADED,
    Bench,
    Keys,
    last_failure,
    models_asked,
    on_virtual_time,
    refusal,
    usages,
)

from kata_cli.core import loop
from kata_cli.core.errors import Failure
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelRef


def test_a_key_is_looked_for_once_and_told_to_the_redactor_first() -> None:
    """One look and one opening for each provider; the redactor knows the secret before that opening."""
    bench = Bench(anthropic=[[DONE], [DONE]])
    bench.service.choose(None, "anthropic/claude-x")
    assert (bench.secrets, bench.providers) == ([CANARY], {})
    bench.ask()
    bench.ask()
    assert (bench.keys.asked, bench.secrets, bench.opened) == (["anthropic"], [CANARY], ["anthropic"])
    assert bench.providers["anthropic"].credential.secret == CANARY


@pytest.mark.parametrize("character", [chr(code) for code in (*range(32), 127, 0x85, 0x2028)])
def test_s6_f86_a_key_that_could_break_a_header_never_leaves(character: str) -> None:
    """S6, F86: control characters in a key are invalid_auth before any provider is opened."""
    secret = f"sk-{character}canary"
    bench = Bench(keys=Keys(anthropic=secret))
    failed = last_failure(bench.ask())
    assert failed.code == "invalid_auth"
    assert "canary" not in failed.message
    assert (bench.providers, bench.secrets) == ({}, [secret])


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x1b", "é"])
def test_s6_a_model_id_that_could_break_a_header_never_leaves(character: str) -> None:
    """S6: the same for model ids, as a usage error, when chosen and when a task names one."""
    bench = Bench()
    assert refusal(lambda: bench.service.choose("anthropic", f"x{character}y")).code == "usage"
    assert last_failure(bench.ask(model=ModelRef("anthropic", f"x{character}y"))).code == "usage"
    assert bench.providers == {}


def test_au_24_a_provider_that_needs_no_key_gets_none() -> None:
    """AU-24: `requires_key = false` and no key: requests go out without one."""
    bench = Bench(keys=Keys(), local=[[DONE]])
    assert bench.service.choose("local", "llama").key_source == "no key needed"
    assert bench.ask(model=ModelRef("local", "llama"))[-1] == DONE


def test_a_broken_credential_is_not_forgiven() -> None:
    """A key file that is refused stays an error where no key would have been needed."""
    refused = Failure(code="invalid_auth", message="credentials.toml is readable by others")
    assert refusal(lambda: Bench(keys=Keys(local=refused)).service.choose("local", "llama")) == (
        msgspec.structs.replace(refused, provider="local")
    )


def test_ps_05_the_first_authenticated_of_two_is_picked() -> None:
    """PS-05: anthropic before openai, with its default model; a custom provider never."""
    both = Keys(anthropic="a", openai="b")
    for keys, model in ((both, CLAUDE), (Keys(openai="b"), GPT)):
        choice = Bench(keys=keys).service.choose(None, None)
        assert choice.model == model
        assert choice.host == f"{model.provider}.example"
        assert choice.key_source == f"env {model.provider.upper()}_API_KEY"


def test_no_key_at_all_names_the_variables_and_the_mock() -> None:
    """AU-19: the message says what to export, the hint also how to go on without a key."""
    failed = refusal(lambda: Bench(keys=Keys()).service.choose(None, None))
    assert failed.code == "missing_auth"
    assert "ANTHROPIC_API_KEY" in failed.message
    assert "OPENAI_API_KEY" in failed.message
    assert failed.hint.startswith("export ANTHROPIC_API_KEY=")
    assert failed.hint.endswith("--mode mock")


def test_a_key_that_cannot_be_used_is_the_nearer_cause() -> None:
    """A refused credentials file is named rather than \"no key\"."""
    refused = Failure(code="invalid_auth", message="credentials.toml is a symlink")
    assert refusal(lambda: Bench(keys=Keys(openai=refused)).service.choose(None, None)).code == "invalid_auth"


@pytest.mark.parametrize(
    ("provider", "model", "chosen"),
    [
        (None, "openai/gpt-y", "openai/gpt-y"),
        (None, "local/meta/llama", "local/meta/llama"),
        ("local", "meta/llama", "local/meta/llama"),
        ("anthropic", "anthropic/claude-y", "anthropic/anthropic/claude-y"),
        ("openai", None, "openai/gpt-x"),
    ],
)
def test_a_model_is_split_at_its_first_slash(provider: str | None, model: str | None, chosen: str) -> None:
    """With a provider given the model is taken verbatim."""
    bench = Bench(keys=Keys(anthropic="a", openai="b"))
    assert str(bench.service.choose(provider, model).model) == chosen


@pytest.mark.parametrize(
    ("provider", "model", "hint"),
    [
        (None, "gpt-x", "write it as provider/gpt-x, or add --provider NAME"),
        ("antropic", None, "did you mean anthropic?"),
        (None, "opnai/gpt-x", "did you mean openai?"),
        (None, "zzz/llama", "known providers: local, openai, anthropic"),
        (None, "openai/", "write it as provider/model"),
        ("local", None, "choose one with -m local/MODEL"),
        ("mock", None, "kata run --mode mock"),
    ],
)
def test_ps_03_names_that_cannot_be(provider: str | None, model: str | None, hint: str) -> None:
    """PS-03: exit 2 before any credential is looked for, with the next thing to type."""
    bench = Bench()
    failed = refusal(lambda: bench.service.choose(provider, model))
    assert failed.code == "usage"
    assert hint in failed.hint
    assert bench.keys.asked == []


@pytest.mark.parametrize(("provider", "chosen"), [(None, CLAUDE), ("openai", GPT)])
def test_a_dry_run_chooses_without_a_key(provider: str | None, chosen: ModelRef) -> None:
    """`--dry-run` shows the model and that there is no key."""
    choice = Bench(keys=Keys()).service.choose(provider, None, needs_key=False)
    assert choice.model == chosen
    assert choice.key_source.startswith(f"no key for {chosen.provider}: set ")


def test_rm_11_mock_mode_opens_the_mock_alone() -> None:
    """RM-11: every request goes to the mock, without a look at keys, and is named after it."""
    bench = Bench(mode="mock", mock=[[DONE], [DONE]])
    events = bench.ask() + bench.ask(model=ModelRef("mock", "mock-1"))
    assert models_asked(events) == ["mock/anthropic/claude-x", "mock/mock-1"]
    assert usages(events)[0].model == "mock/big-1"
    assert (list(bench.providers), bench.keys.asked, bench.secrets) == (["mock"], [], [])


@pytest.mark.parametrize(
    ("provider", "model", "chosen"),
    [
        (None, None, "mock/mock-1"),
        ("mock", None, "mock/mock-1"),
        (None, "mock/fast", "mock/fast"),
        ("openai", None, "mock/openai/gpt-x"),
        (None, "openai/gpt-y", "mock/openai/gpt-y"),
    ],
)
def test_mock_mode_chooses_without_a_key(provider: str | None, model: str | None, chosen: str) -> None:
    """No output can claim that a vendor answered: the model is labelled as the mock's."""
    choice = Bench(mode="mock", keys=Keys()).service.choose(provider, model)
    assert (str(choice.model), choice.key_source, choice.host) == (chosen, "no key needed", "")


def test_mock_mode_rehearses_wrong_names() -> None:
    """A provider that does not exist is a usage error in mock mode too."""
    assert refusal(lambda: Bench(mode="mock").service.choose("antropic", None)).code == "usage"


def test_mock_mode_rehearses_a_fallback() -> None:
    """A fallback is asked in mock mode as it would be natively."""
    bench = Bench(mode="mock", fallbacks=(GPT,), mock=[[OVERLOADED], [OVERLOADED], [OVERLOADED], [DONE]])
    assert models_asked(bench.ask())[-1] == "mock/openai/gpt-x"


def test_rm_11_in_pi_mode_everything_goes_to_pi() -> None:
    """RM-11: whatever the model's provider, Pi answers and lists; its name stays the model's own."""
    bench = Bench(mode="pi", pi=[[DONE]])
    choice = bench.service.choose(None, "google/gemini-x")
    assert (str(choice.model), choice.host) == ("google/gemini-x", "")
    assert models_asked(bench.ask(model=choice.model)) == ["google/gemini-x"]
    assert list(bench.providers) == ["pi"]


def test_pi_mode_needs_a_model_by_name() -> None:
    """Only Pi knows its models, so a run has to name one; the hint says how to see them."""
    failure = refusal(lambda: Bench(mode="pi").service.choose(None, None))
    assert failure.code == "usage"
    assert failure.hint.startswith("kata models list --mode pi")


def test_an_unknown_provider_of_a_task_fails_its_reply() -> None:
    """A stream never raises for a wrong name; its end carries the usage failure."""
    assert last_failure(Bench().ask(model=ModelRef("opnai", "x"))).code == "usage"


def test_mo_11_only_the_asked_provider_lists() -> None:
    """MO-11: the provider that is named, or else the one a run would use."""
    bench = Bench(keys=Keys(anthropic="a", openai="b"))
    assert [model.provider for model in loop.run(bench.service.models("openai"))] == ["openai"]
    assert list(bench.providers) == ["openai"]
    assert [model.provider for model in loop.run(bench.service.models())] == ["anthropic"]


def test_mo_04_listing_needs_a_key() -> None:
    """MO-04: missing_auth, raised."""
    assert refusal(lambda: loop.run(Bench(keys=Keys()).service.models("openai"))).code == "missing_auth"


def test_mo_15_the_mock_lists_in_mock_mode() -> None:
    """MO-15: whoever is asked for, the mock answers."""
    bench = Bench(mode="mock")
    assert [model.provider for model in loop.run(bench.service.models("openai"))] == ["mock"]
    assert bench.service.endpoint("openai").name == "mock"


def test_closing_closes_all_that_was_opened() -> None:
    """`aclose` reaches every provider, and may be called twice."""
    bench = Bench(keys=Keys(anthropic="a", openai="b"), anthropic=[[DONE]], openai=[[DONE]])

    async def work() -> list[Event]:
        await bench.collect()
        await bench.collect(model=GPT)
        await bench.service.aclose()
        await bench.service.aclose()
        return []

    on_virtual_time(work)
    assert [provider.is_closed for provider in bench.providers.values()] == [True, True]
