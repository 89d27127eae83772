//! Telegram, by the Bot API.

use jiff::Timestamp;
use keepwatch_core::SecretText;
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::Reach;
use super::http::Http;
use super::text::{fit, html, utf16};
use super::webhook::headline;
use super::{Endpoint, Network, Notification, Notifier, NotifyError, Severity};

/// A chat with a bot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramSettings {
    /// The token of the bot, `123456:ABC…`.
    pub token: SecretText,
    /// The chat: a number, or `@name` of a channel. Only it is ever written to; nobody can subscribe.
    pub chat: String,
    /// What is told: this and worse.
    #[serde(default = "super::settings::default_from")]
    pub from: Severity,
    /// A Bot API server of one's own.
    #[serde(default)]
    pub url: Option<SecretText>,
    /// Whether that may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// Telegram, by the Bot API.
#[derive(Debug)]
pub struct Telegram {
    http: Http,
    endpoint: Endpoint,
    chat: String,
}

impl Telegram {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &TelegramSettings, network: &Network) -> Result<Self, NotifyError> {
        let bad = |key, problem| NotifyError::Settings { key, problem };
        let token = settings.token.expose().trim();
        let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if !token.contains(':') || !token.chars().all(is_token) {
            return Err(bad("token", "it is like 123456:ABC, as BotFather gives it"));
        }
        let number = settings.chat.strip_prefix('-').unwrap_or(&settings.chat);
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !settings.chat.starts_with('@') {
            return Err(bad("chat", "it is a number, or @name of a channel"));
        }
        let url = match &settings.url {
            Some(url) => Endpoint::new(url)?,
            None => Endpoint::new(&SecretText::new("https://api.telegram.org".to_owned()))?,
        };
        Ok(Self {
            http: Http::new(network, Reach::new(settings.allow_private)),
            endpoint: url.join(&format!("bot{token}/sendMessage")),
            chat: settings.chat.clone(),
        })
    }

    fn body(&self, told: &Notification) -> Value {
        // 4096 in all, counted without tags and entities: escaped it is longer, never shorter.
        let title = fit(&headline(told), 500, html, utf16);
        let text = fit(&told.plain(), 3500, html, utf16);
        json!({
            "chat_id": self.chat,
            "parse_mode": "HTML",
            "text": format!("<b>{title}</b>\n{text}"),
            "disable_notification": told.severity == Severity::Success,
            "link_preview_options": {"is_disabled": true},
        })
    }
}

impl Notifier for Telegram {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        let body = self.body(&notification.bounded()).to_string();
        let json = [("content-type", "application/json")];
        self.http.post(&self.endpoint, &json, body.as_bytes())
    }
}
