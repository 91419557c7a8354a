"""Cluster modes: how the kernels of a session are spread over agents."""
