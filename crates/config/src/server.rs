//! How the server is reached, and by whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use keepwatch_core::SecretText;
use serde::Deserialize;

use crate::error::{Error, Result};

/// Who is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// Users, and what they have given tokens to.
    #[default]
    Users,
    /// Everybody on this machine.
    None,
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServerTls {
    /// Not on this machine; beyond it, unless a proxy does it, with a certificate of the server's
    /// own.
    #[default]
    Auto,
    /// Not at all: on this machine, or behind a proxy.
    Off,
    /// With a certificate that the server makes and signs itself.
    SelfSigned,
    /// With a certificate that somebody else has signed. It is read again when it changes.
    Files {
        /// The certificate and those up to its authority, PEM.
        certificate: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
}

/// Who may see the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsAccess {
    /// Users and tokens with `system:read`.
    #[default]
    Login,
    /// Everybody who reaches the server.
    Open,
}

/// The server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// How connections are encrypted.
    pub tls: ServerTls,
    /// Whether a proxy on this machine or network stands before it, which encrypts, and whose
    /// `X-Forwarded-…` headers are believed.
    pub behind_proxy: bool,
    /// Who is let in.
    pub authentication: Authentication,
    /// The one token of SecureVision's API.
    pub auth_token: Option<SecretText>,
    /// Pages of other origins that may use the API with a token: `https://example.org`.
    pub allowed_origins: Vec<String>,
    /// age identities that open what is sealed to recipients.
    pub identity: Option<PathBuf>,
    /// Who may see the metrics.
    pub metrics: MetricsAccess,
    /// Requests a second of one address, in the long run.
    pub requests_per_second: u32,
    /// And at once.
    pub requests_burst: u32,
    /// Connections at once.
    pub max_connections: usize,
    /// Of one address.
    pub max_connections_per_address: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8000))],
            tls: ServerTls::Auto,
            behind_proxy: false,
            authentication: Authentication::Users,
            auth_token: None,
            allowed_origins: Vec::new(),
            identity: None,
            metrics: MetricsAccess::Login,
            requests_per_second: 100,
            requests_burst: 500,
            max_connections: 4096,
            max_connections_per_address: 512,
        }
    }
}

impl ServerConfig {
    /// Whether it is reached from other machines.
    pub fn is_exposed(&self) -> bool {
        let loopback = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        !self.listen.iter().all(loopback)
    }

    /// Whether it encrypts by itself.
    pub fn encrypts(&self) -> bool {
        match self.tls {
            ServerTls::Auto => self.is_exposed() && !self.behind_proxy,
            ServerTls::Off => false,
            ServerTls::SelfSigned | ServerTls::Files { .. } => true,
        }
    }

    /// Refuses what would let in the wrong people.
    ///
    /// # Errors
    /// [`Error::Value`] with what is wrong.
    pub fn check(&self) -> Result<()> {
        let bad = |problem: &str| {
            Err(Error::Value {
                problem: format!("server.{problem}"),
                similar: None,
            })
        };
        if self.listen.is_empty() {
            return bad("listen: there is no address");
        }
        if let Some(token) = &self.auth_token {
            let length = token.expose().trim().chars().count();
            if length == 0 {
                return bad("auth_token: an empty one would let everybody in");
            }
            if length < 16 && (self.is_exposed() || self.behind_proxy) {
                return bad("auth_token: beyond this machine it must have 16 characters or more");
            }
        }
        if self.authentication == Authentication::None {
            if self.is_exposed() || self.behind_proxy {
                return bad(
                    "authentication: \"none\" is for this machine alone: listen on 127.0.0.1 and \
                     without behind_proxy",
                );
            }
            if self.auth_token.is_some() {
                return bad("auth_token: it protects nothing with authentication = \"none\"");
            }
        }
        if self.is_exposed() && !self.encrypts() && !self.behind_proxy {
            return bad(
                "tls: passwords and pictures would cross the network in clear; have it encrypt, or \
                 set behind_proxy if a proxy does",
            );
        }
        for origin in &self.allowed_origins {
            let rest = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
            if !rest.is_some_and(|host| !host.is_empty() && host.chars().all(plain)) {
                return bad("allowed_origins: an origin is like https://example.org:8443");
            }
        }
        let limits = [self.requests_per_second, self.requests_burst];
        if limits.contains(&0) || self.max_connections == 0 || self.max_connections_per_address == 0
        {
            return bad("requests_per_second, requests_burst, max_connections…: 0 lets nobody in");
        }
        Ok(())
    }
}
