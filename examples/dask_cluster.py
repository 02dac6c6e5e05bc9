"""Judge many runs on a Dask cluster: any `concurrent.futures.Executor` will do, and Dask's is one.

    pip install distributed
    python examples/dask_cluster.py logs

Here the cluster is on this machine; give `Client` the address of a real one, whose workers have gradscope installed and
see the same paths (or URLs, such as s3://bucket/runs).
"""

from __future__ import annotations

import sys

from distributed import Client, LocalCluster

import gradscope


def main() -> None:
    """Print one line per run, as the results come."""
    runs = gradscope.find_runs(sys.argv[1] if len(sys.argv) > 1 else "logs")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        for run in gradscope.check_all(runs, executor=client.get_executor()):
            print(f"{run.health:10}  {run.run}")


if __name__ == "__main__":
    main()
