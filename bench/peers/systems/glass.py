"""pyglass: HNSW built over SQ8U codes, searched over SQ8U or SQ4U codes and refined with fp16 (its rule of thumb).
Only the graph can be saved, so build and search share a process; optimize() tunes its prefetching.
It refines 1.5*k candidates whatever ef is, so SQ4U also asks for 2k and 4k and keeps the first k."""
import glass
from common import EF, Base, pad


class System(Base):
    CONFIGS = {"r32_sq8u_fp16": dict(R=32, quant="SQ8U"), "r32_sq4u_fp16": dict(R=32, quant="SQ4U"), "r48_sq4u_fp16": dict(R=48, quant="SQ4U"),
               "r64_sq8u_fp16": dict(R=64, quant="SQ8U")}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.grid = [f"{ef},{m}" for ef in EF for m in ((1, 2, 4) if self.quant == "SQ4U" else (1,)) if ef >= 12 * m]

    def queries(self, Q): return pad(Q, 16)              # its AVX2 fp16 kernel is wrong where dim is no multiple of 8

    def build(self, X):
        metric, X = "L2" if self.metric == "l2" else "IP", pad(X, 16)
        glass.set_num_threads(self.threads)
        graph = glass.Index("HNSW", metric, "SQ8U", R=self.R, L=200).build(X)
        self.ix = glass.Searcher(graph, X, metric, self.quant, "FP16")
        self.ix.set_ef(32)
        glass.set_num_threads(1)
        self.ix.optimize(1)

    def set(self, p):
        ef, self.m = map(int, p.split(","))
        self.ix.set_ef(ef)

    def one(self, q, k): return self.ix.search(q, k * self.m)
    def ids(self, r): return r[0]
    def batch(self, Q, k): return self.ix.batch_search(Q, k * self.m, num_threads=self.threads)
    def batch_ids(self, r): return r[0]
