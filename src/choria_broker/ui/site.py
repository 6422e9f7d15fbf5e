"""All pages of the dashboard, in the order of its menu: one row for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from choria_broker.ui.page import Page
from choria_broker.ui.pages import (
    acts,
    bundle,
    certificates,
    companions,
    connection,
    connections,
    explain,
    find,
    health,
    history,
    links,
    provisioning,
    refusals,
    settings,
    streams,
)

PAGES: tuple[Page[Any, Any], ...] = (
    health.PAGE,
    history.PAGE,
    find.PAGE,
    connections.PAGE,
    connection.PAGE,
    refusals.PAGE,
    explain.PAGE,
    links.PAGE,
    streams.PAGE,
    provisioning.PAGE,
    companions.PAGE,
    certificates.PAGE,
    settings.PAGE,
    acts.PAGE,
    bundle.PAGE,
)

FIRST = health.PAGE
"""What is shown where no page is named."""

BY_NAME: Mapping[str, Page[Any, Any]] = {each.name: each for each in PAGES}
