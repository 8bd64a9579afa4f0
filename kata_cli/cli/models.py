"""`kata models`: what providers themselves report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.groups import CONTEXT, KataCommand, group

if TYPE_CHECKING:
    from kata_cli.core.messages import ModelInfo

app = group("models", "List the models of a provider.")

Refresh = Annotated[bool, o.option("--refresh", help="Ask the provider even if a list is cached.")]


@app.command("list", cls=KataCommand, context_settings=CONTEXT)
def list_(
    refresh: Refresh = False,
    as_json: o.Json = False,
    mode: o.Mode = None,
    provider: o.Provider = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    isolated: o.Isolated = False,
    trust_project: o.TrustProject = False,
) -> None:
    """The models as the provider reports them, kept for a day."""
    from kata_cli.app.models import list_models
    from kata_cli.app.options import Common

    common = Common(
        flags={"runtime_mode": mode, "provider": provider},
        profile=profile,
        is_isolated=isolated,
        trusts_project=trust_project,
        api_key_file=api_key_file,
    )
    listing = list_models(common, shell.redactor(), is_refreshed=refresh)
    if as_json:
        shell.put_json(listing)
        return
    for model in listing.models:
        shell.put(_row(model, max(len(f"{m.provider}/{m.id}") for m in listing.models)))
    if listing.is_cached:
        from kata_cli.output.figures import ago

        shell.say(f"cached {ago(listing.age_s)}; --refresh asks the provider")


def _row(model: ModelInfo, width: int) -> str:
    from kata_cli.core.text import one_line
    from kata_cli.output.figures import count

    parts = [
        one_line(model.name, 60) if model.name != model.id else "",
        f"{count(model.context_window)} context" if model.context_window else "",
        f"thinking {' '.join(model.thinking)}" if model.thinking else "",
        "default" if model.is_default else "",
    ]
    told = "  ".join(part for part in parts if part)
    return f"{one_line(f'{model.provider}/{model.id}', 120):<{width}}  {told}".rstrip() + "\n"
