//! Every path, with answers that brute force and arithmetic give.

use serde_json::{Value, json};

use crate::served::Served;

const V: &str = "/v1/collections/docs";

/// Squared distance.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn vector(id: u64) -> Vec<f64> {
    (0..4).map(|place| ((id * 7 + place * 13) % 32) as f64 / 4.0).collect()
}

/// A hundred records, `n` from 0 to 99.
fn filled() -> Served {
    let served = Served::start(&[]);
    served.create("docs", 4);
    let records: Vec<Value> = (0..100)
        .map(|id| json!({"id": id, "vector": vector(id), "metadata": {"n": id, "even": id % 2 == 0}}))
        .collect();
    let written = served.ok(&format!("{V}/upsert"), &json!({"records": records}));
    assert_eq!(written["records"], 100);
    assert_eq!(written["durable"], true);
    served
}

/// Ids of the nearest, by brute force: equally near ones by id.
fn nearest(query: &[f64], k: usize, is_in: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut ids: Vec<u64> = (0..100).filter(|id| is_in(*id)).collect();
    ids.sort_by(|a, b| {
        let (to_a, to_b) = (distance(query, &vector(*a)), distance(query, &vector(*b)));
        to_a.total_cmp(&to_b).then(a.cmp(b))
    });
    ids.truncate(k);
    ids
}

fn ids(hits: &Value) -> Vec<u64> {
    hits.as_array().unwrap().iter().map(|hit| hit["id"].as_u64().unwrap()).collect()
}

#[test]
fn searches_find_what_brute_force_finds() {
    let served = filled();
    let query = [1.0, 2.5, 0.0, 3.0];
    let found = served.ok(&format!("{V}/search"), &json!({"vector": query, "k": 7}));
    assert_eq!(ids(&found["hits"]), nearest(&query, 7, |_| true));
    let first = &found["hits"][0];
    let to_first = distance(&query, &vector(first["id"].as_u64().unwrap()));
    assert_eq!(first["distance"].as_f64(), Some(to_first));
    assert_eq!(first["score"].as_f64(), Some(-to_first));
    assert_eq!(first["metadata"]["n"], first["id"]);
    assert!(first.get("vector").is_none() && first.get("payload").is_none());

    let filter = json!({"and": [{"field": "n", "op": "gte", "value": 50}, {"field": "even", "op": "eq", "value": true}]});
    let found =
        served.ok(&format!("{V}/search"), &json!({"vector": query, "k": 5, "filter": filter}));
    assert_eq!(ids(&found["hits"]), nearest(&query, 5, |id| id >= 50 && id % 2 == 0));

    let other = [7.0, 0.0, 1.5, 2.0];
    let batch = json!({"vectors": [query, other], "k": 3, "exact": true, "with_metadata": false});
    let found = served.ok(&format!("{V}/search/batch"), &batch);
    assert_eq!(ids(&found["results"][0]["hits"]), nearest(&query, 3, |_| true));
    assert_eq!(ids(&found["results"][1]["hits"]), nearest(&other, 3, |_| true));
    assert!(found["results"][0]["hits"][0].get("metadata").is_none());

    let explained = served.ok(&format!("{V}/explain"), &json!({"vector": query, "k": 7}));
    assert_eq!(explained["hits"], 7);
    assert_eq!(explained["parts"][0]["rows"], 100);
}

#[test]
fn the_default_collection_is_at_search() {
    let served = Served::start(&[]);
    served.refuses("/search", &json!({"vector": [1, 2]}), 404, "NotFound", "default");
    served.create("default", 2);
    served
        .ok("/v1/collections/default/upsert", &json!({"records": [{"id": "a", "vector": [1, 2]}]}));
    assert_eq!(served.ok("/search", &json!({"vector": [1, 2]}))["hits"][0]["id"], "a");
}

