//! Rows that are not in a segment yet: blocks of vectors that one writer fills while readers scan.

mod dead;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};
use vecgo_format::Id;
use vecgo_io::Charge;
use vecgo_kernels::{Appended, Appender, Pages, append_only};

pub(crate) use dead::DeadRows;

use crate::Result;
use crate::filter::KeptMatches;
use crate::short_codes::ShortCodes;

/// Rows of the first block; each later one has twice as many as the one before.
const FIRST_ROWS: usize = 1024;
/// Rows whose ids and documents get their room together.
const SHELF_ROWS: usize = 64;
/// Enough for 2^32 rows.
const BLOCKS: usize = 22;
/// What a row costs beside its vector, document and payload.
pub(crate) const ROW_OVERHEAD: usize = 96;
/// Memory is taken so many bytes at a time.
const CHARGED: u64 = 4 << 10;

/// What a row carries beside its vector.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) document: Box<[u8]>,
    pub(crate) payload: Option<Box<[u8]>>,
    /// The row that had this id before, so that an older view finds it.
    previous: Option<u32>,
}

impl Row {
    pub(crate) fn new(id: Id, document: Box<[u8]>, payload: Option<Box<[u8]>>) -> Self {
        Self { id, document, payload, previous: None }
    }
}

/// One block: parallel columns of rows.
#[derive(Debug)]
pub(crate) struct Block {
    vectors: Arc<Appended<f32>>,
    norms: Arc<Appended<f32>>,
    sequences: Arc<Appended<u64>>,
    /// So many to a shelf.
    rows: Box<[OnceLock<Shelf>]>,
}

/// The rows of some in a row, made for the first of them.
type Shelf = Box<[OnceLock<Row>]>;

impl Block {
    /// The vectors of the first `rows` rows, and what the metric keeps beside them.
    pub(crate) fn columns(&self, rows: usize, dim: usize) -> (&[f32], &[f32]) {
        (&self.vectors.as_slice()[..rows * dim], &self.norms.as_slice()[..rows])
    }
}

/// The readers' side of a memtable.
#[derive(Debug)]
pub(crate) struct Memtable {
    dim: usize,
    /// Of the hashes of ids.
    seed: u64,
    /// Blocks that double: few of them, soon on huge pages, and growing moves nothing, so readers
    /// need no lock.
    blocks: [OnceLock<Block>; BLOCKS],
    ids: RwLock<HashTable<u32>>,
    pub(crate) dead: DeadRows,
    pub(crate) short_codes: ShortCodes,
    pub(crate) kept_matches: KeptMatches,
    bytes: AtomicUsize,
    /// Memory for them and for what is about to be added.
    charge: Mutex<Charge>,
    /// Bits of the largest norm; those of positive floats are in their order.
    largest_norm: AtomicU32,
    /// Number of the first log that these rows are in.
    pub(crate) first_log: u64,
}

/// The block that a row is in, and its place there.
fn place(row: u32) -> (usize, usize) {
    let row = row as usize;
    let block = (row / FIRST_ROWS + 1).ilog2() as usize;
    (block, row - rows_before(block))
}

fn rows_before(block: usize) -> usize {
    ((1 << block) - 1) * FIRST_ROWS
}

impl Memtable {
    fn block_of(&self, row: u32) -> Option<(&Block, usize)> {
        let (block, place) = place(row);
        Some((self.blocks.get(block)?.get()?, place))
    }

    /// The blocks, each with its number of rows that are not newer than `sequence`.
    pub(crate) fn blocks(&self, sequence: u64) -> impl Iterator<Item = (&Block, usize)> {
        self.blocks.iter().map_while(OnceLock::get).map_while(move |block| {
            let sequences = block.sequences.as_slice();
            let rows = match sequences.last() {
                Some(last) if *last <= sequence => sequences.len(),
                _ => sequences.partition_point(|written| *written <= sequence),
            };
            (rows > 0).then_some((block, rows))
        })
    }

    /// Number of rows that are not newer than `sequence`, dead ones included.
    pub(crate) fn rows_at(&self, sequence: u64) -> usize {
        self.blocks(sequence).map(|(_, rows)| rows).sum()
    }

