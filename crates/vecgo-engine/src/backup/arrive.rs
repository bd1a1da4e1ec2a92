//! Collections that are copied here: each under an identity of its own, and in the catalogue under a name only
//! once it is whole. Until then the catalogue knows that it is arriving, so that what is left of a
//! copy that was interrupted is deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use vecgo_format::{
    CollectionNames, Entry, FormatError, Identity, LogRange, LogReader, Manifest, MovedLog, Parent,
    Previous, catalogue_key,
};
use vecgo_io::{Env, StoreErrorKind, StoreLock};

use super::copy::Work;
use crate::catalogue::{self, change, check_name, delete_objects};
use crate::collection::lock;
use crate::manifest::{Committed, Decided, decide};
use crate::vacuum::objects;
use crate::{Collection, Database, Error, ErrorKind, Result};

/// How long a copy may take where nothing tells whether somebody is still at it.
const LONGEST_MS: u64 = 7 * 24 * 3600 * 1000;

/// Collections that are arriving.
pub(super) struct Arrivals {
    /// By the names that they will have.
    pub(super) identities: Vec<(String, Identity)>,
    /// While they are held, others know that somebody is at it; there are none where there are no locks.
    locks: Vec<StoreLock>,
    /// Whether there was no database before.
    is_first: bool,
}

/// A collection that is there, whole, but for its name.
pub(super) struct Arrived {
    pub(super) name: String,
    pub(super) entry: Entry,
}

impl Database {
    /// Begins to copy collections here that will have these names.
    pub(super) async fn arrive(&self, names: &[&str]) -> Result<Arrivals> {
        self.check_writable().await?;
        let (before, _) = self.inner.chain.newest().await?;
        for name in names {
            check_name(name)?;
            check_free(&before, name)?;
        }
        // What an interrupted one has left takes room that this one may need.
        self.finish_drops().await?;
        // Nobody writes these yet.
        let env = &Env { own_logs: None, ..self.env().clone() };
        let mut arrivals =
            Arrivals { identities: Vec::new(), locks: Vec::new(), is_first: before.number == 0 };
        for name in names {
            let identity = Identity(env.rand.next_u128());
            arrivals.identities.push(((*name).to_owned(), identity));
            match lock(env, &CollectionNames(identity), name).await {
                Ok(lock) => arrivals.locks.extend(lock),
                Err(error) => {
                    self.forget(arrivals).await;
                    return Err(error);
                }
            }
        }
        let now_ms = env.clock.wall_ms();
        let registered = change(&self.inner.chain, |catalogue| {
            let arriving = arrivals.identities.iter().map(|(_, identity)| (*identity, now_ms));
            catalogue.arriving.extend(arriving);
            Ok(())
        })
        .await;
        match registered {
            Ok(()) => Ok(arrivals),
            Err(error) => {
                self.forget(arrivals).await;
                Err(error)
            }
        }
    }

