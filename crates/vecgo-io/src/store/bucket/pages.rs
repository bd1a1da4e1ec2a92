//! Pages of objects, asked for once however many want them, and kept: some in memory, more on a disk.
//!
//! Only what never changes is kept: names of objects that are opened are used once and never again.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Bucket;
use super::disk_pages::DiskPages;
use super::object::fetch;
use super::request::closed;
use crate::{OpenError, StoreError};

/// Bytes of a page.
pub(super) const PAGE_BYTES: u64 = 64 << 10;
/// Pages asked for by one request.
const RUN_PAGES: u64 = 128;
/// So many pages between two that are wanted are asked for with them.
const GAP_PAGES: u64 = 1;
/// Runs that wait to be written to the disk: half a gigabyte at most.
const MOST_UNWRITTEN: usize = 64;
/// Flights remembered before those that have ended are looked for.
const MOST_FLIGHTS: usize = 4096;

/// A page of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PageKey {
    /// Of the object's whole address.
    pub(super) object: u128,
    pub(super) page: u64,
}

/// Where pages are kept.
#[derive(Debug, Clone, Default)]
pub struct PageCache {
    /// Bytes of memory.
    pub memory: u64,
    /// A directory of this machine, and bytes of it. What is there when a process ends the next one finds.
    pub directory: Option<(PathBuf, u64)>,
}

/// Pages under way, as they come: those of one request.
type Flight = Shared<BoxFuture<'static, Result<Bytes, StoreError>>>;
type WeakFlight = WeakShared<BoxFuture<'static, Result<Bytes, StoreError>>>;

/// The pages of a bucket.
#[derive(Debug)]
pub(super) struct Pages {
    memory: Cache<PageKey, Bytes, ByLength>,
    disk: Option<DiskPages>,
    flights: Mutex<Flights>,
    /// Runs that are about to be written to the disk.
    unwritten: AtomicUsize,
}

/// What is under way.
#[derive(Debug, Default)]
struct Flights {
    /// By page, the request that brings it.
    by_page: HashMap<PageKey, UnderWay>,
    begun: u64,
}

#[derive(Debug, Clone)]
struct UnderWay {
    number: u64,
    /// The first page of those that it brings.
    first: u64,
    flight: WeakFlight,
}

impl Flights {
    /// The request that brings a page, unless it has ended or been given up.
    fn of(&self, key: PageKey) -> Option<Wanted> {
        let UnderWay { first, flight, .. } = self.by_page.get(&key)?;
        Some(Wanted { first: *first, flight: flight.upgrade()? })
    }
}

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<PageKey, Bytes> for ByLength {
    fn weight(&self, _: &PageKey, page: &Bytes) -> u64 {
        page.len() as u64 + 64
    }
}

/// An object whose pages are read.
#[derive(Debug, Clone)]
pub(super) struct Paged {
    pub(super) key: Arc<str>,
    pub(super) path: object_store::path::Path,
    pub(super) length: u64,
    pub(super) hash: u128,
}

impl Paged {
    fn at(&self, page: u64) -> PageKey {
        PageKey { object: self.hash, page }
    }
}

/// A part of an object that is wanted, and the request that brings it.
pub(super) struct Wanted {
    first: u64,
    flight: Flight,
}

impl Pages {
    pub(super) fn new(cache: &PageCache) -> Result<Self, OpenError> {
        let items = usize::try_from(cache.memory / PAGE_BYTES).unwrap_or(usize::MAX).max(16);
        let disk = cache.directory.as_ref();
        let disk = disk.map(|(path, bytes)| DiskPages::open(path, *bytes)).transpose()?;
        let memory = Cache::with_weighter(items, cache.memory, ByLength);
        let (flights, unwritten) = (Mutex::default(), AtomicUsize::new(0));
        Ok(Self { memory, disk, flights, unwritten })
    }

