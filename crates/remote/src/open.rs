//! From an address to a storage.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use keepwatch_core::storage::Storage;
use opendal::services::{Azblob, Gcs, S3, Webdav};
use opendal::{HttpTransporter, OperationContext, Operator};
use tokio::runtime::Handle;
use url::{Host, Url};

use crate::cloud::{CloudStorage, Commit};
use crate::error::{Error, Result};
use crate::launch::Launcher;
use crate::location::Remote;
use crate::locking::Locking;
use crate::options::{Limits, Options};
use crate::pace::Pace;
use crate::past::PastStorage;
use crate::retry::Retry;
use crate::sftp::SftpStorage;
use crate::transport::Transport;

/// Connections take no longer than this to be made.
const CONNECT: Duration = Duration::from_secs(15);
/// Where Amazon's own tools look for a region.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Opens a storage that has a repository, or may have one.
///
/// Nothing is asked of it yet.
///
/// # Errors
/// [`Error::Option`], [`Error::Plaintext`], and [`Error::Program`] for what needs a program.
pub fn open(remote: &Remote, options: &Options, runtime: &Handle) -> Result<Arc<dyn Storage>> {
    options.limits.check()?;
    if let Some(storage) = sftp(remote, options, runtime)? {
        return Ok(Arc::new(storage));
    }
    let storage = cloud(remote, options, runtime)?;
    match remote {
        Remote::S3 { at: Some(at), .. } => Ok(Arc::new(PastStorage::new(storage, *at))),
        _ => Ok(Arc::new(storage)),
    }
}

/// Opens a storage for a new repository, finds out what it does and writes that down.
///
/// # Errors
/// As [`open`]; [`Error::Unfit`] when it lacks what a repository rests on; [`Error::Storage`] when it
/// does not answer.
pub fn create(remote: &Remote, options: &Options, runtime: &Handle) -> Result<Arc<dyn Storage>> {
    options.limits.check()?;
    if let Some(storage) = sftp(remote, options, runtime)? {
        return Ok(Arc::new(storage));
    }
    if matches!(remote, Remote::S3 { at: Some(_), .. }) {
        return Err(Error::Option {
            what: "at",
            problem: "no repository can be made in the past".to_owned(),
        });
    }
    let storage = cloud(remote, options, runtime)?;
    let found = storage.capabilities()?;
    if let Some(problem) = storage.unfit(&found) {
        return Err(Error::Unfit {
            location: remote.to_string(),
            problem,
        });
    }
    if !found.conditional_create {
        tracing::warn!(
            "{remote} replaces what is there: of two repositories that are made in it at the same \
             time one is lost"
        );
    }
    Ok(Arc::new(storage))
}

/// The storage that a program speaks SFTP for.
fn sftp(remote: &Remote, options: &Options, runtime: &Handle) -> Result<Option<SftpStorage>> {
    let (launcher, root) = match remote {
        Remote::Sftp(to) => (Launcher::ssh(to, options)?, &*to.path),
        Remote::Rclone { name, path } => (Launcher::rclone(name, path, options), ""),
        _ => return Ok(None),
    };
    Ok(Some(SftpStorage::new(
        launcher,
        root,
        remote.to_string(),
        options,
        runtime,
    )))
}

fn cloud(remote: &Remote, options: &Options, runtime: &Handle) -> Result<CloudStorage> {
    let limits = &options.limits;
    let transport = Transport::new(
        client(options)?,
        limits.stall,
        Pace::new(limits.upload).map(Arc::new),
        Pace::new(limits.download).map(Arc::new),
        options.stop.clone(),
    );
    let locking = locking(remote, options, &transport)?;
    let (operator, commit) = operator(remote, options)?;
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
    Ok(CloudStorage::new(
        operator.with_context(context),
        runtime.clone(),
        remote.to_string(),
        Retry {
            patience: limits.patience,
            stop: options.stop.clone(),
        },
        limits.connections,
        commit,
        locking,
    ))
}

/// What holds objects, where they are to be held.
fn locking(remote: &Remote, options: &Options, transport: &Transport) -> Result<Option<Locking>> {
    let Remote::S3 {
        endpoint,
        region,
        object_lock: Some(lock),
        at: None,
        ..
    } = remote
    else {
        return Ok(None);
    };
    let region = signed_region(region.as_deref(), endpoint.as_ref())
        .or_else(|| REGIONS.iter().find_map(|name| std::env::var(name).ok()))
        .ok_or_else(|| Error::Option {
            what: "region",
            problem: "neither the address nor the environment names one".to_owned(),
        })?;
    Ok(Some(Locking::new(
        *lock,
        &region,
        &options.credentials,
        transport.clone(),
    )))
}

/// The region that requests are signed for, when the address says.
fn signed_region(region: Option<&str>, endpoint: Option<&Url>) -> Option<String> {
    // A server of one's own mostly does not care, and a signature has one.
    let region = region.or(endpoint.map(|_| "us-east-1"));
    region.map(str::to_owned)
}

