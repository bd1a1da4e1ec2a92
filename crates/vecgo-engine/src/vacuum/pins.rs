use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vecgo_format::{CollectionNames, FormatError, ObjectName, Pin as PinObject};
use vecgo_io::{BoxFuture, Env, StoreErrorKind};

use crate::collection::Shared;
use crate::{Collection, Error, Result, manifest};

/// Longest name of a holder.
const MAX_HOLDER_BYTES: usize = 256;

/// Keeps a version for somebody who reads it, as a backup does. Counts until it is released or
/// expires; dropping it does neither.
#[derive(Debug)]
pub struct Pin {
    shared: Arc<Shared>,
    /// Of all that were put: the last is the one that counts.
    keys: Vec<String>,
    epoch: u64,
    version: u64,
    holder: String,
    /// When the longest lease ends.
    expires_ms: u64,
}

/// A pin that keeps a version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinStats {
    /// The version.
    pub version: u64,
    /// Who holds it.
    pub holder: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: u64,
}

impl Collection {
    /// Keeps a version for `lease`, whatever retention says. `holder` tells people who reads.
    ///
    /// # Errors
    /// `VersionGone` if it is not kept, or only by a pin, which may end any moment; `ReadOnly` in a
    /// database open for reading.
    pub fn pin<'a>(
        &'a self,
        version: u64,
        lease: Duration,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<Pin>> {
        Box::pin(async move {
            if holder.len() > MAX_HOLDER_BYTES {
                let found = holder.len();
                let message =
                    format!("a holder of {found} bytes; expected {MAX_HOLDER_BYTES} at most");
                return Err(Error::invalid(message));
            }
            let shared = Arc::clone(&self.shared);
            let committed = manifest::at(&shared.env, shared.names, version).await?;
            let epoch = committed.manifest.epoch;
            let holder = holder.to_owned();
            let mut pin = Pin { keys: Vec::new(), epoch, version, holder, expires_ms: 0, shared };
            pin.renew(lease).await?;
            Ok(pin)
        })
    }
}

impl Pin {
    /// The version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Keeps the version for `lease` from now on, or for what is left of an earlier lease if that
    /// is longer.
    ///
    /// # Errors
    /// What writing to the store can meet; the lease before then still counts. `VersionGone` if it
    /// had ended, and the version is not kept.
    pub fn renew(&mut self, lease: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let had_ended = self.expires_ms <= self.shared.env.clock.wall_ms();
            // The pin before is left to expire: a listing under way might find neither of the two.
            self.put(lease).await?;
            // A vacuum that listed the pins before has committed by now that the version goes.
            let Self { shared, version, .. } = &*self;
            if !had_ended
                || manifest::keeps_without_pins(&shared.env, shared.names, *version).await?
            {
                return Ok(());
            }
            let gone = manifest::version_gone(*version);
            let _ = self.release().await;
            Err(gone)
        })
    }

    /// Lets go of the version.
    ///
    /// # Errors
    /// What the store can meet; the pin then expires by itself.
    pub fn release(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            for key in &self.keys {
                self.shared.env.store.delete(key).await?;
            }
            Ok(())
        })
    }

    async fn put(&mut self, lease: Duration) -> Result<()> {
        let env = &self.shared.env;
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let pin = PinObject {
            collection: self.shared.names.0,
            version: self.version,
            expires_ms: env.clock.wall_ms().saturating_add(lease_ms),
            holder: self.holder.clone(),
        };
        let name = ObjectName { epoch: self.epoch, random: env.rand.next_u64() };
        let key = self.shared.names.pin(name);
        let mut writer = env.store.create(&key).await?;
        writer.write(&pin.encode().0).await?;
        writer.finish().await?;
        self.expires_ms = self.expires_ms.max(pin.expires_ms);
        self.keys.push(key);
        Ok(())
    }
}

/// Keys of all pins. A file of another name is not ours and does not stop us.
pub(crate) async fn list(env: &Env, names: CollectionNames) -> Result<Vec<String>> {
    let listed = env.store.list(&names.pins()).await?.into_iter().map(|listed| listed.key);
    let ours = |key: &String| ObjectName::of(key).is_ok_and(|name| names.pin(name) == *key);
    Ok(listed.filter(ours).collect())
}

/// A pin and its length; `None` if it has been deleted.
pub(crate) async fn read(
    env: &Env,
    names: CollectionNames,
    key: &str,
) -> Result<Option<(PinObject, u64)>> {
    let bytes = match env.store.get(key).await {
        Err(error) if error.kind() == StoreErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let decoded = PinObject::decode(&bytes).and_then(|(pin, _)| {
        if pin.collection != names.0 {
            let detail = format!("it is a pin of {}", pin.collection);
            return Err(FormatError::Invalid { what: "pin", offset: 0, detail });
        }
        Ok(pin)
    });
    let pin = decoded.map_err(|error| Error::format(key, error))?;
    Ok(Some((pin, bytes.len() as u64)))
}

/// The pins that count, by version: of several the one that counts longest. Those that have expired
/// are deleted if `delete_expired`.
pub(crate) async fn pinned(
    env: &Env,
    names: CollectionNames,
    delete_expired: bool,
) -> Result<BTreeMap<u64, PinStats>> {
    let now_ms = env.clock.wall_ms();
    let mut pinned: BTreeMap<u64, PinStats> = BTreeMap::new();
    for key in list(env, names).await? {
        let Some((pin, _)) = read(env, names, &key).await? else { continue };
        let PinObject { version, expires_ms, holder, .. } = pin;
        if expires_ms <= now_ms {
            if delete_expired {
                env.store.delete(&key).await?;
            }
        } else if pinned.get(&version).is_none_or(|pin| pin.expires_ms < expires_ms) {
            pinned.insert(version, PinStats { version, holder, expires_ms });
        }
    }
    Ok(pinned)
}
