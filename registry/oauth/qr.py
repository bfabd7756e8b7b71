"""QR codes of half blocks."""

from __future__ import annotations

_BORDER = 2  # modules; the standard asks for four, phones read two, and it has to fit into 80x24
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def qr_lines(text: str) -> list[str]:
    """The lines of a QR code, each two rows of modules high; none when the text is too long for one.

    What is drawn is dark: show it in black on white, whatever the theme, or no phone reads it.
    """
    import segno  # takes milliseconds that only a device sign-in needs

    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        return []
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=_BORDER)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    return [
        "".join(_HALVES[halves] for halves in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
