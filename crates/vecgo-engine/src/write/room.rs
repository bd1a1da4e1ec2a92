//! Memory for what is written: a batch waits until there is some, and is refused if that takes too
//! long.

use futures_lite::future::or;
use vecgo_io::Use;

use super::batch::Batch;
use super::inbox::Message;
use super::writer::Writer;
use crate::{Result, WalSync};

impl Writer {
    /// Takes memory for a batch, if it is there and ids can be looked up in all segments.
    pub(super) fn take_room(&self, batch: &Batch) -> bool {
        if self.lookups_lack() > 0 {
            return false;
        }
        let lacks = self.active.lacks(batch.memory_bytes(self.shared.dim()));
        let charge = || self.shared.env.memory.try_take(Use::Memtables, lacks);
        lacks == 0 || charge().map(|charge| self.active.charge(charge)).is_some()
    }

    /// What has to be taken before ids can be looked up in all segments.
    fn lookups_lack(&self) -> u64 {
        self.segments.iter().map(|(live, _)| live.segment.lookup_lacks()).sum()
    }

    /// Loads what finds ids, and takes memory for a batch, if it is there.
    async fn load_and_take_room(&self, batch: &Batch) -> Result<bool> {
        for (live, _) in &self.segments {
            if !live.segment.load_lookup().await? {
                return Ok(false);
            }
        }
        Ok(self.take_room(batch))
    }

    /// Returns once there is memory for a batch. All that is applied must be acknowledged.
    ///
    /// # Errors
    /// `ResourceExhausted` if that takes too long; or why a flush comes to nothing.
    pub(super) async fn make_room(&mut self, batch: &Batch) -> Result<()> {
        let (memory, inbox) = (self.shared.env.memory.clone(), self.inbox.clone());
        let mut wait = memory.wait();
        loop {
            let freed = memory.freed();
            if self.load_and_take_room(batch).await? {
                return Ok(());
            }
            self.check_alive()?;
            memory.press();
            self.pressure = memory.pressure();
            self.begin_flush().await;
            if let Some(failure) = self.shared.flush_failure.lock().clone() {
                return Err(failure);
            }
            // What was acknowledged must not wait for its sync as long.
            if self.shared.options.wal_sync != WalSync::OnCommit {
                self.sync().await;
            }
            let freed = async {
                freed.await;
                None
            };
            let is_end = |message: &Message| matches!(message, Message::Ended(_));
            let ended = async { Some(inbox.take_out_of_turn(is_end).await) };
            match wait.until(or(freed, ended)).await {
                Some(Some(Message::Ended(ended))) => self.ended(*ended).await,
                Some(_) => {}
                None => {
                    let lacks = self.active.lacks(batch.memory_bytes(self.shared.dim()));
                    let bytes = lacks.saturating_add(self.lookups_lack());
                    return Err(memory.exhausted(bytes).into());
                }
            }
        }
    }

    /// Somebody lacks memory: flushes what there is if it is worth it.
    pub(super) async fn relieve_if_worth(&mut self) {
        self.pressure = self.shared.env.memory.pressure();
        if self.active.charged() >= self.shared.env.memory.worth_freeing() {
            self.begin_flush().await;
        }
    }
}
