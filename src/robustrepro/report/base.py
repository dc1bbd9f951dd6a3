"""The base of all data that the report reads."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Content(BaseModel):
    """Data as written by the steps before; what the page does not show may be there, too."""

    model_config = ConfigDict(frozen=True, extra="ignore")