#[test]
fn records_come_back_as_they_were_given() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let record = json!({
        "id": "ü/\\..%2f 😀", "vector": [0.1, -3.5e10],
        "metadata": {"a.b": [1, 2.5, null, {"c": true}], "n": -9223372036854775808i64}, "payload": "AAECAw==",
    });
    let number =
        json!({"id": u64::MAX, "vector": [1e-45, 16777216], "metadata": {}, "payload": null});
    let body = json!({"records": [record, number]});
    assert_eq!(served.ok(&format!("{V}/upsert"), &body).get("ids"), None);
    let got = served.ok(&format!("{V}/get"), &json!({"ids": [record["id"], u64::MAX, "none", 5]}));
    assert_eq!(got["records"][0], record);
    assert_eq!(got["records"][1]["id"], u64::MAX);
    // The least f32 above 0, as short as it can be.
    assert!(got["records"][1]["vector"].to_string().starts_with("[1e-45,"));
    assert_eq!(got["missing"], json!(["none", 5]));
}

#[test]
fn vectors_in_base64_are_the_same_vectors() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    // [1.0, 2.0] and [-0.5, 0.25] as little-endian f32.
    let (a, b) = ("AACAPwAAAEA=", "AAAAvwAAgD4=");
    let records = json!({"records": [{"id": 1, "vector": a}, {"id": 2, "vector": [-0.5, 0.25]}]});
    served.ok(&format!("{V}/upsert"), &records);
    let asked = json!({"ids": [1, 2]});
    let got = served.ok(&format!("{V}/get"), &asked);
    assert_eq!(got["records"][0]["vector"], json!([1.0, 2.0]));
    let got = served.ok(&format!("{V}/get"), &json!({"ids": [1, 2], "vector_format": "base64"}));
    assert_eq!(
        (&got["records"][0]["vector"], &got["records"][1]["vector"]),
        (&json!(a), &json!(b))
    );
    let search = json!({"vector": b, "k": 1, "with_vector": true, "vector_format": "base64"});
    let found = served.ok(&format!("{V}/search"), &search);
    assert_eq!((&found["hits"][0]["id"], &found["hits"][0]["vector"]), (&json!(2), &json!(b)));
    for (vector, word) in
        [("AACAPwAA", "no row of f32"), ("?", "no base64"), ("AACAPw==", "1 dimensions")]
    {
        served.refuses(
            &format!("{V}/search"),
            &json!({"vector": vector}),
            400,
            "InvalidArgument",
            word,
        );
    }
}

#[test]
fn writes_of_every_kind() {
    let served = filled();
    let made = served.ok(
        &format!("{V}/upsert"),
        &json!({"records": [{"vector": [1, 1, 1, 1]}, {"id": 100, "vector": [2, 2, 2, 2]}]}),
    );
    let id = made["ids"][0].as_str().unwrap().to_owned();
    assert_eq!((id.len(), &id[14..15], &made["ids"][1]), (36, "7", &json!(100)));
    assert_eq!(served.ok(&format!("{V}/count"), &json!({})), json!({"count": 102}));

    let there = json!({"records": [{"id": 1000, "vector": [1, 1, 1, 1]}, {"id": 5, "vector": [1, 1, 1, 1]}]});
    let answer = served.post(&format!("{V}/insert"), &there);
    assert_eq!((answer.status, &answer.json()["error"]["row"]), (409, &json!(1)));
    served.refuses(&format!("{V}/insert"), &there, 409, "AlreadyExists", "5");
    let bad = json!({"records": [{"id": 1, "vector": [1, 1, 1, 1]}, {"id": 2, "vector": [1, 1]}]});
    assert_eq!(served.post(&format!("{V}/upsert"), &bad).json()["error"]["row"], 1);

    let updates = json!({"updates": [
        {"id": 7, "merge": {"even": null, "tag": "x"}},
        {"id": 8, "metadata": {"only": 1}, "payload": "AAEC"},
        {"id": 9, "vector": [0, 0, 0, 0]},
    ]});
    assert_eq!(served.ok(&format!("{V}/update"), &updates)["records"], 3);
    let got = served.ok(&format!("{V}/get"), &json!({"ids": [7, 8, 9]}));
    assert_eq!(got["records"][0]["metadata"], json!({"n": 7, "tag": "x"}));
    assert_eq!(got["records"][1]["metadata"], json!({"only": 1}));
    assert_eq!(got["records"][1]["payload"], "AAEC");
    assert_eq!(got["records"][2]["vector"], json!([0.0, 0.0, 0.0, 0.0]));
    served.ok(&format!("{V}/update"), &json!({"updates": [{"id": 8, "payload": null}]}));
    assert_eq!(
        served.ok(&format!("{V}/get"), &json!({"ids": [8]}))["records"][0]["payload"],
        Value::Null
    );
    served.refuses(
        &format!("{V}/update"),
        &json!({"updates": [{"id": "none"}]}),
        404,
        "NotFound",
        "none",
    );

    let some = json!({"ids": [0, 1, 1, "none"], "dry_run": true});
    assert_eq!(served.ok(&format!("{V}/delete"), &some), json!({"deleted": 0, "would_delete": 2}));
    assert_eq!(
        served.ok(&format!("{V}/delete"), &json!({"ids": [0, 1, "none"]})),
        json!({"deleted": 2})
    );
    let filter = json!({"field": "n", "op": "gte", "value": 90});
    let dry = served.ok(&format!("{V}/delete"), &json!({"filter": filter, "dry_run": true}));
    assert_eq!(dry, json!({"deleted": 0, "would_delete": 10}));
    assert_eq!(
        served.ok(&format!("{V}/delete"), &json!({"filter": filter})),
        json!({"deleted": 10})
    );
    for neither in [json!({}), json!({"ids": [], "filter": filter})] {
        served.refuses(&format!("{V}/delete"), &neither, 400, "InvalidArgument", "either");
    }
    assert_eq!(served.ok(&format!("{V}/count"), &json!({})), json!({"count": 90}));
    let facets = served.ok(&format!("{V}/facet"), &json!({"field": "even", "k": 1}));
    // Of 2 to 89 those that are even but for 8, and those that are odd but for 7.
    assert_eq!(facets, json!({"facets": [{"value": false, "count": 43}]}));
}