    pub(crate) fn row(&self, row: u32) -> Option<&Row> {
        let (block, place) = self.block_of(row)?;
        block.rows.get(place / SHELF_ROWS)?.get()?.get(place % SHELF_ROWS)?.get()
    }

    pub(crate) fn vector(&self, row: u32) -> Option<&[f32]> {
        self.vectors(row, 1)
    }

    /// The vectors of `count` rows, if all are in one block. No block begins
    /// within a chunk of short codes.
    pub(crate) fn vectors(&self, row: u32, count: usize) -> Option<&[f32]> {
        let (block, place) = self.block_of(row)?;
        let start = place.checked_mul(self.dim)?;
        block.vectors.as_slice().get(start..start.checked_add(count.checked_mul(self.dim)?)?)
    }

    pub(crate) fn norm(&self, row: u32) -> Option<f32> {
        let (block, place) = self.block_of(row)?;
        block.norms.as_slice().get(place).copied()
    }

    fn written_at(&self, row: u32) -> Option<u64> {
        let (block, place) = self.block_of(row)?;
        block.sequences.as_slice().get(place).copied()
    }

    /// The row that `id` named at `sequence`.
    pub(crate) fn find(&self, id: &Id, sequence: u64) -> Option<u32> {
        let mut row = self.newest(id);
        while let Some(found) = row {
            if self.written_at(found)? <= sequence {
                return (!self.dead.is_dead(found, sequence)).then_some(found);
            }
            row = self.row(found)?.previous;
        }
        None
    }

    fn newest(&self, id: &Id) -> Option<u32> {
        let same = |row: &u32| self.row(*row).is_some_and(|row| row.id == *id);
        self.ids.read().find(self.hash(id), same).copied()
    }

    fn hash(&self, id: &Id) -> u64 {
        match id {
            // Where these fall must not be known before either.
            Id::Number(number) => Id::Number(number ^ self.seed).lookup_hash(0),
            Id::Text(_) => id.lookup_hash(self.seed),
        }
    }

    fn hash_of(&self, row: u32) -> u64 {
        self.row(row).map_or(0, |row| self.hash(&row.id))
    }

