"""What the scripts that make data sets share: folders, exact truth, writing, difficulty."""
import hashlib, json, os, time
import faiss
import numpy as np

ROOT = os.environ.get("DATASETS_WORK", "datasets-work")        # dl/ and data/ live in it
DL = os.path.join(ROOT, "dl")
DATA = os.path.join(ROOT, "data")


def data_dir(name):
    d = os.path.join(DATA, name)
    os.makedirs(d, exist_ok=True)
    return d


def normalize(x):
    x = np.asarray(x, np.float32)
    n = np.linalg.norm(x, axis=1, keepdims=True)
    n[n == 0] = 1
    return x / n


def exact_gt(base, query, metric, k=100):
    """Row numbers and distances of the nearest: candidates by faiss in f32 (32 to spare), put in order in f64, equal ones
    by row. metric: l2, cosine or ip."""
    b = np.ascontiguousarray(base, np.float32)
    q = np.ascontiguousarray(query, np.float32)
    if metric == "cosine":
        b, q = normalize(b), normalize(q)
    kk = min(len(b), k + 32)
    fm = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    _, cand = faiss.knn(q, b, kk, metric=fm)
    ids = np.empty((len(q), min(k, len(b))), np.int32)
    dist = np.empty(ids.shape, np.float32)
    for i in range(len(q)):
        c = np.sort(cand[i])
        v = np.asarray(base[c], np.float64)
        u = np.asarray(query[i], np.float64)
        if metric == "l2":
            s = ((v - u) ** 2).sum(1)
        else:
            s = -(v @ u)
            if metric == "cosine":
                s /= np.maximum(np.linalg.norm(v, axis=1) * np.linalg.norm(u), 1e-30)
        o = np.argsort(s, kind="stable")[: ids.shape[1]]
        ids[i] = c[o]
        dist[i] = s[o]
    return ids, dist


def save_set(name, base, query, metric, readme, meta=None, extra=None):
    d = data_dir(name)
    np.save(os.path.join(d, "base.npy"), np.ascontiguousarray(base, np.float32))
    np.save(os.path.join(d, "query.npy"), np.ascontiguousarray(query, np.float32))
    t = time.time()
    gt, _ = exact_gt(base, query, metric)
    np.save(os.path.join(d, "gt.npy"), gt)
    if meta is not None:
        with open(os.path.join(d, "meta.jsonl"), "w") as f:
            for m in meta:
                f.write(json.dumps(m, ensure_ascii=False, separators=(",", ":")) + "\n")
    with open(os.path.join(d, "README.md"), "w") as f:
        f.write(readme)
    info = dict(name=name, dim=int(base.shape[1]), metric=metric, n_base=len(base), n_query=len(query))
    info.update(extra or {})
    with open(os.path.join(d, "manifest.json"), "w") as f:
        json.dump(info, f, indent=1)
    print(name, base.shape, query.shape, metric, "gt %.0fs" % (time.time() - t), flush=True)


def hash01(s, salt=""):
    """Stable number in [0,1) of a string: the same rows are drawn on every machine."""
    return int.from_bytes(hashlib.blake2b((salt + s).encode(), digest_size=7).digest(), "big") / 2.0 ** 56


def lid_mle(dist, metric, k=100):
    """Median MLE local intrinsic dimension over queries from top-k distances (cosine -> chord length)."""
    d = dist[:, :k].astype(np.float64)
    d = np.sqrt(np.maximum(d, 0)) if metric == "l2" else np.sqrt(np.maximum(2 + 2 * d, 0))
    out = []
    for r in d:
        r = r[r > 1e-6]
        if len(r) > 10 and r[-1] > r[0]:
            out.append(-1.0 / np.mean(np.log(r[:-1] / r[-1]).clip(-50, -1e-12)))
    return float(np.median(out))
