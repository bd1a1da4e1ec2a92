"""A server under load by generators that are not ours: `wrk` for how many searches a second, `oha` for how long they take
at a rate that does not wait for answers. And the same searches in the process, by `vecgo bench`.

usage: load.py --vecgo PROGRAM --database DIR --set FOLDER [--ef N] [--rate N] [--seconds N] [--bodies base64|list]

The folder has query.npy and gt.npy; the collection `default` of the database its base. CPU time of server and generator are
told apart: on a small machine both are what there is."""
import argparse, atexit, base64, json, os, pathlib, resource, signal, subprocess, tempfile, time, urllib.error, urllib.request

import numpy as np

import common

WRK = """local bodies, place = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
function init(args) math.randomseed(tonumber(tostring({}):sub(8), 16) or 1); place = math.random(#bodies) end
function request()
  place = place %% #bodies + 1
  return wrk.format("POST", "/search", {["Content-Type"] = "application/json"}, bodies[place])
end
"""


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ready(url):
    try:
        return urllib.request.urlopen(url + "/readyz").status == 200
    except urllib.error.HTTPError:
        return False


def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak(pid, name):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vecgo", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--set", required=True)
    parser.add_argument("--ef", type=int)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bodies", default="base64")
    parser.add_argument("--oha", default="oha")
    given = parser.parse_args()
    queries = np.load(f"{given.set}/query.npy").astype("<f4")
    truth = np.load(f"{given.set}/gt.npy")[:, :10]
    more = {"k": 10, "with_metadata": False, **({"ef": given.ef} if given.ef else {})}

    def body(query):
        vector = base64.b64encode(query.tobytes()).decode() if given.bodies == "base64" else [float(value) for value in query]
        return json.dumps({"vector": vector, **more})

    with tempfile.TemporaryDirectory() as place:
        lines = f"{place}/bodies"
        pathlib.Path(lines).write_text("".join(body(query) + "\n" for query in queries))
        script = f"{place}/wrk.lua"
        pathlib.Path(script).write_text(WRK % lines)
        server, address = common.serve(given.vecgo, given.database)
        atexit.register(server.kill)
        url = f"http://{address}"
        while not ready(url):
            time.sleep(0.1)

        found = 0
        for query, nearest in zip(queries[:1000], truth):
            request = urllib.request.Request(url + "/search", body(query).encode(), {"content-type": "application/json"})
            hits = json.load(urllib.request.urlopen(request))["hits"]
            found += len({hit["id"] for hit in hits} & {int(row) for row in nearest})
        print(f"recall@10 of 1000 queries: {found / 10_000:.4f}; resident {peak(server.pid, 'VmRSS') / 2**30:.2f} GiB", flush=True)

        print(f"| connections | searches/s (median of {given.rounds}, least, most) | p50 ms | p99 ms | CPUs of the server | of wrk |")
        print("|---|---|---|---|---|---|")
        for connections in (1, 2, 4, 8, 16, 64):
            rounds = []
            for _ in range(given.rounds):
                server_before, children_before, start = cpu_seconds(server.pid), children(), time.perf_counter()
                said = subprocess.run(
                    ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{given.seconds}s", "-s", script, url],
                    capture_output=True, text=True, check=True).stdout
                took = time.perf_counter() - start
                assert "Non-2xx" not in said, said
                word = {line.split()[0]: line.split()[-1] for line in said.splitlines() if line.strip()}
                rounds.append((float(word["Requests/sec:"]), word["50%"], word["99%"],
                               (cpu_seconds(server.pid) - server_before) / took, (children() - children_before) / took))
            rounds.sort()
            rate, p50, p99, ours, theirs = rounds[len(rounds) // 2]
            print(f"| {connections} | {rate:.0f} ({rounds[0][0]:.0f}, {rounds[-1][0]:.0f}) | {p50} | {p99} | {ours:.2f} | {theirs:.2f} |", flush=True)

        print(f"\nat {given.rate} searches a second, whether or not they are answered:")
        for _ in range(given.rounds):
            server_before, children_before, start = cpu_seconds(server.pid), children(), time.perf_counter()
            said = json.loads(subprocess.run(
                [given.oha, "--no-tui", "--output-format", "json", "-z", f"{given.seconds}s", "-q", str(given.rate), "-c", "32",
                 "--latency-correction", "-m", "POST", "-T", "application/json", "-Z", lines, url + "/search"],
                capture_output=True, text=True, check=True).stdout)
            took = time.perf_counter() - start
            times = said["latencyPercentiles"]
            print(f"{said['summary']['requestsPerSec']:.0f}/s, p50 {times['p50'] * 1e3:.2f} ms, p95 {times['p95'] * 1e3:.2f} ms, "
                  f"p99 {times['p99'] * 1e3:.2f} ms, {said['statusCodeDistribution']}, CPUs of the server "
                  f"{(cpu_seconds(server.pid) - server_before) / took:.2f}, of oha {(children() - children_before) / took:.2f}", flush=True)
        print(f"peak memory of the server: {peak(server.pid, 'VmHWM') / 2**30:.2f} GiB", flush=True)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        for threads in (1, 2):
            command = [given.vecgo, "--json", "bench", given.database, "--queries", f"{given.set}/query.npy",
                       "--truth", f"{given.set}/gt.npy", "-k", "10", "--threads", str(threads)]
            command += ["--sweep", f"ef={given.ef}"] if given.ef else []
            point = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["points"][0]
            print(f"in the process, {threads} threads: {point['qps']:.0f}/s, recall {point['recall']:.4f}, p99 {point['p99_us'] / 1e3:.2f} ms", flush=True)


if __name__ == "__main__":
    main()
