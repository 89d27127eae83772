//! ntfy, at ntfy.sh or one's own.

use jiff::Timestamp;
use keepwatch_core::SecretText;
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::Reach;
use super::http::Http;
use super::text::fit;
use super::webhook::headline;
use super::{Endpoint, Network, Notification, Notifier, NotifyError, Severity};

/// A topic of ntfy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtfySettings {
    /// The topic. Whoever knows it can read it, unless the server asks for a token.
    pub topic: SecretText,
    /// The server; without, `https://ntfy.sh`.
    #[serde(default)]
    pub url: Option<SecretText>,
    /// An access token.
    #[serde(default)]
    pub token: Option<SecretText>,
    /// What is told: this and worse.
    #[serde(default = "super::settings::default_from")]
    pub from: Severity,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// ntfy, at ntfy.sh or one's own.
#[derive(Debug)]
pub struct Ntfy {
    http: Http,
    endpoint: Endpoint,
    topic: SecretText,
    authorization: Option<SecretText>,
}

impl Ntfy {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &NtfySettings, network: &Network) -> Result<Self, NotifyError> {
        let bad = |key, problem| NotifyError::Settings { key, problem };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let topic = settings.topic.expose();
        if topic.is_empty() || topic.len() > 64 || !topic.chars().all(plain) {
            return Err(bad("topic", "it has 1 to 64 letters, digits, - and _"));
        }
        let printable = |token: &SecretText| token.expose().bytes().all(|b| b.is_ascii_graphic());
        if settings
            .token
            .as_ref()
            .is_some_and(|token| !printable(token))
        {
            return Err(bad("token", "it has only letters, digits and signs"));
        }
        let endpoint = match &settings.url {
            Some(url) => Endpoint::new(url)?,
            None => Endpoint::new(&SecretText::new("https://ntfy.sh".to_owned()))?,
        };
        let bearer = |token: &SecretText| SecretText::new(format!("Bearer {}", token.expose()));
        Ok(Self {
            http: Http::new(network, Reach::new(settings.allow_private)),
            endpoint,
            topic: settings.topic.clone(),
            authorization: settings.token.as_ref().map(bearer),
        })
    }

    /// As plain text, which ntfy shows as it is. A message over 4096 bytes would become a file.
    fn body(&self, told: &Notification) -> Value {
        let (priority, tag) = match told.severity {
            Severity::Success => (2, "white_check_mark"),
            Severity::Warning => (3, "warning"),
            Severity::Failure => (4, "x"),
            Severity::Critical => (5, "rotating_light"),
        };
        json!({
            "topic": self.topic.expose(),
            "title": fit(&headline(told), 250, str::to_owned, str::len),
            "message": fit(&told.plain(), 3900, str::to_owned, str::len),
            "priority": priority,
            "tags": [tag],
        })
    }
}

impl Notifier for Ntfy {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        let body = self.body(&notification.bounded()).to_string();
        let mut headers = vec![("content-type", "application/json")];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization.expose()));
        }
        self.http.post(&self.endpoint, &headers, body.as_bytes())
    }
}
