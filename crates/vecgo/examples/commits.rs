//! Commits a second, and the bytes of a version's manifest, by how many segments it names.
//!
//! `commits DIR`: each commit is of one record of 128 dimensions.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "measures and prints")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use vecgo::{Config, Index, Metric, Record, Retention, WalSync};

const DIM: usize = 128;
const SEGMENTS: [usize; 4] = [1, 16, 32, 64];
const FOR: Duration = Duration::from_secs(3);

fn newest_manifest(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let collection = fs::read_dir(dir.join("collections"))?.next().ok_or("no collection")??;
    let mut manifests =
        fs::read_dir(collection.path().join("manifest"))?.collect::<Result<Vec<_>, _>>()?;
    // The newest comes first.
    manifests.sort_by_key(fs::DirEntry::file_name);
    Ok(manifests.first().ok_or("no manifest")?.metadata()?.len())
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: commits DIR")?;
    let retention = Retention { versions: 16, ..Retention::default() };
    let open = vecgo::open(&dir).auto_compact(false).wal_sync(WalSync::OnCommit);
    let db = open.retention(retention).wait()?;
    let config = Config::new(DIM, Metric::L2).with_index(Index::Flat);
    let docs = db.open_or_create("docs", config).wait()?;
    let mut id = 0u64;
    let mut write = || {
        id += 1;
        docs.upsert([Record::new(id, vec![id as f32; DIM])]).wait()
    };
    for segments in SEGMENTS {
        while docs.stats().segments.len() < segments {
            write()?;
            docs.flush().wait()?;
        }
        let (start, mut commits) = (Instant::now(), 0u32);
        while start.elapsed() < FOR {
            write()?;
            docs.commit().wait()?;
            commits += 1;
        }
        let rate = f64::from(commits) / start.elapsed().as_secs_f64();
        let bytes = newest_manifest(Path::new(&dir))?;
        println!("{segments} segments: {rate:.0} commits a second, a manifest of {bytes} bytes");
    }
    docs.close().wait()?;
    Ok(())
}
