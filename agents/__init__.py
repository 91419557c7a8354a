"""The agent: an RQ worker that claims orders, runs kernels in their own processes, and reports."""
