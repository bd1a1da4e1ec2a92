use std::fmt;
use std::future::{Future, IntoFuture};
use std::sync::Arc;

use futures_lite::future::block_on;
use vecgo_io::{BoxFuture, Spawn, SpawnExt};

use crate::Result;

/// A call that has not begun: `.await` it, or finish it in place with [`Call::wait`].
///
/// Dropped before it is awaited it does nothing. Dropped later, a write that was handed to the
/// writer is still done, wholly; a read that has begun runs to its end, and nobody gets its answer.
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Call<T> {
    future: BoxFuture<'static, Result<T>>,
    /// Where it runs when awaited; on the awaiting thread if absent.
    threads: Option<Arc<dyn Spawn>>,
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<T> Call<T> {
    pub(crate) fn on(
        threads: Arc<dyn Spawn>,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        Self { future: Box::pin(future), threads: Some(threads) }
    }

    pub(crate) fn here(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self { future: Box::pin(future), threads: None }
    }

    /// Finishes the call on this thread. Inside an asynchronous task use `.await` instead.
    ///
    /// # Errors
    /// Whatever the call can meet.
    pub fn wait(self) -> Result<T> {
        block_on(self.future)
    }
}

impl<T: Send + 'static> IntoFuture for Call<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        let Some(threads) = self.threads else { return self.future };
        let task = threads.start(self.future);
        Box::pin(async move {
            let answer = task.await;
            // Held until then, so that only a panic keeps the task from its end.
            drop(threads);
            answer.unwrap_or_else(|| Err(vecgo_engine::Error::panicked()))
        })
    }
}

/// Makes a builder with a method `call` something that can be awaited or waited for.
macro_rules! awaitable {
    ($builder:ty => $output:ty) => {
        impl $builder {
            /// Finishes the call on this thread. Inside an asynchronous task use `.await` instead.
            ///
            /// # Errors
            /// Whatever the call can meet.
            pub fn wait(self) -> crate::Result<$output> {
                self.call().wait()
            }
        }

        impl std::future::IntoFuture for $builder {
            type Output = crate::Result<$output>;
            type IntoFuture = vecgo_io::BoxFuture<'static, crate::Result<$output>>;

            fn into_future(self) -> Self::IntoFuture {
                self.call().into_future()
            }
        }
    };
}

pub(crate) use awaitable;
