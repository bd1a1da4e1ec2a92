"""DiskANN (diskannpy): a Vamana graph with the vectors on the disk, read past the page cache, and codes by product quantization in memory."""
import diskannpy
from common import Base


class System(Base):
    # How many times smaller than the vectors the codes are; nodes of which the disk's part is kept in memory.
    CONFIGS = {"pq8": dict(smaller=8, kept=10_000), "pq24": dict(smaller=24, kept=10_000)}
    grid, metrics = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512], ("l2", "ip", "cos")

    def build(self, X):
        codes = X.nbytes / self.smaller / 2**30
        # Under cosine all have unit length: l2 ranks alike.
        metric = "mips" if self.metric == "ip" else "l2"
        diskannpy.build_disk_index(X, metric, self.dir, complexity=100, graph_degree=64, search_memory_maximum=codes, build_memory_maximum=16,
                                   num_threads=self.threads)

    def save(self): pass
    # With one thread it waits for ever.
    def open(self): self.index = diskannpy.StaticDiskIndex(self.dir, num_threads=max(2, self.threads), num_nodes_to_cache=self.kept)
    # The call for one query gives one id ten times (0.7.0).
    def one(self, q, k): return self.batch(q[None], k)
    def ids(self, answer): return answer.identifiers[0]
    def batch(self, Q, k): return self.index.batch_search(Q, k, complexity=max(self.p, k), num_threads=self.threads, beam_width=4)
    def batch_ids(self, answer): return answer.identifiers
