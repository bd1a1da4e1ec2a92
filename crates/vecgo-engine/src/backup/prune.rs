//! Deleting backups, and copies that none has any more.
//!
//! Others may make a backup meanwhile, on any machine, and build on copies that are there. So whoever
//! deletes first says what, in a plan; whoever makes one first says so, in a note (`leases.rs`). Each looks
//! for the other's after that: a maker builds on nothing that is in a plan, and a plan is given up if there is
//! a note that counts. What is deleted of the copies was there before notes were looked for, so
//! it is none of a maker that came later. A plan that was interrupted is carried out by the next.

use std::collections::BTreeSet;

use vecgo_format::{BackupNames, PrunePlan};
use vecgo_io::BoxFuture;

use super::place::{BackupPlace, Found};
use crate::vacuum::delete_all;
use crate::{Error, ErrorKind, Result};

/// Which backups are kept: the newest always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub last: usize,
    /// And the newest of each of the last so many days, by UTC, on which there was one.
    pub daily: usize,
    /// And the newest of each of the last so many weeks, from Monday on.
    pub weekly: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { last: 24, daily: 7, weekly: 4 }
    }
}

/// What a prune did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Backups that are left.
    pub kept: u64,
    /// Backups that are gone.
    pub backups: u64,
    /// Copies deleted that none of those left has.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
}

const DAY_MS: u64 = 86_400_000;

impl Keep {
    /// Those of some moments that are kept, newest first, by place.
    fn of(self, moments_ms: &[u64]) -> BTreeSet<usize> {
        let mut kept: BTreeSet<usize> = (0..moments_ms.len().min(self.last.max(1))).collect();
        // The first day since 1970 was a Thursday.
        let spans = [(self.daily, 0, DAY_MS), (self.weekly, 3 * DAY_MS, 7 * DAY_MS)];
        for (most, offset, span) in spans {
            let mut seen = BTreeSet::new();
            for (place, moment) in moments_ms.iter().enumerate() {
                if seen.len() < most && seen.insert(moment.saturating_add(offset) / span) {
                    kept.insert(place);
                }
            }
        }
        kept
    }
}

impl BackupPlace {
    /// Deletes the backups that are not kept, and copies that none has any more.
    ///
    /// # Errors
    /// `Busy` while a backup is being made there, and for a quarter of an hour after one was interrupted.
    /// If a backup cannot be read nothing is deleted: nobody knows what it needs.
    pub fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned>> {
        Box::pin(async move {
            let (plan, kept) = self.plan(keep).await?;
            let key = BackupNames::plan(self.env.rand.next_u64());
            let is_needed = plan != PrunePlan::default();
            if is_needed {
                self.put(&key, plan.encode().0).await?;
            }
            let doomed = match self.doomed_data(&plan).await {
                Ok(doomed) => doomed,
                Err(error) => {
                    if is_needed {
                        let _ = self.store().delete(&key).await;
                    }
                    return Err(error);
                }
            };
            self.carry_out(&plan, &doomed).await?;
            let (backups, objects) = (plan.backups.len() as u64, doomed.len() as u64);
            let bytes = doomed.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
            Ok(Pruned { kept, backups, objects, bytes })
        })
    }

    /// What is to go, and how many are kept.
    async fn plan(&self, keep: Keep) -> Result<(PrunePlan, u64)> {
        // What somebody began to delete and did not.
        let begun = self.doomed().await?;
        let found = self.inventories(&PrunePlan::default()).await?;
        let (left, mut gone): (Vec<Found>, Vec<Found>) = found
            .into_iter()
            .partition(|found| !begun.backups.contains(&(found.created_ms, found.id)));
        check_readable(&left)?;
        let moments: Vec<u64> = left.iter().map(|found| found.created_ms).collect();
        let kept = keep.of(&moments);
        let count = kept.len() as u64;
        gone.extend(
            left.into_iter()
                .enumerate()
                .filter_map(|(place, found)| (!kept.contains(&place)).then_some(found)),
        );
        let now_ms = self.env.clock.wall_ms();
        let unfinished = self.unfinished().await?.into_iter().filter(|unfinished| {
            unfinished.inventory.expires_ms.is_none_or(|expires_ms| expires_ms <= now_ms)
                || begun.unfinished.contains(&(unfinished.id, unfinished.nth))
        });
        let plan = PrunePlan {
            backups: gone.into_iter().map(|found| (found.created_ms, found.id)).collect(),
            unfinished: unfinished.map(|unfinished| (unfinished.id, unfinished.nth)).collect(),
        };
        Ok((plan, count))
    }

