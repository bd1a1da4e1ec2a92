use std::collections::BTreeMap;
use std::sync::Arc;

use super::image::{Directory, File, Image, Inode, Node};
use crate::random::Random;

/// What a power failure makes of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No power failure at all: only the process is gone.
    Kill,
    /// All of it is gone.
    Strict,
    /// All of it is there.
    Lucky,
    /// Names and lengths are there; the bytes are zeros.
    MetadataFirst,
    /// New names are there beside the old ones that should be gone; bytes as in `Strict`.
    BothNames,
    /// Each name change and each sector is there or not, or garbage; one sector is torn.
    Random,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 6] = [
        Outcome::Kill,
        Outcome::Strict,
        Outcome::Lucky,
        Outcome::MetadataFirst,
        Outcome::BothNames,
        Outcome::Random,
    ];
}

/// What a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

impl Image {
    /// The disk as the next boot finds it. The image itself stays as it is, so that one run can
    /// crash at every moment.
    #[must_use]
    pub fn crash(&self, outcome: Outcome, random: &mut Random) -> Image {
        if outcome == Outcome::Kill {
            return self.clone();
        }
        let nodes = self.nodes.iter().map(|node| match &**node {
            Node::File(file) if file.is_durable() => Arc::clone(node),
            Node::File(file) => {
                let mut after = File { cached: file.after(outcome, random), ..File::default() };
                after.sync();
                Arc::new(Node::File(after))
            }
            Node::Directory(directory) => {
                let names = directory.after(outcome, random);
                let directory =
                    Directory { cached: names.clone(), durable: names, ..Directory::default() };
                Arc::new(Node::Directory(directory))
            }
        });
        Image { nodes: nodes.collect() }
    }
}

impl Directory {
    fn after(&self, outcome: Outcome, random: &mut Random) -> BTreeMap<String, Inode> {
        let mut names = self.durable.clone();
        for change in &self.pending {
            let kept = match outcome {
                Outcome::Strict => false,
                Outcome::Kill | Outcome::Lucky | Outcome::MetadataFirst => true,
                Outcome::BothNames => change.inode.is_some(),
                Outcome::Random => random.one_in(2),
            };
            if kept {
                change.apply(&mut names);
            }
        }
        names
    }
}

impl File {
    fn is_durable(&self) -> bool {
        self.clean == self.cached.len() && self.dropped.is_empty()
    }

    fn after(&self, outcome: Outcome, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.cached.clone();
        for (start, end) in &self.dropped {
            bytes[*start..*end].fill(0);
        }
        match outcome {
            Outcome::Kill | Outcome::Lucky => {}
            Outcome::MetadataFirst => bytes[self.clean..].fill(0),
            Outcome::Strict | Outcome::BothNames => bytes.truncate(self.clean),
            Outcome::Random => {
                let unsynced = bytes.len() - self.clean;
                bytes.truncate(self.clean + random.below(unsynced + 1));
                scatter(&mut bytes, self.clean, random);
            }
        }
        // The length that a failed sync should have written may be lost with the bytes.
        if let Some((start, end)) = self.dropped.last()
            && *end == bytes.len()
            && outcome != Outcome::MetadataFirst
        {
            bytes.truncate(*start);
        }
        bytes
    }
}

/// Decides the fate of each sector after `clean`. Bytes before it in the same sector survive.
fn scatter(bytes: &mut [u8], clean: usize, random: &mut Random) {
    let mut start = clean;
    while start < bytes.len() {
        let end = bytes.len().min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
        let sector = &mut bytes[start..end];
        match random.below(6) {
            0..=2 => {}
            3 => sector.fill(0),
            // What was there before.
            4 => sector.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31) ^ 0x5a),
            _ => {
                let torn = random.below(sector.len());
                sector[torn..].fill(0);
            }
        }
        start = end;
    }
}
