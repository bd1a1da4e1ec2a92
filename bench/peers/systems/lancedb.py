"""LanceDB: IVF_HNSW_SQ in one partition (its advice), IVF_RQ and IVF_PQ, refined by the stored float32."""
import os
os.environ.update(RUST_LOG="error", LANCE_CPU_THREADS=str(len(os.sched_getaffinity(0))))
import lancedb
import lancedb.index as li
import numpy as np
import pyarrow as pa
from common import EF, Base, pad

PROBE = [f"{p},{r}" for p in (1, 2, 4, 8, 16, 32, 64, 128) for r in (5, 20)]


class System(Base):
    CONFIGS = {"hnsw_sq": dict(kind="HnswSq", grid=[f"{ef},{r}" for ef in EF for r in (1, 2) if ef >= 10 * r]), "hnsw_flat": dict(kind="HnswFlat", grid=[f"{ef},1" for ef in EF]),
               "ivf_rq": dict(kind="IvfRq", grid=PROBE), "ivf_pq": dict(kind="IvfPq", grid=PROBE)}

    def queries(self, Q): return pad(Q, 8)                               # IVF_RQ wants a multiple of 8

    def build(self, X):
        X, metric = pad(X, 8), {"l2": "l2", "ip": "dot", "cos": "cosine"}[self.metric]
        rows = pa.table({"id": pa.array(np.arange(len(X))), "vector": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])})
        table = lancedb.connect(self.dir).create_table("t", rows)
        more = dict(num_partitions=1, m=20, ef_construction=300) if self.kind.startswith("Hnsw") else dict(num_partitions=max(16, int(len(X) ** 0.5)))
        table.create_index("vector", config=getattr(li, self.kind)(distance_type=metric, **more))
        stats = table.index_stats("vector_idx")
        assert stats.num_indexed_rows == len(X) and not stats.num_unindexed_rows, stats

    def save(self): pass
    def open(self): self.t = lancedb.connect(self.dir).open_table("t")
    def set(self, p): self.e, self.r = map(int, p.split(","))

    def query(self, q, k):
        b = self.t.search(q).limit(k).select(["id", "_distance"])
        b = b.nprobes(1).ef(self.e) if self.kind.startswith("Hnsw") else b.nprobes(self.e)
        return b.refine_factor(self.r) if self.r > 1 else b

    def one(self, q, k): return self.query(q, k).to_arrow()
    def ids(self, r): return r["id"].to_numpy()
    def batch(self, Q, k): return self.query(Q, k).to_arrow(), len(Q)

    def batch_ids(self, r):
        q, ids = r[0]["query_index"].to_numpy(), r[0]["id"].to_numpy()
        return [ids[q == i] for i in range(r[1])]
