use crate::command::Place;

#[test]
fn runs_to_the_end() {
    let place = Place::new();
    let told = place.ok("demo --dir words");
    for word in
        ["index graph", "quantization rabitq:8", "--exact       1.000", " 0 lost", "checksum right"]
    {
        assert!(told.contains(word), "no `{word}` in\n{told}");
    }
    assert_eq!(place.json("count words --collection words"), serde_json::json!({"count": 4000}));
    assert_eq!(place.json("verify words")["ok"], true);
    place.run("--json demo --dir words").is_refused("AlreadyExists", &["words"]);
}

#[test]
fn shows_the_licence_of_its_texts() {
    let told = Place::new().ok("demo --license");
    assert!(told.contains("Princeton University"), "{told}");
}
