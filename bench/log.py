"""Durable writes a second of a server on a bucket, with the log in the bucket and on a disk (`--log-dir`), by turns.

usage: log.py --vecgo PROGRAM --bucket PROGRAM [--delay MS] [--seconds S] [--rounds N] [--dim D] [--dir FOLDER]

PROGRAM of --bucket is `vecgo-stores` (cargo build --release -p vecgo-stores). Each client upserts one record at a time and waits until
it is durable. FOLDER is on the disk that has the log; without it, that of temporary files."""
import argparse, http.client, json, statistics, tempfile, threading, time

import common
from cold import Bucket

CLIENTS = (1, 16)


def client(address, number, dim, until, took):
    connection = http.client.HTTPConnection(address)
    vector = [float((number * 31 + at) % 17) for at in range(dim)]
    while time.perf_counter() < until:
        begun = time.perf_counter()
        body = json.dumps({"records": [{"id": number * 1_000_000 + len(took), "vector": vector}]})
        connection.request("POST", "/v1/collections/docs/upsert", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        took.append(time.perf_counter() - begun)


def measure(given, bucket, log_dir, clients, name):
    more = ["--log-dir", log_dir] if log_dir else []
    server, address = common.serve(given.vecgo, f"s3://test/{name}", "--insecure", *more, env=bucket.environment)
    connection = http.client.HTTPConnection(address)
    connection.request("PUT", "/v1/collections/docs", json.dumps({"dim": given.dim, "metric": "l2"}), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status < 300, answer.read()
    bucket.asked()
    until, took = time.perf_counter() + given.seconds, [[] for _ in range(clients)]
    threads = [threading.Thread(target=client, args=(address, n, given.dim, until, took[n])) for n in range(clients)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    requests, _ = bucket.asked()
    server.terminate()
    server.wait()
    all_took = sorted(time for some in took for time in some)
    return len(all_took) / given.seconds, statistics.median(all_took) * 1e3, requests / len(all_took)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vecgo", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--delay", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--dir")
    given = parser.parse_args()
    bucket = Bucket(given.bucket)
    bucket.say(f"delay {given.delay}")
    for clients in CLIENTS:
        found = {"in the bucket": [], "on a disk": []}
        for turn in range(given.rounds):
            for where, measured in found.items():
                with tempfile.TemporaryDirectory(dir=given.dir) as place:
                    log_dir = place if where == "on a disk" else None
                    measured.append(measure(given, bucket, log_dir, clients, f"{clients}-{turn}-{where.replace(' ', '-')}"))
        for where, measured in found.items():
            rates, medians, requests = zip(*measured)
            print(f"{clients:>2} clients, log {where:<14} {statistics.median(rates):7.0f} writes/s ({min(rates):.0f}, {max(rates):.0f})  "
                  f"{statistics.median(medians):6.2f} ms  {statistics.median(requests):.3f} requests a write", flush=True)
    bucket.process.kill()


if __name__ == "__main__":
    main()
