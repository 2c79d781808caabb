"""Layers, activations, losses and metrics of your own.

Every stage that loads a network knows what stands here. docs/networks.md has an example.
"""
