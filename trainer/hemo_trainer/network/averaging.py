"""Weights between those that training began with and those it ended with."""

from __future__ import annotations

from pathlib import Path

from hemo_trainer.network.model import Network


def average_with_start(network: Network, start: Path, share: float) -> None:
    """Replace a fitted network's weights by ``share`` of those it began with and the rest of its own.

    What is fitted to few hospitals loses some of what the first phase had learned from many; half-way between the two,
    a network often does better than either (WiSE-FT, Wortsman 2022, arXiv:2109.01903).

    Args:
        network: fitted.
        start: weights of the first phase.
        share: 0 leaves the network as it is.
    """
    tuned = network.model.get_weights()
    network.model.load_weights(start)
    began = network.model.get_weights()
    network.model.set_weights([share * one + (1 - share) * other for one, other in zip(began, tuned, strict=True)])
