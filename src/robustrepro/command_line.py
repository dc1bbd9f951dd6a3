"""Every step of the pipeline as a command, and the commands for people. Each imports what it needs when it runs."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from robustrepro.errors import UserError

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
STEP = "Steps, as the rules of workflow/rules call them"
PEOPLE = "For people"
INTERRUPTED = 130

Spec = Annotated[str, typer.Option(help="The job's resolved spec, as JSON.")]
Code = Annotated[str, typer.Option(help="Digest of the sources that the job was scheduled with.")]
Log = Annotated[Path | None, typer.Option(help="File that receives every message, with its time.")]
Model = Annotated[str, typer.Option(help="Name of the model.")]
Seed = Annotated[int, typer.Option(help="Seed of the model.")]
Data = Annotated[Path, typer.Option(help="Folder of the data set.")]
Weights = Annotated[Path, typer.Option(help="Checkpoint of the model.")]
Output = Annotated[Path, typer.Option(help="File to write.")]


@contextmanager
def working(step: str, spec: str, code: str, log: Path | None) -> Iterator[Any]:
    """Run a step's work between the checks of `robustrepro.steps.running`; the log tells what it cost."""
    from robustrepro.steps import LOGGER, running

    with running(step, spec, code, log) as resolved:
        begun = time.process_time()
        yield resolved
        used = time.process_time() - begun
        LOGGER.info("processor time: %.2f s to start, %.2f s to work", begun, used, extra={"only_in_log": True})


@app.command(rich_help_panel=STEP)
def data(spec: Spec, code: Code, folder: Data, log: Log = None) -> None:
    """Make a data set: tensors and a manifest with their checksums."""
    from robustrepro.datasets.step import data_step

    with working("data", spec, code, log) as resolved:
        data_step(resolved, folder)


@app.command(rich_help_panel=STEP)
def train(
    spec: Spec,
    code: Code,
    model: Model,
    seed: Seed,
    data: Data,
    weights: Weights,
    history: Annotated[Path, typer.Option(help="CSV of loss and accuracy an epoch, to write.")],
    card: Annotated[Path, typer.Option(help="Model card, to write.")],
    log: Log = None,
) -> None:
    """Train one model with one seed; continues an interrupted training."""
    from robustrepro.adoption import taken
    from robustrepro.training.step import train_step

    with working("train", spec, code, log) as resolved:
        if taken([weights, history, card], {"data_manifest_sha256": [data / "manifest.json"]}):
            return
        train_step(resolved, code, name=model, seed=seed, data=data, weights=weights, history=history, card=card)


def _add_model_measurement(step: str, says: str) -> None:
    """Add the command of a step that measures one model with one seed."""

    @app.command(step, help=says, rich_help_panel=STEP)
    def measure(
        spec: Spec, code: Code, model: Model, seed: Seed, data: Data, weights: Weights, output: Output, log: Log = None
    ) -> None:
        from robustrepro.adoption import taken
        from robustrepro.spec.sources import STEPS

        with working(step, spec, code, log) as resolved:
            if taken([output], {"data_manifest_sha256": [data / "manifest.json"], "weights_sha256": [weights]}):
                return
            measured = getattr(importlib.import_module(STEPS[step]), step.replace("-", "_"))
            measured(resolved, code, model_name=model, seed=seed, data=data, weights=weights, output=output)


_add_model_measurement("measure-attack", "Measure one model under one attack, image by image.")
_add_model_measurement("measure-audit", "Measure one model under every attack of the audit.")
_add_model_measurement("measure-losses", "Measure the cross-entropy of one model on every example of a split.")
_add_model_measurement(
    "measure-decision-boundary", "Evaluate a model of points in the plane on a grid and on its training points."
)
_add_model_measurement(
    "measure-training-path", "Repeat the training of one model; record parameters and gradients along the way."
)


@app.command(rich_help_panel=STEP)
def measure_transfer(
    spec: Spec,
    code: Code,
    model: Model,
    seed: Seed,
    data: Data,
    weights: Weights,
    output: Output,
    target_weights: Annotated[list[Path], typer.Option(help="Checkpoints of the targets, in the spec's order.")],
    log: Log = None,
) -> None:
    """Make adversarial examples for one model and try them on others."""
    from robustrepro.adoption import taken
    from robustrepro.measurements import transfer

    with working("measure-transfer", spec, code, log) as resolved:
        used = {"data_manifest_sha256": [data / "manifest.json"], "weights_sha256": [weights, *target_weights]}
        if taken([output], used):
            return
        transfer.measure_transfer(
            resolved,
            code,
            model_name=model,
            seed=seed,
            data=data,
            weights=weights,
            target_weights=target_weights,
            output=output,
        )


@app.command(rich_help_panel=STEP)
def measure_parameter_distance(
    spec: Spec,
    code: Code,
    model: Annotated[list[str], typer.Option(help="Names of the two models.")],
    weights: Annotated[list[Path], typer.Option(help="Checkpoints of the two models.")],
    seed: Seed,
    output: Output,
    log: Log = None,
) -> None:
    """Measure how far apart the parameters of two models are."""
    from robustrepro.adoption import taken
    from robustrepro.measurements import parameter_distance

    with working("measure-parameter-distance", spec, code, log) as resolved:
        if taken([output], {"weights_sha256": weights}):
            return
        parameter_distance.measure_parameter_distance(
            resolved,
            code,
            names=(model[0], model[1]),
            seed=seed,
            weights=(weights[0], weights[1]),
            output=output,
        )


