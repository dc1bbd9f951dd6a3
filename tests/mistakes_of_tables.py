"""What can be done wrong where a paper declares tables, figures and claims, each with what its message says."""

from __future__ import annotations

from typing import Any

from conftest import PUBLISHED, Declarations
from mistakes import Change, both, put, without
from mistakes_of_papers import ERM, FGSM, HRM, PAPER, TRANSFER, keeping, shown, transfer

COLUMNS = ("tables", "accuracy", "columns")
ROWS = ("tables", "accuracy", "rows")
DISTANCES = ("tables", "distances", "columns")
OUTSIDE = ("tables", "outside", "columns", "outside")
FIGURE = ("figures", "regions", "figure")
CLAIM = ("claims", "hrm-is-better", "holds_if")
BATCHES = [{"batch_size": size, "losses": HRM, "accuracy": {"HRM": HRM}} for size in (8, 16)]


def transfer_from(declared: Declarations) -> None:
    """Add a table of both networks under the examples of image-erm."""
    declared.add_transfer_from(ERM)


def value(text: str, **others: object) -> Change:
    """Add columns of values to a table without printed numbers."""

    def change(declared: Declarations) -> None:
        table = declared.paper["tables"]["accuracy"]
        del table["published"]
        columns: dict[str, Any] = {"ratio": text, **others}
        table["columns"] |= {
            key: declared_as if isinstance(declared_as, dict) else {"label": key, "value": declared_as}
            for key, declared_as in columns.items()
        }

    return change


def printed(old: str, new: str) -> Change:
    """Change the printed numbers."""
    return lambda declared: declared.published.update({"accuracy.csv": PUBLISHED.replace(old, new)})


def over_epochs(declared: Declarations) -> None:
    """Declare a measure over epochs without an attack."""
    declared.paper["measures"]["over"] = {"over_epochs": {"attack": {"name": "clean"}}}


def series(**changed: object) -> Change:
    """Let the figure be one of lines, with some keys of its one series changed."""
    one = {"label": "ERM", "model": ERM, "measure": "pgd", **changed}
    return put({"name": "lines", "x": {"column": "epsilon", "label": "ε"}, "series": [one]}, *FIGURE)


def row_of_printed_numbers(declared: Declarations) -> None:
    """Add a row of printed numbers alone."""
    put({"label": "Theirs", "published_only": True}, *ROWS, "theirs")(declared)
    declared.published["accuracy.csv"] = f"{PUBLISHED}Theirs,1,2\n"


