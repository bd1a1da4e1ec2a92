//! Documents come back as they were given, or are refused by name.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Number, Value, json};
use vecgo_format::{
    Document, DocumentError, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, decode_document,
    encode_document,
};

fn float() -> impl Strategy<Value = Value> {
    let edges = proptest::sample::select(vec![
        0.0,
        -0.0,
        5.0,
        9.2e18,
        1e308,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::MAX,
        f64::MIN,
    ]);
    prop_oneof![edges, proptest::num::f64::NORMAL]
        .prop_map(|float| Value::Number(Number::from_f64(float).expect("finite")))
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    let int = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -3i64..3];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        int.prop_map(Value::from),
        float(),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::Array),
            btree_map(text(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = Document> {
    btree_map(text(), value(), 0..8).prop_map(|fields| fields.into_iter().collect())
}

fn of(value: Value) -> Document {
    match value {
        Value::Object(document) => document,
        other => panic!("not a document: {other}"),
    }
}

/// Equal, and every number of the same type with the same bits, which `==` does not ask.
fn assert_same(left: &Value, right: &Value) {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            assert_eq!(left.is_f64(), right.is_f64(), "{left} and {right}");
            assert_eq!(left.as_i64(), right.as_i64());
            assert_eq!(left.as_f64().map(f64::to_bits), right.as_f64().map(f64::to_bits));
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len());
            left.iter().zip(right).for_each(|(left, right)| assert_same(left, right));
        }
        (Value::Object(left), Value::Object(right)) => {
            assert_eq!(left.len(), right.len());
            for (key, left) in left {
                assert_same(left, right.get(key).expect(key));
            }
        }
        (left, right) => assert_eq!(left, right),
    }
}

