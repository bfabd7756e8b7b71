"""The app's own themes: calm surfaces and one accent, the brass of a jack."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="jackfield-dark",
    dark=True,
    primary="#d8a657",
    secondary="#8fa3b8",
    accent="#d8a657",
    foreground="#d7d3c8",
    background="#15171c",
    surface="#1b1e24",
    panel="#23272f",
    success="#8fb573",
    warning="#e0b060",
    error="#e2726e",
    variables={
        "block-cursor-background": "#d8a657",
        "block-cursor-foreground": "#15171c",
        "footer-key-foreground": "#d8a657",
        "input-selection-background": "#d8a657 30%",
        "border": "#d8a657",
        "border-blurred": "#3a4049",
    },
)

LIGHT = Theme(
    name="jackfield-light",
    dark=False,
    primary="#8a5a0b",
    secondary="#4f6275",
    accent="#8a5a0b",
    foreground="#2a2a28",
    background="#faf8f3",
    surface="#f2efe7",
    panel="#e7e2d6",
    success="#4a7a2c",
    warning="#96660a",
    error="#b3322e",
    variables={
        "block-cursor-background": "#8a5a0b",
        "block-cursor-foreground": "#faf8f3",
        "footer-key-foreground": "#8a5a0b",
        "input-selection-background": "#8a5a0b 25%",
        "border": "#8a5a0b",
        "border-blurred": "#c9c2b2",
    },
)
