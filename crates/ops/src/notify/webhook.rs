//! Chats and other programs that take JSON over HTTP.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use keepwatch_core::SecretText;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::address::Reach;
use super::http::Http;
use super::text::{characters, cut, discord, fit, line, slack, utf16};
use super::{Endpoint, Network, Notification, Notifier, NotifyError, Severity};

const MAX_TEMPLATE: usize = 16 * 1024;
const JSON: (&str, &str) = ("content-type", "application/json");

/// A chat that is reached by an incoming webhook.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatSettings {
    /// The address of the webhook, which is a secret.
    pub url: SecretText,
    /// What is told: this and worse.
    #[serde(default = "super::settings::default_from")]
    pub from: Severity,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// What all of them are.
#[derive(Debug)]
struct Hook {
    http: Http,
    endpoint: Endpoint,
}

impl Hook {
    fn new(url: &SecretText, allow_private: bool, network: &Network) -> Result<Self, NotifyError> {
        Ok(Self {
            http: Http::new(network, Reach::new(allow_private)),
            endpoint: Endpoint::new(url)?,
        })
    }

    fn post(&self, body: &Value) -> Result<(), NotifyError> {
        let body = body.to_string();
        self.http.post(&self.endpoint, &[JSON], body.as_bytes())
    }
}

/// Slack, by an incoming webhook, as blocks of plain text.
#[derive(Debug)]
pub struct Slack(Hook);

impl Slack {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &ChatSettings, network: &Network) -> Result<Self, NotifyError> {
        Hook::new(&settings.url, settings.allow_private, network).map(Self)
    }
}

impl Notifier for Slack {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        self.0.post(&slack_body(&notification.bounded()))
    }
}

/// Limits: Slack's reference of blocks.
pub(super) fn slack_body(told: &Notification) -> Value {
    let plain = |text: &str, most| {
        let text = fit(text, most, slack, characters);
        json!({"type": "plain_text", "text": text, "emoji": false})
    };
    let mut blocks = vec![json!({"type": "header", "text": plain(&headline(told), 150)})];
    if !told.text.is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&told.text, 3000)}));
    }
    for facts in told.facts.chunks(10) {
        let fields = facts.iter();
        let fields = fields.map(|(name, value)| plain(&format!("{name}\n{value}"), 2000));
        blocks.push(json!({"type": "section", "fields": fields.collect::<Vec<_>>()}));
    }
    // For notifications on phones, which show no blocks.
    json!({"text": fit(&headline(told), 300, slack, characters), "blocks": blocks})
}

/// Discord, by a webhook, as an embed that mentions nobody.
#[derive(Debug)]
pub struct Discord(Hook);

impl Discord {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &ChatSettings, network: &Network) -> Result<Self, NotifyError> {
        Hook::new(&settings.url, settings.allow_private, network).map(Self)
    }
}

impl Notifier for Discord {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        self.0.post(&discord_body(&notification.bounded()))
    }
}

/// Limits: Discord's reference of embeds; 6000 in all.
pub(super) fn discord_body(told: &Notification) -> Value {
    let title = fit(&headline(told), 256, discord, utf16);
    let description = fit(&told.text, 2500, discord, utf16);
    let mut left = 5900 - utf16(&title) - utf16(&description);
    let mut fields = Vec::new();
    for (name, value) in &told.facts {
        // Neither may be empty.
        let or_dash = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        let name = fit(&or_dash(name), 256, discord, utf16);
        let value = fit(&or_dash(value), 1000, discord, utf16);
        let Some(rest) = left.checked_sub(utf16(&name) + utf16(&value)) else {
            break;
        };
        left = rest;
        fields.push(json!({"name": name, "value": value, "inline": utf16(&value) < 40}));
    }
    let embed = json!({
        "title": title,
        "description": description,
        "color": told.severity.color(),
        "timestamp": told.time.to_string(),
        "fields": fields,
    });
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
}

/// Teams, by a workflow's webhook, as an Adaptive Card.
#[derive(Debug)]
pub struct Teams(Hook);

impl Teams {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &ChatSettings, network: &Network) -> Result<Self, NotifyError> {
        Hook::new(&settings.url, settings.allow_private, network).map(Self)
    }
}

impl Notifier for Teams {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        self.0.post(&teams_body(&notification.bounded()))
    }
}

/// Text runs alone: in a `TextBlock` Markdown would be read. At most 28 KB in all.
pub(super) fn teams_body(told: &Notification) -> Value {
    let run = |text: &str, most| json!({"type": "TextRun", "text": cut(text, most)});
    let bold =
        |text: &str, most| json!({"type": "TextRun", "text": cut(text, most), "weight": "Bolder"});
    let block = |inlines: Value| json!({"type": "RichTextBlock", "inlines": inlines});
    let mut body = vec![block(json!([bold(&headline(told), 250)]))];
    if !told.text.is_empty() {
        body.push(block(json!([run(&told.text, 2000)])));
    }
    for (name, value) in told.facts.iter().take(15) {
        let name = format!("{}: ", cut(name, 50));
        body.push(block(json!([bold(&name, 52), run(value, 150)])));
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": card,
    });
    json!({"type": "message", "attachments": [attachment]})
}

