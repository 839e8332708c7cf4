"""Functions and pools over the Kubernetes API."""

from controller.cloud.devices import CloudDevices

__all__ = ["CloudDevices"]
