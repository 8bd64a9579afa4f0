"""Paths that usually hold secrets. They are left out by name, before a byte of them is read."""

from __future__ import annotations

import re

_FOLDERS = r"\.aws|\.ssh|\.gnupg|\.kube|\.docker|\.azure|\.password-store|secrets"
_NAMES = (
    r"\.env(?:rc)?(?:\..+)?|.+\.env|\.netrc|_netrc|\.npmrc|\.pypirc|\.pgpass|\.htpasswd|\.git-credentials"
    r"|\.vault-token|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:\..+)?"
    r"|credentials?(?:\.(?!py$|js$|ts$|go$|rs$|java$|rb$|md$).+)?"
    r"|secrets?(?:\.(?!py$|js$|ts$|go$|rs$|java$|rb$|md$).+)?|(?:.+[-_])?service[-_]?account.*\.json|kubeconfig"
    r"|.+\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|tfstate|tfvars)"
)
_TEMPLATE = re.compile(rb"\.(?:example|sample|template|dist)$", re.I)
_SENSITIVE = re.compile(rf"(?:^|/)(?:(?:{_FOLDERS})/|(?:{_NAMES})$)".encode(), re.I)


def is_sensitive(path: bytes) -> bool:
    """Whether a relative path, with `/` between its parts, names a usual place of secrets."""
    return _SENSITIVE.search(path) is not None and _TEMPLATE.search(path) is None
