//! A segment whose recall cannot be measured when it is written is as good as others.

use futures_lite::future::block_on;
use vecgo_engine::{
    Collection, Config, Database, Metric, Options, Quantization, Record, Request, SearchParams,
};
use vecgo_io::{Access, Env, Limits, Use};

use crate::store::trapped;

const ROWS: u64 = 600;

fn vector(n: u64) -> Vec<f32> {
    (0..8).map(|place| ((n * 31 + place * 17 + n * n % 23) % 101) as f32).collect()
}

/// What a search for half of what is nearest expects to find, once all rows were written again.
async fn expected(docs: &Collection, bits: u8) -> Option<f64> {
    let codes = Quantization::RaBitQ { bits };
    docs.configure(docs.config().with_quantization(codes)).await.unwrap();
    docs.compact().await.unwrap();
    assert_eq!(docs.stats().segments.len(), 1);
    let params = SearchParams { recall_target: Some(0.5), ..SearchParams::default() };
    let request = || Request { params, ..Request::default() };
    let hits = docs.search(vector(7), request()).await.unwrap();
    assert_eq!((hits[0].id.clone(), hits.len()), (7u64.into(), 10));
    docs.explain(vector(7), request()).await.unwrap().parts[0].expected_recall
}

#[test]
fn for_it_cannot_be_opened_or_loaded_just_then() {
    let root = tempfile::tempdir().unwrap();
    let env = Env::local(root.path(), Access::Write, Limits::default()).unwrap();
    let (env, traps) = trapped(env);
    let memory = env.memory.clone();
    block_on(async {
        let options = Options { index_rows: 100, auto_compact: false, ..Options::default() };
        let database = Database::new(env, Access::Write, options).unwrap();
        let config = Config::new(8, Metric::L2);
        let docs = database.open_or_create("docs", config, None).await.unwrap();
        let records = (0..ROWS).map(|n| Record::new(n, vector(n))).collect();
        docs.upsert(records).await.unwrap();
        docs.flush().await.unwrap();
        assert!(expected(&docs, 4).await.is_some());

        let mut opens = 0;
        traps.opening.set(move || {
            opens += 1;
            opens > 1
        });
        assert_eq!(expected(&docs, 5).await, None, "it was not opened");

        let (mut held, mut opens) = (Vec::new(), 0);
        traps.opening.set(move || {
            opens += 1;
            match opens {
                1 => held.push(memory.take_anyhow(Use::Queries, memory.limit())),
                _ => held.clear(),
            }
            true
        });
        assert_eq!(expected(&docs, 6).await, None, "there was no memory");

        traps.opening.set(|| true);
        assert!(expected(&docs, 7).await.is_some());
        docs.close().await.unwrap();
    });
}
