"""Simulated cloud pools: Kubernetes API servers, with the nodes, pods and operators behind them."""
