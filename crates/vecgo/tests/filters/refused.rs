//! What no filter can be, and what there is too much of.

use vecgo::filter::{
    MAX_FILTER_DEPTH, MAX_FILTER_NODES, all, and, eq, exists, gt, or, starts_with,
};
use vecgo::{Config, ErrorKind, Filter, Metric, Record, json};

fn refusal(text: &str) -> String {
    let error = text.parse::<Filter>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.to_string()
}

#[test]
fn json_that_is_no_filter_is_refused_with_what_was_expected() {
    for (text, told) in [
        ("", "EOF"),
        ("5", "a number"),
        ("{}", "keys []"),
        (r#"{"and": {}}"#, "`and` is an object; expected a list"),
        (r#"{"and": [], "or": []}"#, "keys [and, or]"),
        (r#"{"field": "year"}"#, "without `op`"),
        (r#"{"op": "eq", "value": 1}"#, "without `field`"),
        (r#"{"field": 1, "op": "eq", "value": 1}"#, "`field` is a number"),
        (r#"{"field": "year", "op": "like", "value": 1}"#, "expected one of eq, ne, gt"),
        (r#"{"field": "year", "op": "eq"}"#, "eq without a `value`"),
        (r#"{"field": "year", "op": "exists", "value": true}"#, "exists takes no `value`"),
        (r#"{"field": "year", "op": "eq", "value": 1, "boost": 2}"#, "unknown key `boost`"),
        (r#"{"field": "year", "op": "gt", "value": null}"#, "field `year`: gt with null"),
        (r#"{"field": "year", "op": "lte", "value": [1]}"#, "lte with a list; expected a number"),
        (r#"{"field": "year", "op": "in", "value": 1}"#, "in with a number; expected a list"),
        (r#"{"field": "name", "op": "ends_with", "value": 1}"#, "expected a string"),
    ] {
        let found = refusal(text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn a_filter_that_is_too_large_is_refused_and_nothing_overflows() {
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(2, Metric::L2)).wait().unwrap();
    docs.upsert([Record::new(1u64, [0.0, 1.0]).metadata(json!({"a": [1, 2]}))]).wait().unwrap();
    let mut deep = eq("a", 1);
    for _ in 0..1_000_000 {
        deep = !deep;
    }
    let wide = or((0..MAX_FILTER_NODES).map(|n| eq("a", n)));
    let lists = eq("a", (0..5000).map(|n| vec![n]).collect::<Vec<_>>());
    let path = exists("a.".repeat(4000));
    let long = eq("a", "x".repeat(2 << 20));
    let many = all("a", (0..MAX_FILTER_NODES + 1).collect::<Vec<_>>());
    for filter in
        [deep.clone(), wide, lists, path, long, many, gt("a", f64::NAN), eq("a", f32::INFINITY)]
    {
        let search = docs.search([0.0, 0.0]).filter(filter.clone()).wait().unwrap_err();
        assert_eq!(search.kind(), ErrorKind::InvalidArgument, "{search}");
        let count = docs.count_where(filter.clone()).wait().unwrap_err();
        assert_eq!(count.kind(), ErrorKind::InvalidArgument);
        let delete = docs.delete_where(filter).wait().unwrap_err();
        assert_eq!(delete.kind(), ErrorKind::InvalidArgument);
    }
    let nested = "{\"not\":".repeat(100) + r#"{"and":[]}"# + &"}".repeat(100);
    assert!(refusal(&nested).contains("nested at most"));
    let mut at_most = and([]);
    for _ in 1..MAX_FILTER_DEPTH {
        at_most = !at_most;
    }
    assert_eq!(docs.count_where(at_most).wait().unwrap(), 0);
    assert_eq!(docs.count_where(all("a", [2, 1])).wait().unwrap(), 1);
    assert_eq!(docs.count_where(!starts_with("a", "")).wait().unwrap(), 1);
    assert_eq!(docs.count(), 1);
}

#[test]
fn a_value_is_never_syntax() {
    let texts =
        ["' OR 1=1 --", "x\" }", r#"{"not": {}}"#, r"\", "a.b", "%", "*", "${x}", "\0", "]}", ""];
    let db = vecgo::open("memory://").wait().unwrap();
    let docs = db.open_or_create("docs", Config::new(1, Metric::L2)).wait().unwrap();
    let record = |(id, text): (u64, &&str)| {
        Record::new(id, [0.0]).metadata(vecgo::json!({"text": text, *text: 1}))
    };
    docs.upsert((0u64..).zip(&texts).map(record)).wait().unwrap();
    for flushed in [false, true] {
        if flushed {
            docs.flush().wait().unwrap();
        }
        for (id, text) in (0u64..).zip(texts) {
            let field = text.replace('\\', r"\\").replace('.', r"\.");
            for filter in [eq("text", text), exists(field)] {
                let read: Filter = filter.to_string().parse().unwrap();
                let mut scan = docs.scan().filter(read).wait().unwrap();
                let page = scan.next_page().wait().unwrap().unwrap();
                let found: Vec<_> = page.into_iter().map(|record| record.id).collect();
                assert_eq!(found, [id.into()], "{filter}");
            }
        }
    }
}
