//! Memory of an import depends on the memtable, not on the file, but for the vectors that it merges.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::command::{Place, Ran};
use crate::files::npy_header;

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

    let mut command =
        place.command(&format!("--json import db base.npy --memtable-bytes {MEMTABLE} {argument}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The kernel keeps the peak, so that the last look before the end sees it.
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = peak(child.id()).unwrap_or(0).max(most);
        thread::sleep(Duration::from_millis(5));
    }
    let ran = Ran::from("import".to_owned(), child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.object()["rows"], ROWS);
    assert!(most > 0, "no peak was read");
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