    /// Copies that only what is in the plan has, or nothing at all, with their lengths.
    async fn doomed_data(&self, plan: &PrunePlan) -> Result<Vec<(String, u64)>> {
        let listed = self.store().list(BackupNames::DATA).await?;
        for unfinished in self.unfinished().await? {
            if !plan.unfinished.contains(&(unfinished.id, unfinished.nth)) {
                let message = "a backup is being made there, or was interrupted a moment ago; \
                               nothing is deleted until it is done or a quarter of an hour has passed";
                return Err(Error::new(ErrorKind::Busy, message));
            }
        }
        let left = self.inventories(plan).await?;
        check_readable(&left)?;
        let inventories = left.iter().filter_map(|found| found.inventory.as_ref().ok());
        let needed: BTreeSet<u128> =
            inventories.flat_map(|inventory| &inventory.copies).map(|copy| copy.data).collect();
        let doomed = listed.into_iter().filter(|listed| {
            BackupNames::of_data(&listed.key).is_some_and(|data| !needed.contains(&data))
        });
        Ok(doomed.map(|listed| (listed.key, listed.length)).collect())
    }

    /// Deletes what says that copies are there before the copies.
    async fn carry_out(&self, plan: &PrunePlan, doomed: &[(String, u64)]) -> Result<()> {
        let plans: Vec<String> = self.plans().await?.into_iter().map(|(key, _)| key).collect();
        let backups = plan.backups.iter().map(|(ms, id)| BackupNames::inventory(*ms, *id));
        let notes = plan.unfinished.iter().map(|(id, nth)| BackupNames::unfinished(*id, *nth));
        let doomed = doomed.iter().map(|(key, _)| key.clone());
        for keys in [backups.collect(), notes.collect(), doomed.collect(), plans] {
            delete_all(&self.env, keys, || Ok(())).await?;
        }
        Ok(())
    }
}

fn check_readable(found: &[Found]) -> Result<()> {
    for Found { inventory, .. } in found {
        if let Err(error) = inventory {
            return Err(error.clone().context("nothing is deleted"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_days_and_weeks_are_kept() {
        // Newest first: 2026-11-29, a Sunday, at noon and earlier that day, then a day before each.
        let noon = 20_786 * DAY_MS + DAY_MS / 2;
        let moments = [noon, noon - 1000, noon - DAY_MS, noon - 2 * DAY_MS, noon - 8 * DAY_MS];
        let keep = |last, daily, weekly| {
            Keep { last, daily, weekly }.of(&moments).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(keep(0, 0, 0), [0]);
        assert_eq!(keep(2, 0, 0), [0, 1]);
        assert_eq!(keep(1, 2, 0), [0, 2]);
        assert_eq!(keep(1, 3, 0), [0, 2, 3]);
        assert_eq!(keep(1, 0, 2), [0, 4]);
        assert_eq!(keep(100, 0, 0), [0, 1, 2, 3, 4]);
        // A Monday is not of the week before it.
        let monday = 20_787 * DAY_MS;
        let of = |weekly| Keep { last: 1, daily: 0, weekly }.of(&[monday, monday - 1]);
        assert_eq!(of(2).len(), 2);
        assert_eq!(Keep::default().of(&[]).len(), 0);
    }
}
