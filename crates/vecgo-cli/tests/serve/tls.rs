//! TLS, and certificates that change.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use reqwest::blocking::Client;
use reqwest::tls::Certificate;
use rustix::process::Signal;

use crate::served::Served;

/// Writes a certificate for this machine and its key; gives it as a client trusts it.
pub(crate) fn certify(dir: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
}

fn status(served: &Served, trusted: &Certificate) -> Result<u16, reqwest::Error> {
    let client = Client::builder().tls_certs_only([trusted.clone()]).build().unwrap();
    Ok(client.get(format!("https://{}/livez", served.address)).send()?.status().as_u16())
}

#[test]
fn certificates_are_read_again_without_a_restart() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let first = certify(dir.path());
    let served = Served::with(
        Arc::clone(&dir),
        &["--set", "tls.cert=cert.pem", "--set", "tls.key=key.pem"],
        &[],
    );
    assert_eq!(status(&served, &first).unwrap(), 200);
    let plain = reqwest::blocking::get(format!("http://{}/livez", served.address));
    assert!(plain.is_err());

    // What cannot be read changes nothing.
    fs::write(dir.path().join("key.pem"), "no key").unwrap();
    served.signal(Signal::HUP);
    served.until("it says nothing", || served.log().contains("stay as they were").then_some(()));
    assert_eq!(status(&served, &first).unwrap(), 200);

    let second = certify(dir.path());
    served.signal(Signal::HUP);
    served.until("it is not read", || served.log().contains("read again").then_some(()));
    assert_eq!(status(&served, &second).unwrap(), 200);
    assert!(status(&served, &first).is_err());
    assert_eq!(served.stop(), Some(0));
}
