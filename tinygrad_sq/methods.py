"""The methods that Value has from the table: `v.tanh()` is `tanh(v)`. Type checkers read `methods.pyi`."""

from tinygrad_sq import table


class Methods:
    __slots__ = ()


for _row in table.rows.values():
    if _row.method:
        setattr(Methods, _row.name, _row)
