"""Names of secrets (SC-02)."""

from __future__ import annotations

import pytest

from kata_cli.context.sensitive import is_sensitive


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "app/.env.production",
        "prod.env",
        "certs/server.pem",
        "server.key",
        "id_rsa",
        "home/.ssh/config",
        ".aws/credentials",
        ".gnupg/pubring.kbx",
        ".netrc",
        ".npmrc",
        ".pypirc",
        "credentials.json",
        "config/credentials.yml.enc",
        "secrets.yaml",
        "deploy/secrets/token.txt",
        "kubeconfig",
        ".kube/config",
        "bundle.p12",
        "terraform.tfstate",
        "gcp-service-account-prod.json",
        "ID_RSA",
        "service-account.json",
    ],
)
def test_sc02_places_of_secrets_are_known_by_name(path: str) -> None:
    """Each of these is left out before it is read."""
    assert is_sensitive(path.encode())


@pytest.mark.parametrize(
    "path",
    [
        ".env.example",
        "src/environment.py",
        "kata_cli/config/credentials.py",
        "src/secrets.ts",
        "docs/secrets.md",
        "src/keyboard.py",
        "monkey.py",
        "tests/test_credentials.py",
        "src/pem.c",
        "README.md",
    ],
)
def test_sc02_code_about_secrets_is_not_a_secret(path: str) -> None:
    """Templates and source files with such words in their names are read."""
    assert not is_sensitive(path.encode())
