#!/usr/bin/env python3
"""Makes the demo corpus: python3 make.py DATASET_FOLDER [OUT_FOLDER]

DATASET_FOLDER holds the data set "pkgtext-384": meta.jsonl + base.npy (texts
and their embeddings, same order) and query_meta.jsonl + query.npy (held-out
texts and theirs). OUT_FOLDER is by default the folder of this script. Only
the WordNet rows are used. Needs numpy; the same input gives the same rows in
the same order on every machine.
"""
import hashlib
import json
import os
import re
import sys

import numpy as np

ROWS = 4000     # 768 bytes a vector and about 180 a record: under 4,000,000 bytes
NEAREST = 50    # so many nearest rows of every query are always kept
LIMIT = 4_000_000

# The demo queries: held-out glosses, best first.
QUERIES = """
noun:09176342 verb:01305117 noun:13852600 noun:00784271 noun:07239927
noun:10019406 noun:03281673 noun:07581132 noun:11374789 noun:01773157
verb:00563100 noun:15042194 noun:00139544 noun:00836149 verb:02315777
noun:13016749 adj:00386392 noun:05768107 noun:00453478 noun:04465933
noun:03043173 verb:01740626 noun:09115478 adj:00300007
""".split()

# Rows left out: not what one wants to meet in a demo ...
UNFIT = re.compile(
    r"\b(sex|bisex|homosex|lesbian|genital|penis|phall|vagina|vulva|scrot|semen\b|anus\b|rect(um|al)\b|feces"
    r"|excre|intercourse|erot|porn|nymphom|prostitut|rape[ds]?\b|rapist|obscen|insulting|derogat|disparaging term"
    r"|(offensive|negative|slang|contemptuous) (term|name|word)|ethnic|racis|negro|blackface|nazi|concentration camp"
    r"|terroris|tortur|slave|suicid|murder|homicid|jihad"
    r"|heroin\b|narcotic|drug addict|retarded|molest|child abuse)", re.I)
UNFIT_SYNSETS = set("""adj:00225912 noun:09883947 noun:10040344 noun:05559256 verb:00839544 verb:01427713
verb:02639606 noun:13395652""".split())
# ... or Latin taxonomy with little to read ("type genus of the ...").
TAXON = re.compile(r"\b(genus|family|superfamily|subfamily|order|suborder|class|subclass|phylum|division|tribe) [A-Z]")


def jsonl(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def title(row):
    """The words of the synset, without WordNet's adjective markers (a), (p), (ip)."""
    return re.sub(r"\((a|p|ip)\)", "", row["title"])


def ident(row):
    """lemma.pos.offset; the offset is the synset's byte offset in WordNet 3.0's data file."""
    pos, offset = row["name"].split(":")
    lemma = re.sub(r"[^a-z0-9'-]+", "_", title(row).split(", ")[0].lower()).strip("_")
    return f"{lemma}.{pos}.{offset}"


def record(row):
    return dict(id=ident(row), title=title(row), text=row["text"], pos=row["pos"], lex=row["lex"], n_words=row["n_words"])


def exact(vectors):
    """Values are multiples of 1/4096: as whole numbers, sums of products are exact in float64."""
    v = vectors.astype(np.float64) * 4096
    assert (v == np.round(v)).all()
    return v


def cosines(q, b):
    return (q @ b.T) / np.sqrt((q * q).sum(1))[:, None] / np.sqrt((b * b).sum(1))[None]


def main():
    src = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    meta, qmeta = jsonl(os.path.join(src, "meta.jsonl")), jsonl(os.path.join(src, "query_meta.jsonl"))
    base = np.load(os.path.join(src, "base.npy"), mmap_mode="r")
    query = np.load(os.path.join(src, "query.npy"))
    assert len(meta) == len(base) and len(qmeta) == len(query) and base.dtype == query.dtype == np.float16

    place = {r["name"]: i for i, r in enumerate(qmeta) if r["source"] == "wordnet"}
    qrow = [place[n] for n in QUERIES]
    fit = [i for i, r in enumerate(meta) if r["source"] == "wordnet" and r["name"] not in UNFIT_SYNSETS
           and not UNFIT.search(r["title"] + " | " + r["text"])]
    order = {i: hashlib.sha256(meta[i]["name"].encode()).hexdigest() for i in fit}

    # 1. the nearest rows of every query; 2. a sample by hash, up to ROWS.
    cos = cosines(exact(query[qrow]), exact(base[fit]))
    near = {fit[j] for row in cos for j in np.argsort(-row, kind="stable")[:NEAREST]}
    rest = sorted((i for i in fit if i not in near and not TAXON.search(meta[i]["title"])), key=order.get)
    rows = sorted(list(near) + rest[: ROWS - len(near)], key=order.get)  # mixed, so any prefix is a sample
    records, vectors = [record(meta[i]) for i in rows], np.ascontiguousarray(base[rows])
    assert len(rows) == ROWS and len({r["id"] for r in records}) == ROWS

    np.save(os.path.join(out, "vectors.npy"), vectors)
    np.save(os.path.join(out, "queries.npy"), np.ascontiguousarray(query[qrow]))
    for name, objects in (("records.jsonl", records), ("queries.jsonl", [record(qmeta[i]) for i in qrow])):
        with open(os.path.join(out, name), "w", encoding="utf-8", newline="\n") as f:
            for o in objects:
                f.write(json.dumps(o, ensure_ascii=False, separators=(",", ":")) + "\n")

    total = sum(os.path.getsize(os.path.join(out, f)) for f in os.listdir(out) if os.path.isfile(os.path.join(out, f)))
    print(f"{len(fit)} fit rows, {len(near)} near a query, {len(rest)} others; {len(rows)} taken; {total} bytes in all")
    assert total < LIMIT
    cos = cosines(exact(query[qrow]), exact(vectors))
    for k, i in enumerate(qrow):
        print(f"{k + 1:2} {title(qmeta[i])}: {qmeta[i]['text']}")
        for j in np.argsort(-cos[k], kind="stable")[:3]:
            print(f"     {cos[k, j]:.3f} {records[j]['title']}: {records[j]['text']}")


if __name__ == "__main__":
    main()