/// The severity in a word where no colour shows it, and the title.
pub(super) fn headline(told: &Notification) -> String {
    let mark = match told.severity {
        Severity::Success => "OK",
        Severity::Warning => "WARNING",
        Severity::Failure => "FAILED",
        Severity::Critical => "CRITICAL",
    };
    line(&format!("{mark}: {}", told.title), 250)
}

/// Any program that takes JSON over HTTP.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to.
    pub url: SecretText,
    /// What is told: this and worse.
    #[serde(default = "super::settings::default_from")]
    pub from: Severity,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
    /// A JSON text in whose strings `{{severity}}`, `{{job}}`, `{{title}}`, `{{text}}`,
    /// `{{time}}`, `{{key}}` and `{{fact:NAME}}` are replaced. Without, all of it is sent as an
    /// object of these names, with `facts` as an object.
    #[serde(default)]
    pub template: Option<String>,
    /// The key of the signature, 16 characters or more.
    #[serde(default)]
    pub secret: Option<SecretText>,
    /// Headers besides, as for `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretText>,
}

/// A template may hold a secret.
impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("from", &self.from)
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
    }
}

/// Any program that takes JSON over HTTP.
///
/// With a secret, `X-Keepwatch-Timestamp` holds the seconds since 1970 and `X-Keepwatch-Signature`
/// `sha256=` and in hexadecimal the HMAC-SHA256 (RFC 2104) of that text, a full stop and the body.
/// A receiver that refuses old timestamps is safe from replays.
#[derive(Debug)]
pub struct Webhook {
    hook: Hook,
    settings: WebhookSettings,
    template: Option<Template>,
}

struct Template(Value);

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(…)")
    }
}

impl Webhook {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &WebhookSettings, network: &Network) -> Result<Self, NotifyError> {
        let bad = |key, problem| NotifyError::Settings { key, problem };
        let template = settings.template.as_ref().map(|text| {
            if text.len() > MAX_TEMPLATE {
                return Err(bad("template", "it is longer than 16 KiB"));
            }
            let value = serde_json::from_str(text);
            value
                .map(Template)
                .map_err(|_| bad("template", "it is no JSON"))
        });
        if let Some(secret) = &settings.secret
            && secret.expose().chars().count() < 16
        {
            return Err(bad("secret", "it has fewer than 16 characters"));
        }
        for (name, value) in &settings.headers {
            use ureq::http::{HeaderName, HeaderValue};
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(bad("headers", "one has a name that no header can have"));
            }
            if HeaderValue::from_str(value.expose()).is_err() {
                return Err(bad("headers", "one has a value that no header can have"));
            }
        }
        Ok(Self {
            hook: Hook::new(&settings.url, settings.allow_private, network)?,
            template: template.transpose()?,
            settings: settings.clone(),
        })
    }

    fn body(&self, told: &Notification) -> String {
        let mut body = match &self.template {
            None => return told_as_json(told).to_string(),
            Some(Template(template)) => template.clone(),
        };
        fill(&mut body, told);
        body.to_string()
    }
}

impl Notifier for Webhook {
    fn send(&self, notification: &Notification, now: Timestamp) -> Result<(), NotifyError> {
        let body = self.body(&notification.bounded());
        let timestamp = now.as_second().to_string();
        let mut headers = vec![JSON];
        let own = self.settings.headers.iter();
        headers.extend(own.map(|(name, value)| (name.as_str(), value.expose())));
        let signature = self
            .settings
            .secret
            .as_ref()
            .map(|secret| signature(secret, &timestamp, &body));
        if let Some(signature) = &signature {
            headers.push(("x-keepwatch-timestamp", &timestamp));
            headers.push(("x-keepwatch-signature", signature));
        }
        self.hook
            .http
            .post(&self.hook.endpoint, &headers, body.as_bytes())
    }
}

fn signature(secret: &SecretText, timestamp: &str, body: &str) -> String {
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in [timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub(super) fn told_as_json(told: &Notification) -> Value {
    let facts: Map<_, _> = told
        .facts
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    json!({
        "severity": told.severity.as_str(),
        "job": told.job,
        "title": told.title,
        "text": told.text,
        "time": told.time.to_string(),
        "key": told.key,
        "facts": facts,
    })
}

/// Strings alone are filled, and JSON is made of them afterwards: no text can break out of its own.
pub(super) fn fill(value: &mut Value, told: &Notification) {
    match value {
        Value::String(text) => *text = filled(text, told),
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, told)),
        Value::Object(values) => values.values_mut().for_each(|value| fill(value, told)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What is put in is not looked at again. Unknown names are left as they are.
fn filled(template: &str, told: &Notification) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, next)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        match value_of(name.trim(), told) {
            Some(value) => {
                out.push_str(&value);
                rest = next;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn value_of(name: &str, told: &Notification) -> Option<String> {
    if let Some(fact) = name.strip_prefix("fact:") {
        let found = told.facts.iter().find(|(name, _)| name == fact.trim());
        return Some(found.map(|(_, value)| value.clone()).unwrap_or_default());
    }
    Some(match name {
        "severity" => told.severity.as_str().to_owned(),
        "job" => told.job.clone(),
        "title" => told.title.clone(),
        "text" => told.text.clone(),
        "time" => told.time.to_string(),
        "key" => told.key.clone(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
