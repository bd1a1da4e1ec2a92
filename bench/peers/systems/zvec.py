"""zvec: HNSW over float32, int8, uniform and RaBitQ codes, and Vamana; codes are refined by float32. It has no batched search.
`ids` configurations use query_internal_ids(), its fast path for read-only collections; the others return documents. Its uniform
codes (u4, u8) have kernels for AVX-512 VNNI alone: with AVX2 they run scalar."""
import zvec as z
from common import Base

z.init(log_level=z.LogLevel.ERROR)


class System(Base):
    CONFIGS = {"f32_m16": dict(M=16), "int8_m16": dict(M=16, quant="INT8"), "int8_m32": dict(M=32, quant="INT8"), "u8_m32": dict(M=32, quant="UNIFORM_UINT8"),
               "u4_m32": dict(M=32, quant="UNIFORM_UINT4"), "rabitq_m16": dict(M=16, quant="RABITQ"), "vamana_u8": dict(M=64, quant="UNIFORM_UINT8", vamana=True),
               "f32_m16_ids": dict(M=16, raw=True), "int8_m32_ids": dict(M=32, quant="INT8", raw=True), "u8_m32_ids": dict(M=32, quant="UNIFORM_UINT8", raw=True),
               "u4_m32_ids": dict(M=32, quant="UNIFORM_UINT4", raw=True), "vamana_u4_ids": dict(M=64, quant="UNIFORM_UINT4", vamana=True, raw=True),
               "vamana_u8_ids": dict(M=64, quant="UNIFORM_UINT8", vamana=True, raw=True)}
    quant, vamana, raw = "", False, False

    def index(self):
        metric = {"l2": z.MetricType.L2, "ip": z.MetricType.IP, "cos": z.MetricType.COSINE}[self.metric]
        if self.quant.startswith("UNIFORM") and self.metric == "cos":      # those codes know L2 only; all vectors have unit length here
            metric = z.MetricType.L2
        if self.quant == "RABITQ":
            return z.HnswRabitqIndexParam(metric_type=metric, m=self.M, ef_construction=200)
        more = dict(metric_type=metric, quantize_type=getattr(z.QuantizeType, self.quant or "UNDEFINED"), use_contiguous_memory=True, use_flat_contiguous_memory=True)
        return z.VamanaIndexParam(max_degree=self.M, search_list_size=100, **more) if self.vamana else z.HnswIndexParam(m=self.M, ef_construction=200, **more)

    def build(self, X):
        vectors = z.VectorSchema("x", z.DataType.VECTOR_FP32, self.dim, index_param=self.index())
        self.ix = z.create_and_open(self.dir + "/c", z.CollectionSchema("bench", vectors=vectors))
        for start in range(0, len(X), 1000):
            status = self.ix.insert([z.Doc(id=str(start + i), vectors={"x": x}) for i, x in enumerate(X[start:start + 1000])])
            assert all(each.ok() for each in status), status[0]
        self.ix.flush()
        self.ix.optimize(z.OptimizeOption(concurrency=self.threads))       # merges segments and builds the graph

    def save(self): pass
    def close(self): self.ix.close()
    def open(self): self.ix = z.open(self.dir + "/c", z.CollectionOption(read_only=True))

    def set(self, p):
        if self.quant == "RABITQ":
            kind, knob = z.HnswRabitqQueryParam, "ef"
        else:
            kind, knob = (z.VamanaQueryParam, "ef_search") if self.vamana else (z.HnswQueryParam, "ef")
        refine = dict(is_using_refiner=True, scale_factor=min(3.0, p / 10)) if self.quant else {}
        self.par = kind(**{knob: p}, **refine)

    def one(self, q, k):
        q = z.Query("x", vector=q, param=self.par)
        return self.ix.query_internal_ids(q, topk=k) if self.raw else self.ix.query(q, topk=k, output_fields=[])

    def ids(self, r): return r if self.raw else [int(d.id) for d in r]       # rows were inserted in order, so internal ids are row numbers
