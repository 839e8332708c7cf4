"""Simulated cloud pools: Kubernetes API servers, and what runs behind them."""
