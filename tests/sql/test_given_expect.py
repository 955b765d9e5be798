"""Each stage with its own tables of examples: `tests/sql/<table>/<case>/given.<schema>.<table>.csv` and `expect.csv`.

The SQL runs as it is, over the given rows alone; what comes out must be the expected rows, in any order.
"""

from pathlib import Path

import duckdb
import pytest

from warehouse.grammar.headers import parse_header
from warehouse.grammar.parameters import parameters_set, values_of

HERE = Path(__file__).parent
SQL = HERE.parents[1] / "sql"
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
        connection.execute(f"create table got as {sql}")
        types = {row[0]: row[1] for row in connection.execute("describe got").fetchall()}
        expected = case / "expect.csv"
        connection.execute(f"create table expected as from read_csv('{expected}', header = true, types = {types})")
        assert connection.execute("from got except all from expected").fetchall() == [], "rows that were not expected"
        assert connection.execute("from expected except all from got").fetchall() == [], "rows that did not come"


def test_there_are_cases():
    assert CASES
