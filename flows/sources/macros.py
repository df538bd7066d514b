"""Short names that a mapping's SQL may use beside DuckDB's own functions."""

import duckdb

from flows.sources.charge_words import CHARGES

_MACROS = (
    # title_case('ROSE tea') = 'Rose Tea'
    """create macro title_case(words) as array_to_string(list_transform(
    regexp_extract_all(lower(words), '[\\p{L}\\p{N}'']+|[^\\p{L}\\p{N}'']+'),
    lambda part: upper(part[1]) || part[2:]), '')""",
    # category_path(['Dairy', null, 'Milk']) = 'Dairy > Milk'
    """create macro category_path(parts) as nullif(
    array_to_string(list_filter(parts, lambda part: part is not null), ' > '), '')""",
    # category_paths('kinds', 'id', 'parent_id', 'name'): a row a kind, its `path_key` and `category_path`, of kinds
    # within kinds; a circle of parents ends where it began
    """create macro category_paths(relation, key, parent, name) as table
    with recursive kinds as (select cast(struct_extract(t, key) as varchar) as kind,
    cast(struct_extract(t, name) as varchar) as word,
    cast(struct_extract(t, parent) as varchar) as above from query_table(relation) as t),
    paths as (select kind, word as path, above, [kind] as passed from kinds union all
    select paths.kind, concat_ws(' > ', kinds.word, path), kinds.above, list_append(passed, kinds.kind)
    from paths join kinds on kinds.kind = paths.above where not list_contains(passed, kinds.kind))
    select kind as path_key, path as category_path from paths
    qualify row_number() over (partition by kind order by length(passed) desc) = 1
    """,
    # plain_text('<b>Salt &amp; Pepper</b>') = 'Salt & Pepper': a title out of a web page
    """create macro plain_text(words) as trim(regexp_replace(replace(replace(replace(replace(replace(replace(
    regexp_replace(words, '<[a-zA-Z/!][^>]*>', ' ', 'g'), '&nbsp;', ' '), '&quot;', '"'), '&#39;', chr(39)),
    '&lt;', '<'), '&gt;', '>'), '&amp;', '&'), '\\s+', ' ', 'g'))""",
    # whole('17850.0') = '17850': an id that a spreadsheet took for a number
    """create macro whole(id) as regexp_replace(cast(id as varchar), '\\.0+$', '')""",
    # title_of('samsung', 'electronics.smartphone', 17) = 'Samsung Smartphone 17': of an item without a title
    """create macro title_of(maker, kind, item) as concat_ws(' ', coalesce(nullif(title_case(concat_ws(' ', maker,
    trim(replace(regexp_extract(kind, '[^.>/|]+$'), '_', ' ')))), ''), 'Item'), item)""",
    # is_charge('Postage'): whether a line of a sale is of no thing but of its sending, a fee, money off, a correction
    f"""create macro is_charge(title) as
    coalesce(regexp_full_match(lower(trim(title)), '{CHARGES}'), false)""",
    # value_of('[{"key": "page", "value": {"string_value": "/a"}}]', 'page') = '/a': out of a list of keys and values,
    # as Google Analytics writes them
    """create macro value_of_pair(pair) as coalesce(json_extract_string(pair, '$.value.string_value'),
    json_extract_string(pair, '$.value.int_value'), json_extract_string(pair, '$.value.double_value'),
    json_extract_string(pair, '$.value.float_value'), json_extract_string(pair, '$.value'))""",
    """create macro value_of(pairs, wanted) as value_of_pair(list_filter(cast(pairs as json[]),
    lambda pair: json_extract_string(pair, '$.key') = wanted)[1])""",
    # after('2017-01-01', days := 3, clock := '1631') = 2017-01-04 16:31: a time told from a moment on
    """create macro after(start, days := 0, hours := 0, minutes := 0, seconds := 0, milliseconds := 0, clock := 0) as
    cast(start as timestamp) + to_microseconds(cast(round(1e6 * (86400 * try_cast(days as double)
    + 3600 * try_cast(hours as double) + 60 * try_cast(minutes as double) + try_cast(seconds as double)
    + try_cast(milliseconds as double) / 1000 + 3600 * floor(try_cast(clock as double) / 100)
    + 60 * (try_cast(clock as double) % 100))) as bigint))""",
)


def add_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the short names known to a connection."""
    for macro in _MACROS:
        connection.execute(macro)