proptest! {
    #[test]
    fn documents_come_back(document in document()) {
        let bytes = encode_document(&document).expect("encode");
        let decoded = decode_document(&bytes).expect("decode");
        assert_same(&Value::Object(document.clone()), &Value::Object(decoded));
        prop_assert_eq!(document.is_empty(), bytes.is_empty(), "only the empty document is empty");
    }

    #[test]
    fn cut_documents_are_refused(document in document()) {
        let bytes = encode_document(&document).expect("encode");
        // No bytes at all are the empty document.
        for length in 1..bytes.len() {
            let decoded = decode_document(&bytes[..length]);
            prop_assert!(decoded.is_err(), "{} of {} bytes: {:?}", length, bytes.len(), decoded);
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(bytes.is_empty() || decode_document(&longer).is_err());
    }

    #[test]
    fn integers_beyond_i64_name_their_field(number in (1u64 << 63)..) {
        let document = of(json!({"ok": 1, "outer": {"inner": [1, {"deep": number}]}}));
        match encode_document(&document) {
            Err(DocumentError::Integer { field, found }) => {
                prop_assert_eq!(field, "outer.inner.[].deep");
                prop_assert_eq!(found, number.to_string());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn integers_at_the_edge() {
    for number in [i64::MIN, -1, 0, 1, i64::MAX] {
        let document = of(json!({ "field": number }));
        let bytes = encode_document(&document).expect("encode");
        assert_eq!(decode_document(&bytes).expect("decode"), document);
    }
    let above = of(json!({ "field": 1u64 << 63 }));
    let error = encode_document(&above).expect_err("too large");
    assert!(error.to_string().contains("`field` is 9223372036854775808"), "{error}");
}

#[test]
fn negative_zero_stays_negative() {
    let document = of(json!({"field": -0.0}));
    let decoded = decode_document(&encode_document(&document).expect("encode")).expect("decode");
    assert_eq!(decoded["field"].as_f64().map(f64::to_bits), Some((-0.0f64).to_bits()));
    // A float that is whole stays a float.
    let document = of(json!({"field": 5.0}));
    let decoded = decode_document(&encode_document(&document).expect("encode")).expect("decode");
    assert!(decoded["field"].is_f64());
}

/// A document `depth` deep, the document itself counted, with `innermost` in the deepest.
fn nested(depth: usize, in_lists: bool, innermost: Option<Value>) -> Document {
    let wrap = |inner: Option<Value>| {
        let inner = inner.into_iter();
        if in_lists {
            Value::Array(inner.collect())
        } else {
            Value::Object(inner.map(|inner| ("k".to_owned(), inner)).collect())
        }
    };
    let mut value = innermost;
    for _ in 1..depth {
        value = Some(wrap(value));
    }
    value.into_iter().map(|value| ("k".to_owned(), value)).collect()
}

#[test]
fn depth_limit_is_exact() {
    for in_lists in [false, true] {
        for innermost in [None, Some(json!(1))] {
            let deepest = nested(MAX_DOCUMENT_DEPTH, in_lists, innermost.clone());
            let bytes = encode_document(&deepest).expect("as deep as may be");
            assert_eq!(decode_document(&bytes).expect("decode"), deepest);

            let deeper = nested(MAX_DOCUMENT_DEPTH + 1, in_lists, innermost);
            match encode_document(&deeper) {
                Err(DocumentError::Depth { field }) => assert!(field.starts_with("k.")),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Bytes of the encoding, written by hand: a decoder sees what no encoder makes.
fn nested_bytes(depth: usize, innermost: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 1, b'k'];
    for _ in 1..depth {
        bytes.extend_from_slice(&[7, 1, 1, b'k']);
    }
    bytes.extend_from_slice(innermost);
    bytes
}

#[test]
fn decoder_knows_the_depth_limit() {
    const NULL: &[u8] = &[0];
    assert!(decode_document(&nested_bytes(MAX_DOCUMENT_DEPTH, NULL)).is_ok());
    assert!(decode_document(&nested_bytes(MAX_DOCUMENT_DEPTH + 1, NULL)).is_err());
    // Far deeper than any stack.
    assert!(decode_document(&nested_bytes(1_000_000, NULL)).is_err());
    assert!(decode_document(&[&[1, 1, b'k'][..], &[6, 1].repeat(1_000_000)].concat()).is_err());
}

/// An empty list or object counts as a level in the decoder as it does in the encoder.
#[test]
fn decoder_counts_empty_levels() {
    for empty in [&[6, 0][..], &[7, 0]] {
        assert!(decode_document(&nested_bytes(MAX_DOCUMENT_DEPTH - 1, empty)).is_ok());
        let decoded = decode_document(&nested_bytes(MAX_DOCUMENT_DEPTH, empty));
        assert!(decoded.is_err(), "{empty:?} as level {}", MAX_DOCUMENT_DEPTH + 1);
    }
}

#[test]
fn size_limit_is_exact() {
    // One field, one key byte, a tag, and the length in three bytes.
    let longest = MAX_DOCUMENT_BYTES - 1 - 2 - 1 - 3;
    let document = of(json!({ "k": "x".repeat(longest) }));
    let bytes = encode_document(&document).expect("as large as may be");
    assert_eq!(bytes.len(), MAX_DOCUMENT_BYTES);
    assert_eq!(decode_document(&bytes).expect("decode"), document);
    for document in [
        json!({ "k": "x".repeat(longest + 1) }),
        json!({ "k": vec![1; MAX_DOCUMENT_BYTES / 9 + 1] }),
        json!({ "k": vec![json!(null); MAX_DOCUMENT_BYTES] }),
        json!({ "x".repeat(MAX_DOCUMENT_BYTES): null }),
        json!({ "k": { "x".repeat(MAX_DOCUMENT_BYTES): {} } }),
    ] {
        assert_eq!(encode_document(&of(document)), Err(DocumentError::Size));
    }
    // The same text with one byte more, written by hand: another build may allow it.
    let mut longer = bytes;
    assert_eq!(longer[4..7], [0xf9, 0xff, 0x3f]);
    longer[4] += 1;
    longer.push(b'x');
    let text = |document: &Document| document["k"].as_str().map(str::len);
    assert_eq!(text(&decode_document(&longer).expect("decode")), Some(longest + 1));
}

#[test]
fn malformed_documents_are_refused() {
    let cases: [(&str, &[u8]); 13] = [
        ("a tag that is none", &[1, 1, b'k', 8]),
        ("a key that is not UTF-8", &[1, 1, 0xff, 0]),
        ("a text that is not UTF-8", &[1, 1, b'k', 5, 1, 0xff]),
        ("a key twice", &[2, 1, b'k', 0, 1, b'k', 0]),
        ("keys out of order", &[2, 1, b'l', 0, 1, b'k', 0]),
        ("more fields than bytes", &[0xff, 0xff, 0xff, 0xff, 0x7f, 1, b'k', 0]),
        ("a length without end", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("a length with a byte to spare", &[0x81, 0x00, 1, b'k', 0]),
        ("a length of nothing in two bytes", &[1, 1, b'k', 5, 0x80, 0x00]),
        ("a length of nothing in five bytes", &[1, 1, b'k', 5, 0x80, 0x80, 0x80, 0x80, 0x00]),
        ("more items than bytes", &[1, 1, b'k', 6, 0xff, 0xff, 0x03, 0]),
        ("not a number", &[1, 1, b'k', 4, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]),
        ("infinity", &[1, 1, b'k', 4, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]),
    ];
    for (what, bytes) in cases {
        assert!(decode_document(bytes).is_err(), "{what}");
    }
}
