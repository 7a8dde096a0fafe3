"""Random mazes on a grid of squares, and shortest distances in them."""

from __future__ import annotations

import numpy as np

MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
"""Change of (row, column) by each action: up, right, down, left."""


def random_maze(rng: np.random.Generator, cells: int = 4, loops: float = 0.1) -> np.ndarray:
    """Generate a maze; returns True at open squares of a grid with side 2 * cells - 1.

    Cells lie at even coordinates. A random walk with backtracking that never enters a cell twice makes a spanning tree
    of passages; then every remaining wall between two neighbouring cells is opened with probability `loops`.
    """
    side = 2 * cells - 1
    is_open = np.zeros((side, side), dtype=bool)
    path = [tuple(2 * rng.integers(cells, size=2))]
    is_open[path[0]] = True
    while path:
        row, column = path[-1]
        steps = [(2 * i, 2 * j) for i, j in MOVES if 0 <= row + 2 * i < side and 0 <= column + 2 * j < side]
        fresh = [(i, j) for i, j in steps if not is_open[row + i, column + j]]
        if not fresh:
            path.pop()
            continue
        i, j = fresh[rng.integers(len(fresh))]
        is_open[row + i // 2, column + j // 2] = is_open[row + i, column + j] = True
        path.append((row + i, column + j))
    rows, columns = np.indices(is_open.shape)
    between = (rows + columns) % 2 == 1
    return is_open | (between & (rng.random(is_open.shape) < loops))


def distances(is_open: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Compute the distance in steps from every square to the goal by breadth-first search; -1 if unreachable.

    Args:
        is_open: Mazes (maze, row, column), all searched at once.
        goal: Coordinates of each goal (maze, 2).
    """
    found = np.full(is_open.shape, -1)
    ring = np.zeros_like(is_open)
    ring[np.arange(len(goal)), goal[:, 0], goal[:, 1]] = True
    distance = 0
    while ring.any():
        found[ring] = distance
        padded = np.pad(ring, ((0, 0), (1, 1), (1, 1)))
        near = padded[:, 2:, 1:-1] | padded[:, :-2, 1:-1] | padded[:, 1:-1, 2:] | padded[:, 1:-1, :-2]
        ring = near & is_open & (found < 0)
        distance += 1
    return found
