use std::io;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The device fails. A sync that fails drops what it should have written.
    Io,
    /// No room. A write may have got half of its bytes in.
    NoSpace,
    /// Permission was taken away.
    Denied,
    /// Too many open files.
    TooManyFiles,
    /// The file system has become read-only.
    ReadOnly,
    /// A read gives bytes with one bit flipped, and says nothing.
    BitFlip,
}

/// What a call does, as far as faults care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Create,
    Open,
    Append,
    Sync,
    Read,
    List,
    Name,
    Lock,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 6] = [
        FaultKind::Io,
        FaultKind::NoSpace,
        FaultKind::Denied,
        FaultKind::TooManyFiles,
        FaultKind::ReadOnly,
        FaultKind::BitFlip,
    ];

    /// Whether a call of such a kind can go wrong in this way.
    pub(super) fn applies_to(self, call: CallKind) -> bool {
        use CallKind::{Append, Create, List, Lock, Name, Open, Read, Sync};
        match self {
            FaultKind::Io => true,
            FaultKind::NoSpace => matches!(call, Create | Append | Name | Sync | Lock),
            FaultKind::Denied => matches!(call, Create | Open | List | Name | Lock),
            FaultKind::TooManyFiles => matches!(call, Create | Open | List | Lock),
            FaultKind::ReadOnly => matches!(call, Create | Append | Name | Lock),
            FaultKind::BitFlip => call == Read,
        }
    }

    pub(super) fn error(self) -> io::Error {
        const EMFILE: i32 = 24;
        match self {
            FaultKind::Io | FaultKind::BitFlip => io::Error::other("simulated I/O error"),
            FaultKind::NoSpace => io::ErrorKind::StorageFull.into(),
            FaultKind::Denied => io::ErrorKind::PermissionDenied.into(),
            FaultKind::TooManyFiles => io::Error::from_raw_os_error(EMFILE),
            FaultKind::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The call that goes wrong, counted from 0 among those that the kind applies to.
    pub call: u64,
    /// How.
    pub kind: FaultKind,
    /// Whether all later calls that it applies to go wrong too.
    pub lasting: bool,
}

/// The faults of a run, and how many calls each has seen.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<(Fault, u64)>,
    struck: u64,
    lied: bool,
}

impl Faults {
    pub(super) fn plan(&mut self, faults: Vec<Fault>) {
        self.planned = faults.into_iter().map(|fault| (fault, 0)).collect();
        (self.struck, self.lied) = (0, false);
    }

    /// How many calls went wrong.
    pub(super) fn struck(&self) -> u64 {
        self.struck
    }

    pub(super) fn has_lied(&self) -> bool {
        self.lied
    }

    /// What goes wrong with this call.
    pub(super) fn strike(&mut self, call: CallKind) -> Option<FaultKind> {
        let mut struck = None;
        for (fault, seen) in self.planned.iter_mut().filter(|(f, _)| f.kind.applies_to(call)) {
            if *seen == fault.call || (fault.lasting && *seen > fault.call) {
                struck = struck.or(Some(fault.kind));
            }
            *seen += 1;
        }
        self.struck += u64::from(struck.is_some());
        self.lied |= struck == Some(FaultKind::BitFlip);
        struck
    }
}
