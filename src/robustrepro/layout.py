"""Where everything that one scale makes lies, relative to the folder that Snakemake runs in."""

from __future__ import annotations

import re
from dataclasses import dataclass

PAIR = "+"
"""Joins two models into the subject of a measurement of both."""
CURVE = "specification-"
"""What the key of the figure with a claim's specification curve begins with; the claim's own follows."""
MODEL = re.compile(r"models/(?P<model>[\w.@-]+)/seed(?P<seed>\d+)/(?P<file>[\w.]+)")
MEASUREMENT = re.compile(r"measurements/(?P<measure>[\w.@-]+)/(?P<subject>[\w.@+-]+)/seed(?P<seed>\d+)\.parquet")
SHARD = re.compile(
    r"shards/(?P<measure>[\w.@-]+)/(?P<subject>[\w.@+-]+)/seed(?P<seed>\d+)/(?P<shard>\d+)-of-\d+\.parquet"
)
DATA = re.compile(r"data/(?P<dataset>[\w.@-]+)/seed(?P<seed>\d+)/(manifest\.json|(train|test)\.safetensors)")
"""Names below a scale's folder of what is computed; all else is made from it."""


@dataclass(frozen=True)
class Layout:
    """The files of one scale, under ``folder`` (``results/<scale>``)."""

    folder: str

    def weights(self, model: str, seed: int | str) -> str:
        """Return a model's checkpoint."""
        return f"{self.folder}/models/{model}/seed{seed}/weights.safetensors"

    def checkpoints(self, model: str, seed: int | str) -> str:
        """Return the weights after the epochs that a training keeps."""
        return f"{self.folder}/models/{model}/seed{seed}/checkpoints.safetensors"

    def history(self, model: str, seed: int | str) -> str:
        """Return the record of a training, epoch by epoch."""
        return f"{self.folder}/models/{model}/seed{seed}/history.csv"

    def measurement(self, measure: str, subject: str, seed: int | str) -> str:
        """Return a measurement; its subject is a model, or two models joined by ``PAIR``."""
        return f"{self.folder}/measurements/{measure}/{subject}/seed{seed}.parquet"

    def shard(self, measure: str, subject: str, seed: int | str, number: int, shards: int) -> str:
        """Return one part of a measurement whose rows are split over jobs; numbers begin at 0."""
        return f"{self.folder}/shards/{measure}/{subject}/seed{seed}/{number}-of-{shards}.parquet"

    def data_manifest(self, dataset: str, seed: int | str) -> str:
        """Return the manifest of a data set that is made from a model with one seed."""
        return f"{self.folder}/data/{dataset}/seed{seed}/manifest.json"

    def table(self, paper: str, table: str) -> str:
        """Return a table, as the report and the verdicts read it."""
        return f"{self.folder}/papers/{paper}/tables/{table}.json"

    def figure(self, paper: str, figure: str) -> str:
        """Return a figure, as the report shows it."""
        return f"{self.folder}/papers/{paper}/figures/{figure}.png"

    def search(self, paper: str, reading: str) -> str:
        """Return which candidate of a reading came out best on validation images."""
        return f"{self.folder}/papers/{paper}/searches/{reading}.json"

    def audit(self, paper: str) -> str:
        """Return what became of a paper's claimed robustness under every attack."""
        return f"{self.folder}/papers/{paper}/audit.json"

    def scorecard(self, paper: str) -> str:
        """Return the verdicts on a paper's claims."""
        return f"{self.folder}/papers/{paper}/scorecard.json"

    @property
    def all_scorecards(self) -> str:
        """The verdicts on the claims of all papers."""
        return f"{self.folder}/scorecard.csv"

    @property
    def report(self) -> str:
        """The first page of the report, with every claim in a line."""
        return f"{self.folder}/report/index.html"

    def page(self, paper: str) -> str:
        """Return a paper's page of the report."""
        return f"{self.folder}/report/{paper}.html"
