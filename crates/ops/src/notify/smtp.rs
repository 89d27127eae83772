//! Mail.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use keepwatch_core::SecretText;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Tls, TlsParameters, TlsVersion,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};
use serde::Deserialize;

use super::address::{Reach, resolve};
use super::text::{fit, html, line};
use super::webhook::headline;
use super::{Network, Notification, Notifier, NotifyError, Severity};

const MAX_RECEIVERS: usize = 20;

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// From the beginning, on port 465 (RFC 8314).
    #[default]
    Tls,
    /// After STARTTLS, on port 587, and not at all without (RFC 3207).
    Starttls,
    /// Not: to a mail server on this machine alone, on port 25, without a password.
    None,
}

/// Mail by a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// The server.
    pub host: String,
    /// Its port. Without, that of the kind of security.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub security: SmtpSecurity,
    /// The user, if the server wants one.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<SecretText>,
    /// Who writes: `keepwatch@example.org`, or `Keepwatch <keepwatch@example.org>`.
    pub sender: String,
    /// Who reads.
    pub receivers: Vec<String>,
    /// What is told: this and worse.
    #[serde(default = "super::settings::default_from")]
    pub from: Severity,
    /// Whether the server may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// Mail by a server, as text and as HTML.
#[derive(Debug)]
pub struct Smtp {
    settings: SmtpSettings,
    sender: Mailbox,
    receivers: Vec<Mailbox>,
    network: Network,
}

impl Smtp {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &SmtpSettings, network: &Network) -> Result<Self, NotifyError> {
        let bad = |key, problem| NotifyError::Settings { key, problem };
        let address = |text: &String, key| {
            let mailbox: Result<Mailbox, _> = text.parse();
            mailbox.map_err(|_| bad(key, "it is no address of mail"))
        };
        let receivers: Result<Vec<_>, _> = settings
            .receivers
            .iter()
            .map(|text| address(text, "receivers"))
            .collect();
        let receivers = receivers?;
        if receivers.is_empty() || receivers.len() > MAX_RECEIVERS {
            return Err(bad("receivers", "there are 1 to 20"));
        }
        if settings.host.is_empty() {
            return Err(bad("host", "it is empty"));
        }
        if settings.user.is_some() != settings.password.is_some() {
            return Err(bad("password", "a user has one, and nobody else"));
        }
        if settings.security == SmtpSecurity::None && settings.password.is_some() {
            return Err(bad(
                "security",
                "without, the password would be sent in clear",
            ));
        }
        Ok(Self {
            sender: address(&settings.sender, "sender")?,
            receivers,
            settings: settings.clone(),
            network: network.clone(),
        })
    }

    fn message(&self, told: &Notification) -> Result<Message, NotifyError> {
        // Neither line ends nor other control characters: they would begin another header.
        let since = Duration::try_from(told.time.as_duration()).unwrap_or_default();
        let moment = SystemTime::UNIX_EPOCH + since;
        let mut message = Message::builder()
            .from(self.sender.clone())
            .date(moment)
            .subject(line(&headline(told), 200))
            .header(AutoSubmitted);
        for receiver in &self.receivers {
            message = message.to(receiver.clone());
        }
        let text = format!("{}\n\n{}\n\n{}\n", told.title, told.plain(), told.time);
        message
            .multipart(MultiPart::alternative_plain_html(text, html_body(told)))
            .map_err(|_| NotifyError::Settings {
                key: "sender",
                problem: "no message can be made with it",
            })
    }

    /// To an address that was checked; its certificate is that of the name.
    fn transport(&self, address: IpAddr, port: u16) -> Result<SmtpTransport, NotifyError> {
        let host = &self.settings.host;
        let tls_error = |_| NotifyError::Tls { host: host.clone() };
        let parameters = || {
            let mut tls = TlsParameters::builder(host.clone())
                .certificate_store(CertificateStore::None)
                .set_min_tls_version(TlsVersion::Tlsv12);
            for root in self.network.roots.certificates() {
                tls = tls.add_root_certificate(Certificate::from_der(root.to_vec())?);
            }
            tls.build_rustls()
        };
        let tls = match self.settings.security {
            SmtpSecurity::Tls => Tls::Wrapper(parameters().map_err(tls_error)?),
            SmtpSecurity::Starttls => Tls::Required(parameters().map_err(tls_error)?),
            SmtpSecurity::None => Tls::None,
        };
        let mut transport = SmtpTransport::builder_dangerous(address.to_string())
            .port(port)
            .tls(tls)
            // The name of this machine is nobody's concern.
            .hello_name(ClientId::Domain("localhost".to_owned()))
            .timeout(Some(self.network.timeout));
        if let (Some(user), Some(password)) = (&self.settings.user, &self.settings.password) {
            let password = password.expose().to_owned();
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        Ok(transport.build())
    }

    /// The error without what the server says, which may repeat what it was told.
    fn explain(&self, error: &lettre::transport::smtp::Error) -> NotifyError {
        let host = self.settings.host.clone();
        let code = error.status().map(u16::from);
        if let Some(code) = code {
            return NotifyError::Refused {
                host,
                protocol: "SMTP",
                code,
                temporary: error.is_transient(),
            };
        }
        let source = std::error::Error::source(error);
        let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
        match io {
            _ if error.is_timeout() => NotifyError::Timeout { host },
            _ if error.is_tls() => NotifyError::Tls { host },
            Some(io) => NotifyError::io(&host, io),
            None => NotifyError::Protocol {
                host,
                protocol: "SMTP",
            },
        }
    }
}

impl Notifier for Smtp {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        let message = self.message(&notification.bounded())?;
        let settings = &self.settings;
        let port = settings.port.unwrap_or(match settings.security {
            SmtpSecurity::Tls => 465,
            SmtpSecurity::Starttls => 587,
            SmtpSecurity::None => 25,
        });
        let reach = Reach::new(settings.allow_private);
        let found = resolve(&settings.host, port, reach, self.network.timeout)?;
        let is_far = |address: &std::net::SocketAddr| !address.ip().to_canonical().is_loopback();
        if settings.security == SmtpSecurity::None && found.iter().any(is_far) {
            return Err(NotifyError::Settings {
                key: "security",
                problem: "only mail to this machine may go without",
            });
        }
        let mut last = None;
        for address in found {
            match self.transport(address.ip(), port)?.send(&message) {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let explained = self.explain(&error);
                    // Another address of the same server would say the same.
                    if error.status().is_some() {
                        return Err(explained);
                    }
                    last = Some(explained);
                }
            }
        }
        Err(last.unwrap_or(NotifyError::NotFound {
            host: settings.host.clone(),
        }))
    }
}

fn html_body(told: &Notification) -> String {
    let part = |text: &str| fit(text, 50_000, html, str::len);
    let mut out = format!(
        "<!doctype html><html><body style=\"font-family:sans-serif\"><h2 style=\"color:#{:06x}\">{}</h2>\
         <p style=\"white-space:pre-wrap\">{}</p><table>",
        told.severity.color(),
        part(&headline(told)),
        part(&told.text)
    );
    for (name, value) in &told.facts {
        out.push_str(&format!(
            "<tr><th align=\"left\">{}</th><td>{}</td></tr>",
            part(name),
            part(value)
        ));
    }
    out.push_str(&format!("</table><p>{}</p></body></html>", told.time));
    out
}

/// RFC 3834: no machine answers it.
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        let value = "auto-generated".to_owned();
        lettre::message::header::HeaderValue::new(Self::name(), value)
    }
}
