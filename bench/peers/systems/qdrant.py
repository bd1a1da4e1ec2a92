"""Qdrant Edge: HNSW over float32, and over int8 and TurboQuant codes re-scored by float32. Nothing is indexed before optimize()."""
import os
import qdrant_edge as e
from common import EF, Base


class System(Base):
    CONFIGS = {"f32_m16": dict(M=16), "f32_m32": dict(M=32), "int8_m16": dict(M=16, quant="int8"), "int8_m32": dict(M=32, quant="int8"), "tq4_m16": dict(M=16, quant="tq4")}
    quant = None

    def build(self, X):
        distance = {"l2": e.Distance.Euclid, "ip": e.Distance.Dot, "cos": e.Distance.Cosine}[self.metric]
        quant = {None: None, "int8": e.ScalarQuantizationConfig(e.ScalarType.Int8, quantile=0.99, memory=e.Memory.Pinned),
                 "tq4": e.TurboQuantQuantizationConfig(bits=e.TurboQuantBitSize.Bits4, memory=e.Memory.Pinned)}[self.quant]
        os.mkdir(self.dir + "/c")
        self.ix = e.EdgeShard.create(self.dir + "/c", e.EdgeConfig(
            vectors=e.EdgeVectorParams(self.dim, distance), quantization_config=quant, max_search_threads=self.threads,
            hnsw_config=e.HnswIndexConfig(self.M, 200, min(10000, self.n * self.dim // 2560), max_indexing_threads=self.threads, memory=e.Memory.Pinned),
            optimizers=e.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=10**9, indexing_threshold=1000)))
        for start in range(0, len(X), 1000):
            points = [e.Point(start + i, x.tolist(), None) for i, x in enumerate(X[start:start + 1000])]
            self.ix.update(e.UpdateOperation.upsert_points(points))
        self.ix.optimize()
        self.ix.flush()
        indexed = self.ix.info().indexed_vectors_count
        assert indexed == len(X), indexed

    def save(self): pass
    def close(self): self.ix.close()
    def open(self): self.ix = e.EdgeShard.load(self.dir + "/c")

    @property
    def grid(self):
        if not self.quant:
            return EF
        return [f"{ef},{more}" for ef in EF for more in ((2.0,) if self.quant == "int8" else (2.0, 4.0)) if ef >= 10 * more / 2]

    def queries(self, Q): return [e.Query.Nearest(q.tolist()) for q in Q]

    def set(self, p):
        ef, _, more = str(p).partition(",")
        rescore = e.QuantizationSearchParams(rescore=True, oversampling=float(more)) if more else None
        self.par = e.SearchParams(hnsw_ef=int(ef), quantization=rescore)

    def one(self, q, k): return self.ix.search(e.SearchRequest(q, k, params=self.par, with_payload=False, with_vector=False))
    def ids(self, r): return [p.id for p in r]

    def batch(self, Q, k):
        requests = [e.QueryRequest(k, query=q, params=self.par, with_payload=False, with_vector=False) for q in Q]
        return self.ix.query_batch(e.QueryBatchRequest(requests))

    def batch_ids(self, r): return [self.ids(x) for x in r]
