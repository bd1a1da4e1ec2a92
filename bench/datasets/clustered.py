"""A made set of clusters, for a look at the harness without downloads.

usage: clustered.py [--rows N] [--dim N] [--metric l2|cosine|ip]"""
import argparse
import numpy as np
from common import save_set

QUERIES, LATENT = 1000, 24


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--metric", default="l2")
    args = parser.parse_args()
    random, count = np.random.default_rng(1), args.rows + QUERIES
    centres = random.normal(size=(max(20, args.rows // 500), LATENT))
    latent = centres[random.integers(len(centres), size=count)] + 0.8 * random.normal(size=(count, LATENT))
    vectors = latent @ random.normal(size=(LATENT, args.dim)) / 5 + 0.1 * random.normal(size=(count, args.dim))
    save_set(f"clustered-{args.dim}", vectors[:args.rows], vectors[args.rows:], args.metric, f"# clustered-{args.dim}\n\nMade by clustered.py.\n")


main()
