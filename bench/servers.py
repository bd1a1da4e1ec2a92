"""Two servers on the same set in the same run, by turns, under the same generator (`wrk`): Vecgo and Chroma.

usage: servers.py --vecgo PROGRAM --chroma PROGRAM --set FOLDER [--rows N] [--seconds N] [--rounds N]

Both are as they are installed, but that Vecgo returns no documents, as Chroma then. Each gets the rows by its own HTTP interface,
and is asked for the 10 nearest; recall is measured by the same requests."""
import argparse, atexit, base64, json, os, pathlib, signal, subprocess, tempfile, time, urllib.error, urllib.request

import numpy as np

WRK = """local bodies, place = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
function request()
  place = place %% #bodies + 1
  return wrk.format("POST", "%s", {["Content-Type"] = "application/json"}, bodies[place])
end
"""
CHROMA = "/api/v2/tenants/default_tenant/databases/default_database/collections"


def call(url, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read() or b"null")


def until_up(url):
    while True:
        try:
            return urllib.request.urlopen(url).status
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 2**20


class Vecgo:
    def __init__(self, program, place):
        command = [program, "--json", "serve", f"{place}/vecgo", "--listen", "127.0.0.1:18080"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        self.url, self.path = "http://127.0.0.1:18080", "/search"
        until_up(self.url + "/readyz")

    def load(self, rows):
        call(self.url + "/v1/collections/default", {"dim": rows.shape[1], "metric": "cosine"}, "PUT")
        for first in range(0, len(rows), 1000):
            records = [{"id": first + place, "vector": base64.b64encode(row.tobytes()).decode()}
                       for place, row in enumerate(rows[first:first + 1000])]
            call(self.url + "/v1/collections/default/upsert", {"records": records})
        call(self.url + "/v1/collections/default/compact", {})

    def body(self, query):
        return {"vector": base64.b64encode(query.tobytes()).decode(), "k": 10, "with_metadata": False}

    def ids(self, answer):
        return {hit["id"] for hit in answer["hits"]}


class Chroma:
    def __init__(self, program, place):
        command = [program, "run", "--path", f"{place}/chroma", "--host", "127.0.0.1", "--port", "18081"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        self.url = "http://127.0.0.1:18081"
        until_up(self.url + "/api/v2/heartbeat")

    def load(self, rows):
        made = call(self.url + CHROMA, {"name": "docs", "configuration": {"hnsw": {"space": "cosine"}}})
        collection = f"{CHROMA}/{made['id']}"
        for first in range(0, len(rows), 1000):
            some = rows[first:first + 1000]
            call(self.url + collection + "/add", {
                "ids": [str(first + place) for place in range(len(some))], "embeddings": some.tolist()})
        self.path = collection + "/query"

    def body(self, query):
        return {"query_embeddings": [query.tolist()], "n_results": 10, "include": ["distances"]}

    def ids(self, answer):
        return {int(id) for id in answer["ids"][0]}


def main():
    parser = argparse.ArgumentParser()
    for name in ("vecgo", "chroma", "set"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = np.load(f"{given.set}/base.npy").astype("<f4")
    queries = np.load(f"{given.set}/query.npy").astype("<f4")[:2000]
    truth = np.load(f"{given.set}/gt.npy")[:1000, :10]
    with tempfile.TemporaryDirectory() as place:
        servers = {"vecgo": Vecgo(given.vecgo, place), "chroma": Chroma(given.chroma, place)}
        for name, server in servers.items():
            start = time.perf_counter()
            server.load(rows)
            print(f"{name}: {len(rows)} rows in {time.perf_counter() - start:.1f} s", flush=True)
            lines = f"{place}/{name}.bodies"
            pathlib.Path(lines).write_text("".join(json.dumps(server.body(query)) + "\n" for query in queries))
            pathlib.Path(f"{place}/{name}.lua").write_text(WRK % (lines, server.path))
            found = sum(len(server.ids(call(server.url + server.path, server.body(query))) & {int(row) for row in nearest})
                        for query, nearest in zip(queries, truth))
            print(f"{name}: recall@10 {found / truth.size:.4f}, {resident(server.process.pid):.2f} GiB", flush=True)
        print("| server | connections | searches/s (median, least, most) | p50 | p99 |\n|---|---|---|---|---|")
        for connections in (1, 4, 16):
            rounds = {name: [] for name in servers}
            for _ in range(given.rounds):
                for name, server in servers.items():
                    said = subprocess.run(
                        ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{given.seconds}s", "-s", f"{place}/{name}.lua", server.url],
                        capture_output=True, text=True, check=True).stdout
                    assert "Non-2xx" not in said, said
                    word = {line.split()[0]: line.split()[-1] for line in said.splitlines() if line.strip()}
                    rounds[name].append((float(word["Requests/sec:"]), word["50%"], word["99%"]))
            for name, all in rounds.items():
                all.sort()
                rate, p50, p99 = all[len(all) // 2]
                print(f"| {name} | {connections} | {rate:.0f} ({all[0][0]:.0f}, {all[-1][0]:.0f}) | {p50} | {p99} |", flush=True)


if __name__ == "__main__":
    main()
