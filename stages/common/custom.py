"""Layers, activations, losses and metrics of your own.

Every stage that loads a network knows what stands here. docs/networks.md has an example.
"""

from common.runtime import keras  # noqa: F401 (set up before anything of yours runs)
