"""``ironic_rows.py URL copy COUNT`` and ``ironic_rows.py URL settle``: changes rows of nodes in Ironic's database, beside Ironic.

``copy`` copies the row of one node until there are so many: registering ten thousand one by one takes Ironic a quarter of an hour, and
what a walk through them costs does not depend on how they came. ``settle`` records every node as powered off, as after a first
sweep, which takes Ironic minutes. Runs with the Python of Ironic's virtual environment, which has SQLAlchemy.
"""

from __future__ import annotations

import sys
import uuid

import sqlalchemy

#: Rows of one INSERT.
AT_ONCE = 500


def copy(engine: sqlalchemy.Engine, nodes: sqlalchemy.Table, count: int) -> None:
    """Copies the first node; names and UUIDs are new, everything else is the same."""
    with engine.begin() as connection:
        there = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(nodes)).scalar_one()
        first = connection.execute(sqlalchemy.select(nodes).order_by(nodes.c.id).limit(1)).mappings().first()
        if first is None:
            raise SystemExit("there is no node to copy")
        pattern = {name: value for name, value in first.items() if name != "id"}
        missing = [{**pattern, "uuid": str(uuid.uuid4()), "name": f"copy-{number:06}"} for number in range(there, count)]
        for begin in range(0, len(missing), AT_ONCE):
            connection.execute(sqlalchemy.insert(nodes), missing[begin : begin + AT_ONCE])


def settle(engine: sqlalchemy.Engine, nodes: sqlalchemy.Table) -> None:
    """Records the power of nodes that were never asked."""
    with engine.begin() as connection:
        connection.execute(sqlalchemy.update(nodes).where(nodes.c.power_state.is_(None)).values(power_state="power off"))


def main() -> None:
    """The command line."""
    url, verb, *rest = sys.argv[1:]
    engine = sqlalchemy.create_engine(url)
    nodes = sqlalchemy.Table("nodes", sqlalchemy.MetaData(), autoload_with=engine)
    if verb == "copy":
        copy(engine, nodes, int(rest[0]))
    else:
        settle(engine, nodes)


if __name__ == "__main__":
    main()
