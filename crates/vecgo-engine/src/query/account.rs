use std::sync::Arc;

use vecgo_io::{Charge, Memory, Use};

use crate::Result;

/// What is taken of the memory at a time; an answer of less takes nothing.
pub(crate) const STEP_BYTES: u64 = 1 << 20;

/// The memory of one answer while it is put together.
#[derive(Debug)]
pub(crate) struct Account {
    memory: Arc<Memory>,
    charge: Option<Charge>,
    /// Of what was taken, and of what costs nothing.
    left: u64,
}

impl Account {
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), charge: None, left: STEP_BYTES }
    }

    /// So much more is in the answer.
    ///
    /// # Errors
    /// `ResourceExhausted` if there is no memory for it.
    pub(crate) async fn add(&mut self, bytes: u64) -> Result<()> {
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            return Ok(());
        }
        let lacking = (bytes - self.left).next_multiple_of(STEP_BYTES);
        let taken = self.memory.take(Use::Queries, lacking).await?;
        match &mut self.charge {
            Some(charge) => charge.add(taken),
            none => *none = Some(taken),
        }
        self.left = self.left + lacking - bytes;
        Ok(())
    }
}
