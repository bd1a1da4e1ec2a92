//! Which instruction set the kernels use.

use std::fmt;

/// An instruction set that a [`Kernels`](crate::Kernels) can be built for.
///
/// Levels are ordered: on a CPU that has several, the last is the one to use. Two levels sum in
/// different orders, so their results differ in the last bits; within one level they never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Plain Rust for any CPU, vectorised by the compiler for the target's baseline.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI, besides everything in [`Level::Avx2`].
    Avx512,
}

impl Level {
    /// Every level, the slowest first.
    pub const ALL: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

    /// The name by which users know the level: `none`, `avx2` or `avx512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Portable => "none",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// Whether this CPU, under this operating system, can run the level.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Level::Portable => true,
            Level::Avx2 => has_avx2(),
            Level::Avx512 => has_avx512(),
        }
    }

    /// The fastest level this CPU can run.
    #[must_use]
    pub fn best() -> Level {
        available().last().unwrap_or(Level::Portable)
    }

    /// The level that a user asked for by name, usually through `VECGO_SIMD`.
    ///
    /// `None` and the empty string ask for [`Level::best`]. Names are matched exactly.
    ///
    /// # Errors
    ///
    /// [`SelectError::Unknown`] if no level has that name, [`SelectError::Unsupported`] if this
    /// CPU lacks the level. Neither falls back to another level: whoever names one is measuring
    /// or debugging it, and a silent substitute would mislead them.
    pub fn select(requested: Option<&str>) -> Result<Level, SelectError> {
        let name = match requested {
            None | Some("") => return Ok(Level::best()),
            Some(name) => name,
        };
        let level = Level::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| SelectError::Unknown { value: name.to_owned() })?;
        level.require()
    }

    /// The level itself, if this CPU can run it.
    pub(crate) fn require(self) -> Result<Level, SelectError> {
        if self.is_available() { Ok(self) } else { Err(SelectError::Unsupported { level: self }) }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a requested [`Level`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The value names no level.
    #[error("unknown SIMD level `{value}`: expected one of {}", list(Level::ALL.into_iter()))]
    Unknown {
        /// The value as given.
        value: String,
    },
    /// The level exists, but this CPU cannot run it.
    #[error("this CPU cannot run SIMD level `{level}`: it has {}", list(available()))]
    Unsupported {
        /// The level asked for.
        level: Level,
    },
}

fn available() -> impl DoubleEndedIterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| level.is_available())
}

fn list(levels: impl Iterator<Item = Level>) -> String {
    levels.map(Level::name).collect::<Vec<_>>().join(", ")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}
