"""`python -m bench.linkage`: our links beside Splink's own examples, on two public sets of records with a known truth.

Both are judged by B-cubed precision and recall (Bagga and Baldwin, Algorithms for Scoring Coreference Chains, 1998) of the
persons that the links make as connected components. The other side is what Splink's documentation does with the same data:
the example that deduplicates 50,000 historical figures, and the quick start on 1,000 made-up people; comparisons, blocking
rules, training and the threshold of 0.95 are theirs. No label is used to train either.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from klantspoor.linkage import LinkageSettings, find_links

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "people"
GRID = (0.5, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)
THEIRS = 0.95
_NAMES = {"unique_id": "record", "surname": "last_name", "dob": "birth_date", "postcode_fake": "postcode"}

Scores = tuple[float, float, float]


def b_cubed(truth: Sequence[Any], found: Sequence[Any]) -> Scores:
    """Precision, recall and their harmonic mean, averaged over records."""
    _, true = np.unique(np.asarray(truth), return_inverse=True)
    _, made = np.unique(np.asarray(found), return_inverse=True)
    _, cell, sizes = np.unique(true.astype(np.int64) * (made.max() + 1) + made, return_inverse=True, return_counts=True)
    precision = float((sizes[cell] / np.bincount(made)[made]).mean())
    recall = float((sizes[cell] / np.bincount(true)[true]).mean())
    return precision, recall, 2 * precision * recall / (precision + recall)


def clusters(ids: Sequence[str], left: Sequence[str], right: Sequence[str]) -> Any:
    """The number of the connected component of each record."""
    position = {record: number for number, record in enumerate(ids)}
    rows, columns = ([position[record] for record in side] for side in (left, right))
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(len(ids), len(ids)))
    return connected_components(graph, directed=False)[1]


def historical_figures() -> pa.Table:
    """50,578 records of 5,156 persons, with errors made for the purpose."""
    table = pq.read_table(DATA / "historical_figures_with_errors_50k.parquet")
    return table.rename_columns([_NAMES.get(name, name) for name in table.column_names])


def fake_people() -> pa.Table:
    """1,000 records of made-up people."""
    path = DATA / "fake_1000.csv"
    names = path.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")
    text = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    table = pa_csv.read_csv(path, convert_options=text)
    return table.rename_columns([_NAMES.get(name, name) for name in table.column_names])


def _train(linker: Any, same: Sequence[str], recall: float, pairs: float, rules: Sequence[Any], plain: bool) -> None:
    linker.training.estimate_probability_two_random_records_match(same, recall=recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=pairs, seed=1)
    for rule in rules:
        linker.training.estimate_parameters_using_expectation_maximisation(
            rule, estimate_without_term_frequencies=plain
        )


def their_figures(api: Any) -> Any:
    """Splink's example on historical figures, trained."""
    import splink.comparison_library as cl
    from splink import Linker, SettingsCreator, block_on

    keys = (
        ("substr(first_name,1,3)", "substr(last_name,1,4)"),
        ("last_name", "birth_date"),
        ("first_name", "birth_date"),
        ("postcode", "first_name"),
        ("postcode", "last_name"),
        ("birth_date", "birth_place"),
        ("substr(postcode,1,3)", "birth_date"),
        ("substr(postcode,1,3)", "first_name"),
        ("substr(postcode,1,3)", "last_name"),
        ("substr(first_name,1,2)", "substr(last_name,1,2)", "substr(birth_date,1,4)"),
    )
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record",
        blocking_rules_to_generate_predictions=[block_on(*key) for key in keys],
        comparisons=[
            cl.ForenameSurnameComparison("first_name", "last_name", forename_surname_concat_col_name="both_names"),
            cl.DateOfBirthComparison("birth_date", input_is_string=True),
            cl.PostcodeComparison("postcode"),
            cl.ExactMatch("birth_place").configure(term_frequency_adjustments=True),
            cl.ExactMatch("occupation").configure(term_frequency_adjustments=True),
        ],
    )
    linker = Linker(api.register("records"), settings, log_level=None)
    same = [
        "l.first_name = r.first_name AND l.last_name = r.last_name AND l.birth_date = r.birth_date",
        "substr(l.first_name,1,2) = substr(r.first_name,1,2) AND l.last_name = r.last_name"
        " AND substr(l.postcode,1,2) = substr(r.postcode,1,2)",
        "l.birth_date = r.birth_date AND l.postcode = r.postcode",
    ]
    _train(linker, same, 0.6, 5e6, [block_on("first_name", "last_name"), block_on("birth_date")], True)
    return linker