    pub(crate) fn largest_norm(&self) -> f32 {
        f32::from_bits(self.largest_norm.load(Ordering::Relaxed))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The writer's side: one for each memtable.
#[derive(Debug)]
pub(crate) struct MemtableWriter {
    table: Arc<Memtable>,
    rows: u32,
    /// The blocks that have room, the one being filled first.
    open: std::collections::VecDeque<OpenBlock>,
    blocks: usize,
}

#[derive(Debug)]
struct OpenBlock {
    vectors: Appender<f32>,
    norms: Appender<f32>,
    sequences: Appender<u64>,
}

impl MemtableWriter {
    /// A memtable without rows; `charge` grows with it, and nobody can know `seed` before.
    pub(crate) fn new(dim: usize, first_log: u64, seed: u64, charge: Charge) -> Self {
        let table = Memtable {
            dim,
            seed,
            blocks: std::array::from_fn(|_| OnceLock::new()),
            ids: RwLock::new(HashTable::new()),
            dead: DeadRows::default(),
            short_codes: ShortCodes::default(),
            kept_matches: KeptMatches::default(),
            bytes: AtomicUsize::new(0),
            charge: Mutex::new(charge),
            largest_norm: AtomicU32::new(0),
            first_log,
        };
        Self { table: Arc::new(table), rows: 0, open: std::collections::VecDeque::new(), blocks: 0 }
    }

    pub(crate) fn table(&self) -> &Arc<Memtable> {
        &self.table
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows as usize
    }

    /// What has to be taken of memory before so many bytes more are added, if anything.
    pub(crate) fn lacks(&self, bytes: usize) -> u64 {
        let wanted = (self.table.bytes().saturating_add(bytes) as u64).next_multiple_of(CHARGED);
        wanted.saturating_sub(self.charged())
    }

    /// What has been taken of memory.
    pub(crate) fn charged(&self) -> u64 {
        self.table.charge.lock().bytes()
    }

    /// Takes up what was taken of memory.
    pub(crate) fn charge(&self, charge: Charge) {
        self.table.charge.lock().add(charge);
    }

    /// Makes room for so many rows, so that adding them cannot fail half-way.
    pub(crate) fn reserve(&mut self, rows: usize) -> Result<()> {
        let wanted = self.rows().saturating_add(rows);
        if u32::try_from(wanted).is_err() {
            return Err(crate::Error::internal(format!("{wanted} rows in one memtable")));
        }
        while rows_before(self.blocks) < wanted {
            self.add_block()?;
        }
        self.table.ids.write().reserve(rows, |row| self.table.hash_of(*row));
        Ok(())
    }

    fn add_block(&mut self) -> Result<()> {
        let rows = FIRST_ROWS << self.blocks;
        // Many a memtable never comes to the second.
        let pages = if self.blocks == 0 { Pages::Small } else { Pages::Huge };
        let (vectors, published_vectors) = append_only(self.table.dim.saturating_mul(rows), pages)?;
        let (norms, published_norms) = append_only(rows, pages)?;
        let (sequences, published_sequences) = append_only(rows, pages)?;
        let block = Block {
            vectors: published_vectors,
            norms: published_norms,
            sequences: published_sequences,
            rows: (0..rows.div_ceil(SHELF_ROWS)).map(|_| OnceLock::new()).collect(),
        };
        let slot = self.table.blocks.get(self.blocks);
        if slot.is_none_or(|slot| slot.set(block).is_err()) {
            return Err(crate::Error::internal(format!("no place for block {}", self.blocks)));
        }
        self.open.push_back(OpenBlock { vectors, norms, sequences });
        self.blocks += 1;
        Ok(())
    }

    /// Adds a row and returns its number. The row it replaces here, if any, is dead from then on.
    /// Readers see it once the sequence number that they read at reaches `sequence`.
    ///
    /// # Errors
    /// `Internal` if no room was reserved.
    pub(crate) fn push(
        &mut self,
        vector: &[f32],
        norm: f32,
        sequence: u64,
        mut row: Row,
    ) -> Result<u32> {
        let number = self.rows;
        let (_, place) = place(number);
        if number > 0 && place == 0 {
            self.open.pop_front();
        }
        let full = || crate::Error::internal("a memtable row without room");
        let open = self.open.front_mut().ok_or_else(full)?;
        let (block, _) = self.table.block_of(number).ok_or_else(full)?;
        let bytes = vector.len() * 4
            + row.document.len()
            + row.payload.as_ref().map_or(0, |payload| payload.len())
            + row.id.bytes()
            + ROW_OVERHEAD;
        self.table.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.table.largest_norm.fetch_max(norm.to_bits(), Ordering::Relaxed);

        let hash = self.table.hash(&row.id);
        let replaced = self.table.newest(&row.id);
        row.previous = replaced;
        if let Some(replaced) = replaced {
            self.table.dead.kill(replaced, sequence);
        }
        let id = row.id.clone();
        let shelf = block.rows.get(place / SHELF_ROWS).ok_or_else(full)?;
        let shelf = shelf.get_or_init(|| (0..SHELF_ROWS).map(|_| OnceLock::new()).collect());
        shelf[place % SHELF_ROWS].set(row).map_err(|_| full())?;
        open.vectors.extend_from_slice(vector).map_err(|_| full())?;
        open.norms.extend_from_slice(&[norm]).map_err(|_| full())?;
        // Last: a row exists for readers once its sequence number does.
        open.sequences.extend_from_slice(&[sequence]).map_err(|_| full())?;
        self.index(hash, &id, number);
        self.rows += 1;
        Ok(number)
    }

    fn index(&self, hash: u64, id: &Id, number: u32) {
        let same = |row: &u32| self.table.row(*row).is_some_and(|row| row.id == *id);
        let rehash = |row: &u32| self.table.hash_of(*row);
        match self.table.ids.write().entry(hash, same, rehash) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => *entry.get_mut() = number,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(number);
            }
        }
    }
}
