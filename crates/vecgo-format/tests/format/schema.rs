//! What a schema takes, and what it says of what it does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common;
use proptest::prelude::*;
use serde_json::{Value, json};
use vecgo_format::{
    Catalogue, Document, DocumentError, Entry, Extensions, FieldSchema, FieldType, Identity,
    MAX_DOCUMENT_BYTES, MAX_SCHEMA_FIELDS, Schema, SchemaError, decode_document,
    encode_document_under,
};

fn schema(json: Value) -> Schema {
    Schema::from_json(&json).unwrap()
}

fn document(json: Value) -> Document {
    json.as_object().unwrap().clone()
}

#[test]
fn values_are_of_the_type_that_is_declared() {
    let values = [
        (
            json!(null),
            "any bool i64 f64 string timestamp object list<any> list<i64> list<timestamp>",
        ),
        (json!(true), "any bool"),
        (json!(7), "any i64 f64"),
        (json!(7.0), "any f64"),
        (json!(i64::MIN), "any i64 f64"),
        (json!("x"), "any string"),
        (json!("2024-05-01T12:00:00+02:00"), "any string timestamp"),
        (json!({}), "any object"),
        (json!({"in": [null]}), "any object"),
        (json!([]), "any list<any> list<i64> list<timestamp>"),
        (json!([1, -2]), "any list<any> list<i64>"),
        (json!([1, 2.5]), "any list<any>"),
        (json!([1, null]), "any list<any>"),
        (json!([[1]]), "any list<any>"),
        (json!(["2024-05-01T12:00:00Z"]), "any list<any> list<timestamp>"),
        (json!(["2024-05-01T12:00:00Z", "2024-05-01"]), "any list<any>"),
    ];
    let types = "any bool i64 f64 string timestamp object list<any> list<i64> list<timestamp>";
    for (value, taken) in values {
        for of in types.split(' ') {
            for required in [false, true] {
                let schema = schema(json!({"fields": {"a.b": {"type": of, "required": required}}}));
                let written = document(json!({"a": {"b": value}, "c": 1}));
                let found = encode_document_under(&written, &schema);
                let takes = taken.split(' ').any(|taken| taken == of);
                let takes = takes && !(required && value.is_null());
                match found {
                    Ok(bytes) => {
                        assert!(takes, "{value} as {of}");
                        assert_eq!(decode_document(&bytes).unwrap(), written);
                    }
                    Err(DocumentError::Type { field, .. }) => {
                        assert!(!takes, "{value} as {of}");
                        assert!(field == "a.b" || field == "a.b.[]", "{field}");
                    }
                    Err(other) => panic!("{value} as {of}: {other}"),
                }
            }
        }
    }
}

