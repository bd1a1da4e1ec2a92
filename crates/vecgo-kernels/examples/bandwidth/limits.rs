//! What one core of this machine can do at most, as far as a search depends on it: JSON, in two
//! or three seconds.

use std::error::Error;
use std::fs;
use std::hint::black_box;

use vecgo_kernels::{
    Bits, CodeRows, Estimate, FACTOR_BYTES, Factors, Kernels, LINE, PageBuf, prefetch,
};

use super::{median, seconds};

/// Lines of the table: 256 MiB, well beyond any cache.
const LINES: usize = 4 << 20;
/// Floats of a line.
const WIDTH: usize = LINE / size_of::<f32>();
/// The bits of a float from one to two that are free to hold a number of a line.
const FREE: u32 = (1 << 23) - 1;
/// Lines asked for ahead of the one that is read.
const AHEAD: usize = 32;
/// Lines of one measurement.
const STEPS: usize = 1 << 19;
const PASSES: usize = 5;

const DIMS: [usize; 3] = [128, 384, 768];
/// Rows scored at once: about the neighbours of a row of a graph.
const ROWS: u32 = 32;
const REPEATS: usize = 5000;
/// What a CPU may have that decides which kernels run.
const FLAGS: [&str; 6] = ["avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16"];

pub(crate) fn print() -> Result<(), Box<dyn Error>> {
    let kernels = Kernels::best();
    let order = cycle();
    let table = table(&order)?;
    let [mut latency, mut throughput, mut stream] = [[0.0; PASSES]; 3];
    for pass in 0..PASSES {
        // Other lines each time, none of which the one before left in a cache.
        let lines = |part: usize| &order[part % (LINES / STEPS) * STEPS..][..STEPS];
        latency[pass] = seconds(|| walk(&table, lines(pass)[0])) / STEPS as f64;
        throughput[pass] = STEPS as f64 / seconds(|| gather(&table, lines(pass + PASSES)));
        let bytes = size_of_val::<[f32]>(&table) as f64;
        stream[pass] = bytes
            / seconds(|| {
                black_box(kernels.stream_sum(&table));
            });
    }
    let (cpu, flags) = cpu();
    let [nibbles, bytes] = [codes(&kernels, Bits::Four)?, codes(&kernels, Bits::Eight)?];
    println!(
        "{{\"cpu\": {cpu:?}, \"flags\": {flags:?}, \"kernels\": \"{}\", \"line_ns\": {:.1}, \
         \"lines_per_s\": {:.0}, \"stream_bytes_per_s\": {:.0}, \"nibble_row_ns\": {{{nibbles}}}, \
         \"byte_row_ns\": {{{bytes}}}}}",
        kernels.level(),
        median(&mut latency) * 1e9,
        median(&mut throughput),
        median(&mut stream),
    );
    Ok(())
}

/// All lines in random order.
fn cycle() -> Vec<u32> {
    let mut order: Vec<u32> = (0..).take(LINES).collect();
    let mut state = 1_u64;
    for i in (1..LINES).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        order.swap(i, (state >> 32) as usize % (i + 1));
    }
    order
}

/// Each line names the one after it in `order`, in a float that is as fast to add as any.
fn table(order: &[u32]) -> Result<PageBuf<f32>, Box<dyn Error>> {
    let mut table = PageBuf::<f32>::zeroed(LINES * WIDTH)?;
    table.fill(1.0);
    for (at, next) in order.iter().zip(order.iter().cycle().skip(1)) {
        table[*at as usize * WIDTH] = f32::from_bits(1.0_f32.to_bits() | next);
    }
    Ok(table)
}

/// Each line is known only when the one before it has arrived.
fn walk(table: &[f32], start: u32) {
    let mut at = start;
    for _ in 0..STEPS {
        at = table[at as usize * WIDTH].to_bits() & FREE;
    }
    black_box(at);
}

/// All lines are known beforehand, and asked for in good time.
fn gather(table: &[f32], lines: &[u32]) {
    let mut sum = 0;
    for (i, line) in lines.iter().enumerate() {
        if let Some(later) = lines.get(i + AHEAD) {
            prefetch(table, *later as usize * WIDTH);
        }
        sum ^= table[*line as usize * WIDTH].to_bits();
    }
    black_box(sum);
}

/// Nanoseconds to score a row of codes that is in the first cache, by dimensions.
fn codes(kernels: &Kernels, bits: Bits) -> Result<String, Box<dyn Error>> {
    let rows: Vec<u32> = (0..ROWS).collect();
    let factors = vec![0; rows.len() * FACTOR_BYTES];
    let factors = Factors::apart(&factors).ok_or("factors are not whole")?;
    let estimate = Estimate { factors, scale: 1.0, middle: 0.0, bound: u64::MAX };
    let mut out = vec![0; rows.len()];
    let mut rates = Vec::new();
    for dim in DIMS {
        let query = vec![3_i8; dim];
        let stride = bits.bytes_of(dim);
        let bytes = PageBuf::<u8>::zeroed(stride * rows.len())?;
        let codes = CodeRows::new(&bytes, stride).ok_or("rows are not whole lines")?;
        let mut times = [0.0; PASSES];
        for time in &mut times {
            *time = seconds(|| {
                for _ in 0..REPEATS {
                    let query = black_box(&query);
                    black_box(kernels.within(bits, query, codes, &estimate, &rows, &mut out));
                }
            });
        }
        let row = median(&mut times) / (REPEATS * rows.len()) as f64;
        rates.push(format!("\"{dim}\": {:.2}", row * 1e9));
    }
    Ok(rates.join(", "))
}

/// The CPU's name, and which of [`FLAGS`] it has.
fn cpu() -> (String, Vec<&'static str>) {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or_default().trim()
    };
    let flags: Vec<&str> = value("flags").split_whitespace().collect();
    (
        value("model name").to_owned(),
        FLAGS.into_iter().filter(|flag| flags.contains(flag)).collect(),
    )
}
