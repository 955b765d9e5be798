"""Each stage with its own tables of examples: `tests/sql/<table>/<case>/given.<schema>.<table>.csv` and `expect.csv`.

The SQL runs as it is, over the given rows alone; what comes out must be the expected rows, in any order. An input that
is not given is a stage that is computed from what is.
"""

from pathlib import Path

import duckdb
import pytest

from warehouse import ledger
from warehouse.grammar.headers import parse_header
from warehouse.grammar.parameters import parameters_set, values_of
from warehouse.stages import load_stages

HERE = Path(__file__).parent
SQL = HERE.parents[1] / "sql"
STAGES = {stage.name: stage for stage in load_stages(SQL)}
CASES = sorted(path.parent for path in HERE.glob("*/*/expect.csv"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_the_given_rows_become_the_expected_ones(case):
    (path,) = SQL.glob(f"*/{case.parent.name}.sql")
    sql = path.read_text(encoding="utf-8")
    params = values_of(parse_header(sql, path.name).params, {}, path.name)
    with duckdb.connect() as connection, parameters_set(connection, params):
        connection.execute("set timezone = 'UTC'")
        for given in sorted(case.glob("given.*.csv")):
            _, schema, table, _ = given.name.split(".")
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table {schema}.{table} as from read_csv('{given}', header = true)")
        make_inputs(connection, f"{path.parent.name}.{path.stem}")
        connection.execute(f"create table got as {sql}")
        types = {row[0]: row[1] for row in connection.execute("describe got").fetchall()}
        expected = case / "expect.csv"
        connection.execute(f"create table expected as from read_csv('{expected}', header = true, types = {types})")
        assert connection.execute("from got except all from expected").fetchall() == [], "rows that were not expected"
        assert connection.execute("from expected except all from got").fetchall() == [], "rows that did not come"


def make_inputs(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    for missing in (table for table in STAGES[name].inputs if not ledger.kind_of(connection, table)):
        make_inputs(connection, missing)
        connection.execute(f"create schema if not exists {missing.partition('.')[0]}")
        connection.execute(f"create table {missing} as {STAGES[missing].sql}")


def test_there_are_cases():
    assert CASES
