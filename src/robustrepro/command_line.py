"""The command that runs any step of the pipeline, and the commands for people. Each imports what it needs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustrepro.errors import UserError, require_clone, require_workflow, unknown_name
from robustrepro.implementations import resolve
from robustrepro.mirror_setting import use_configured_mirror
from robustrepro.spec.names import KEY_IN_WORDS, is_key
from robustrepro.spec.records import ADOPT_VARIABLE
from robustrepro.spec.sources import STEPS
from robustrepro.threads import use_threads

if TYPE_CHECKING:
    from robustrepro.scorecard.combined import ClaimOverScales
    from robustrepro.spec.strict_yaml import Tree
    from robustrepro.steps import Work

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
STEP = "For the rules of workflow/rules"
PEOPLE = "For people"
CONFIGURED = "config.yaml's when not said"
INTERRUPTED = 130
RESULTS, PUBLISHED = Path("results"), Path("docs/results")
"""Where scales are, one's own and the published ones."""
READS_A_MIRROR = {"data", "derive"}
"""The steps that take a file from the user's own folder."""


def _from_file(context: typer.Context, file: Path | None) -> Path | None:
    """Take options from a file; what the command line says itself takes precedence."""
    if file is None:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--options {file}: cannot be read ({error.strerror}); `snakemake -np` writes it") from None
    except ValueError as error:
        raise UserError(f"--options {file}: not JSON in UTF-8 ({error})") from None
    if not isinstance(content, dict) or (unknown := content.keys() - IN_FILES):
        found = f"'{min(unknown)}'" if isinstance(content, dict) else str(content)[:80]
        raise UserError(f"--options {file}: expected a mapping with {', '.join(sorted(IN_FILES))}, found {found}")
    context.default_map = {**(context.default_map or {}), **content}
    return file


IN_FILES = {"spec", "code", "input"}
"""What a file of options may have (`robustrepro.spec.jobs` writes them)."""


@app.command(rich_help_panel=STEP)
def run(
    step: Annotated[str, typer.Argument(help=f"Which step: {', '.join(STEPS)}.")],
    spec: Annotated[str, typer.Option(help="The job's resolved spec, as JSON.")],
    code: Annotated[str, typer.Option(help="Digest of the sources that the job was scheduled with.")],
    output: Annotated[list[Path], typer.Option(help="File to write; given once per file, in the rule's order.")],
    input: Annotated[list[str] | None, typer.Option(metavar="ROLE=PATH", help="File to read, by its role.")] = None,
    log: Annotated[Path | None, typer.Option(help="File that receives every message, with its time.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores to use; their number can change a result.")] = 1,
    options: Annotated[  # noqa: ARG001  (its callback has taken what the file says)
        Path | None,
        typer.Option(is_eager=True, callback=_from_file, help="File with spec, code and inputs, where those are long."),
    ] = None,
) -> None:
    """Run one step of the pipeline, as the rules of workflow/rules call it."""
    require_workflow("run", ["grimp"])
    use_threads(threads)
    if step in READS_A_MIRROR:
        use_configured_mirror()
    from robustrepro.steps import LOGGER, Work, running

    if step not in STEPS:
        raise unknown_name("step", step, STEPS)
    with running(step, spec, code, log, output) as resolved:
        begun = time.process_time()
        work = Work(resolved, code, _by_role(input or []), output)
        if not _taken(step, work):
            resolve(STEPS[step])(work)
        used = time.process_time() - begun
        LOGGER.info("processor time: %.2f s to start, %.2f s to work", begun, used, extra={"only_in_log": True})


def _by_role(inputs: list[str]) -> dict[str, list[Path]]:
    """Return the inputs by role, in their order."""
    by_role: dict[str, list[Path]] = {}
    for text in inputs:
        role, _, path = text.partition("=")
        if not role or not path:
            raise UserError(f"--input {text}: expected ROLE=PATH")
        by_role.setdefault(role, []).append(Path(path))
    return by_role


def _taken(step: str, work: Work) -> bool:
    """Take outputs that were computed elsewhere and set aside for adoption; tell whether there were any."""
    if not os.environ.get(ADOPT_VARIABLE):
        return False
    from robustrepro.adoption import taken

    return taken(step, work)


def _results_of(scale: str | None) -> Path:
    """Return the folder of the scale that was named, or the one that config.yaml asks for."""
    if scale is None:
        from robustrepro.spec.config import CONFIG_FILE, configured

        require_clone(CONFIG_FILE)
        config = configured()
        return RESULTS / (config.folder or config.scale)
    return RESULTS / _scale_or_configured(scale)


