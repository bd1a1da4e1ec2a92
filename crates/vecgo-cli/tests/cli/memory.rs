//! Memory of an import depends on the memtable, not on the file, but for the vectors that it merges.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::command::{Place, Ran};
use crate::files::{Rng, npy_f32, npy_header};

const ROWS: usize = 200_000;
const DIM: usize = 384;
const MEMTABLE: usize = 16 << 20;
/// Two memtables, a segment being built, batches on their way, the program, and what the allocator
/// keeps of what was freed. Far from the 18 memtables of the file, and from what runs differ by.
const LIMIT: usize = 12 * MEMTABLE;

/// Most bytes that a process had in memory so far.
fn peak(pid: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

/// What a command that succeeds did, and the most that it had in memory.
fn peak_of(mut command: Command) -> (Ran, usize) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The kernel keeps the peak, so that the last look before the end sees it.
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = peak(child.id()).unwrap_or(0).max(most);
        thread::sleep(Duration::from_millis(5));
    }
    let ran = Ran::from(format!("{command:?}"), child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(most > 0, "no peak was read");
    (ran, most)
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_limit_is_kept_while_graphs_are_made() {
    const LIMIT: usize = 96 << 20;
    /// The program, its threads, and what the allocator keeps of what was freed.
    const BESIDE: usize = 48 << 20;
    let place = Place::new();
    // Effort takes time, not memory.
    place.ok("create db --dim 128 --metric l2 --ef-construction 40");
    npy_f32(&place.path("base.npy"), &Rng(1).rows(80_000, 128));
    let limit = format!("--memory-limit {LIMIT}");
    let (ran, most) = peak_of(place.command(&format!("--json import db base.npy {limit}")));
    assert_eq!(ran.object()["rows"], 80_000);
    println!("an import within 96 MiB held {} MiB", most >> 20);
    assert!(most <= LIMIT + BESIDE, "the import held {} MiB", most >> 20);
    // All in one takes more than that.
    place.refuses(&format!("compact db {limit}"), "ResourceExhausted", &["the limit is 96 MiB"]);
    let query: Vec<String> = Rng(1).rows(1, 128)[0].iter().map(f32::to_string).collect();
    let found =
        place.json(&format!("search db -k 1 --exact {limit} --vector [{}]", query.join(",")));
    assert_eq!(found["hits"][0]["id"], 0);
}

/// Runs as if on a machine where a process may have so many KiB of addresses.
fn within_address_space(command: &Command, kib: u64) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {kib}; exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_with_a_hard_limit_lives() {
    // More than may be in memory: 192 MB of vectors as long as they come.
    let place = Place::with_collection(8192, "cosine");
    npy_f32(&place.path("base.npy"), &Rng(1).rows(6000, 8192));
    let run = |args: &str| {
        let ran = Ran::of(within_address_space(&place.command(args), 900_000));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.object()
    };
    assert_eq!(run("--json import db base.npy")["rows"], 6000);
    let stats = run("--json stats db");
    assert!(stats["memory_limit"].as_u64().unwrap() < 900_000 * 1024, "{stats}");
    let query: Vec<String> = Rng(1).rows(1, 8192)[0].iter().map(f32::to_string).collect();
    let found = run(&format!("--json search db -k 1 --vector [{}]", query.join(",")));
    assert_eq!(found["hits"][0]["id"], 0);
}

#[test]
#[cfg(target_os = "linux")]
fn an_import_of_300_mb() {
    import("--no-wait", LIMIT);
}

#[test]
#[cfg(target_os = "linux")]
fn an_import_of_300_mb_that_merges() {
    import("", LIMIT + ROWS * DIM * 4);
}

fn import(argument: &str, limit: usize) {
    let place = Place::with_flat(DIM, "l2");
    // All zeros and so a hole, which takes no time to write.
    let mut file = File::create(place.path("base.npy")).unwrap();
    let header = npy_header("<f4", ROWS, DIM);
    file.write_all(&header).unwrap();
    file.set_len((header.len() + ROWS * DIM * 4) as u64).unwrap();
    drop(file);

    let (ran, most) = peak_of(
        place.command(&format!("--json import db base.npy --memtable-bytes {MEMTABLE} {argument}")),
    );
    assert_eq!(ran.object()["rows"], ROWS);
    assert!(
        most <= limit,
        "the import held {} MiB, {:.1} times its memtable; expected at most {} times",
        most >> 20,
        most as f64 / MEMTABLE as f64,
        limit / MEMTABLE,
    );
    println!(
        "an import of 300 MB held {} MiB, {:.1} times its memtable",
        most >> 20,
        most as f64 / MEMTABLE as f64
    );
    assert_eq!(place.json("count db")["count"], ROWS);
}
