"""The pictures of the app match the app."""

from __future__ import annotations

import sys

import pytest

from screenshots import take


@pytest.mark.skipif(sys.platform != "linux", reason="the pictures are taken on Linux")
@pytest.mark.parametrize("picture", take.all_pictures(), ids=lambda picture: picture.name)
async def test_a_picture_matches_the_app(picture: take.Picture) -> None:
    path = take.FOLDER / f"{picture.name}.svg"
    kept = path.read_text(encoding="utf-8")
    assert kept == await take.take(picture, like=kept), (
        f"{path.name} no longer matches the app. Look at what changed, then run `python -m screenshots.take`."
    )


def test_every_picture_belongs_to_the_script() -> None:
    assert {path.stem for path in take.FOLDER.glob("*.svg")} == {
        picture.name for picture in take.all_pictures()
    }