#[test]
fn collections_are_made_changed_and_dropped() {
    let served = Served::start(&[]);
    let made = |answer: &crate::served::Answer| (answer.status, answer.json()["created"].as_bool());
    let body = json!({"dim": 8, "metric": "cosine", "config": {"index": "ivf", "n_clusters": 16}});
    assert_eq!(made(&served.ask("PUT", "/v1/collections/a", &body)), (200, Some(true)));
    assert_eq!(served.ask("PUT", "/v1/collections/a", &body).error().1, "AlreadyExists");
    let again = json!({"dim": 8, "metric": "cosine", "config": {"index": "ivf", "n_clusters": 16}, "if_not_exists": true});
    assert_eq!(made(&served.ask("PUT", "/v1/collections/a", &again)), (200, Some(false)));
    let other = json!({"dim": 9, "metric": "cosine", "if_not_exists": true});
    assert_eq!(served.ask("PUT", "/v1/collections/a", &other).error().1, "Conflict");
    let described = served.get("/v1/collections/a").json();
    assert_eq!(
        (&described["index"], &described["n_clusters"], &described["m"]),
        (&json!("ivf"), &json!(16), &Value::Null)
    );

    let changed = served.ask(
        "PATCH",
        "/v1/collections/a",
        &json!({"index": "graph", "m": 8, "recall_target": 0.99}),
    );
    assert_eq!((&changed.json()["m"], &changed.json()["recall_target"]), (&json!(8), &json!(0.99)));
    let changed = served.ask("PATCH", "/v1/collections/a", &json!({"recall_target": null}));
    assert_eq!((&changed.json()["m"], &changed.json()["recall_target"]), (&json!(8), &Value::Null));
    let none = served.ask("PATCH", "/v1/collections/a", &json!({"index": "flat", "m": 8}));
    assert_eq!(none.error().1, "InvalidArgument");

    let schema = json!({"strict": true, "fields": {"year": {"type": "i64", "required": true}}});
    let set = served.ask("PUT", "/v1/collections/a/schema", &schema);
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(served.get("/v1/collections/a/schema").json()["fields"]["year"]["required"], true);
    let zeros = vec![1; 8];
    served.refuses(
        "/v1/collections/a/upsert",
        &json!({"records": [{"id": 1, "vector": zeros}]}),
        400,
        "InvalidArgument",
        "year",
    );

    served.create("b", 2);
    let names = |served: &Served| -> Vec<String> {
        let listed = served.get("/v1/collections").json();
        listed["collections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&served), ["a", "b"]);
    assert_eq!(
        served.post("/v1/collections/a/rename", &json!({"to": "b"})).error().1,
        "AlreadyExists"
    );
    served.ok("/v1/collections/a/rename", &json!({"to": "c"}));
    assert_eq!(names(&served), ["b", "c"]);
    assert_eq!(served.get("/v1/collections/c/stats").json()["collection"], "c");
    assert_eq!(served.get("/v1/collections/a").error().1, "NotFound");
    let dropped = served.send(served.request("DELETE", "/v1/collections/b"));
    assert_eq!(dropped.json(), json!({"dropped": "b"}));
    assert_eq!(served.send(served.request("DELETE", "/v1/collections/b")).error().1, "NotFound");
    // A new one of the name is another.
    served.create("b", 3);
    assert_eq!(served.get("/v1/collections/b").json()["dim"], 3);
}

#[test]
fn versions_are_committed_named_and_searched() {
    let served = filled();
    let first = served.ok(&format!("{V}/commit"), &json!({}))["version"].as_u64().unwrap();
    let tagged = served.ask("PUT", &format!("{V}/tags/before"), &json!({"version": first}));
    assert_eq!(tagged.json(), json!({"version": first}));
    served.ok(
        &format!("{V}/delete"),
        &json!({"filter": {"field": "even", "op": "eq", "value": true}}),
    );
    for path in ["flush", "compact", "refresh"] {
        let reached = served.ok(&format!("{V}/{path}"), &json!({}))["version"].as_u64().unwrap();
        assert!(reached > first, "{path}");
    }
    assert!(served.ok(&format!("{V}/vacuum"), &json!({}))["objects"].is_u64());
    let (query, path) = ([1.0, 1.0, 1.0, 1.0], format!("{V}/search"));
    let now = served.ok(&path, &json!({"vector": query, "k": 60}));
    assert_eq!(ids(&now["hits"]), nearest(&query, 60, |id| id % 2 == 1));
    for at in [
        json!({"vector": query, "k": 60, "version": first}),
        json!({"vector": query, "k": 60, "tag": "before"}),
    ] {
        assert_eq!(ids(&served.ok(&path, &at)["hits"]), nearest(&query, 60, |_| true));
    }
    served.refuses(
        &path,
        &json!({"vector": query, "version": first, "tag": "before"}),
        400,
        "InvalidArgument",
        "only one",
    );
    served.refuses(
        &path,
        &json!({"vector": query, "version": 99_999}),
        410,
        "VersionGone",
        "99999",
    );
    let versions = served.get(&format!("{V}/versions")).json();
    assert!(
        versions["versions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|version| version["tags"] == json!(["before"]))
    );
    let untagged = served.send(served.request("DELETE", &format!("{V}/tags/before")));
    assert_eq!(untagged.json(), json!({"version": first}));
    served.refuses(&path, &json!({"vector": query, "tag": "before"}), 404, "NotFound", "before");
}

#[test]
fn failures_have_one_form() {
    let served = filled();
    let cases = [
        (json!({"vector": [1]}), 400, "InvalidArgument", "1 dimensions"),
        (json!({"vector": [1, 2, 3, "4"]}), 400, "InvalidArgument", "vector[3]"),
        (json!({"vector": [1, 2, 3, 4], "k": "many"}), 400, "InvalidArgument", "k: "),
        (json!({"vector": [1, 2, 3, 4], "top": 3}), 400, "InvalidArgument", "unknown field `top`"),
        (
            json!({"vector": [1, 2, 3, 4], "filter": {"field": "n", "op": "like", "value": 1}}),
            400,
            "InvalidArgument",
            "filter",
        ),
        (json!({"vector": [1, 2, 3, 4], "nprobe": 3}), 400, "InvalidArgument", "nprobe"),
        (json!([1]), 400, "InvalidArgument", ""),
    ];
    for (body, status, kind, word) in cases {
        served.refuses(&format!("{V}/search"), &body, status, kind, word);
    }
    served.refuses("/v1/collections/none/search", &json!({"vector": [1]}), 404, "NotFound", "none");
    assert_eq!(served.get("/v2").error().0, 404);
    assert_eq!(served.get(&format!("{V}/search")).error().0, 405);
    let text =
        served.send(served.request("POST", &format!("{V}/search")).body("{\"vector\":[1,2,3,4]}"));
    assert_eq!(text.error().0, 415);
    let long = "a".repeat(20_000);
    assert!(served.get(&format!("/{long}")).status >= 400);
    assert_eq!(served.get("/health").json()["status"], "healthy");
}

#[test]
fn the_description_names_every_path() {
    let served = Served::start(&[]);
    let document = served.get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/search",
        "/v1/collections/{name}/search",
        "/v1/collections/{name}/import",
        "/health",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    // Whatever is described is served, and whatever refers to something finds it.
    let text = document.to_string();
    for reference in
        text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap())
    {
        assert!(document["components"]["schemas"].get(reference).is_some(), "{reference}");
    }
}

/// A request in which nothing has to be said needs no body.
#[test]
fn nothing_is_as_good_as_an_empty_object() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    served.ok("/v1/collections/docs/upsert", &json!({"records": [{"id": 1, "vector": [1, 2]}]}));
    let post = |path: &str| served.send(served.request("POST", path));
    assert_eq!(post("/v1/collections/docs/count").json(), json!({"count": 1}));
    assert_eq!(post("/v1/collections/docs/scan").text.lines().count(), 1);
    assert_eq!(served.send(served.request("PUT", "/v1/collections/docs/tags/now")).status, 200);
    let (status, kind, message) = post("/v1/collections/docs/search").error();
    assert_eq!((status, kind.as_str()), (400, "InvalidArgument"));
    assert!(message.contains("vector"), "{message}");
}

/// What is asked is an object, and refusals have one form and no names of types.
#[test]
fn refusals_are_for_people() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let v = "/v1/collections/docs";
    let invalid = "InvalidArgument";
    served.refuses(&format!("{v}/search"), &json!([[1, 2], 3]), 400, invalid, "object");
    served.refuses(
        &format!("{v}/update"),
        &json!({"updates": [[1, [1, 2]]]}),
        400,
        invalid,
        "object",
    );
    let minus = json!({"vector": [1, 2], "k": -1});
    served.refuses(
        &format!("{v}/search"),
        &minus,
        400,
        invalid,
        "expected a whole number, 0 or more",
    );
    let twice = json!({"records": [{"id": 1, "vector": [1, 2]}, {"id": 1, "vector": [2, 2]}]});
    served.refuses(&format!("{v}/insert"), &twice, 409, "AlreadyExists", "twice");
    assert_eq!(served.post(&format!("{v}/insert"), &twice).json()["error"]["row"], 1);
    assert_eq!(served.ask("PUT", &format!("{v}/tags/%ff"), &json!({})).error().1, invalid);
    // A preview of what may be done.
    let many: Vec<u64> = (0..3000).collect();
    let preview = served.ok(&format!("{v}/delete"), &json!({"ids": many, "dry_run": true}));
    assert_eq!(preview["would_delete"], 0);
}

