"""Kinds within kinds in one file, each row with its parent's key: read as paths, the broadest kind first."""

import re
from dataclasses import dataclass

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.file_guess import FileGuess
from flows.sources.roles import guess_roles, plain_name

#: The column of the paths.
PATH = "category_path"
_PARENT = r"(\w+_)?(parent|super|father|mother)(_?(\w+_)?(id|key|code|no|number|category|cat))?"
#: Of the distinct parents at least this share are keys; what stands above the roots is none.
_SOME = 0.5


@dataclass(frozen=True)
class Tree:
    """The columns of a file of kinds: its key, the parent's key, the kind's name (the key where it has none)."""

    key: str
    parent: str
    name: str

    def join(self, relation: str, column: str) -> str:
        """SQL behind the items that joins the paths of a relation's kinds by a column of the items."""
        names = ", ".join(literal(name) for name in (relation, self.key, self.parent, self.name))
        return f" left join category_paths({names}) on path_key = cast({quoted(column)} as varchar)"


def tree_of(guess: FileGuess, key: ColumnProfile) -> Tree | None:
    """The tree that a file of kinds is; None where no column has the keys of parents."""
    for column in guess.sample.columns:
        named = column.name != key.name and re.fullmatch(_PARENT, plain_name(column.name))
        if named and column.filled and column.share_in(key) >= _SOME:
            left = [each for each in guess.sample.columns if each.name not in (key.name, column.name)]
            words = guess_roles(left, ("title", "category"))
            name = next((each.column.name for each in words.values() if each.column.kind == "text"), key.name)
            return Tree(key.name, column.name, name)
    return None