def _scale_or_configured(scale: str | None) -> str:
    """Return the scale that was named, or that of config.yaml."""
    if scale is None:
        from robustrepro.spec.config import CONFIG_FILE, configured

        require_clone(CONFIG_FILE)
        return configured().scale
    if not is_key(scale):
        raise UserError(f"the scale '{scale}' cannot be part of a path; {KEY_IN_WORDS}")
    from robustrepro.spec.config import SCALES, scale_files

    scales = scale_files(Path())
    if scale not in scales and not (RESULTS / scale).is_dir():
        require_clone(SCALES)
        raise unknown_name("scale", scale, scales)
    return scale


@app.command(rich_help_panel=PEOPLE)
def show(
    scale: Annotated[str | None, typer.Argument(help=f"Scale to show; {CONFIGURED}.")] = None,
) -> None:
    """Print a scale's scorecard and where its report is."""
    from robustrepro.scorecard.show import show_scorecard

    show_scorecard(_results_of(scale))


@app.command(rich_help_panel=PEOPLE)
def brief(
    scale: Annotated[str | None, typer.Argument(help=f"Scale to show; {CONFIGURED}.")] = None,
) -> None:
    """Print in at most 24 lines what became of each paper at a scale, as every run does at its end."""
    from robustrepro.scorecard.brief import brief as brief_of

    for line in brief_of(_results_of(scale)):
        typer.echo(line)


@app.command(rich_help_panel=PEOPLE)
def verdicts(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="PAPER|FOLDER",
            help="A paper, as with --paper; or the folder of the scales: results when not said or, before any run, the "
            "published ones.",
        ),
    ] = None,
    paper: Annotated[str | None, typer.Option(help="A paper: each of its claims with its comparisons.")] = None,
    scale: Annotated[str | None, typer.Option(help="What this scale says, instead of the most faithful ones.")] = None,
) -> None:
    """Print every claim once, with the verdict of the scale that says most about the paper."""
    from robustrepro.scorecard.combined import combined
    from robustrepro.scorecard.show import show_sentences, show_verdicts
    from robustrepro.spec.config import SCALES, scales_by_faithfulness

    paper, results = _paper_or_folder(what, paper)
    scales = [scale] if scale else scales_by_faithfulness(Path())
    published = combined(PUBLISHED, scales) if results is None else []
    results = results or RESULTS
    claims = combined(results, scales)

    def has_it(found: list[ClaimOverScales]) -> bool:
        return any(paper in {None, claim.paper} for claim in found)

    if has_it(published) and not has_it(claims):
        results, claims = PUBLISHED, published
        subject = f"Of {paper} nothing" if paper else "Nothing"
        typer.echo(f"{subject} has run here yet: these are the published verdicts, of {PUBLISHED}.\n", err=True)
    elif published and claims:
        typer.echo(f"Your own results. The published ones: make verdicts FROM={PUBLISHED}\n", err=True)
    declared = _papers_here()
    if paper in declared and not has_it(claims):
        at = f" SCALE={scale}" if scale else ""
        raise UserError(
            f"{paper} is declared, but has not run {f'at scale {scale}' if scale else 'here'}, and nothing of it is "
            f"published. Next: `make reproduce PAPERS={paper}{at}`{'' if scale else QUICK_TAKES}; `make dry-run "
            f"PAPERS={paper}{at}` says beforehand what would run and how long"
        )
    if not claims:
        require_clone(SCALES)
        where = results / scale if scale else results
        raise UserError(f"{where}: no scale has a scorecard there; `make reproduce` makes one")
    if paper is None:
        show_verdicts(claims)
        if others := [claim for claim in published if claim.paper not in {each.paper for each in claims}]:
            named = ", ".join(dict.fromkeys(claim.paper for claim in others))
            typer.echo(f"\nOf {named} nothing has run here yet: these are the published verdicts, of {PUBLISHED}.\n")
            show_verdicts(others)
        return
    if paper not in (papers := {claim.paper for claim in claims}):
        raise unknown_name(f"paper in the scorecards under {results}", paper, papers | declared)
    about = _declaration_of(paper)
    show_sentences(results, [claim for claim in claims if claim.paper == paper], about)


QUICK_TAKES = " (at scale quick two or three minutes on two CPU cores)"
"""What running one paper costs where config.yaml is as it comes."""
PAPERS = Path("papers")


def _papers_here() -> set[str]:
    """Return the ids of the papers that are declared in this folder."""
    return {path.parent.name for path in PAPERS.glob("*/paper.yaml")}


def _declaration_of(paper: str) -> Tree | None:
    """Return what a paper declares; None where its file is not at hand."""
    from robustrepro.spec.strict_yaml import read_yaml

    file = PAPERS / paper / "paper.yaml"
    return read_yaml(file) if file.exists() else None