#[test]
fn what_is_refused_is_told() {
    let declared = json!({"strict": true, "fields": {
        "year": {"type": "i64", "required": true},
        "at": {"type": "timestamp"},
        "author.name": {"type": "string", "required": true},
        "author.born": {"type": "timestamp"},
        "tags": {"type": "list<string>"},
        "free": {"type": "object"},
        r"dotted\.key": {"type": "any"},
    }});
    let schema = schema(declared);
    let good = json!({"year": 1, "author": {"name": "Ada"}});
    for (change, told) in [
        (json!({"year": "2023"}), r#"field `year` is the string "2023"; expected i64"#),
        (json!({"year": null}), "field `year` is null; expected i64"),
        (json!({"year": 1.5}), "field `year` is the number 1.5; expected i64"),
        (
            json!({"at": "yesterday"}),
            r#"field `at` is the string "yesterday"; expected timestamp, in RFC 3339 like 2024-05-01T12:00:00Z"#,
        ),
        (json!({"at": 17}), "field `at` is the number 17; expected timestamp"),
        (json!({"tags": "x"}), r#"field `tags` is the string "x"; expected list<string>"#),
        (
            json!({"tags": ["x", ["y"]]}),
            "field `tags.[]` is a list; expected list<string>, each element of which is string",
        ),
        (json!({"author": {"born": null}}), "field `author.name` is missing; expected string"),
        (
            json!({"author": null}),
            "field `author` is not in the schema, which is strict; expected author.born, author.name",
        ),
        (
            json!({"author": {"name": "x", "age": 7}}),
            "field `author.age` is not in the schema, which is strict; expected author.born, author.name",
        ),
        (
            json!({"dotted": 1}),
            r"field `dotted` is not in the schema, which is strict; expected at, author, dotted\.key, free, tags, year",
        ),
    ] {
        let mut written = document(good.clone());
        written.extend(document(change));
        let error = encode_document_under(&written, &schema).unwrap_err();
        assert_eq!(error.to_string(), format!("metadata {told}"));
    }
    let mut missing = document(good.clone());
    missing.remove("year");
    let error = encode_document_under(&missing, &schema).unwrap_err();
    assert_eq!(error.to_string(), "metadata field `year` is missing; expected i64");
    let mut free = document(good);
    free.extend(document(json!({"free": {"whatever": [1, {"x": null}]}, "dotted.key": null})));
    assert_eq!(decode_document(&encode_document_under(&free, &schema).unwrap()).unwrap(), free);
    let nothing = encode_document_under(&Document::new(), &schema).unwrap_err();
    assert!(matches!(nothing, DocumentError::Missing { .. }));
}

#[test]
fn what_is_accepted_can_be_read_whatever_comes_last() {
    let schema = schema(json!({"fields": {"z": {"type": "list<i64>"}}}));
    let of = |length: usize| document(json!({"a": "x".repeat(length), "z": []}));
    let around = encode_document_under(&of(1 << 19), &schema).unwrap().len() - (1 << 19);
    let most = MAX_DOCUMENT_BYTES - around;
    let largest = encode_document_under(&of(most), &schema).unwrap();
    assert_eq!(decode_document(&largest).unwrap(), of(most));
    for more in 1..around {
        assert_eq!(encode_document_under(&of(most + more), &schema), Err(DocumentError::Size));
    }
}

#[test]
fn what_leads_to_a_required_field_is_required() {
    let schema = schema(json!({"fields": {"a.b.c": {"type": "any", "required": true}}}));
    for written in [json!({}), json!({"a": 1}), json!({"a": {"b": []}}), json!({"a": {"b": {}}})] {
        let error = encode_document_under(&document(written), &schema).unwrap_err();
        assert_eq!(error.to_string(), "metadata field `a.b.c` is missing; expected any");
    }
    encode_document_under(&document(json!({"a": {"b": {"c": false}, "x": 1}})), &schema).unwrap();
    // Whatever is said of what leads there.
    for outer in ["object", "any"] {
        let fields = json!({"a": {"type": outer}, "a.b": {"type": "i64", "required": true}});
        let schema = Schema::from_json(&json!({"fields": fields})).unwrap();
        let values = [json!(null), json!({}), json!({"b": null}), json!(5), json!([])];
        for value in values.into_iter().chain([json!({"c": 1})]) {
            assert!(
                encode_document_under(&document(json!({"a": value})), &schema).is_err(),
                "{value} in {outer}"
            );
        }
        encode_document_under(&document(json!({"a": {"b": 1, "c": []}})), &schema).unwrap();
    }
}

#[test]
fn json_comes_back_and_what_is_none_is_refused() {
    let given = json!({"strict": true, "fields": {
        "year": {"type": "i64", "required": true},
        "text": {"type": "string", "indexed": false},
        "tags": {"type": "list<timestamp>"},
    }});
    let read = schema(given.clone());
    assert_eq!(read.to_json(), given);
    assert_eq!(read.to_string().parse::<Schema>().unwrap(), read);
    assert!(schema(json!({})).is_empty());
    let field = FieldSchema::new(FieldType::String).unindexed();
    assert_eq!(read.field("text"), Some(field));
    for (json, told) in [
        (json!([]), "the schema is no JSON object"),
        (json!({"field": {}}), "the schema has the key `field`; expected strict, fields"),
        (json!({"strict": 1}), "the schema: `strict` is 1; expected true or false"),
        (json!({"fields": {"a": "i64"}}), "field `a` is no JSON object"),
        (json!({"fields": {"a": {}}}), "field `a` has no `type`"),
        (json!({"fields": {"a": {"type": "int"}}}), "type `int`; expected any, bool, i64"),
        (json!({"fields": {"a": {"type": "list<list<i64>>"}}}), "type `list<list<i64>>`"),
        (json!({"fields": {"a": {"type": "any", "index": true}}}), "field `a` has the key `index`"),
        (
            json!({"fields": {"a": {"type": "i64"}, "a.b": {"type": "i64"}}}),
            "field `a.b` is declared, and so is `a`, of type i64; expected an object",
        ),
        (
            json!({"fields": {"a": {"type": "list<object>"}, "a.b.c": {"type": "i64"}}}),
            "field `a.b.c` is declared, and so is `a`, of type list<object>",
        ),
        (
            json!({"fields": {r"a\b": {"type": "i64"}, r"a\\b": {"type": "i64"}}}),
            r"field `a\\b` is declared twice",
        ),
        (json!({"fields": {"a.".repeat(64): {"type": "any"}}}), "is nested too deep"),
        (json!({"fields": {"a".repeat(70_000): {"type": "any"}}}), "the schema takes 700"),
    ] {
        let found = Schema::from_json(&json).unwrap_err().to_string();
        assert!(found.contains(told), "{found}");
    }
    let many = |count: usize| {
        let name = |n| (format!("f{n}"), FieldSchema::new(FieldType::Any));
        Schema::new(false, (0..count).map(name))
    };
    assert_eq!(many(MAX_SCHEMA_FIELDS).unwrap().fields().len(), MAX_SCHEMA_FIELDS);
    let found = MAX_SCHEMA_FIELDS + 1;
    assert_eq!(many(found), Err(SchemaError::Fields { found }));
}

proptest! {
    /// Every schema has bytes of its own, and no others.
    #[test]
    fn what_reads_is_what_was_written(
        schema in common::schema(),
        changes in proptest::collection::vec((0usize..4096, any::<u8>()), 1..4),
    ) {
        let config = vecgo_format::Config::new(3, vecgo_format::Metric::L2);
        let extensions = Extensions::default();
        let entry = Entry { identity: Identity(7), config, schema, created_ms: 1, extensions };
        let collections = [("a".to_owned(), entry.clone())].into();
        let written = Catalogue { number: 1, collections, ..Catalogue::default() };
        let (mut bytes, _) = written.encode();
        prop_assert_eq!(&Catalogue::decode(&bytes).unwrap().0.collections["a"], &entry);
        // Prefix, five numbers, a count, a name, a length, an identity, a configuration; a time, four counts, a
        // checksum.
        let (start, end) = (8 + 40 + 1 + 2 + 1 + 16 + 19, bytes.len() - 20);
        for (at, byte) in changes {
            bytes[start + at % (end - start)] = byte;
        }
        common::reseal(&mut bytes);
        if let Ok((catalogue, _)) = Catalogue::decode(&bytes) {
            prop_assert_eq!(catalogue.encode().0, bytes);
        }
    }
}
