//! What of a segment is held in memory, under the limit for it: loaded once, whole and verified.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use async_lock::OnceCell;
use futures_lite::future::or;
use vecgo_format::{Fields, Lookup, Metric, SectionKind};
use vecgo_io::{Charge, Held, Use};
use vecgo_kernels::{Kernels, PageBuf, prefetch, prefetch_range};

use super::{Segment, Stop};
use crate::index::{Head, IndexPart};
use crate::{Error, Result};

/// What has been loaded of a segment.
#[derive(Debug, Default)]
pub(super) struct Resident {
    vectors: OnceCell<Charged<PageBuf<f32>>>,
    norms: OnceCell<Charged<PageBuf<f32>>>,
    longest: OnceCell<f32>,
    lookup: OnceCell<Charged<Lookup>>,
    index: OnceCell<Charged<IndexPart>>,
    head: OnceCell<Charged<Head>>,
    /// Whether the index is fetched behind whoever searches without it.
    loading: AtomicBool,
    fields: OnceCell<Charged<Fields>>,
    /// Room for the vectors, if they are held whole although searches read few of them.
    held: OnceCell<Held>,
    /// Whether what loading vectors reads first was asked for.
    asked: AtomicBool,
    /// Whether that was begun, where it is done behind whoever searches.
    holding: AtomicBool,
    /// Ids, if all are numbers: a search through an index looks up those of its hits.
    numbers: OnceCell<Charged<PageBuf<u64>>>,
}

/// Something in memory, which was taken for it.
#[derive(Debug)]
struct Charged<T> {
    value: T,
    charge: Charge,
}

impl<T> Deref for Charged<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

fn bytes<T>(cell: &OnceCell<Charged<T>>) -> u64 {
    cell.get().map_or(0, |loaded| loaded.charge.bytes())
}

