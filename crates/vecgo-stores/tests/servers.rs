//! Every bucket passes the suite that every store passes, through the client that the product has.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests wait by the machine's clock")]
#![allow(clippy::disallowed_macros, reason = "a test says that it skips itself")]

use std::cell::Cell;
use std::sync::Arc;

use futures_lite::future::block_on;
use vecgo_io::{BucketStore, PageCache, Store, conformance};
use vecgo_stores::{Fake, Site};

/// Of sixteen writers each. The losers of one wait for seconds on SeaweedFS.
const RACES: u32 = 3;

#[test]
fn fake() {
    let fake = Fake::start().unwrap();
    // More than one page of everything.
    fake.set_page(3);
    let made = Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        let rest = format!("test/some where/{}", made.get());
        Arc::new(BucketStore::open("s3", &rest, &fake.options(), &PageCache::default()).unwrap())
            as Arc<dyn Store>
    };
    block_on(conformance::store(RACES, make));
    assert_eq!(fake.unfinished(), 0, "parts are left of uploads that were given up");
}

fn passes(site: Site) {
    let Some(server) = site.start().unwrap() else {
        println!("skipped: nothing says where {site:?} is");
        return;
    };
    let made = Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        Arc::new(server.bucket(&made.get().to_string()).unwrap()) as Arc<dyn Store>
    };
    block_on(conformance::store(RACES, make));
}

#[test]
fn seaweedfs() {
    passes(Site::SeaweedFs);
}

#[test]
fn moto() {
    passes(Site::Moto);
}

#[test]
fn azurite() {
    passes(Site::Azurite);
}
