"""What secrets look like. Each shape is one that its issuer documents; nothing is guessed from entropy."""

from __future__ import annotations

import re
from typing import Final

_PRIVATE_KEY: Final = (  # RFC 7468, OpenSSH, OpenPGP; read once, however many begin
    r"-----BEGIN (?P<kind>(?:[A-Z0-9]+ ){0,4})PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----)[\s\S]){1,20000}+-----END (?P=kind)PRIVATE KEY(?: BLOCK)?-----"
)
_SHAPES: Final = (
    _PRIVATE_KEY,
    r"\bsk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic, OpenRouter and those that follow them
    r"\bgh[pousr]_[A-Za-z0-9]{30,}",  # GitHub
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_.-]{20,}",  # GitLab
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # Amazon Web Services
    r"\bAIza[A-Za-z0-9_-]{35}",  # Google
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"\bxapp-[A-Za-z0-9-]{10,}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"\bnpm_[A-Za-z0-9]{36}\b",
    r"\bpypi-[A-Za-z0-9_-]{50,}",
    r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"\bgsk_[A-Za-z0-9]{30,}",  # Groq
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",  # JSON Web Token, RFC 7519
    r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{20,}=*",  # RFC 6750
)
_EMAIL: Final = r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"


def pattern(*, emails: bool) -> re.Pattern[str]:
    """A pattern that finds every secret.

    Args:
        emails: whether addresses of e-mail are secrets too.
    """
    return re.compile("|".join((*_SHAPES, _EMAIL) if emails else _SHAPES))