def their_people(api: Any) -> Any:
    """Splink's quick start on made-up people, trained."""
    import splink.comparison_library as cl
    from splink import Linker, SettingsCreator, block_on

    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record",
        blocking_rules_to_generate_predictions=[block_on("first_name", "birth_date"), block_on("last_name")],
        comparisons=[
            cl.NameComparison("first_name"),
            cl.JaroAtThresholds("last_name"),
            cl.DateOfBirthComparison("birth_date", input_is_string=True),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
            cl.EmailComparison("email"),
        ],
    )
    linker = Linker(api.register("records"), settings, log_level=None)
    same = ["l.first_name = r.first_name AND l.last_name = r.last_name"]
    _train(linker, same, 0.7, 1e6, [block_on("first_name", "last_name"), block_on("email")], False)
    return linker


def their_links(records: pa.Table, trained: Any) -> pa.Table:
    """The pairs that Splink's example finds: left, right, probability."""
    from splink import DuckDBAPI

    connection = duckdb.connect()
    connection.register("given", records)
    connection.execute("CREATE TABLE records AS SELECT *, first_name || ' ' || last_name AS both_names FROM given")
    linker = trained(DuckDBAPI(connection))
    found = linker.inference.predict(threshold_match_probability=GRID[0], warning_mode="never").physical_name
    return connection.sql(
        f'SELECT record_l AS "left", record_r AS "right", match_probability AS probability FROM {found}'
    ).to_arrow_table()


def score(records: pa.Table, links: pa.Table, threshold: float) -> Scores:
    """B-cubed of the persons that the links from the threshold on make."""
    kept = links.filter(pc.greater_equal(links["probability"], threshold))
    made = clusters(records["record"].to_pylist(), kept["left"].to_pylist(), kept["right"].to_pylist())
    return b_cubed(records["cluster"].to_pylist(), made)


def _row(who: str, threshold: float, scores: Scores, note: str = "") -> str:
    return f"| {who} | {threshold:g} | {scores[0]:.3f} | {scores[1]:.3f} | {scores[2]:.3f} | {note} |"


def compare(title: str, records: pa.Table, trained: Any) -> list[str]:
    """The rows of one set's table: both at their own threshold, and each at the best of the grid."""
    start = time.process_time()
    ours = find_links(records, LinkageSettings(threshold=GRID[0]))
    middle = time.process_time()
    theirs = their_links(records, trained)
    end = time.process_time()
    lines = [
        f"{title}: {records.num_rows:,} records of {pc.count_distinct(records['cluster']).as_py():,} persons",
        "",
        "| | from probability | precision | recall | F1 | |",
        "|---|---|---|---|---|---|",
    ]
    for who, links, threshold, seconds in (
        ("Klantspoor", ours.links, LinkageSettings().threshold, middle - start),
        ("Splink's example", theirs, THEIRS, end - middle),
    ):
        grid = {point: score(records, links, point) for point in GRID}
        best = max(grid, key=lambda point, grid=grid: grid[point][2])
        lines.append(_row(who, threshold, grid[threshold], f"its own threshold; {seconds:.0f} CPU s"))
        lines.append(_row(who, best, grid[best], "the best of the grid, which one knows only with the truth at hand"))
    return [*lines, ""]


def main() -> None:
    """Prints both tables."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    print("\n".join(compare("Historical figures", historical_figures(), their_figures)), flush=True)
    print("\n".join(compare("Made-up people", fake_people(), their_people)), flush=True)


if __name__ == "__main__":
    main()
