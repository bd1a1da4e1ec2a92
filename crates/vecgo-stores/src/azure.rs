//! Signing a request as Azure wants it: nothing else here makes a container.

use std::io;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const VERSION: &str = "2023-11-03";

/// The headers of a request, without a body, to make a container.
pub(crate) fn headers_to_make(account: &str, key: &str, container: &str) -> io::Result<String> {
    let key = STANDARD.decode(key).map_err(io::Error::other)?;
    let headers = format!("x-ms-date:{DATE}\nx-ms-version:{VERSION}\n");
    // An emulator names the account in the path too.
    let resource = format!("/{account}/{account}/{container}\nrestype:container");
    let to_sign = format!("PUT\n\n\n\n\n\n\n\n\n\n\n\n{headers}{resource}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signature = STANDARD.encode(hmac::sign(&key, to_sign.as_bytes()));
    Ok(format!(
        "x-ms-date: {DATE}\r\nx-ms-version: {VERSION}\r\n\
         Authorization: SharedKey {account}:{signature}\r\n"
    ))
}
