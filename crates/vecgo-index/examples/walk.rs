//! Experiment: recall against time on one data set.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    missing_docs
)]
use std::time::Instant;
use vecgo_index::*;
use vecgo_kernels::*;
use vecgo_quant::*;
fn col(f: &[CodeFactors], upper: bool) -> Vec<u8> {
    f.iter()
        .flat_map(|f| {
            let mut b = f.squared.to_ne_bytes().to_vec();
            b.extend(if upper { f.upper } else { f.full }.to_ne_bytes());
            b
        })
        .collect()
}

fn npy(path: &str, limit: usize) -> (Vec<f32>, usize) {
    let b = std::fs::read(path).unwrap();
    let h = u16::from_le_bytes([b[8], b[9]]) as usize;
    let head = std::str::from_utf8(&b[10..10 + h]).unwrap();
    let shape = head.split("shape': (").nth(1).unwrap();
    let mut it = shape.split(|c| c == ',' || c == ')').map(|s| s.trim().parse::<usize>());
    let (n, d) = (it.next().unwrap().unwrap(), it.next().unwrap().unwrap());
    let n = if limit > 0 { n.min(limit) } else { n };
    let data = &b[10 + h..];
    let v = if head.contains("<f2") {
        data.chunks_exact(2).take(n * d).map(|c| f16(u16::from_le_bytes([c[0], c[1]]))).collect()
    } else if head.contains("u1") {
        data.iter().take(n * d).map(|c| f32::from(*c)).collect()
    } else if head.contains("<i4") {
        data.chunks_exact(4)
            .take(n * d)
            .map(|c| i32::from_le_bytes(c.try_into().unwrap()) as f32)
            .collect()
    } else {
        data.chunks_exact(4)
            .take(n * d)
            .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
            .collect()
    };
    (v, d)
}
fn f16(h: u16) -> f32 {
    let (s, e, m) = (h >> 15, (h >> 10) & 31, h & 1023);
    let v = if e == 0 {
        m as f32 * 2f32.powi(-24)
    } else {
        (1.0 + m as f32 / 1024.0) * 2f32.powi(e as i32 - 15)
    };
    if s == 1 { -v } else { v }
}
fn arg<T: std::str::FromStr>(name: &str, default: T) -> T {
    let a: Vec<String> = std::env::args().collect();
    a.iter().position(|x| x == name).and_then(|i| a[i + 1].parse().ok()).unwrap_or(default)
}

