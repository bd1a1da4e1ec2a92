use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::profile::Profile;
use crate::OpenError;

/// Buckets of S3, of Google and of Azure.
pub(super) const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// How often a request that may be repeated is, and for how long.
const RETRIES: usize = 5;
const RETRY_FOR: Duration = Duration::from_secs(10);
/// A connection that brings nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// The way to a bucket.
pub(super) struct Clients {
    /// Repeats what fails for a moment.
    pub(super) again: Arc<dyn ObjectStore>,
    /// Makes each request once.
    pub(super) once: Arc<dyn ObjectStore>,
    /// What all names in the bucket begin with, without a slash at its ends.
    pub(super) prefix: String,
    /// What tells one bucket from another: two of the same are one.
    pub(super) place: Place,
}

/// The scheme, the bucket, and the options, which may say where it is.
#[derive(PartialEq, Eq)]
pub(super) struct Place(String, String, Vec<(String, String)>);

/// The clients hold what is secret.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} under {:?}", self.again, self.prefix)
    }
}

impl Clients {
    pub(super) fn open(
        scheme: &str,
        rest: &str,
        options: &[(String, String)],
    ) -> Result<Self, OpenError> {
        let address = || format!("{scheme}://{rest}");
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(no_bucket(format!("{} names no bucket", address())));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        if let Err(error) = Path::parse(&prefix) {
            return Err(no_bucket(format!("{}: {error}", address())));
        }
        let client = |retries| match scheme {
            "s3" => s3(bucket, options, retries),
            "gs" => gs(bucket, options, retries),
            "az" => az(bucket, options, retries),
            _ => Err(no_bucket(format!("{} is no bucket", address()))),
        };
        let mut options = options.to_vec();
        options.sort();
        let place = Place(scheme.to_owned(), bucket.to_owned(), options);
        Ok(Self { again: client(RETRIES)?, once: client(0)?, prefix, place })
    }
}

fn no_bucket(why: String) -> OpenError {
    let expected = "expected s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";
    OpenError::Address(format!("{why}; {expected}"))
}

fn retry(retries: usize) -> RetryConfig {
    RetryConfig { max_retries: retries, retry_timeout: RETRY_FOR, ..RetryConfig::default() }
}

/// What all clients have in common. That a request takes long in all is for its deadline to say, which
/// knows how many bytes it is about.
fn http(endpoint: Option<&str>) -> ClientOptions {
    let options = ClientOptions::new().with_timeout_disabled();
    let options = options.with_read_timeout(SILENCE).with_connect_timeout(CONNECT);
    // Whoever gives such an endpoint wants no encryption: a server on the same machine.
    options.with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")))
}

/// Settings by name, in small letters: what the environment says, then the options, which count more.
struct Settings {
    scheme: &'static str,
    of_environment: Vec<(String, String)>,
    options: Vec<(String, String)>,
}

impl Settings {
    /// Those of the variables that begin so.
    fn of(scheme: &'static str, begin: &str, options: &[(String, String)]) -> Self {
        let variables = std::env::vars_os();
        let known = variables.filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(begin))?.to_ascii_lowercase();
            Some((name, value.to_str()?.to_owned()))
        });
        let options =
            options.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        Self { scheme, of_environment: known.collect(), options: options.collect() }
    }

    /// The value of the first of these names that has one. An option may leave out the part before the
    /// first underscore.
    fn get(&self, names: &[&str]) -> Option<&str> {
        let short = |name: &str| name.split_once('_').map(|(_, rest)| rest.to_owned());
        let is_option = |found: &str| {
            names.iter().any(|name| *name == found || short(name).as_deref() == Some(found))
        };
        let option = self.options.iter().rev().find(|(found, _)| is_option(found));
        let of_environment = || {
            let find = |name: &&str| self.of_environment.iter().find(|(found, _)| found == name);
            names.iter().find_map(find)
        };
        option.or_else(of_environment).map(|(_, value)| value.as_str())
    }

    /// Has a builder told all of them. Of the environment's some are for others.
    fn tell<K: FromStr, B>(
        &self,
        mut builder: B,
        tell: impl Fn(B, K, &str) -> B,
    ) -> Result<B, OpenError> {
        for (name, value) in &self.of_environment {
            if let Ok(key) = name.parse() {
                builder = tell(builder, key, value);
            }
        }
        for (name, value) in &self.options {
            let key = name.parse().map_err(|_| {
                let message = format!("option `{name}` means nothing to {}://", self.scheme);
                OpenError::Address(message)
            })?;
            builder = tell(builder, key, value);
        }
        Ok(builder)
    }
}

