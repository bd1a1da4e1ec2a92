//! The profiles that Amazon's own tools keep in a home directory.

use std::path::PathBuf;
use std::{env, fs};

use crate::OpenError;

/// Settings of a profile, by the names of the environment variables, in small letters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) settings: Vec<(String, String)>,
}

/// Settings of a profile, and the environment variables that stand for them.
const SETTINGS: [(&str, &str); 5] = [
    ("aws_access_key_id", "aws_access_key_id"),
    ("aws_secret_access_key", "aws_secret_access_key"),
    ("aws_session_token", "aws_session_token"),
    ("region", "aws_region"),
    ("endpoint_url", "aws_endpoint_url"),
];

/// Ways to credentials that only Amazon's own tools know.
const UNKNOWN: [&str; 4] = ["credential_process", "sso_session", "sso_start_url", "source_profile"];

impl Profile {
    /// The one that `AWS_PROFILE` names, or `default`, if there are such files.
    pub(super) fn of_environment() -> Result<Self, OpenError> {
        let named = env::var("AWS_PROFILE").ok();
        let name = named.as_deref().unwrap_or("default");
        let file = |variable: &str, there: &str| {
            let home = || Some(PathBuf::from(env::var_os("HOME")?).join(there));
            let path = env::var_os(variable).map(PathBuf::from).or_else(home)?;
            fs::read_to_string(path).ok()
        };
        let config = file("AWS_CONFIG_FILE", ".aws/config").unwrap_or_default();
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let found = Self::find(name, &config, &credentials.unwrap_or_default())?;
        match (found, named) {
            (None, Some(name)) => {
                Err(OpenError::Address(format!("AWS_PROFILE names no profile: `{name}`")))
            }
            (found, _) => Ok(found.unwrap_or_default()),
        }
    }

    /// A profile of both files; what is in the second comes before what is in the first.
    fn find(name: &str, config: &str, credentials: &str) -> Result<Option<Self>, OpenError> {
        let in_config = match name {
            "default" => name.to_owned(),
            _ => format!("profile {name}"),
        };
        let (first, second) = (section(config, &in_config), section(credentials, name));
        if first.is_none() && second.is_none() {
            return Ok(None);
        }
        let lines: Vec<(&str, &str)> =
            second.into_iter().flatten().chain(first.into_iter().flatten()).collect();
        let value = |key: &str| lines.iter().find(|(found, _)| *found == key);
        let known = SETTINGS.iter().filter_map(|(key, variable)| {
            let (_, value) = value(key)?;
            Some(((*variable).to_owned(), (*value).to_owned()))
        });
        let settings: Vec<(String, String)> = known.collect();
        let has_keys = settings.iter().any(|(name, _)| name == "aws_access_key_id");
        match UNKNOWN.iter().find(|key| value(key).is_some()) {
            Some(unknown) if !has_keys => Err(OpenError::Address(format!(
                "profile `{name}` has its credentials from `{unknown}`, which is not supported; \
                 `aws configure export-credentials --profile {name} --format env` gives \
                 environment variables that are"
            ))),
            _ => Ok(Some(Self { settings })),
        }
    }
}

/// The settings of a section, unless there is none of that name.
fn section<'a>(file: &'a str, name: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut found = None;
    let mut inside = false;
    for line in file.lines() {
        // An indented line belongs to the setting before it, and none of those is known here.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(header) = line.trim().strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inside = header.split_whitespace().eq(name.split_whitespace());
            if inside {
                found.get_or_insert_with(Vec::new);
            }
        } else if inside
            && let (Some(found), Some((key, value))) = (&mut found, line.split_once('='))
        {
            found.push((key.trim(), value.trim()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n\n[profile  far]\nregion=ap-south-1\n\
                          s3 =\n  max_concurrent_requests = 20\nendpoint_url = http://far:9000\n\
                          [profile by-sso]\nsso_session = mine\n";
    const CREDENTIALS: &str = "# keys\n[default]\naws_access_key_id = a\n\
                               aws_secret_access_key = b=c\n[far]\naws_access_key_id=d\n\
                               aws_secret_access_key=e\naws_session_token = f\nregion = us-east-2\n";

    fn settings(name: &str) -> Vec<String> {
        let profile = Profile::find(name, CONFIG, CREDENTIALS).unwrap().unwrap();
        profile.settings.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn profiles_of_both_files() {
        let default = ["aws_access_key_id=a", "aws_secret_access_key=b=c", "aws_region=eu-west-1"];
        assert_eq!(settings("default"), default);
        let far = [
            "aws_access_key_id=d",
            "aws_secret_access_key=e",
            "aws_session_token=f",
            "aws_region=us-east-2",
            "aws_endpoint_url=http://far:9000",
        ];
        assert_eq!(settings("far"), far);
        assert_eq!(Profile::find("other", CONFIG, CREDENTIALS).unwrap(), None);
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let error = Profile::find("by-sso", CONFIG, CREDENTIALS).unwrap_err().to_string();
        assert!(error.contains("`sso_session`") && error.contains("export-credentials"), "{error}");
    }
}
