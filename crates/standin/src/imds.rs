//! The metadata service of an instance, version 2: credentials of a role, with an end.

use std::collections::BTreeMap;

use crate::http::{HttpRequest, iso_date};

const TOKEN: &str = "standin-metadata-token";
const ROLE: &str = "vxscope-controller";

/// Keys that were given out, and when they end, in seconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Imds {
    keys: BTreeMap<String, u64>,
    pub(crate) life_seconds: u64,
    /// Whether calls need one of these keys.
    pub(crate) required: bool,
}

impl Default for Imds {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            life_seconds: 3_600,
            required: false,
        }
    }
}

impl Imds {
    /// The answer to a request for metadata: status and text.
    pub(crate) fn handle(&mut self, request: &HttpRequest, now: u64) -> (u16, String) {
        let path = request.path.split('?').next().unwrap_or_default();
        if request.method == "PUT" && path == "/latest/api/token" {
            return (200, TOKEN.to_owned());
        }
        // Version 2 only: without the token nothing.
        let token = request.headers.get("x-aws-ec2-metadata-token");
        if token.map(String::as_str) != Some(TOKEN) {
            return (401, String::new());
        }
        let credentials = "/latest/meta-data/iam/security-credentials";
        match path
            .strip_prefix(credentials)
            .map(|rest| rest.trim_matches('/'))
        {
            Some("") => (200, ROLE.to_owned()),
            Some(ROLE) => (200, self.issue(now)),
            _ if path == "/latest/meta-data/placement/region" => (200, "us-east-1".to_owned()),
            _ => (404, String::new()),
        }
    }

    /// Whether a call with this key is let in; `Err` has the code.
    pub(crate) fn check(&self, key: Option<&str>, now: u64) -> Result<(), &'static str> {
        if !self.required {
            return Ok(());
        }
        match key.and_then(|key| self.keys.get(key)) {
            None => Err("AuthFailure"),
            Some(end) if *end <= now => Err("RequestExpired"),
            Some(_) => Ok(()),
        }
    }

    fn issue(&mut self, now: u64) -> String {
        let key = format!("ASIASTANDIN{:09}", self.keys.len());
        let end = now + self.life_seconds;
        self.keys.insert(key.clone(), end);
        serde_json::json!({
            "Code": "Success",
            "LastUpdated": iso_date(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": key,
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": iso_date(end),
        })
        .to_string()
    }
}