impl Segment {
    /// Bytes that loaded sections take.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let Resident { vectors, norms, lookup, index, head, fields, numbers, .. } = &self.resident;
        bytes(vectors)
            + bytes(head)
            + bytes(norms)
            + bytes(lookup)
            + bytes(index)
            + bytes(fields)
            + bytes(numbers)
            + self.short_codes.memory_bytes() as u64
    }

    /// Bytes of a section, 0 if there is none.
    pub(crate) fn section_length(&self, kind: SectionKind) -> u64 {
        self.section(kind).map_or(0, |(_, section)| section.length)
    }

    /// What loading some sections takes.
    fn lengths(&self, kinds: &[SectionKind]) -> u64 {
        kinds.iter().map(|kind| self.section_length(*kind)).sum()
    }

    /// Loads something once there is memory for it, or somebody else has loaded it.
    async fn charged<'a, T>(
        &self,
        cell: &'a OnceCell<Charged<T>>,
        used_for: Use,
        kinds: &[SectionKind],
        load: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<&'a T> {
        if let Some(loaded) = cell.get() {
            return Ok(loaded);
        }
        let taken = async {
            let charge = self.memory.take(used_for, self.lengths(kinds)).await;
            charge.map(Some).map_err(|e| Error::from(e).context(format!("to load {}", self.key)))
        };
        let loaded = async {
            cell.wait().await;
            Ok(None)
        };
        // Not within the cell, where waits would add up.
        let Some(charge) = or(loaded, taken).await? else { return Ok(cell.wait().await) };
        self.put(cell, charge, load).await
    }

    async fn put<'a, T>(
        &self,
        cell: &'a OnceCell<Charged<T>>,
        charge: Charge,
        load: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<&'a T> {
        self.cache.fit();
        let load = async || Ok::<_, Error>(Charged { value: load().await?, charge });
        Ok(cell.get_or_try_init(load).await?)
    }

    /// Loads something if there is memory for it now.
    async fn charged_now<'a, T>(
        &self,
        cell: &'a OnceCell<Charged<T>>,
        used_for: Use,
        kinds: &[SectionKind],
        load: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<Option<&'a T>> {
        if let Some(loaded) = cell.get() {
            return Ok(Some(loaded));
        }
        match self.memory.try_take(used_for, self.lengths(kinds)) {
            Some(charge) => self.put(cell, charge, load).await.map(Some),
            None => Ok(None),
        }
    }

    /// Loads what a search through its index reads.
    ///
    /// # Errors
    /// `ResourceExhausted` if there was no memory for it for too long.
    async fn load_index(&self) -> Result<()> {
        let Resident { index, numbers, vectors, norms, .. } = &self.resident;
        if index.get().is_none() {
            self.will_load(&IndexPart::sections_of(self));
        }
        let load = async || IndexPart::load(self).await;
        let index = self.charged(index, Use::Segments, &IndexPart::sections_of(self), load).await?;
        if index.needs_vectors() {
            let kinds = (SectionKind::Vectors, SectionKind::Norms);
            let load = async || self.floats(kinds.0).await;
            self.charged(vectors, Use::Segments, &[kinds.0], load).await?;
            if self.has(kinds.1) {
                let load = async || self.floats(kinds.1).await;
                self.charged(norms, Use::Segments, &[kinds.1], load).await?;
            }
        }
        if !self.has(SectionKind::IdKinds) {
            let load = async || {
                let (_, section) = self.section(SectionKind::Ids)?;
                let mut numbers = PageBuf::<u64>::zeroed(self.items(section, 8)?)?;
                self.read_section(SectionKind::Ids, numbers.as_bytes_mut()).await?;
                Ok(numbers)
            };
            self.charged(numbers, Use::Segments, &[SectionKind::Ids], load).await?;
        }
        Ok(())
    }

    /// Whether a search does without the index, or the vectors of what has none, which have to be fetched from afar.
    pub(crate) fn may_be_searched_cold(&self) -> bool {
        self.loads_from_afar(self.has_index()) && Head::is_of(self)
    }

    /// Loads what tells which part of the codes a search reads.
    pub(crate) async fn load_head(&self) -> Result<()> {
        let (head, kinds) = (&self.resident.head, &Head::SECTIONS);
        if head.get().is_none() {
            self.will_load(&[Head::SECTIONS, Head::THEN].concat());
            self.will_read_sections(kinds);
        }
        let load = async || Head::load(self).await;
        self.charged(head, Use::Segments, kinds, load).await?;
        Ok(())
    }

    /// What was so loaded, as long as the rest is not there.
    pub(crate) fn head_alone(&self) -> Option<&Head> {
        let head = self.resident.head.get().filter(|_| self.loads_from_afar(self.has_index()));
        head.map(|head| &**head)
    }

    /// Whether the index is to be fetched now, behind whoever has searched without: once.
    pub(crate) fn begins_to_load(&self) -> bool {
        self.head_alone().is_some() && !self.resident.loading.swap(true, Ordering::Relaxed)
    }

    /// Whoever searches next may have it fetched again.
    pub(crate) fn may_begin_to_load(&self) {
        self.resident.loading.store(false, Ordering::Relaxed);
    }

    /// Loads the index if there is memory for it now, and the vectors if those are what it is searched by;
    /// whether it can be searched.
    pub(crate) async fn load_index_now(&self) -> Result<bool> {
        let Resident { index, vectors, norms, .. } = &self.resident;
        let (of, kinds) = (Use::Segments, &IndexPart::sections_of(self)[..]);
        let load = async || IndexPart::load(self).await;
        let Some(index) = self.charged_now(index, of, kinds, load).await? else {
            return Ok(false);
        };
        let columns = [(vectors, SectionKind::Vectors), (norms, SectionKind::Norms)];
        for (cell, kind) in columns.into_iter().filter(|(_, kind)| self.has(*kind)) {
            let load = async || self.floats(kind).await;
            if index.needs_vectors() && self.charged_now(cell, of, &[kind], load).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what a search reads first has to be fetched from afar: its index, or its vectors.
    pub(crate) fn loads_from_afar(&self, by_index: bool) -> bool {
        let Resident { index, vectors, .. } = &self.resident;
        self.is_far && if by_index { index.get().is_none() } else { vectors.get().is_none() }
    }

    /// Whether vectors are read from the disk, those of each row by themselves.
    pub(crate) fn reads_rows(&self) -> bool {
        !self.is_far && self.resident.vectors.get().is_none()
    }

    /// Loads what a search reads that goes through its index, or through all vectors.
    pub(crate) async fn load_for(
        &self,
        by_index: bool,
        metric: Metric,
        kernels: &Kernels,
    ) -> Result<()> {
        if !by_index {
            return self.load(metric, kernels).await;
        }
        self.load_index().await?;
        // From afar they take longer than what is read of them, so that happens behind whoever searches.
        if self.is_far { Ok(()) } else { self.hold_vectors(0).await }
    }

    /// Loads all that searches read, and vectors if there is room for them. Others are about to give up
    /// `given_up` bytes of vectors that are held whole.
    pub(crate) async fn load_all(
        &self,
        metric: Metric,
        kernels: &Kernels,
        given_up: u64,
    ) -> Result<()> {
        if !self.has_index() {
            return self.load(metric, kernels).await;
        }
        self.load_index().await?;
        self.hold_vectors(given_up).await
    }

    /// Whether vectors that are read from afar are to be fetched now, behind whoever searches: once.
    pub(crate) fn begins_to_hold(&self) -> bool {
        self.index().is_some() && !self.resident.holding.swap(true, Ordering::Relaxed)
    }

    /// Keeps the vectors whole if there is room for all of them.
    pub(crate) async fn hold_vectors(&self, given_up: u64) -> Result<()> {
        let (held, bytes) = (&self.resident.held, self.section_length(SectionKind::Vectors));
        if self.leaves_vectors() || held.is_initialized() || self.memory.left(Use::Kept) < bytes {
            return Ok(());
        }
        if let Some(room) = self.cache.hold(bytes, given_up)
            && self.vectors().await?
        {
            // If somebody was faster, their room is held and ours given back.
            let _ = held.set(room).await;
        }
        Ok(())
    }

    /// The index, if it has been loaded.
    pub(crate) fn index(&self) -> Option<&IndexPart> {
        self.resident.index.get().map(|index| &**index)
    }

    /// Bytes of vectors that are held whole because there was room for them.
    pub(super) fn held(&self) -> u64 {
        self.resident.held.get().map_or(0, Held::bytes)
    }

    async fn floats(&self, kind: SectionKind) -> Result<PageBuf<f32>> {
        let (_, section) = self.section(kind)?;
        let mut values = PageBuf::<f32>::zeroed(self.items(section, 4)?)?;
        self.read_section(kind, values.as_bytes_mut()).await?;
        Ok(values)
    }

    /// Loads the vectors if there is memory for them, and they are to be held; whether they are there.
    async fn vectors(&self) -> Result<bool> {
        if self.leaves_vectors() {
            return Ok(false);
        }
        let (cell, kind) = (&self.resident.vectors, SectionKind::Vectors);
        let load = async || self.floats(kind).await;
        Ok(self.charged_now(cell, Use::Kept, &[kind], load).await?.is_some())
    }

    /// Loads one over the length of each, where the metric needs them, if there is memory for them.
    async fn norms(&self) -> Result<()> {
        let (cell, kind) = (&self.resident.norms, SectionKind::Norms);
        if self.has(kind) {
            let load = async || self.floats(kind).await;
            self.charged_now(cell, Use::Kept, &[kind], load).await?;
        }
        Ok(())
    }

    /// Loads what a scan under `metric` reads, if there is memory for it: otherwise it is read anew
    /// by each.
    pub(crate) async fn load(&self, metric: Metric, kernels: &Kernels) -> Result<()> {
        if self.resident.vectors.get().is_none()
            && !self.resident.asked.swap(true, Ordering::Relaxed)
        {
            self.will_load(&[]);
        }
        if self.vectors().await? {
            self.norms().await?;
            if metric == Metric::Dot {
                self.find_longest(kernels).await?;
            }
        }
        Ok(())
    }

    /// Length of the longest vector, for which all are read if it is not known.
    pub(crate) async fn find_longest(&self, kernels: &Kernels) -> Result<f32> {
        let longest_of = |vectors: &[f32]| {
            let rows = vectors.chunks_exact(self.dim());
            rows.map(|row| kernels.norm_squared(row)).fold(0.0, f32::max).sqrt()
        };
        let find = async || {
            if let Some(vectors) = self.resident.vectors.get() {
                return Ok::<_, Error>(longest_of(vectors));
            }
            let stop = Stop::default();
            let (mut longest, mut rows) = (0.0f32, self.read_through(0, &stop)?);
            while let Some((vectors, _)) = rows.next().await? {
                longest = longest.max(longest_of(vectors));
            }
            Ok(longest)
        };
        self.resident.longest.get_or_try_init(find).await.copied()
    }

    /// Length of the longest vector, if it is known.
    pub(crate) fn longest(&self) -> Option<f32> {
        self.resident.longest.get().copied()
    }

    /// The vectors and one over the length of each, which are none where the metric needs none; if
    /// they are loaded.
    pub(crate) fn resident(&self) -> Option<(&[f32], &[f32])> {
        let norms = match self.has(SectionKind::Norms) {
            true => self.resident.norms.get()?,
            false => [].as_slice(),
        };
        Some((self.resident.vectors.get()?, norms))
    }

    /// The vectors of some rows, if they are loaded.
    pub(crate) fn resident_rows(&self, first: u32, count: usize) -> Option<&[f32]> {
        let start = (first as usize).checked_mul(self.dim())?;
        let vectors = self.resident.vectors.get()?;
        vectors.get(start..start.checked_add(count.checked_mul(self.dim())?)?)
    }

    /// The id of a row, if it has been loaded.
    pub(super) fn resident_number(&self, row: u32) -> Option<u64> {
        self.resident.numbers.get()?.get(row as usize).copied()
    }

    /// Asks for what hits at these rows will be made of: vectors from memory, or else from the store,
    /// and ids where those are in memory.
    pub(crate) fn prefetch(&self, rows: impl Iterator<Item = u32> + Clone) {
        let Resident { vectors, numbers, .. } = &self.resident;
        if vectors.get().is_none() {
            self.will_read_vectors(rows.clone());
        }
        for row in rows {
            if let Some(vectors) = vectors.get() {
                prefetch_range(vectors, row as usize * self.dim(), self.dim());
            }
            if let Some(numbers) = numbers.get() {
                prefetch(numbers, row as usize);
            }
        }
    }

    /// What of memory has to be taken before ids can be looked up.
    pub(crate) fn lookup_lacks(&self) -> u64 {
        if self.has_lookup() { 0 } else { self.section_length(SectionKind::Lookup) }
    }

    pub(super) fn has_lookup(&self) -> bool {
        self.resident.lookup.is_initialized()
    }

    async fn read_lookup(&self) -> Result<Lookup> {
        let mut bytes = self.section_bytes(SectionKind::Lookup).await?;
        Lookup::decode(bytes.as_bytes_mut(), self.rows()).map_err(|error| self.damaged(error))
    }

    pub(super) async fn lookup(&self) -> Result<&Lookup> {
        let (cell, kinds) = (&self.resident.lookup, &[SectionKind::Lookup]);
        self.charged(cell, Use::Ids, kinds, async || self.read_lookup().await).await
    }

    /// Has what filters read asked for, if it has to be fetched from afar.
    pub(crate) fn will_match(&self) {
        if self.has(SectionKind::Fields) && self.resident.fields.get().is_none() {
            self.will_load(&[SectionKind::Fields, SectionKind::FieldData]);
        }
    }

    /// The fields of its documents; where a build has written none, any may be there.
    pub(crate) async fn fields(&self) -> Result<&Fields> {
        // In memory they take up to three times as much.
        let kinds = [SectionKind::Fields; 3];
        let load = async || {
            if !self.has(SectionKind::Fields) {
                return Ok(Fields::default());
            }
            let bytes = self.section_bytes(kinds[0]).await?;
            let data = self.section_length(SectionKind::FieldData);
            Fields::decode(bytes.as_bytes(), self.rows(), data).map_err(|error| self.damaged(error))
        };
        self.charged(&self.resident.fields, Use::Segments, &kinds, load).await
    }

    /// Loads what finds the rows of ids, if there is memory for it; whether it is there.
    pub(crate) async fn load_lookup(&self) -> Result<bool> {
        let (cell, kinds) = (&self.resident.lookup, &[SectionKind::Lookup]);
        let load = async || self.read_lookup().await;
        Ok(self.charged_now(cell, Use::Ids, kinds, load).await?.is_some())
    }
}
