"""Every page of the server, in the order of its menu."""

from __future__ import annotations

from imagetree.web.page import Page
from imagetree.web.routes import home, image, releases, runs, tree, work

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *tree.PAGES,
    *image.PAGES,
    *releases.PAGES,
    *runs.PAGES,
    *work.PAGES,
)