fn built<T: ObjectStore>(
    built: Result<T, object_store::Error>,
) -> Result<Arc<dyn ObjectStore>, OpenError> {
    match built {
        Ok(client) => Ok(Arc::new(client)),
        Err(error) => Err(OpenError::Address(error.to_string())),
    }
}

type Client = Result<Arc<dyn ObjectStore>, OpenError>;

/// What says where and as whom, each by all of its names, the one that counts most first.
const S3_ENDPOINT: [&str; 3] = ["aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint"];
const S3_REGION: [&str; 2] = ["aws_region", "aws_default_region"];
/// Ways to credentials that make a profile needless.
const S3_CREDENTIALS: [&str; 5] = [
    "aws_access_key_id",
    "aws_web_identity_token_file",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_skip_signature",
];

fn s3(bucket: &str, options: &[(String, String)], retries: usize) -> Client {
    let mut settings = Settings::of("s3", "AWS_", options);
    if settings.get(&S3_CREDENTIALS).is_none() {
        let profile = Profile::of_environment()?;
        // A variable counts more than a profile.
        let says = |name: &str| match name {
            "aws_region" => settings.get(&S3_REGION).is_some(),
            "aws_endpoint_url" => settings.get(&S3_ENDPOINT).is_some(),
            _ => false,
        };
        let more: Vec<_> = profile.settings.into_iter().filter(|(name, _)| !says(name)).collect();
        settings.of_environment.extend(more);
    }
    let endpoint = settings.get(&S3_ENDPOINT).map(str::to_owned);
    let builder = AmazonS3Builder::new()
        .with_client_options(http(endpoint.as_deref()))
        // One by one: what is deleted together cannot fail apart, and some do not know how.
        .with_disable_bulk_delete(true);
    let mut builder =
        settings.tell(builder, |builder, key, value| builder.with_config(key, value))?;
    // Of several names for one thing the client has an order of its own.
    if let Some(endpoint) = endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = settings.get(&S3_REGION) {
        builder = builder.with_region(region);
    }
    built(builder.with_bucket_name(bucket).with_retry(retry(retries)).build())
}

fn gs(bucket: &str, options: &[(String, String)], retries: usize) -> Client {
    let settings = Settings::of("gs", "GOOGLE_", options);
    let endpoint = settings.get(&["google_base_url"]);
    let builder = GoogleCloudStorageBuilder::new().with_client_options(http(endpoint));
    let builder = settings.tell(builder, |builder, key, value| builder.with_config(key, value))?;
    built(builder.with_bucket_name(bucket).with_retry(retry(retries)).build())
}

fn az(container: &str, options: &[(String, String)], retries: usize) -> Client {
    let settings = Settings::of("az", "AZURE_", options);
    let emulated = settings.get(&["azure_storage_use_emulator"]);
    let emulated = emulated.filter(|value| *value != "false").map(|_| "http://");
    let endpoint = settings.get(&["azure_storage_endpoint", "azure_endpoint"]).or(emulated);
    let builder = MicrosoftAzureBuilder::new().with_client_options(http(endpoint));
    let builder = settings.tell(builder, |builder, key, value| builder.with_config(key, value))?;
    built(builder.with_container_name(container).with_retry(retry(retries)).build())
}
