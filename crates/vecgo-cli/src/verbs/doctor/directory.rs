#![expect(clippy::disallowed_methods, reason = "latencies are measured by the machine's clock")]

use std::io;
use std::path::Path;
use std::time::Instant;

use vecgo_io::{Disk, LocalDisk, LockAttempt};

use super::Finding;
use crate::output::bytes;

/// Syncs whose median is told.
const SYNCS: usize = 15;

pub(super) fn probe(root: &Path) -> Vec<Finding> {
    // A directory that is not there yet is made by the first write: its parent tells.
    let there = root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".vecgo-doctor-{}", std::process::id()));
    let place = |found: String, ok| Finding { what: "directory", ok, found };
    let mut findings = Vec::new();
    match LocalDisk::open(there) {
        Ok(_) if there == root => {
            findings.push(place(format!("{} is there", root.display()), true));
        }
        Ok(_) => {
            let found = format!("{} is not there yet; {} is", root.display(), there.display());
            findings.push(place(found, true));
        }
        Err(error) => return vec![place(format!("{}: {error}", there.display()), false)],
    }
    match LocalDisk::create(&probe) {
        Ok(disk) => {
            findings.extend(probe_disk(&disk));
            for name in ["lock", "linked", "renamed"] {
                let _ = disk.remove(name);
            }
            if let Ok(parent) = LocalDisk::open(there) {
                let name = probe.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let _ = parent.remove_dir(name);
            }
        }
        Err(error) => {
            let found = format!("no: {error}; readers work, a writer does not");
            findings.push(Finding { what: "writable", ok: false, found });
        }
    }
    findings
}

fn probe_disk(disk: &LocalDisk) -> Vec<Finding> {
    let checks: [(&'static str, io::Result<String>); 5] = [
        ("write, sync", sync_latency(disk)),
        ("hard links", hard_links(disk)),
        ("rename", disk.rename("probe", "renamed").map(|()| "works".to_owned())),
        ("locks", locks(disk)),
        ("free space", disk.free_space().map(bytes)),
    ];
    checks
        .into_iter()
        .map(|(what, result)| match result {
            Ok(found) => Finding { what, ok: true, found },
            Err(error) => Finding { what, ok: false, found: error.to_string() },
        })
        .collect()
}

fn sync_latency(disk: &LocalDisk) -> io::Result<String> {
    let mut file = disk.create_new("probe")?;
    let mut milliseconds = Vec::new();
    for _ in 0..SYNCS {
        file.append(&[7; 4096])?;
        let start = Instant::now();
        file.sync()?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    milliseconds.sort_by(f64::total_cmp);
    disk.sync_dir("")?;
    Ok(format!("a sync of 4 KiB takes {:.2} ms (median of {SYNCS})", milliseconds[SYNCS / 2]))
}

fn hard_links(disk: &LocalDisk) -> io::Result<String> {
    disk.link("probe", "linked")?;
    match disk.link("probe", "linked") {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok("work".to_owned()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("a link replaced a file that was there")),
    }
}

fn locks(disk: &LocalDisk) -> io::Result<String> {
    let first = disk.lock("lock", "first")?;
    let second = disk.lock("lock", "second")?;
    match (&first, &second) {
        (LockAttempt::Taken(_), LockAttempt::Held(_)) => Ok("work".to_owned()),
        _ => Err(io::Error::other("two holders at one time: this file system has no locks")),
    }
}
