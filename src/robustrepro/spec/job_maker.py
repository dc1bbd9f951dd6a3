"""What the makers of jobs know of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from robustrepro.layout import Layout
from robustrepro.spec.audited import PaperAudit
from robustrepro.spec.contents import Contents
from robustrepro.spec.declarations import Declarations


class JobMaker:
    """The base of what makes jobs.

    Parameters
    ----------
    declarations
        Everything that is declared.
    contents
        What tables and figures are made from, and what they show of a transfer.
    audits
        The audit of each paper that is asked for.
    layout
        Where results lie.
    """

    def __init__(
        self, declarations: Declarations, contents: Contents, audits: Mapping[str, PaperAudit], layout: Layout
    ) -> None:
        self._declarations, self._contents, self._audits, self._layout = declarations, contents, audits, layout