@app.command(rich_help_panel=STEP)
def table(
    spec: Spec,
    code: Code,
    folder: Annotated[Path, typer.Option(help="Folder that receives the table as JSON, CSV and Markdown.")],
    published: Annotated[Path | None, typer.Option(help="CSV of the numbers as printed.")] = None,
    log: Log = None,
) -> None:
    """Make one table from its measurements."""
    from robustrepro.tables.step import table_step

    with working("table", spec, code, log) as resolved:
        table_step(resolved, folder, published)


@app.command(rich_help_panel=STEP)
def figure(
    spec: Spec,
    code: Code,
    folder: Annotated[Path, typer.Option(help="Folder that receives the figure as PNG and PDF.")],
    log: Log = None,
) -> None:
    """Draw one figure from its measurements."""
    from robustrepro.figures.step import figure_step

    with working("figure", spec, code, log) as resolved:
        figure_step(resolved, folder)


@app.command(rich_help_panel=STEP)
def audit(
    spec: Spec,
    code: Code,
    folder: Annotated[Path, typer.Option(help="Folder of the scale, which receives audit.csv and audit.json.")],
    log: Log = None,
) -> None:
    """Judge every claim about robustness again, on the worst case an image over all attacks."""
    from robustrepro.audit.step import audit_step

    with working("audit", spec, code, log) as resolved:
        audit_step(resolved, folder)


@app.command(rich_help_panel=STEP)
def scorecard(
    spec: Spec,
    code: Code,
    folder: Annotated[Path, typer.Option(help="Folder of the scale, which gets the scorecard and metrics.json.")],
    log: Log = None,
) -> None:
    """Give every claim a verdict."""
    from robustrepro.scorecard.step import scorecard_step

    with working("scorecard", spec, code, log) as resolved:
        scorecard_step(resolved, folder)


@app.command(rich_help_panel=STEP)
def report(
    spec: Spec,
    code: Code,
    folder: Annotated[Path, typer.Option(help="Folder of the scale, which receives report/index.html.")],
    log: Log = None,
) -> None:
    """Write the report, one self-contained HTML file."""
    from robustrepro.report.step import report_step

    with working("report", spec, code, log) as resolved:
        report_step(resolved, folder)


@app.command(rich_help_panel=PEOPLE)
def show(
    folder: Annotated[Path, typer.Argument(help="Folder of a scale.")] = Path("results/quick"),
) -> None:
    """Print a scale's scorecard and where its report is."""
    from robustrepro.scorecard.show import show_scorecard

    show_scorecard(folder)


@app.command(rich_help_panel=PEOPLE)
def adopt(
    scale: Annotated[
        str | None, typer.Option(help="Scale whose results to adopt; config.yaml's when not said.")
    ] = None,
) -> None:
    """Check results computed elsewhere and record them as Snakemake records its own.

    Copy models (weights.safetensors, history.csv, card.json) and measurements (*.parquet) to where they belong under
    results/ first. Each must have the spec, the code digest and the sha256 that its card says.
    """
    from robustrepro.adoption import adopt as adopt_results
    from robustrepro.spec.config import read_yaml
    from robustrepro.spec.plan import Plan

    config = read_yaml(Path("config.yaml"))
    files = adopt_results(Plan(config | ({"scale": scale} if scale else {})))
    typer.echo(f"adopted {len(files)} file(s)" if files else "nothing to adopt: every result has a record")
    for file in files:
        typer.echo(f"  {file}")


@app.command(rich_help_panel=PEOPLE)
def publish(
    scale: Annotated[str, typer.Argument(help="Scale to publish.")],
) -> None:
    """Copy a scale's tables, figures, scorecard, report and provenance to docs/results/, which git versions."""
    from robustrepro.publishing import publish as publish_results

    files = publish_results(Path("results") / scale, Path("docs/results") / scale)
    typer.echo(f"published {len(files)} files under docs/results/{scale}")


@app.callback()
def commands() -> None:
    """Keep the name of the command in the command line, also where there is a single one."""


@contextmanager
def _without_other_commands() -> Iterator[None]:
    """Leave only the command that is called meanwhile: making the parsers of all takes longer than many a step."""
    every = app.registered_commands
    named = [
        command
        for command in every
        if command.callback and (command.name or command.callback.__name__.replace("_", "-")) in sys.argv[1:2]
    ]
    app.registered_commands = named or every
    try:
        yield
    finally:
        app.registered_commands = every


def main() -> None:
    """Run the command line; a user's mistake is one message on standard error and status 2."""
    try:
        with _without_other_commands():
            app()
    except UserError as error:
        typer.echo(f"robustrepro: {error}", err=True)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer has turned the interrupt into this status
            typer.echo("robustrepro: interrupted; run the same command again to continue", err=True)
        raise
