use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

/// What the server holds.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Bytes>,
    /// Parts by number, of uploads that are not finished.
    pub(super) uploads: BTreeMap<String, (String, BTreeMap<u32, Bytes>)>,
    /// Whether `If-None-Match` means anything.
    pub(super) keeps_conditions: bool,
    /// Whether `x-amz-copy-source` means anything.
    pub(super) copies: bool,
    /// Objects on a page of a listing.
    pub(super) page: usize,
    /// So much its clock is behind.
    pub(super) behind: Duration,
    begun: u64,
}

impl Default for Bucket {
    fn default() -> Self {
        let (objects, uploads) = (BTreeMap::new(), BTreeMap::new());
        Self {
            objects,
            uploads,
            keeps_conditions: true,
            copies: true,
            page: 1000,
            behind: Duration::ZERO,
            begun: 0,
        }
    }
}

impl Bucket {
    /// Whether it was put.
    pub(super) fn put(&mut self, key: &str, body: Bytes, if_absent: bool) -> bool {
        if if_absent && self.keeps_conditions && self.objects.contains_key(key) {
            return false;
        }
        self.objects.insert(key.to_owned(), body);
        true
    }

    pub(super) fn begin_upload(&mut self, key: &str) -> String {
        self.begun += 1;
        let upload = format!("upload-{}", self.begun);
        self.uploads.insert(upload.clone(), (key.to_owned(), BTreeMap::new()));
        upload
    }

    pub(super) fn add_part(&mut self, upload: &str, number: u32, body: Bytes) -> bool {
        let Some((_, parts)) = self.uploads.get_mut(upload) else { return false };
        parts.insert(number, body);
        true
    }

    pub(super) fn finish_upload(&mut self, upload: &str) -> bool {
        let Some((key, parts)) = self.uploads.remove(upload) else { return false };
        let body: Vec<u8> = parts.into_values().flatten().collect();
        self.objects.insert(key, body.into());
        true
    }
}
