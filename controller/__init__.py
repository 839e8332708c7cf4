"""Minka: the operations controller of a neutral host's shared radio network."""

__version__ = "0.1.0"