fn client(options: &Options) -> Result<reqwest::Client> {
    let Limits {
        connections, stall, ..
    } = options.limits;
    // Two probes that are not answered tell of a dead line while an answer is waited for. The system
    // counts in seconds.
    let probe = (stall / 2).clamp(Duration::from_secs(1), Duration::from_secs(15));
    let mut building = reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        // One connection for each upload: over one together they would share its window.
        .http1_only()
        .pool_max_idle_per_host(connections)
        .connect_timeout(CONNECT.min(stall))
        .tcp_keepalive(probe)
        .tcp_keepalive_interval(probe)
        .tcp_nodelay(true);
    // What was sent and does not arrive: only the system knows of that.
    #[cfg(target_os = "linux")]
    {
        building = building.tcp_user_timeout(stall);
    }
    if !options.credentials.ambient {
        building = building.no_proxy();
    }
    building.build().map_err(|error| Error::Option {
        what: "HTTP",
        problem: error.to_string(),
    })
}

/// TLS with the certificates that this machine trusts.
fn tls() -> Result<rustls::ClientConfig> {
    let bad = |problem: String| Error::Option {
        what: "TLS",
        problem,
    };
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn operator(remote: &Remote, options: &Options) -> Result<(Operator, Commit)> {
    let who = &options.credentials;
    let secret = who.secret.as_ref().map(|secret| secret.as_str());
    let root = |prefix: &str| format!("/{prefix}");
    let operator = match remote {
        Remote::S3 {
            bucket,
            prefix,
            endpoint,
            region,
            object_lock,
            at: _,
        } => {
            let mut s3 = S3::default().bucket(bucket).root(&root(prefix));
            if let Some(endpoint) = endpoint {
                s3 = s3.endpoint(endpoint.as_str());
            }
            if let Some(region) = signed_region(region.as_deref(), endpoint.as_ref()) {
                s3 = s3.region(&region);
            }
            if object_lock.is_some() {
                // What is locked must come with a checksum (Amazon S3 API reference, `PutObject`).
                s3 = s3.checksum_algorithm("md5");
            }
            if let Some(id) = &who.user {
                s3 = s3.access_key_id(id);
            }
            if let Some(secret) = secret {
                s3 = s3.secret_access_key(secret);
            }
            if let Some(token) = &who.token {
                s3 = s3.session_token(token);
            }
            if !who.ambient {
                s3 = s3.disable_config_load().disable_ec2_metadata();
            }
            (Operator::new(s3), Commit::Conditional)
        }
        Remote::Gcs {
            bucket,
            prefix,
            endpoint,
        } => {
            let mut gcs = Gcs::default().bucket(bucket).root(&root(prefix));
            if let Some(endpoint) = endpoint {
                gcs = gcs.endpoint(endpoint.as_str());
            }
            if let Some(file) = &who.key_file {
                gcs = gcs.credential_path(&file.to_string_lossy());
            }
            if let Some(token) = &who.token {
                gcs = gcs.token(token.to_string());
            }
            if !who.ambient {
                gcs = gcs.disable_config_load().disable_vm_metadata();
            }
            (Operator::new(gcs), Commit::Conditional)
        }
        Remote::AzBlob {
            container,
            prefix,
            account,
            endpoint,
        } => {
            let mut azblob = Azblob::default().container(container).root(&root(prefix));
            let account = account.as_ref().or(who.user.as_ref());
            match (endpoint, account) {
                (Some(endpoint), _) => azblob = azblob.endpoint(endpoint.as_str()),
                (None, Some(account)) => {
                    azblob = azblob.endpoint(&format!("https://{account}.blob.core.windows.net"));
                }
                (None, None) => {
                    return Err(Error::Option {
                        what: "account",
                        problem: "the address names neither account nor endpoint".to_owned(),
                    });
                }
            }
            if let Some(account) = account {
                azblob = azblob.account_name(account);
            }
            if let Some(key) = secret {
                azblob = azblob.account_key(key);
            }
            if let Some(token) = &who.token {
                azblob = azblob.sas_token(token);
            }
            (Operator::new(azblob), Commit::Conditional)
        }
        Remote::WebDav { url } => {
            if url.scheme() == "http" && secret.is_some() && !is_loopback(url) {
                return Err(Error::Plaintext {
                    location: remote.to_string(),
                });
            }
            let mut server = url.clone();
            server.set_path("");
            let user = (!url.username().is_empty()).then(|| url.username().to_owned());
            // An address without a user is always possible.
            server.set_username("").unwrap_or_default();
            let mut webdav = Webdav::default()
                .endpoint(server.as_str().trim_end_matches('/'))
                .root(url.path());
            if let Some(user) = who.user.clone().or(user) {
                webdav = webdav.username(&user);
            }
            if let Some(password) = secret {
                webdav = webdav.password(password);
            }
            if let Some(token) = &who.token {
                webdav = webdav.token(token);
            }
            (Operator::new(webdav), Commit::Move)
        }
        Remote::Sftp(_) | Remote::Rclone { .. } => {
            unreachable!("a program speaks for it")
        }
    };
    let (operator, commit) = operator;
    let operator = operator.map_err(|error| Error::Option {
        what: "address",
        problem: error.message().to_owned(),
    })?;
    Ok((operator, commit))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
