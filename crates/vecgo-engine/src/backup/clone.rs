//! Copying collections within a store, where it can without a byte of them passing through here.

use vecgo_format::{CollectionNames, Entry};
use vecgo_io::BoxFuture;

use super::Copied;
use super::arrive::{Arrivals, Arrived};
use super::copy::{Copying, Source, Work};
use super::inventory::CollectionBackup;
use super::leases::Leases;
use super::taken::{Part, Taken, WhichCollections, release};
use crate::{Collection, Database, Error, Result};

impl Database {
    /// Copies committed versions of collections to another database, or the same. Files are linked where
    /// both are directories of one file system, objects copied by the store where both are in one
    /// bucket. Afterwards neither needs anything of the other.
    ///
    /// # Errors
    /// `AlreadyExists` if a name is taken there; as [`Database::snapshot`] otherwise. Nothing is left behind then.
    pub fn clone_to<'a>(
        &'a self,
        which: &'a WhichCollections,
        to: &'a Database,
        name: Option<&'a str>,
        copying: Copying,
    ) -> BoxFuture<'a, Result<Copied>> {
        Box::pin(async move {
            if name.is_some() && which.name().is_none() {
                return Err(Error::invalid("another name is of one collection; say of which"));
            }
            let mut taken = self.take(which).await?;
            let pins = self.pin(&mut taken, which, "clone").await?;
            let names: Vec<&str> =
                taken.iter().map(|taken| name.unwrap_or(taken.name.as_str())).collect();
            let arrivals = match to.arrive(&names).await {
                Ok(arrivals) => arrivals,
                Err(error) => {
                    release(&pins).await;
                    return Err(error);
                }
            };
            let leases = Leases::new(&self.env().clock, pins, None);
            let mut work = Work::new(self.env(), copying, Some(leases));
            let copied = self.copy_to(to, &mut work, &arrivals, taken).await;
            if let Some(leases) = &work.leases {
                release(&leases.pins).await;
            }
            if copied.is_err() {
                to.forget(arrivals).await;
            }
            copied
        })
    }

    async fn copy_to(
        &self,
        to: &Database,
        work: &mut Work<'_>,
        arrivals: &Arrivals,
        taken: Vec<Taken>,
    ) -> Result<Copied> {
        let mut arrived = Vec::new();
        let mut copied = Copied { collections: Vec::new(), objects: 0, bytes: 0, copied_bytes: 0 };
        work.expect(taken.iter().flat_map(Taken::objects).map(|part| part.object.length));
        for (one, (name, identity)) in taken.into_iter().zip(&arrivals.identities) {
            let source = Collection::unread(&self.inner.runtime, &one.name, &one.entry);
            let logs = source.bring_back(one.committed.as_ref()).await?;
            let records = source.count();
            drop(source);
            let entry = Entry { identity: *identity, ..one.entry.clone() };
            let here = Arrived { name: name.clone(), entry };
            for part in one.objects() {
                let names = (one.names(), CollectionNames(*identity));
                self.copy_part(to, work, names, &part).await?;
                copied.objects += 1;
                copied.bytes = copied.bytes.saturating_add(part.object.length);
            }
            let logs: Vec<Vec<u8>> = logs.into_iter().map(|log| log.bytes).collect();
            work.expect(logs.iter().map(|log| log.len() as u64));
            for log in &logs {
                copied.objects += 1;
                copied.bytes = copied.bytes.saturating_add(log.len() as u64);
            }
            let mut described = CollectionBackup {
                name: name.clone(),
                version: 0,
                created_ms: here.entry.created_ms,
                records,
            };
            if let Some(committed) = &one.committed {
                let manifest = &committed.manifest;
                to.land(work, &here, manifest, logs, records).await?;
                (described.version, described.created_ms) = (manifest.number, manifest.created_ms);
            }
            copied.collections.push(described);
            arrived.push(here);
        }
        to.publish(&arrived).await?;
        copied.copied_bytes = work.moved;
        Ok(copied)
    }

    async fn copy_part(
        &self,
        to: &Database,
        work: &mut Work<'_>,
        (of, names): (CollectionNames, CollectionNames),
        part: &Part<'_>,
    ) -> Result<()> {
        let (source, key) = (part.key(of), part.key(names));
        let (here, there) = (&*self.env().store, &*to.env().store);
        let length = part.object.length;
        if there.copy_from(here, &source, length, &key).await? {
            return work.skip(length).await;
        }
        let source = Source { store: here, key: &source, length, checksum: None };
        work.pass(source, Some((there, &key)), &mut *part.check()).await.map(drop)
    }
}
