"""Heights of things that stand one below the other: which one is at line y, and at which line is the nth?

A Fenwick tree, so that one height may change, or one thing be added at the end, in O(log n).
"""

from collections.abc import Iterable


class Heights:
    """A growing list of heights, in lines, with fast sums."""

    __slots__ = ("_tree", "_values")

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._values = list(values)
        tree = [0, *self._values]
        for index in range(1, len(tree)):
            parent = index + (index & -index)
            if parent < len(tree):
                tree[parent] += tree[index]
        self._tree = tree

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> int:
        return self._values[index]

    @property
    def total(self) -> int:
        """The sum of all heights."""
        return self.before(len(self._values))

    def before(self, index: int) -> int:
        """The sum of the first `index` heights: the line at which thing `index` starts."""
        total = 0
        while index > 0:
            total += self._tree[index]
            index &= index - 1
        return total

    def set(self, index: int, height: int) -> int:
        """Change one height; return by how much it changed."""
        delta = height - self._values[index]
        if delta:
            self._values[index] = height
            position = index + 1
            while position < len(self._tree):
                self._tree[position] += delta
                position += position & -position
        return delta

    def append(self, height: int) -> None:
        """Add a thing at the end."""
        index = len(self._tree)
        self._values.append(height)
        self._tree.append(height + self.before(index - 1) - self.before(index & (index - 1)))

    def truncate(self, length: int) -> None:
        """Keep the first `length` things."""
        del self._values[length:]
        del self._tree[length + 1 :]

    def find(self, line: int) -> tuple[int, int]:
        """Return the thing that covers `line`, and the line within it; the last thing beyond the end.

        Things of no height are skipped. An empty list gives (0, 0).
        """
        if not self._values:
            return 0, 0
        line = max(line, 0)
        position, rest = 0, line
        step = 1 << (len(self._values).bit_length() - 1)
        while step:
            ahead = position + step
            if ahead < len(self._tree) and self._tree[ahead] <= rest:
                position = ahead
                rest -= self._tree[ahead]
            step >>= 1
        if position >= len(self._values):
            last = len(self._values) - 1
            while last > 0 and not self._values[last]:
                last -= 1
            return last, max(self._values[last] - 1, 0)
        return position, rest