    /// All of them are whole: gives them their names, all at the same moment.
    pub(super) async fn publish(&self, arrived: &[Arrived]) -> Result<()> {
        change(&self.inner.chain, |catalogue| {
            for Arrived { name, entry } in arrived {
                check_free(catalogue, name)?;
                let before = catalogue.arriving.len();
                catalogue.arriving.retain(|(identity, _)| *identity != entry.identity);
                if catalogue.arriving.len() == before {
                    let message = "it took so long that what had been copied was deleted";
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                catalogue.collections.insert(name.clone(), entry.clone());
            }
            Ok(())
        })
        .await
    }

    /// Deletes what was copied of collections that will not come, if they have not. What cannot be deleted now
    /// is deleted later.
    pub(super) async fn forget(&self, arrivals: Arrivals) {
        let Arrivals { identities, locks, is_first } = arrivals;
        let forgotten = self.try_forget(&identities).await;
        drop(locks);
        if forgotten.is_ok() && is_first && self.env().store.has_locks() {
            // A directory that was empty is empty again.
            let _ = self.leave_nothing().await;
        }
    }

    async fn try_forget(&self, identities: &[(String, Identity)]) -> Result<()> {
        let is_ours = |identity: &Identity| identities.iter().any(|(_, own)| own == identity);
        // Nobody has written there but this, and nobody will: it cannot be given its name any more.
        change(&self.inner.chain, |catalogue| {
            catalogue.arriving.retain(|(identity, _)| !is_ours(identity));
            catalogue.dropped.retain(|identity| !is_ours(identity));
            // Until all of it is deleted.
            let there: Vec<Identity> =
                catalogue.collections.values().map(|entry| entry.identity).collect();
            let gone = identities.iter().map(|(_, identity)| *identity);
            catalogue.dropped.extend(gone.filter(|identity| !there.contains(identity)));
            Ok(())
        })
        .await?;
        let (catalogue, _) = self.inner.chain.newest().await?;
        let env = self.env();
        for identity in catalogue.dropped.iter().filter(|identity| is_ours(identity)) {
            delete_objects(env, *identity, false).await?;
        }
        change(&self.inner.chain, |catalogue| {
            catalogue.dropped.retain(|identity| !is_ours(identity));
            Ok(())
        })
        .await
    }

    /// There was no database in this directory before, and there is nothing in it.
    async fn leave_nothing(&self) -> Result<()> {
        let store = &self.env().store;
        let keys = catalogue::list(self.env()).await?;
        let (newest, _) = self.inner.chain.newest().await?;
        let is_empty = newest.collections.is_empty()
            && newest.newer.is_empty()
            && newest.arriving.is_empty()
            && newest.dropped.is_empty();
        if !is_empty || keys.first() != Some(&catalogue_key(newest.number)) {
            return Ok(());
        }
        // Whoever makes another catalogue meanwhile makes a whole one, of a higher number.
        for key in keys {
            store.delete(&key).await?;
        }
        for prefix in ["catalogue/", "collections/"] {
            store.clear_prefix(prefix).await?;
        }
        Ok(())
    }

    /// Counts collections as dropped that were arriving when somebody was interrupted.
    pub(crate) async fn give_up_arrivals(&self) -> Result<()> {
        let (catalogue, _) = self.inner.chain.newest().await?;
        let mut given_up = Vec::new();
        let now_ms = self.env().clock.wall_ms();
        for (identity, since_ms) in &catalogue.arriving {
            if is_given_up(self.env(), *identity, *since_ms, now_ms).await? {
                given_up.push(*identity);
            }
        }
        if given_up.is_empty() {
            return Ok(());
        }
        change(&self.inner.chain, |catalogue| {
            for identity in &given_up {
                let before = catalogue.arriving.len();
                catalogue.arriving.retain(|(arriving, _)| arriving != identity);
                if catalogue.arriving.len() < before {
                    catalogue.dropped.push(*identity);
                }
            }
            Ok(())
        })
        .await
    }

    /// Writes the logs and the manifest of a version whose objects are there, and checks that all of it can be
    /// read and holds so many records.
    pub(super) async fn land(
        &self,
        work: &mut Work<'_>,
        arrived: &Arrived,
        source: &Manifest,
        logs: Vec<Vec<u8>>,
        records: u64,
    ) -> Result<()> {
        let env = self.env();
        let names = CollectionNames(arrived.entry.identity);
        check_lengths(env, names, source).await?;
        let mut range = source.log;
        let mut previous = None;
        for (number, bytes) in (range.first..).zip(&logs) {
            let format = |error| Error::format(&names.log(number), error);
            let header = LogReader::open(bytes).map(|log| *log.header()).map_err(format)?;
            if header.collection != source.collection {
                let detail = format!("a log of {}", header.collection);
                return Err(format(FormatError::Invalid { what: "log", offset: 0, detail }));
            }
            // Without those between that are no part of it, which would stand behind the next fence.
            let moved = MovedLog {
                collection: names.0,
                number,
                nonce: env.rand.next_u64(),
                previous: previous.unwrap_or(header.previous),
            };
            let (bytes, end) = moved.of(bytes).map_err(format)?;
            work.write(&*env.store, &names.log(number), &bytes).await?;
            previous = Some(Previous { number, end });
        }
        if let Some(Previous { number, end }) = previous {
            range = LogRange { last: number, end, ..range };
        }
        let manifest = Manifest {
            collection: names.0,
            nonce: env.rand.next_u64(),
            parent: Parent::default(),
            epoch_began: source.number,
            oldest: source.number,
            tags: Default::default(),
            log: range,
            own_log: 0,
            extensions: Default::default(),
            ..source.clone()
        };
        manifest.check().map_err(|why| Error::internal(format!("a copied version: {why}")))?;
        let (bytes, checksum) = manifest.encode();
        let key = names.manifest(manifest.number);
        let decided = decide(env, &key, Bytes::from(bytes)).await?;
        let Decided::Ours = decided else {
            return Err(Error::internal(format!("{key}: there is one already")));
        };
        let committed = Committed { manifest, checksum };
        let collection = Collection::unread(&self.inner.runtime, &arrived.name, &arrived.entry);
        collection.bring_back(Some(&committed)).await?;
        let found = collection.count();
        match found == records {
            true => Ok(()),
            false => {
                let message = format!("the copy has {found} records, expected {records}");
                Err(Error::new(ErrorKind::Corruption, message))
            }
        }
    }
}

/// Whether all that a version names is there and as long as it should be: a store that was asked to copy an
/// object may have made another of it.
async fn check_lengths(env: &Env, names: CollectionNames, manifest: &Manifest) -> Result<()> {
    let mut listed = env.store.list(&names.segments()).await?;
    listed.extend(env.store.list(&names.all_deletes()).await?);
    let there: BTreeMap<String, u64> = listed.into_iter().map(|l| (l.key, l.length)).collect();
    for (kind, object) in objects(manifest) {
        let key = kind.key(names, object.name);
        let found = there.get(&key).copied();
        if found != Some(object.length) {
            let found = found.map_or("nothing".to_owned(), |found| format!("{found} bytes"));
            let message = format!("{key}: {found} where a copy of {} should be", object.length);
            return Err(Error::new(ErrorKind::Corruption, message));
        }
    }
    Ok(())
}

fn check_free(catalogue: &vecgo_format::Catalogue, name: &str) -> Result<()> {
    match catalogue.has(name) {
        false => Ok(()),
        true => {
            let message = format!("collection `{name}` is there already");
            Err(Error::new(ErrorKind::AlreadyExists, message))
        }
    }
}

/// Whether nobody is at it any more: whoever is holds a lock, or has not begun so long ago.
async fn is_given_up(env: &Env, identity: Identity, since_ms: u64, now_ms: u64) -> Result<bool> {
    if !env.store.has_locks() {
        return Ok(since_ms.saturating_add(LONGEST_MS) < now_ms);
    }
    let store = Arc::clone(&env.store);
    match store.lock(&CollectionNames(identity).lock(), "giving up a copy").await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == StoreErrorKind::Busy => Ok(false),
        Err(error) => Err(error.into()),
    }
}
