"""Asset and check specifications from the dictionary: groups, kinds, owners, descriptions, columns, lineage.

Nothing is computed here; what a materialisation reports is in `assets.reporting`.
"""

import dagster as dg

from klantspoor.dictionary import TABLES, Table
from klantspoor.lake.connection import describe
from klantspoor.lake.domain_rules import Facts, domain_rules
from klantspoor.lake.rules import duckdb_type

OWNERS = ["team:klantspoor"]
LANDING = "landing files"
DICTIONARY_CHECK = "dictionary"


def table_spec(name: str) -> dg.AssetSpec:
    """The asset of a published table."""
    table = TABLES[name]
    nulls = "; ".join(f"`{column}`: {meaning}" for column, meaning in table.nulls.items())
    description = f"One row is {table.grain}. Key: {', '.join(table.key)}." + (f" Nulls: {nulls}." if nulls else "")
    return dg.AssetSpec(
        name,
        deps=["ledger" if source == LANDING else source for source in table.made_from],
        # `runs` is written last, of the night itself: with the core tables its group would depend on everything.
        group_name="publication" if name == "runs" else table.layer,
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        description=description,
        metadata={
            "dagster/column_schema": column_schema(table),
            "dagster/table_name": name,
            "key": ", ".join(table.key),
            "partitioned by": f"month of {table.partition}" if table.partition else "not",
        },
    )


def table_specs(*names: str) -> list[dg.AssetSpec]:
    """The assets of several tables."""
    return [table_spec(name) for name in names]


def column_schema(table: Table) -> dg.TableSchema:
    """The dictionary's columns, as Dagster shows them."""
    columns = [
        dg.TableColumn(
            column.name,
            type=duckdb_type(column.type),
            description=describe(column, table.nulls.get(column.name)),
            constraints=dg.TableColumnConstraints(
                nullable=column.name in table.nulls, unique=table.key == (column.name,)
            ),
        )
        for column in table.columns
    ]
    return dg.TableSchema(columns=columns)


def column_lineage(table: Table) -> dg.TableColumnLineage:
    """Columns that come from a column of the same name in a table this one is made from (one name has one meaning)."""
    sources = [TABLES[name] for name in table.made_from if name in TABLES]
    deps = {
        name: [dg.TableColumnDep(dg.AssetKey(source.name), name) for source in sources if name in source.names]
        for name in table.names
    }
    return dg.TableColumnLineage({name: found for name, found in deps.items() if found})


def check_specs(*names: str) -> list[dg.AssetCheckSpec]:
    """For each table one check of the dictionary's word on it, and one for every domain rule; critical ones block."""
    # Which rules there are does not depend on the project's figures; what they ask for does, at run time.
    rules = domain_rules(Facts(phases={}))
    specs = []
    for name in names:
        text = "Columns, types, nulls, key, sets and ranges are as the dictionary says."
        specs.append(dg.AssetCheckSpec(DICTIONARY_CHECK, asset=name, description=text, blocking=True))
        for rule in rules:
            if rule.table == name:
                specs.append(
                    dg.AssetCheckSpec(
                        rule.name,
                        asset=name,
                        description=rule.description,
                        blocking=rule.severity == "critical",
                        additional_deps=rule.needs,
                    )
                )
    return specs