#[test]
fn the_nearest_of_each_value_of_a_field() {
    let served = Served::start(&[]);
    served.create("docs", 2);
    let kinds = ["a", "b", "c"];
    let records: Vec<_> = (0..9)
        .map(
            |id| json!({"id": id, "vector": [id, 0], "metadata": {"kind": kinds[id % 3], "n": id}}),
        )
        .collect();
    served.ok("/v1/collections/docs/upsert", &json!({"records": records}));
    let body =
        json!({"vector": [0, 0], "field": "kind", "k": 2, "hits": 2, "without_fields": ["kind"]});
    let found = served.ok("/v1/collections/docs/search/groups", &body);
    let groups: Vec<_> = found["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["value"].clone(), group["hits"][1]["metadata"].clone()))
        .collect();
    assert_eq!(groups, [(json!("a"), json!({"n": 3})), (json!("b"), json!({"n": 4}))]);
    let both = json!({"vector": [0, 0], "fields": ["n"], "without_fields": ["n"]});
    served.refuses("/v1/collections/docs/search", &both, 400, "InvalidArgument", "only one");
    let many = json!({"vector": [0, 0], "field": "kind", "hits": 10_001});
    served.refuses("/v1/collections/docs/search/groups", &many, 400, "InvalidArgument", "limits.k");
    let described = served.get("/v1/collections/docs").json();
    assert_eq!((&described["name"], &described["records"]), (&json!("docs"), &json!(9)));
}
