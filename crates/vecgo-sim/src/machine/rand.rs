use parking_lot::Mutex;
use vecgo_io::Rand;

use crate::random::Random;

/// The engine's random numbers.
#[derive(Debug)]
pub(crate) struct SimRand(Mutex<Random>);

impl SimRand {
    pub(crate) fn new(random: Random) -> Self {
        Self(Mutex::new(random))
    }
}

impl Rand for SimRand {
    fn next_u64(&self) -> u64 {
        self.0.lock().next()
    }
}