VALUE = f"{PAPER}: tables.accuracy.columns.ratio"
PRINTED = "papers/small/published/accuracy.csv, line"
REPORTS = f"{PAPER}: tables.accuracy.reports"
# What was done wrong: (the change, what the message says).
IN_TABLES: dict[str, tuple[Change, list[str]]] = {
    "a table where the report has the departures": (
        lambda project: project.paper["tables"].update(departures=project.paper["tables"]["accuracy"]),
        [f"{PAPER}: ", "'departures' names two places of the report"],
    ),
    "a figure with the key of a table": (
        lambda project: project.paper["figures"].update(accuracy=project.paper["figures"]["regions"]),
        [f"{PAPER}: ", "'accuracy' names two places of the report"],
    ),
    "two keys that give one target": (
        lambda project: project.paper["tables"].update(
            {"a-b": project.paper["tables"]["distances"], "a_b": project.paper["tables"]["distances"]}
        ),
        [f"{PAPER}: two tables or figures would be the target 'small_a_b'"],
    ),
    "a table without rows": (
        put({}, "tables", "distances", "rows"),
        [f"{PAPER}: tables.distances.rows: found {{}}", "at least 1 item"],
    ),
    "unknown model of a row": (
        put("image-hmr", *ROWS, "hrm", "model"),
        [f"model in {PAPER}: tables.accuracy.rows.hrm: 'image-hmr'; did you mean 'image-hrm'?"],
    ),
    "unknown measure of a column": (
        put("pgd40", *COLUMNS, "pgd", "measure"),
        [f"measure in {PAPER}: tables.accuracy.columns.pgd: 'pgd40'; did you mean 'pgd'?"],
    ),
    "a measure that is a number": (
        put(3, *COLUMNS, "pgd", "measure"),
        [f"{PAPER}: tables.accuracy.columns.pgd.measure: found 3, which should be a valid string or a list; YAML"],
    ),
    "a column of no measure": (
        put([], *COLUMNS, "pgd", "measure"),
        [f"{PAPER}: tables.accuracy.columns.pgd.measure: found []", "at least 1 item"],
    ),
    "a row without a model": (
        put({"label": "ERM"}, *ROWS, "erm"),
        [f"{PAPER}: tables.accuracy.rows.erm: expected one of 'model', 'models' and 'published_only: true'"],
    ),
    "a row of no models": (
        put({"label": "8", "models": {}}, "tables", "distances", "rows", "8"),
        [f"{PAPER}: tables.distances.rows.8.models: found {{}}", "at least 1 item"],
    ),
    "a column of both kinds": (
        put("this[clean] / 2", *COLUMNS, "pgd", "value"),
        [f"{PAPER}: tables.accuracy.columns.pgd: expected either 'measure' or 'value'"],
    ),
    "an attack on two models": (
        put({"label": "PGD", "measure": "pgd"}, "tables", "distances", "columns", "pgd"),
        [f"{PAPER}: tables.distances.rows.8: column pgd measures one model; expected 'model'"],
    ),
    "a distance of one model": (
        put({"label": "Distance", "measure": "distance", "of": ["erm", "hrm"]}, *COLUMNS, "pgd"),
        [f"model of {PAPER}: tables.accuracy.rows.erm in {PAPER}: tables.accuracy.columns.pgd: 'erm' (known: none)"],
    ),
    "a distance of one key": (
        put(["erm"], "tables", "distances", "columns", "erm-hrm", "of"),
        [f"{PAPER}: tables.distances.columns.erm-hrm: distance compares two models; expected 'of' with two keys"],
    ),
    "an attack on a model that the row does not have": (
        put({"label": "PGD", "measure": "pgd", "of": ["cem"]}, "tables", "distances", "columns", "pgd"),
        [f"model of {PAPER}: tables.distances.rows.8: column pgd in", "'cem'"],
    ),
    "a distance of nothing": (
        without("tables", "distances", "columns", "erm-hrm", "of"),
        [f"{PAPER}: tables.distances.columns.erm-hrm: distance compares two models; expected 'of' with two keys"],
    ),
    "distance of an unknown model": (
        put(["erm", "cem"], "tables", "distances", "columns", "erm-hrm", "of"),
        [
            f"model of {PAPER}: tables.distances.rows.8 in {PAPER}: tables.distances.columns.erm-hrm: 'cem'",
            "known: erm, hrm",
        ],
    ),
    "distance of different architectures": (
        put([5], "models", "points-hrm", "network", "architecture", "hidden"),
        [f"{PAPER}: tables.distances.rows.8: points-erm and points-hrm have different architectures, so no distance"],
    ),
    "distance of networks on inputs of different shapes": (
        both(
            put("cifar10", "models", HRM, "dataset"),
            put({"erm": ERM, "hrm": HRM}, "tables", "distances", "rows", "8", "models"),
        ),
        [f"{PAPER}: tables.distances.rows.8: {ERM} and {HRM} have different architectures, so no distance"],
    ),
    "a name that is no part of a path": (
        put({"label": "a", "model": ERM}, *ROWS, "../a"),
        [f"{PAPER}: tables.accuracy.rows.../a: expected at most 100 letters, digits", "found '../a'"],
    ),
    "a row that claims cannot name": (
        put({"label": "a", "model": ERM}, *ROWS, "this"),
        [f"{PAPER}: tables.accuracy.rows.this: expected", "and another word than 'this', found 'this'"],
    ),
    # Statistics and expressions
    "unknown statistic": (
        put({"men": "loss"}, *COLUMNS, "pgd", "statistic"),
        [f"{PAPER}: tables.accuracy.columns.pgd.statistic.name: unknown name 'men'; did you mean 'mean'?"],
    ),
    "two statistics": (
        put({"mean": "loss", "median": "loss"}, *COLUMNS, "pgd", "statistic"),
        [f"{PAPER}: tables.accuracy.columns.pgd.statistic: expected one statistic", "found mean, median"],
    ),
    "statistic of no column": (
        put("mean", *COLUMNS, "pgd", "statistic"),
        [f"{PAPER}: tables.accuracy.columns.pgd.statistic.column: this key is missing"],
    ),
    "statistic of a number": (
        put({"mean": 3}, *COLUMNS, "pgd", "statistic"),
        [f"{PAPER}: tables.accuracy.columns.pgd.statistic.column: found 3", "valid string"],
    ),
    "mean over several measures": (
        put({"label": "Worst", "measure": ["pgd", "fgsm"], "statistic": {"mean": "margin"}}, *COLUMNS, "pgd"),
        [f"{PAPER}: tables.accuracy.columns.pgd: of several measures only an accuracy can be shown, not 'mean'"],
    ),
    "the worst case over different images": (
        both(put("train", "measures", "fgsm", "split"), put(["pgd", "fgsm"], *COLUMNS, "pgd", "measure")),
        [f"{PAPER}: tables.accuracy.columns.pgd: pgd, fgsm are not of the same images, so none resists all"],
    ),
    "the worst case over an attack and a transfer": (
        both(transfer, put(["pgd", "transfer-pgd"], *COLUMNS, "pgd", "measure")),
        [f"{PAPER}: tables.accuracy.columns.pgd: pgd, transfer-pgd are not of the same images"],
    ),
    "value of an unknown row": (value("emr[pgd]"), [f"row in {VALUE}: 'emr[pgd]': 'emr'; did you mean 'erm'?"]),
    "value of an unknown column": (
        value("this[pdg]"),
        [f"column in {VALUE}: 'this[pdg]': 'pdg'; did you mean 'pgd'?"],
    ),
    "value that cannot be read": (value("this[pgd] ^ 2"), [f"{VALUE}: value 'this[pgd] ^ 2': cannot read '^ 2'"]),
    "value of no cell": (value("1 + 1"), [f"{VALUE}: value '1 + 1': it has no cell, such as this[pgd]"]),
    "value that needs itself": (
        value("this[twice] / 2", twice="this[ratio] * 2"),
        [f"{PAPER}: tables.accuracy: a cell's value needs the cell itself", "erm[twice]"],
    ),
    "value of printed numbers alone": (
        both(row_of_printed_numbers, value("this[pgd] / theirs[pgd]")),
        [f"{PAPER}: tables.accuracy.rows.theirs: published_only, but the table has no 'published' file"],
    ),
    "value of printed numbers alone, which are there": (
        both(
            row_of_printed_numbers,
            put({"label": "PGD", "value": "this[clean] - theirs[clean]"}, *COLUMNS, "pgd"),
        ),
        [f"{PAPER}: tables.accuracy: value 'this[clean] - theirs[clean]': theirs[clean] is a row of printed numbers"],
    ),
    "value with a statistic": (
        value("", ratio={"label": "r", "value": "this[pgd]", "statistic": "accuracy"}),
        [f"{VALUE}: a column with a 'value' takes no 'statistic'"],
    ),
    "value longer than anybody reads": (
        value("+".join(["this[pgd]"] * 300)),
        [f"{VALUE}: value 'this[pgd]+", "it has 599 characters; expected at most 500"],
    ),
    # Printed numbers
    "missing printed numbers": (
        lambda declared: declared.published.clear(),
        ["papers/small/published/accuracy.csv: there is no such file, though a table names it under 'published'"],
    ),
    "printed numbers of another table": (
        printed("Clean", "Test"),
        ["papers/small/published/accuracy.csv, line 1: column names ['Test', 'PGD'] differ from the declared labels"],
    ),
    "printed words": (
        printed("3.25%", "from (Hendrycks and Dietterich 2019)"),
        [f"{PRINTED} 2, row 'ERM', column 'PGD': printed cell 'from (Hendrycks and Dietterich 2019)'"],
    ),
    "two printed numbers": (
        printed("98.54%", "98.54 / 97.1"),
        ["3, row 'HRM', column 'Clean': printed cell '98.54 / 97.1'"],
    ),
    "more than every image right": (
        printed("56.22%", "562%"),
        [f"{PRINTED} 3, row 'HRM', column 'PGD': printed cell '562%': expected a share, between 0 and 100%"],
    ),
    "more than all of another share": (
        both(
            put({"share": {"column": "margin", "below": 0}}, "tables", "accuracy", "columns", "pgd", "statistic"),
            printed("56.22%", "703%"),
        ),
        [f"{PRINTED} 3, row 'HRM', column 'PGD': printed cell '703%': expected a share, between 0 and 100%"],
    ),
    "an accuracy below zero": (printed("3.25%", "−3.25%"), ["printed cell '−3.25%': expected a share"]),
    "two columns under one label": (
        both(put("Clean", *COLUMNS, "pgd", "label"), printed("PGD", "Clean")),
        [f"{PAPER}: two rows or columns are labelled 'Clean', so that the numbers in accuracy.csv could be of either"],
    ),
    "published numbers in another folder": (
        put("../accuracy.csv", "tables", "accuracy", "published"),
        [f"{PAPER}: tables.accuracy.published: expected at most 100 letters", "found '../accuracy.csv'"],
    ),
    "published numbers in a file with a space in its name": (
        put("Table 1.csv", "tables", "accuracy", "published"),
        [f"{PAPER}: tables.accuracy.published: expected at most 100 letters", "found 'Table 1.csv'"],
    ),
    "a column with a dot that has the wrong subjects": (
        put({"label": "a", "measure": "pgd", "of": ["erm", "hrm"]}, *COLUMNS, "a.b"),
        [f"{PAPER}: tables.accuracy.rows.erm: column a.b measures one model; expected 'model'"],
    ),
    "printed numbers alone, and none printed": (
        put({"label": "Theirs", "published_only": True}, "tables", "distances", "rows", "theirs"),
        [f"{PAPER}: tables.distances.rows.theirs: published_only, but the table has no 'published' file"],
    ),
    # The seed that a table reports
    "the median of an unknown column": (
        put({"median_of": "pdg"}, "tables", "accuracy", "reports"),
        [f"column in {REPORTS}.median_of: 'pdg'; did you mean 'pgd'? (known: clean, pgd)"],
    ),
    "the median of nothing that is measured": (
        both(
            put({"theirs": {"label": "Theirs", "published_only": True}}, *ROWS),
            put({"median_of": "pgd"}, "tables", "accuracy", "reports"),
        ),
        [f"{REPORTS}.median_of: every row is 'published_only', so that no seed has the median of pgd"],
    ),
    "the median seed of two trainings": (
        put({"median_of": "erm-hrm"}, "tables", "distances", "reports"),
        [
            f"{PAPER}: tables.distances.reports.median_of: row 8 shows several trainings (points-erm, points-hrm), and "
            "no seed is the median of each"
        ],
    ),
    "a reported seed without a column": (
        put({}, "tables", "accuracy", "reports"),
        [f"{REPORTS}.median_of: this key is missing"],
    ),
    "a reported seed by its number": (
        put({"seed": 3, "median_of": "pgd"}, "tables", "accuracy", "reports"),
        [f"{REPORTS}.seed: unknown key"],
    ),
    # Transfer
    "a column of transfer without a target": (
        both(transfer, without("tables", "transfer", "columns", "erm", "target")),
        [f"{PAPER}: tables.transfer.columns.erm: expected 'target', one of transfer-pgd's (image-erm, image-hrm)"],
    ),
    "a target that the measure lacks": (
        both(transfer, put([ERM], *TRANSFER, "transfer", "targets")),
        [f"target of transfer-pgd in {PAPER}: tables.transfer.columns.hrm: '{HRM}'; did you mean '{ERM}'?"],
    ),
    "a target beside a source": (
        both(transfer_from, put(HRM, *OUTSIDE, "target")),
        [f"{PAPER}: tables.outside.columns.outside: from-outside has a source", "remove 'target'"],
    ),
    "a white box beside a source": (
        both(transfer_from, put(True, *OUTSIDE, "white_box")),
        [f"{PAPER}: tables.outside.columns.outside: from-outside has a source", "remove 'white_box'"],
    ),
    "a white box that the measure lacks": (
        both(transfer, put(False, *TRANSFER, "transfer", "white_box")),
        [f"{PAPER}: tables.transfer.columns.erm: white_box, but transfer-pgd does not try the source's own network"],
    ),
    "a target of an attack": (
        put(ERM, *COLUMNS, "pgd", "target"),
        [f"{PAPER}: tables.accuracy.columns.pgd: 'target' is for measures of kind transfer, which pgd is not"],
    ),
    "a white box of an attack": (
        put(True, *COLUMNS, "pgd", "white_box"),
        [f"{PAPER}: tables.accuracy.columns.pgd: 'white_box' is for measures of kind transfer, which pgd is not"],
    ),
    "transfer from several models": (
        both(
            transfer,
            put({"label": "T", "measure": "transfer-pgd", "target": ERM}, "tables", "distances", "columns", "t"),
        ),
        [f"{PAPER}: tables.distances.rows.8: column t measures one model; expected 'model'"],
    ),
    "transfer to a row on other data": (
        both(transfer_from, put("points-erm", "tables", "outside", "rows", "erm", "model")),
        [f"target of from-outside in {PAPER}: tables.outside.columns.outside: 'points-erm'"],
    ),
    "transfer from a row on other data": (
        both(transfer, put("points-erm", "tables", "transfer", "rows", "erm", "model")),
        [f"{PAPER}: tables.transfer.columns.erm", "points-erm is of two_moons, image-erm of digits"],
    ),
    # Figures
    "unknown model of a panel": (
        put("points-emr", *FIGURE, "panels", 0, "model"),
        [f"model in {PAPER}: figures.regions: 'points-emr'; did you mean 'points-erm'?"],
    ),
    "a panel with a seed that does not exist": (
        put(2, *FIGURE, "panels", 0, "seed"),
        [f"{PAPER}: figures.regions: points-erm has no seed 2 at this scale (it has 2)"],
    ),
    "a series with a seed that does not exist": (
        series(seed=7),
        [f"{PAPER}: figures.regions: {ERM} has no seed 7 at this scale (it has 2)"],
    ),
    "unknown figure": (
        put("boundaries", *FIGURE, "name"),
        [f"{PAPER}: figures.regions.figure.name: unknown name 'boundaries'", "did you mean 'decision_boundaries'"],
    ),
    "heat map of an unknown table": (
        put({"name": "heat_map", "table": "acuracy"}, *FIGURE),
        [f"table in {PAPER}: figures.regions: 'acuracy'; did you mean 'accuracy'?"],
    ),
    "figure of an unknown measure": (
        put({"name": "diagonal_dominance", "measure": "pdg", "losses_measure": "clean", "batches": BATCHES}, *FIGURE),
        [f"measure in {PAPER}: figures.regions: 'pdg'; did you mean 'pgd'?"],
    ),
    "figure of a measure of pairs": (
        series(measure="distance"),
        [f"{PAPER}: figures.regions: distance compares two models; expected a measure of one"],
    ),
    "figure of another source's transfer": (
        both(transfer_from, series(measure="from-outside", model=HRM)),
        [f"{PAPER}: figures.regions: from-outside has the source {ERM}, and nothing of {HRM}"],
    ),
    "figure of a boundary between images": (
        put(ERM, *FIGURE, "panels", 0, "model"),
        [f"{PAPER}: figures.regions: grid is for points of the plane; {ERM} is of digits"],
    ),
    "a series whose own column would replace one of its measure": (
        series(columns={"prediction": 3}),
        [f"{PAPER}: figures.regions", "columns.prediction: pgd has a column 'prediction' itself; expected 'rows'"],
    ),
    "a series of rows that are no value": (
        series(rows={"norm": [["l2"]]}),
        [f"{PAPER}: figures.regions.figure.series[0].rows.norm: found [['l2']], which should be a valid number or a"],
    ),
    # Claims
    "claim about an unknown table": (
        put(["acuracy[hrm, pgd] >= 1"], *CLAIM),
        [f"table in {PAPER}: claims.hrm-is-better: 'acuracy'; did you mean 'accuracy'?"],
    ),
    "claim about an unknown row": (
        put(["accuracy[hmr, pgd] >= 1"], *CLAIM),
        [f"row of accuracy in {PAPER}: claims.hrm-is-better: 'hmr'; did you mean 'hrm'?"],
    ),
    "claim about an unknown column": (
        put(["accuracy[hrm, pdg] >= 1"], *CLAIM),
        [f"column of accuracy in {PAPER}: claims.hrm-is-better: 'pdg'; did you mean 'pgd'?"],
    ),
    "claim that cannot be read": (
        put(["accuracy[hrm, pgd] > 1"], *CLAIM),
        [f"{PAPER}: claims.hrm-is-better", "condition 'accuracy[hrm, pgd] > 1': cannot read '> 1'"],
    ),
    "claim that cannot be read, on two lines": (
        put(["accuracy[hrm, pgd]\n > 1"], *CLAIM),
        [f"{PAPER}: claims.hrm-is-better", "condition 'accuracy[hrm, pgd] > 1': cannot read '> 1'"],
    ),
    "claim without a condition": (put([], *CLAIM), [f"{PAPER}: claims.hrm-is-better.holds_if: found []"]),
    "claim about different units": (
        put(["accuracy[hrm, pgd] >= distances[8, erm-hrm]"], *CLAIM),
        [
            f"{PAPER}: claims.hrm-is-better: condition 'accuracy[hrm, pgd] >= distances[8, erm-hrm]' compares cells of "
            "different units: accuracy[hrm, pgd] in '%', distances[8, erm-hrm] in ''"
        ],
    ),
    "claim about printed numbers alone": (
        both(row_of_printed_numbers, put(["accuracy[theirs, pgd] >= 1"], *CLAIM)),
        [f"{PAPER}: claims.hrm-is-better: accuracy[theirs, pgd] is a row of printed numbers alone"],
    ),
    "a statistic of a column that no measurement has": (
        both(
            shown({"losses": {"split": "train"}}),
            put({"mean": "los"}, "tables", "extra", "columns", "extra", "statistic"),
        ),
        [f"column of extra in {PAPER}: tables.extra.columns.extra: 'los'; did you mean 'loss'?"],
    ),
    "an accuracy of a measurement without predictions": (
        put({"label": "A", "measure": "distance", "of": ["erm", "hrm"], "statistic": "accuracy"}, *DISTANCES, "a"),
        [f"column of distance in {PAPER}: tables.distances.columns.a: 'label'", "squared_difference"],
    ),
    "rows of a column that no measurement has": (
        both(
            shown({"curve": {"epsilons": [0.1], "attack": {"name": "fgsm"}}}),
            put({"eps": 0.1}, "tables", "extra", "columns", "extra", "rows"),
        ),
        [f"column of extra in {PAPER}: tables.extra.columns.extra: 'eps'; did you mean 'epsilon'?"],
    ),
    "a column that an attack without a bound does not have": (
        both(
            shown({"attack": {"name": "deepfool"}}),
            put({"mean": "margin"}, "tables", "extra", "columns", "extra", "statistic"),
        ),
        [f"column of extra in {PAPER}: tables.extra.columns.extra: 'margin'", "known: clean_prediction, index, l1"],
    ),
    "an accuracy of a training": (
        shown({"training_path": {}}, "points-erm"),
        [f"column of extra in {PAPER}: tables.extra.columns.extra: 'label'", "known: gradient, parameter"],
    ),
    "an accuracy at several epsilons": (
        shown({"curve": {"epsilons": [0.1, 0.2], "attack": {"name": "fgsm"}}}),
        [f"{PAPER}: tables.extra.columns.extra: extra has a row per epsilon; expected 'rows' with one epsilon of 0.1"],
    ),
    "the worst case over what has no images": (
        both(
            shown({"decision_boundary": {}}, "points-erm"),
            both(
                put({"decision_boundary": {}}, "measures", "another"),
                put(["extra", "another"], "tables", "extra", "columns", "extra", "measure"),
            ),
        ),
        [f"column of extra in {PAPER}: tables.extra.columns.extra: 'index'"],
    ),
    "an epsilon that a curve does not have": (
        both(
            shown({"curve": {"epsilons": ["8/255", 0.1], "attack": {"name": "fgsm"}}}),
            put({"epsilon": 0.03}, "tables", "extra", "columns", "extra", "rows"),
        ),
        [f"{PAPER}: tables.extra.columns.extra: extra has no rows of epsilon 0.03; expected one of 0.0313"],
    ),
    "rows of a ball that examples were not made in": (
        both(transfer, put({"norm": "l2"}, "tables", "transfer", "columns", "erm", "rows")),
        [f"{PAPER}: tables.transfer.columns.erm: transfer-pgd has no rows of norm l2; expected one of linf"],
    ),
    # What figures show
    "a figure of another kind of measure": (
        put("pgd", *FIGURE, "measure"),
        [f"{PAPER}: figures.regions: pgd is of kind attack; expected kind decision_boundary"],
    ),
    "an axis that no measurement has": (
        series(measure="pgd"),
        [f"column of pgd in {PAPER}: figures.regions.figure.series[0]: 'epsilon'", "known: accuracy, clean_margin"],
    ),
    "a hue that no measurement has": (
        both(series(columns={"epsilon": 0.3}), put("loss", *FIGURE, "hue")),
        [f"column of pgd in {PAPER}: figures.regions.figure.series[0]: 'loss'"],
    ),
    "an accuracy without attack where nothing is attacked": (
        both(
            shown({"losses": {}}),
            both(series(measure="extra", columns={"epsilon": 0.3}), put(0.0, *FIGURE, "clean_at")),
        ),
        [f"column of extra in {PAPER}: figures.regions.figure.series[0]: 'clean_prediction'"],
    ),
    "a series of an epsilon that a curve does not have": (
        both(
            shown({"curve": {"epsilons": [0.1], "attack": {"name": "fgsm"}}}),
            both(
                put({"epsilon": 0.1}, "tables", "extra", "columns", "extra", "rows"),
                series(measure="extra", rows={"epsilon": 0.2}),
            ),
        ),
        [f"{PAPER}: figures.regions.figure.series[0]: extra has no rows of epsilon 0.2; expected one of 0.1"],
    ),
    "a series of an epoch that is not kept": (
        both(both(keeping(1, 2), over_epochs), series(measure="over", rows={"epoch": 3}, columns={"epsilon": 0.3})),
        [f"{PAPER}: figures.regions.figure.series[0]: over has no rows of epoch 3; expected one of 1, 2"],
    ),
    "a series of a column that a measure over epochs without an attack does not have": (
        both(both(keeping(1, 2), over_epochs), series(measure="over", y="without_gradient", columns={"epsilon": 0.3})),
        [f"column of over in {PAPER}: figures.regions.figure.series[0]: 'without_gradient'"],
    ),
    "colours of a table that is not of percentages": (
        put({"name": "heat_map", "table": "distances"}, *FIGURE),
        [f"{PAPER}: figures.regions: a heat map shows percentages; the unit of column erm-hrm of distances is ''"],
    ),
    "an axis that is no column of the table": (
        put({"name": "table_scatter", "table": "accuracy", "x": "clean", "y": "pdg"}, *FIGURE),
        [f"column of accuracy in {PAPER}: figures.regions: 'pdg'; did you mean 'pgd'?"],
    ),
    "claims in two balls whose names are the same": (
        both(
            shown({"attack": {**FGSM, "epsilon": 0.30000001}}),
            put(["accuracy[hrm, pgd] >= extra[row, extra]"], *CLAIM),
        ),
        ["differ by less than their names show; use one"],
    ),
}