    /// Bytes that are kept on a disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk.as_ref().map_or(0, DiskPages::bytes)
    }

    /// Copies what is kept of a page to its place in `out`, which begins at `offset` of the object. A page that all
    /// lies in there comes from the disk without a detour.
    fn copy_kept(&self, key: PageKey, offset: u64, out: &mut [u8]) -> bool {
        let at = key.page * PAGE_BYTES;
        if let Some(bytes) = self.memory.get(&key) {
            copy(&bytes, at, offset, out);
            return true;
        }
        let Some(disk) = &self.disk else { return false };
        let start = at.checked_sub(offset).and_then(|start| usize::try_from(start).ok());
        let whole = start.and_then(|start| {
            let end = start.checked_add(usize::try_from(PAGE_BYTES).ok()?)?;
            out.get_mut(start..end)
        });
        match whole {
            Some(whole) => disk.read_into(key, whole),
            None => disk.with(key, |bytes| copy(bytes, at, offset, out)).is_some(),
        }
    }

    fn has(&self, key: PageKey) -> bool {
        self.memory.contains_key(&key) || self.disk.as_ref().is_some_and(|disk| disk.has(key))
    }

    /// Drops what is kept of a range.
    pub(super) fn forget(&self, object: &Paged, range: Range<u64>) {
        for page in range.start / PAGE_BYTES..range.end.min(object.length).div_ceil(PAGE_BYTES) {
            self.memory.remove(&object.at(page));
            if let Some(disk) = &self.disk {
                disk.forget(object.at(page));
            }
        }
    }

    fn keep(&self, object: &Paged, first: u64, run: &Bytes) {
        let page_bytes = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
        for (page, bytes) in (first..).zip(run.chunks(page_bytes)) {
            // A slice would hold all of the run.
            self.memory.insert(object.at(page), Bytes::copy_from_slice(bytes));
        }
    }

    /// Whether one more run goes to the disk. What comes much faster than that is slow is not kept there.
    fn may_write(&self) -> bool {
        let before = self.unwritten.fetch_add(1, Ordering::Relaxed);
        let may = self.disk.is_some() && before < MOST_UNWRITTEN;
        if !may {
            self.unwritten.fetch_sub(1, Ordering::Relaxed);
        }
        may
    }

    fn keep_on_disk(&self, object: &Paged, first: u64, run: &Bytes) {
        let Some(disk) = &self.disk else { return };
        let page_bytes = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
        for (page, bytes) in (first..).zip(run.chunks(page_bytes)) {
            disk.insert(object.at(page), bytes);
        }
    }
}

/// Reads at `offset` until `out` is full. The range is within the object.
pub(super) async fn read(
    bucket: &Arc<Bucket>,
    object: &Paged,
    offset: u64,
    out: &mut [u8],
) -> Result<(), StoreError> {
    let end = offset + out.len() as u64;
    let mut missing = Vec::new();
    for page in offset / PAGE_BYTES..=(end - 1) / PAGE_BYTES {
        if !bucket.pages.copy_kept(object.at(page), offset, out) {
            missing.push(page);
        }
    }
    for Wanted { first, flight } in want(bucket, object, &missing) {
        let run = flight.await?;
        copy(&run, first * PAGE_BYTES, offset, out);
    }
    Ok(())
}

/// Copies what two ranges have in common: bytes of an object from `at` on, and those that are wanted from
/// `offset` on.
fn copy(bytes: &[u8], at: u64, offset: u64, out: &mut [u8]) {
    let within = |distance: u64| usize::try_from(distance).unwrap_or(usize::MAX);
    let from = bytes.get(within(offset.saturating_sub(at))..).unwrap_or_default();
    let to = out.get_mut(within(at.saturating_sub(offset))..).unwrap_or_default();
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
}

/// Has pages brought that are not kept, without waiting for them.
pub(super) fn will_read(bucket: &Arc<Bucket>, object: &Paged, ranges: &[Range<u64>]) {
    let within =
        ranges.iter().filter(|range| range.start < range.end && range.end <= object.length);
    let mut pages: Vec<u64> = within
        .flat_map(|range| range.start / PAGE_BYTES..=(range.end - 1) / PAGE_BYTES)
        .filter(|page| !bucket.pages.has(object.at(*page)))
        .collect();
    pages.sort_unstable();
    pages.dedup();
    for Wanted { flight, .. } in want(bucket, object, &pages) {
        // Somebody has to wait for it, or it is given up.
        bucket.network.start_and_forget(flight);
    }
}