fn main() {
    let dir: String = arg("--dir", String::new());
    let limit: usize = arg("--limit", 0);
    let kind = match arg("--metric", "cos".to_string()).as_str() {
        "l2" => Kind::L2,
        "dot" => Kind::Dot,
        _ => Kind::Angle,
    };
    let kernels = Kernels::best();
    let (mut base, dim) = npy(&format!("{dir}/base.npy"), limit);
    let (mut queries, _) = npy(&format!("{dir}/query.npy"), arg("--queries", 1000));
    let n = base.len() / dim;
    if kind == Kind::Angle {
        for row in base.chunks_mut(dim).chain(queries.chunks_mut(dim)) {
            let s = 1.0 / kernels.norm_squared(row).sqrt();
            row.iter_mut().for_each(|v| *v *= s);
        }
    }
    let nq = queries.len() / dim;
    // exact truth
    let truth: Vec<Vec<u32>> = {
        let cache = format!(
            "/tmp/exp/gt-{}-{n}-{nq}",
            dir.trim_end_matches('/').rsplit('/').next().unwrap()
        );
        if let Ok(b) = std::fs::read(&cache) {
            b.chunks_exact(40)
                .map(|c| {
                    c.chunks_exact(4).map(|x| u32::from_le_bytes(x.try_into().unwrap())).collect()
                })
                .collect()
        } else {
            let mut t = Vec::new();
            let mut out = vec![0.0f32; n * 8];
            for q in queries.chunks(8 * dim) {
                let c = q.len() / dim;
                if kind == Kind::L2 {
                    kernels.l2_tile(q, &base, dim, &mut out[..n * c])
                } else {
                    kernels.dot_tile(q, &base, dim, &mut out[..n * c])
                }
                for j in 0..c {
                    let mut o: Vec<u32> = (0..n as u32).collect();
                    let s = &out[j * n..][..n];
                    let key =
                        |a: &u32| if kind == Kind::L2 { s[*a as usize] } else { -s[*a as usize] };
                    o.select_nth_unstable_by(10, |a, b| key(a).total_cmp(&key(b)));
                    o.truncate(10);
                    t.push(o);
                }
            }
            std::fs::write(
                &cache,
                t.iter().flatten().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>(),
            )
            .unwrap();
            t
        }
    };
    let begin = Instant::now();
    let longest = base.chunks_exact(dim).map(|r| kernels.norm_squared(r)).fold(0.0, f32::max);
    let space =
        Space::train(kernels, kind, dim, 1, base.chunks_exact(dim).step_by(n / 4096 + 1), longest);
    let width = space.places();
    let mut cells = PageBuf::<u8>::zeroed(n * width).unwrap();
    let mut factors = vec![CodeFactors::default(); n];
    {
        let half = n.div_ceil(2);
        std::thread::scope(|s| {
            for ((rows, cells), factors) in base
                .chunks(half * dim)
                .zip(cells.chunks_mut(half * width))
                .zip(factors.chunks_mut(half))
            {
                let space = &space;
                s.spawn(move || {
                    let mut point = vec![0.0; width];
                    for ((row, cells), f) in
                        rows.chunks_exact(dim).zip(cells.chunks_exact_mut(width)).zip(factors)
                    {
                        space.row(kernels, row, &mut point);
                        *f = encode(&point, space.width(), cells);
                    }
                });
            }
        });
    }
    println!("encode {:.2}s", begin.elapsed().as_secs_f64());
    let entries: Vec<u32>;
    let e: usize = arg("--entries", 64);
    let begin = Instant::now();
    let mut new_of: Vec<u32> = Vec::new();
    {
        let full = col(&factors, false);
        let codes8 = Codes {
            rows: CodeRows::new(&cells, width).unwrap(),
            factors: Factors::apart(&full).unwrap(),
            width: Width::Eight,
        };
        let c = cluster(
            kernels,
            Points { codes: codes8, width: space.width() },
            3,
            &Threads(2),
            &|| true,
        )
        .unwrap();
        let mut p = PageBuf::<u8>::zeroed(n * width).unwrap();
        let mut f = factors.clone();
        let mut b = base.clone();
        new_of.resize(n, 0);
        for (new, old) in c.order.iter().enumerate() {
            let (from, to) =
                if arg("--noorder", 0) == 1 { (new, new) } else { (*old as usize, new) };
            new_of[from] = to as u32;
            p[to * width..][..width].copy_from_slice(&cells[from * width..][..width]);
            f[to] = factors[from];
            b[to * dim..][..dim].copy_from_slice(&base[from * dim..][..dim]);
        }
        cells = p;
        factors = f;
        base = b;
        let k = c.centres.len();
        entries = (0..e.min(k))
            .map(|i| c.centres[i * k / e.min(k)])
            .map(|x| if arg("--noorder", 0) == 1 { c.order[x as usize] } else { x })
            .collect();
        println!("clusters {} in {:.2}s", k, begin.elapsed().as_secs_f64());
    }
    let truth: Vec<Vec<u32>> =
        truth.into_iter().map(|t| t.into_iter().map(|x| new_of[x as usize]).collect()).collect();
    let full = col(&factors, false);
    let upper = col(&factors, true);
    let codes8 = Codes {
        rows: CodeRows::new(&cells, width).unwrap(),
        factors: Factors::apart(&full).unwrap(),
        width: Width::Eight,
    };
    let params = BuildParams {
        degree: arg("--degree", 32),
        ef: arg("--efc", 128),
        alpha: arg("--alpha", 1.0),
        passes: arg("--passes", 1),
        seed: 7,
    };
    let begin = Instant::now();
    let cache: String = arg("--cache", String::new());
    let built = if !cache.is_empty() && std::path::Path::new(&cache).exists() {
        Built {
            edges: std::fs::read(&cache)
                .unwrap()
                .chunks_exact(4)
                .map(|c| u32::from_le_bytes(c.try_into().unwrap()))
                .collect(),
        }
    } else {
        build(
            kernels,
            Points { codes: codes8, width: space.width() },
            &entries,
            params,
            &Threads(arg("--threads", 2)),
            |_| true,
        )
        .unwrap()
    };
    if !cache.is_empty() {
        std::fs::write(
            &cache,
            built.edges.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>(),
        )
        .unwrap();
    }
    let secs = begin.elapsed().as_secs_f64();
    let mean = built.edges.iter().filter(|x| **x != NO_EDGE).count() as f64 / n as f64;
    println!("build {secs:.2}s  {:.0} rows/s  mean degree {mean:.1}", n as f64 / secs);
    let mut hi = PageBuf::<u8>::zeroed(n * width / 2).unwrap();
    let mut lo = PageBuf::<u8>::zeroed(n * width / 2).unwrap();
    for ((c, h), l) in cells
        .chunks_exact(width)
        .zip(hi.chunks_exact_mut(width / 2))
        .zip(lo.chunks_exact_mut(width / 2))
    {
        split(c, h, l);
    }
    if space.has_room() {
        for (h, f) in hi.chunks_exact_mut(width / 2).zip(upper.chunks_exact(8)) {
            h[width / 2 - 8..].copy_from_slice(f);
        }
    }
    let rows4 = CodeRows::new(&hi, width / 2).unwrap();
    let codes4 = Codes {
        rows: rows4,
        factors: if space.has_room() {
            Factors::in_rows(rows4)
        } else {
            Factors::apart(&upper).unwrap()
        },
        width: Width::Four,
    };
    let low = CodeRows::new(&lo, width / 2).unwrap();
    let mut edges_big = PageBuf::<u32>::zeroed(built.edges.len()).unwrap();
    edges_big.copy_from_slice(&built.edges);
    let edges = Edges::new(&edges_big, params.degree);
    let mut scratch = Scratch::default();
    let mut q = CodeQuery::default();
    let mut point = vec![0.0; width];
    let mut dots: Vec<u64> = Vec::new();
    let rerank_f: f32 = arg("--rerank", 0.0);
    let exact_rows: usize = arg("--exact", 14);
    for codes in [codes4, codes8] {
        if arg("--brute", 0) == 0 {
            break;
        }
        let all: Vec<u32> = (0..n as u32).collect();
        let mut hits = [0usize; 5];
        let (mut err, mut bias, mut cnt) = (0.0f64, 0.0f64, 0.0f64);
        for (query, t) in queries.chunks_exact(dim).zip(&truth).take(100) {
            space.query(kernels, query, &mut point);
            q.set(kernels, &point);
            let mut found: Vec<Neighbour> = Vec::new();
            codes.distances(kernels, &q, &all, &mut dots, |r, d| found.push(Neighbour::new(d, r)));
            for f in found.iter().step_by(1000) {
                let v = &base[f.row() as usize * dim..][..dim];
                let d = kernels.l2(query, v);
                let e = f.distance() + q.squared() - d;
                err += (e * e) as f64;
                bias += e as f64;
                cnt += 1.0;
            }
            found.sort_unstable();
            for (i, m) in [10, 15, 20, 30, 60].iter().enumerate() {
                hits[i] += found[..*m].iter().filter(|x| t.contains(&x.row())).count();
            }
        }
        println!(
            "brute {:?} {:?} rms {:.4} bias {:.4}",
            codes.width,
            hits,
            (err / cnt).sqrt(),
            bias / cnt
        );
    }
    for walk8 in [false, true] {
        if walk8 && arg("--four", 0) == 1 {
            continue;
        }
        let codes = if walk8 { codes8 } else { codes4 };
        let only: usize = arg("--ef", 0);
        for ef in [10, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512] {
            if only > 0 && ef != only {
                continue;
            }
            let mut best = f64::MAX;
            let mut recall = 0.0;
            let (mut nd, mut hops) = (0, 0);
            for _ in 0..arg("--loops", 3) {
                recall = 0.0;
                nd = 0;
                hops = 0;
                let mut results: Vec<Vec<u32>> = Vec::with_capacity(nq);
                let begin = Instant::now();
                for query in queries.chunks_exact(dim) {
                    space.query(kernels, query, &mut point);
                    q.set(kernels, &point);
                    let mut starts: Vec<Neighbour> = Vec::with_capacity(e);
                    codes.distances(kernels, &q, &entries, &mut dots, |r, d| {
                        starts.push(Neighbour::new(d, r))
                    });
                    let keep = 4.min(starts.len());
                    starts.select_nth_unstable(keep - 1);
                    starts.truncate(keep);
                    let found: Vec<Neighbour> =
                        scratch.walk(kernels, edges, codes, &q, &starts, ef).collect();
                    let r = if rerank_f > 0.0 {
                        ((10.0 * rerank_f) as usize).min(found.len())
                    } else {
                        found.len()
                    };
                    let mut again: Vec<(f32, u32)> = Vec::with_capacity(r);
                    if walk8 {
                        again.extend(found.iter().map(|x| (x.distance(), x.row())));
                    } else {
                        let rows: Vec<u32> = found[..r].iter().map(|x| x.row()).collect();
                        let mut d4 = vec![0; r];
                        let mut d8 = vec![0; r];
                        kernels.nibble_dots(q.values(), low, &rows, &mut d8);
                        kernels.nibble_dots(q.values(), codes4.rows, &rows, &mut d4);
                        for i in 0..r {
                            let f = codes8.factors.of(rows[i]);
                            again.push((q.by_full(16 * d4[i] + d8[i], f[0], f[1]), rows[i]));
                        }
                    }
                    let m = exact_rows.min(again.len());
                    if m < again.len() {
                        again.select_nth_unstable_by(m, |a, b| a.0.total_cmp(&b.0));
                    }
                    again.truncate(m);
                    for a in &again {
                        let at = a.1 as usize * dim;
                        for l in (0..dim).step_by(16) {
                            prefetch(&base, at + l);
                        }
                    }
                    for a in &mut again {
                        let v = &base[a.1 as usize * dim..][..dim];
                        a.0 = if kind == Kind::L2 {
                            kernels.l2(query, v)
                        } else {
                            -kernels.dot(query, v)
                        };
                    }
                    again.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                    results.push(again.iter().take(10).map(|a| a.1).collect());
                    nd += scratch.estimated();
                    hops += scratch.hops();
                }
                best = best.min(begin.elapsed().as_secs_f64());
                for (r, t) in results.iter().zip(&truth) {
                    recall += r.iter().filter(|x| t.contains(x)).count() as f64;
                }
            }
            let nqf = nq as f64;
            recall /= nqf * 10.0;
            println!(
                "{} ef {ef:4} recall {recall:.4} {:8.0} qps  {:6.1}us  nd {:6.0} hops {:4.0}  {:.1} ns/dist",
                if walk8 { 8 } else { 4 },
                nqf / best,
                best / nqf * 1e6,
                nd as f64 / nqf,
                hops as f64 / nqf,
                best * 1e9 / nd as f64
            );
            if recall > 0.998 {
                break;
            }
        }
    }
}
