"""Random mazes on a grid of squares, and how far every square of one is from its goal."""

from __future__ import annotations

import numpy as np

MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
"""(row, column) that each action adds: up, right, down, left."""


def random_maze(rng: np.random.Generator, cells: int = 4, loops: float = 0.1) -> np.ndarray:
    """Which squares are open, (2 cells - 1) each way: cells at even places, all joined by open squares between them.

    A random walk that never enters a cell twice and backtracks from dead ends makes a tree of passages; then each
    wall left between two neighbouring cells opens with probability `loops`.
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
    """Fewest steps from every square to the goal of its maze, -1 where there is no way: breadth-first search.

    `is_open` is (maze, row, column), `goal` (maze, 2); all mazes are searched at once.
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