/// The requests that bring some pages, which are in order: those under way, and new ones.
fn want(bucket: &Arc<Bucket>, object: &Paged, pages: &[u64]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut flights = bucket.pages.flights.lock();
    if flights.by_page.len() > MOST_FLIGHTS {
        flights.by_page.retain(|_, under_way| under_way.flight.upgrade().is_some());
    }
    let mut rest = pages.iter().copied().peekable();
    while let Some(first) = rest.next() {
        // It may have come since it was looked for.
        if let Some(page) = bucket.pages.memory.get(&object.at(first)) {
            let flight = futures_util::future::ready(Ok(page)).boxed().shared();
            wanted.push(Wanted { first, flight });
            continue;
        }
        if let Some(under_way) = flights.of(object.at(first)) {
            if wanted.last().is_none_or(|last| last.first != under_way.first) {
                wanted.push(under_way);
            }
            continue;
        }
        let mut last = first;
        while let Some(next) = rest.peek().copied()
            && next <= last + 1 + GAP_PAGES
            && next < first + RUN_PAGES
            && (last + 1..=next).all(|page| flights.of(object.at(page)).is_none())
        {
            last = next;
            rest.next();
        }
        flights.begun += 1;
        let number = flights.begun;
        let flight = begin(bucket, object, first, last, number);
        if let Some(weak) = flight.downgrade() {
            let under_way = UnderWay { number, first, flight: weak };
            let pages = (first..=last).map(|page| (object.at(page), under_way.clone()));
            flights.by_page.extend(pages);
        }
        wanted.push(Wanted { first, flight });
    }
    wanted
}

/// Asks for some pages in a row.
fn begin(bucket: &Arc<Bucket>, object: &Paged, first: u64, last: u64, number: u64) -> Flight {
    let end = last.saturating_add(1).saturating_mul(PAGE_BYTES).min(object.length);
    let range = first * PAGE_BYTES..end;
    // At once, and not when the first who wants it comes to wait for it.
    let task = bucket.network.gather(bring(Arc::clone(bucket), object.clone(), range, number));
    let key = Arc::clone(&object.key);
    let flight = async move { task.ok_or_else(|| closed(&key))?.end(&key).await? };
    flight.boxed().shared()
}

/// Brings some pages in a row and keeps them.
async fn bring(
    bucket: Arc<Bucket>,
    object: Paged,
    range: Range<u64>,
    number: u64,
) -> Result<Bytes, StoreError> {
    let (first, end) = (range.start / PAGE_BYTES, range.end.div_ceil(PAGE_BYTES));
    let length = range.end - range.start;
    let run = fetch(&bucket, &object.key, &object.path, Some(range)).await;
    let run = run.and_then(|run| match run.len() as u64 == length {
        true => Ok(run),
        false => Err(StoreError::new(&*object.key, std::io::ErrorKind::UnexpectedEof.into())),
    });
    if let Ok(run) = &run {
        bucket.pages.keep(&object, first, run);
    }
    // Kept before it is no longer under way, so that nobody asks again in between.
    let mut flights = bucket.pages.flights.lock();
    for page in (first..end).map(|page| object.at(page)) {
        if flights.by_page.get(&page).is_some_and(|under_way| under_way.number == number) {
            flights.by_page.remove(&page);
        }
    }
    drop(flights);
    if let (Ok(run), true) = (&run, bucket.pages.may_write()) {
        let (run, behind) = (run.clone(), Arc::clone(&bucket));
        bucket.network.block(move || {
            behind.pages.keep_on_disk(&object, first, &run);
            behind.pages.unwritten.fetch_sub(1, Ordering::Relaxed);
        });
    }
    run
}
