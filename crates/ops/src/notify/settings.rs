//! Targets as they are written down.

use std::ffi::OsString;
use std::fmt;

use serde::Deserialize;

use super::{
    ChatSettings, Desktop, DesktopSettings, Discord, Mqtt, MqttSettings, Network, Notifier,
    NotifyError, Ntfy, NtfySettings, Severity, Slack, Smtp, SmtpSettings, Teams, Telegram,
    TelegramSettings, Webhook, WebhookSettings,
};

/// What is told without asking for it: whatever is not well.
pub(super) fn default_from() -> Severity {
    Severity::Warning
}

/// Whom to tell, by `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TargetSettings {
    /// Slack, by an incoming webhook.
    Slack(ChatSettings),
    /// Discord, by a webhook.
    Discord(ChatSettings),
    /// Teams, by the webhook of a workflow.
    Teams(ChatSettings),
    /// Any program that takes JSON over HTTP.
    Webhook(WebhookSettings),
    /// Mail.
    Smtp(SmtpSettings),
    /// Telegram.
    Telegram(TelegramSettings),
    /// ntfy.
    Ntfy(NtfySettings),
    /// An MQTT broker, and with it Home Assistant.
    Mqtt(MqttSettings),
    /// The desktop of the user as whom this runs.
    Desktop(DesktopSettings),
}

/// Who is told, and of what.
pub struct Target {
    /// This and worse.
    pub from: Severity,
    /// Who.
    pub notifier: Box<dyn Notifier>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl TargetSettings {
    /// Checks settings and makes what they describe. Nothing is connected as yet. `environment` is
    /// for the desktop alone, which is found by it.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn build(
        &self,
        network: &Network,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Target, NotifyError> {
        let (from, notifier): (Severity, Box<dyn Notifier>) = match self {
            Self::Slack(settings) => (settings.from, Box::new(Slack::new(settings, network)?)),
            Self::Discord(settings) => (settings.from, Box::new(Discord::new(settings, network)?)),
            Self::Teams(settings) => (settings.from, Box::new(Teams::new(settings, network)?)),
            Self::Webhook(settings) => (settings.from, Box::new(Webhook::new(settings, network)?)),
            Self::Smtp(settings) => (settings.from, Box::new(Smtp::new(settings, network)?)),
            Self::Telegram(settings) => {
                (settings.from, Box::new(Telegram::new(settings, network)?))
            }
            Self::Ntfy(settings) => (settings.from, Box::new(Ntfy::new(settings, network)?)),
            Self::Mqtt(settings) => (settings.from, Box::new(Mqtt::new(settings, network)?)),
            Self::Desktop(settings) => (
                settings.from,
                Box::new(Desktop::new(settings, environment)?),
            ),
        };
        Ok(Target { from, notifier })
    }
}
