use super::*;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn settings(environment: &[(&str, &str)]) -> Result<Settings, String> {
    let flags = pairs(&[("data.dir", "memory://")]);
    let layers =
        Layers::read(None, pairs(environment), flags).map_err(|error| error.to_string())?;
    Settings::new(layers).map_err(|error| error.to_string())
}

#[test]
fn flags_win_over_variables_and_those_over_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vecgo.toml");
    let text =
        "[limits]\nk = 5\nbatch = 6\nbody = \"1MiB\"\n[auth]\nread_keys = [\"0123456789abcdef\"]\n";
    std::fs::write(&file, text).unwrap();
    let environment =
        pairs(&[("VECGO_LIMITS__K", "7"), ("VECGO_LIMITS__BATCH", "8"), ("VECGO_PORT", "tcp://")]);
    let flags = pairs(&[("limits.batch", "9"), ("data.dir", "here")]);
    let layers = Layers::read(Some(&file), environment, flags).unwrap();
    let shown = |name: &str| layers.shown().find(|shown| shown.key == name).unwrap();
    assert_eq!(shown("limits.k").origin, Origin::Variable("VECGO_LIMITS__K".to_owned()));
    assert_eq!(shown("limits.body").origin, Origin::File(file));
    assert_eq!(shown("limits.time").origin, Origin::Default);
    assert_eq!(shown("auth.read_keys").value, "(secret)");
    assert!(!format!("{layers:?}").contains("0123456789abcdef"));
    let settings = Settings::new(layers).unwrap();
    let Limits { k, batch, body, .. } = settings.limits;
    assert_eq!((k, batch, body), (7, 9, 1 << 20));
    assert!(!format!("{settings:?}").contains("0123456789abcdef"));
}

#[test]
fn what_cannot_be_is_refused_with_its_origin() {
    for (name, value, said) in [
        ("VECGO_SERVER__LISTN", "x", "VECGO_SERVER__LISTN: there is no key `server.listn`"),
        ("VECGO_LIMITS__K", "many", "limits.k is many; expected a number"),
        ("VECGO_LIMITS__K", "0", "a limit is 0"),
        ("VECGO_LIMITS__TIME", "30", "expected a time"),
        ("VECGO_SERVER__LISTEN", "8080", "expected an address and port"),
        ("VECGO_SERVER__LISTEN", "0.0.0.0:8080", "no key is set"),
        ("VECGO_AUTH__WRITE_KEYS", "short", "a key is short"),
        (
            "VECGO_AUTH__WRITE_KEYS",
            "0123456789abcdef1,0123456789abcdef2,0123456789abcdef3",
            "3 keys",
        ),
        ("VECGO_TLS__CERT", "cert.pem", "one is missing"),
        ("VECGO_LOG__FORMAT", "xml", "expected text or json"),
        ("VECGO_DATA__WAL_SYNC", "never", "expected every, commit"),
    ] {
        let error = settings(&[(name, value)]).unwrap_err();
        assert!(error.contains(said), "{name}={value}: {error}");
    }
    let key = "0123456789abcdef";
    let both = [("VECGO_AUTH__WRITE_KEYS", key), ("VECGO_AUTH__READ_KEYS", key)];
    assert!(settings(&both).unwrap_err().contains("to write and to read only"));
    let both = [("VECGO_AUTH__WRITE_KEYS", key), ("VECGO_SERVER__INSECURE", "true")];
    assert!(settings(&both).unwrap_err().contains("no key is wanted, and there is one"));
    let layers = Layers::read(None, [], []).unwrap();
    assert!(Settings::new(layers).unwrap_err().to_string().contains("no database is named"));
}

#[test]
fn beyond_this_machine_with_a_key() {
    let listen = ("VECGO_SERVER__LISTEN", "0.0.0.0:8080");
    settings(&[listen, ("VECGO_AUTH__WRITE_KEYS", "0123456789abcdef")]).unwrap();
    settings(&[listen, ("VECGO_SERVER__INSECURE", "true")]).unwrap();
    settings(&[listen, ("VECGO_AUTH__FIRST_START_KEY", "key")]).unwrap();
    settings(&[("VECGO_SERVER__LISTEN", "[::1]:8080"), ("VECGO_LIMITS__K", "")]).unwrap();
    settings(&[("VECGO_SERVER__LISTEN", "localhost:8080")]).unwrap();
    assert!(settings(&[("VECGO_SERVER__LISTEN", ":8080")]).unwrap_err().contains("no key is set"));
}
