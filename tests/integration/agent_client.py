"""A scheduler, four workers and a client in one process, of whatever distributed there is.

Commands come as lines on standard input, answers go as JSON lines to standard output.
"""

import json
import sys
import time

from distributed import Client, LocalCluster, get_worker


def run_slowly(number, seconds):
    get_worker().log_event("executed", number)
    time.sleep(seconds)
    return number


def say(**answer):
    print(json.dumps(answer), flush=True)
    sys.stdin.readline()


def main():
    cluster = LocalCluster(
        n_workers=4,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=sys.argv[1],
    )
    client = Client(cluster)
    workers = {name: worker.address for name, worker in cluster.workers.items()}
    held = client.submit(run_slowly, -1, 0, workers=[workers[0]], pure=False)
    held.result()
    futures = client.map(run_slowly, range(24), seconds=0.4, pure=False)
    time.sleep(0.6)
    say(workers=[workers[0], workers[1]])
    client.retire_workers([workers[0]], close_workers=True)
    say(results=client.gather(futures), held=held.result())
    # Only the one that was taken back may run this.
    again = client.submit(run_slowly, 99, 0, workers=[workers[1]], pure=False)
    say(again=again.result(timeout=90), executed=[e for _, e in client.get_events("executed")])


if __name__ == "__main__":
    main()
