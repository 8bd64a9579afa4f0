"""`kata config`: the effective settings and where each comes from."""

from __future__ import annotations

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.groups import CONTEXT, KataCommand, group

app = group("config", "Show the effective settings.")


@app.command(cls=KataCommand, context_settings=CONTEXT)
def show(
    as_json: o.Json = False,
    profile: o.Profile = None,
    isolated: o.Isolated = False,
    trust_project: o.TrustProject = False,
) -> None:
    """Every setting with its value and origin."""
    from kata_cli.app.config import show_config

    shown = show_config(profile=profile, is_isolated=isolated, trusts_project=trust_project)
    for warning in shown.warnings:
        shell.say(f"warning: {warning}")
    if as_json:
        shell.put_json(shown)
        return
    name_width = max(len(row.name) for row in shown.settings)
    for row in shown.settings:
        value = "" if row.value in (None, (), {}) else _shown(row.value)
        source = "" if row.origin == "default" else f"  ({row.origin}: {row.source})"
        shell.put(f"{row.name:<{name_width}}  {value}{source}\n")


def _shown(value: object) -> str:
    from kata_cli.core.text import one_line

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        value = " ".join(str(item) for item in value)
    return one_line(str(value), 200)