def _paper_or_folder(what: str | None, paper: str | None) -> tuple[str | None, Path | None]:
    """Return the paper and the folder that a user means, where one argument may be either.

    Raises
    ------
    UserError
        If it is neither, or there are two papers.
    """
    from robustrepro.spec.config import SCALES

    if what is None or (Path(what).is_dir() and what not in _papers_here()):
        return paper, Path(what) if what else None
    if what in _papers_here():
        if paper not in {None, what}:
            raise UserError(f"'{what}' and --paper {paper} are two papers; expected one of them")
        return what, None
    require_clone(SCALES)
    raise UserError(
        f"'{what}' is neither a paper nor a folder. Papers: {', '.join(sorted(_papers_here())) or 'none here'}, as in "
        f"`robustrepro verdicts hrm`. Folders of scales: {RESULTS} or {PUBLISHED}, as in `robustrepro verdicts "
        f"{PUBLISHED} --paper hrm`"
    )


ELSEWHERE = {"-s", "--snakefile", "-d", "--directory", "-h", "--help", "-v", "--version"}
"""The options of Snakemake with which it needs no Snakefile in this folder."""


def _require_snakefile(arguments: list[str]) -> None:
    """Stop, before Snakemake is started, where it would find nothing to run."""
    if not any(argument.partition("=")[0] in ELSEWHERE for argument in arguments):
        require_clone("Snakefile")


FOR_SNAKEMAKE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The settings of a command that hands what it does not know itself to Snakemake."""


@app.command(rich_help_panel=PEOPLE, context_settings={**FOR_SNAKEMAKE, "help_option_names": []})
def reproduce(context: typer.Context) -> None:
    """Run Snakemake with these arguments; how far it is stands in one line, its output in a log."""
    from robustrepro.terminal.reproduce import reproduce as run_snakemake
    from robustrepro.warm.link import end_as

    _require_snakefile(context.args)
    status = run_snakemake(context.args, typer.echo)
    if status < 0:
        end_as(status)
    raise typer.Exit(status)


@app.command(rich_help_panel=PEOPLE, context_settings=FOR_SNAKEMAKE)
def dry_run(
    context: typer.Context,
    cores: Annotated[int, typer.Option(min=1, help="How many processor cores a run would have.")] = 1,
) -> None:
    """Print in ten lines what a run of Snakemake with these arguments would do, why, and how long it would take."""
    from robustrepro.terminal.dry_run import dry_run as told_by_snakemake

    _require_snakefile(context.args)
    status, lines = told_by_snakemake(context.args, cores)
    for line in lines:
        typer.echo(line, err=status != 0)
    raise typer.Exit(abs(status))


@app.command(rich_help_panel=PEOPLE, context_settings=FOR_SNAKEMAKE)
def table(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PAPER/TABLE", help="Such as hrm/table2.")] = "",
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of every model, instead of the scale's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every training, instead of its own.")] = None,
) -> None:
    """Make one table and print it. With other seeds or epochs it is a trial, in a folder of its own under results/.

    What else is said goes to Snakemake, such as --cores 2 and --config scale=reduced.
    """
    from robustrepro.terminal.table import make_table

    _require_snakefile(context.args)
    raise typer.Exit(make_table(name, seeds, epochs, context.args, typer.echo))


@app.command(rich_help_panel=PEOPLE)
def adopt(
    scale: Annotated[str | None, typer.Option(help=f"Scale whose results to adopt; {CONFIGURED}.")] = None,
) -> None:
    """Check results computed elsewhere and record them as Snakemake records its own.

    Copy models (weights.safetensors, checkpoints.safetensors, history.csv, card.json), data sets that were made from
    models (manifest.json and tensors) and measurements (*.parquet) to where they belong under results/ first. Each must
    have the spec, the code digest and the sha256 that its card says.
    """
    require_workflow("adopt", ["snakemake", "grimp"])
    from robustrepro.adoption import adopt as adopt_results
    from robustrepro.spec.config import CONFIG_FILE, read_config
    from robustrepro.spec.plan import Plan

    require_clone(CONFIG_FILE)
    files = adopt_results(Plan(read_config({"scale": scale} if scale else {})))
    typer.echo(f"adopted {len(files)} file(s)" if files else "nothing to adopt: every result has a record")
    for file in files:
        typer.echo(f"  {file}")


@app.command(rich_help_panel=PEOPLE)
def publish(
    scale: Annotated[str | None, typer.Argument(help=f"Scale to publish; {CONFIGURED}.")] = None,
) -> None:
    """Bring a scale's report, tables, figures, scorecard and provenance to docs/results/, which git versions.

    Papers that this run leaves out stay as they were published. The verdicts over all published scales go to
    docs/results/README.md and to their place in README.md.
    """
    require_workflow("publish", ["grimp"])
    from robustrepro.publishing import publish as publish_results
    from robustrepro.scorecard.overview import write_overview
    from robustrepro.spec.behind import results_behind
    from robustrepro.spec.config import read_config, scales_by_faithfulness
    from robustrepro.spec.plan import Plan
    from robustrepro.spec.sources import require_own_sources

    require_own_sources()
    name = _scale_or_configured(scale)

    def behind(paper: str) -> set[Path]:
        return results_behind(Plan(read_config({"scale": name, "papers": [paper]})), paper)

    files = publish_results(RESULTS / name, PUBLISHED / name, behind)
    typer.echo(f"published {len(files)} files under {PUBLISHED / name}")
    for file in write_overview(PUBLISHED, Path("README.md"), scales_by_faithfulness(Path())):
        typer.echo(f"wrote the verdicts over all scales to {file}")


@app.command(rich_help_panel=PEOPLE)
def audit_model(
    model: Annotated[str, typer.Argument(help="FILE.py:NAME or package.module:NAME, a module or what makes one.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="mnist, fashion_mnist, digits (images of 1×28×28), cifar10, digits_rgb (3×32×32), "
            "imagenet (3×224×224), or FILE.npz with images (N, channels, height, width) or (N, height, width), "
            "floats in [0, 1] or bytes, and labels (N,), whole numbers."
        ),
    ],
    epsilon: Annotated[str, typer.Option(help="Radius in units of the pixel range [0, 1], such as 0.03 or 8/255.")],
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights: .safetensors, or .pt (read as weights alone); else the model's as made."),
    ] = None,
    norm: Annotated[str, typer.Option(help="linf, l2 or l1.")] = "linf",
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("audit.html"),
    examples: Annotated[int, typer.Option(min=1, help="So many test examples, the first ones.")] = 1000,
    other: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL[=WEIGHTS]", help="A model whose adversarial examples are tried; again for more."),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:OPTION=VALUE,...]",
            help="An attack to run beside the audit's, such as pgd:steps=1000,restarts=5; again for more. One of your "
            "own has to be imported by the model's file.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random starts.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; a GPU where there is one.")] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Processor cores to use; a small network is slower on several.")
    ] = 1,
    data: Annotated[Path, typer.Option(help="Folder that data sets are prepared in.")] = Path("data"),
    allow_unverified: Annotated[bool, typer.Option(help="Accept other bytes than the official ones.")] = False,
) -> None:
    """Audit a model of your own: every attack, alarms, the worst case image by image, on a page.

    The model takes images in [0, 1] and returns logits; standardise inside it. Interrupted, it goes on where it was
    when the same command is run again.

    Example: robustrepro audit-model my_file.py:make_model --weights w.safetensors --dataset cifar10 --epsilon 8/255
    """
    use_threads(threads)
    use_configured_mirror()
    from robustrepro.api.command import audit_model as audit

    found = audit(
        model,
        dataset=dataset,
        epsilon=epsilon,
        norm=norm,
        out=out,
        weights=weights,
        others=other,
        attacks=attack,
        examples=examples,
        seed=seed,
        device=device,
        data=data,
        allow_unverified=allow_unverified,
    )
    typer.echo(f"\n{found.verdict}\nEvery attack, the alarms and what breaks it: {out}")


@app.command(rich_help_panel=PEOPLE)
def compare(
    before: Annotated[
        str,
        typer.Argument(
            help="A commit; a folder such as results/quick or docs/results; `last`, what stood there before the last "
            "run, `last~1`, before the run before it, up to `last~4`; or `now`, what is in results/."
        ),
    ] = "last",
    after: Annotated[str, typer.Argument(help="The same.")] = "now",
    scale: Annotated[str | None, typer.Option(help="Compare this scale alone.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show what did not change, too.")] = False,
    in_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    in_csv: Annotated[bool, typer.Option("--csv", help="Print the numbers as CSV, one row per cell.")] = False,
) -> None:
    """Say what changed between two results: settings by their keys, verdicts by claim, and tables cell by cell.

    Of a commit, the results that DVC tracks are compared; of a scale that it does not have, the published ones.
    """
    if in_json and in_csv:
        raise UserError("--json and --csv: expected one of them")
    from robustrepro.comparison import changes, export, show
    from robustrepro.comparison.sources import side_of

    compared = changes.compare(side_of(before, scale), side_of(after, scale), scale)
    if in_json or in_csv:
        typer.echo((export.as_json if in_json else export.as_csv)(compared, everything=everything), nl=False)
    else:
        show.show_comparison(compared, everything=everything)


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
