//! Whether a camera's certificate is trusted.
//!
//! `rtspsrc` asks the database that it is given only about what GIO's default one has refused, so
//! that whomever the system trusts would get past a file of authorities and past a pin. From the
//! first camera with TLS on, the default one trusts nobody, in the whole process, and every
//! connection names its own.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{self, Path};
use std::sync::{Mutex, OnceLock, PoisonError};

use gio::prelude::*;
use gstreamer as gst;
use rustix::fs::{MemfdFlags, memfd_create};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::gst::element;
use crate::settings::Tls;

/// Lets an `rtspsrc` judge certificates; calls `refused` when it refuses one.
pub(super) fn judge(
    source: &gst::Element,
    tls: &Tls,
    refused: impl Fn() + Send + Sync + 'static,
) -> Result<()> {
    source.set_property("tls-database", database(tls)?);
    let pin = match tls {
        Tls::Sha256(pin) => Some(*pin),
        Tls::System | Tls::CaFile(_) => None,
    };
    // It comes with what the database has refused.
    source.connect("accept-certificate", false, move |values| {
        let certificate = values.get(2)?.get::<gio::TlsCertificate>().ok();
        let pinned = certificate.zip(pin);
        let accepted = pinned.is_some_and(|(certificate, pin)| is_pinned(&certificate, &pin));
        if !accepted {
            refused();
        }
        Some(accepted.to_value())
    });
    Ok(())
}

/// Whom to trust; nobody but the pinned certificate, if there is a pin.
pub(super) fn database(tls: &Tls) -> Result<gio::TlsDatabase> {
    let system = system()?;
    match tls {
        Tls::System => Ok(system),
        Tls::CaFile(path) => authorities(path),
        Tls::Sha256(_) => nobody(),
    }
}

/// The system's authorities, which GIO does not have any more.
fn system() -> Result<gio::TlsDatabase> {
    // A database stays on the thread that has it. An element may be anywhere, and keep one.
    static KEEPER: Mutex<Option<gst::Element>> = Mutex::new(None);
    const KEPT: &str = "tls-database";
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(keeper) = keeper.as_ref() {
        return Ok(keeper.property(KEPT));
    }
    let backend = gio::TlsBackend::default();
    if !backend.supports_tls() {
        return Err(Error::GStreamer {
            problem: "there is no TLS; on Debian it is in glib-networking".to_owned(),
        });
    }
    let new = element("rtspsrc")?;
    let system = backend.default_database();
    new.set_property(KEPT, &system);
    backend.set_default_database(Some(&nobody()?));
    *keeper = Some(new);
    Ok(system)
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<gio::TlsDatabase> {
    let bad = || Error::Certificates {
        path: path.to_owned(),
    };
    // A file with none in it would be a database as well, and so would a relative path.
    let path = path::absolute(path).map_err(|_| bad())?;
    let certificates = gio::TlsCertificate::list_new_from_file(&path).map_err(|_| bad())?;
    match certificates.is_empty() {
        true => Err(bad()),
        false => file(&path).map_err(|_| bad()),
    }
}

/// Nobody at all.
fn nobody() -> Result<gio::TlsDatabase> {
    // A database is a file with a certificate at least, and is read again by each connection. The
    // key of this one was never kept; it may sign nothing, and was in force for a day of 2001.
    static MEMORY: OnceLock<File> = OnceLock::new();
    let memory = match MEMORY.get() {
        Some(memory) => memory,
        None => {
            let written = in_memory(include_bytes!("nobody.pem"));
            let written = written.map_err(|source| Error::System {
                operation: "write to memory",
                source,
            })?;
            MEMORY.get_or_init(|| written)
        }
    };
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    file(path.as_ref()).map_err(|_| Error::GStreamer {
        problem: "a database of certificates cannot be made".to_owned(),
    })
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut memory = File::from(memfd_create("nobody", MemfdFlags::CLOEXEC)?);
    memory.write_all(bytes)?;
    Ok(memory)
}

fn file(path: &Path) -> Result<gio::TlsDatabase, gst::glib::Error> {
    gio::TlsFileDatabase::new(path).map(|file| file.upcast())
}

/// Whether it is the very certificate whose SHA-256 was given.
fn is_pinned(certificate: &gio::TlsCertificate, pin: &[u8; 32]) -> bool {
    let Some(der) = certificate.certificate() else {
        return false;
    };
    let digest: [u8; 32] = Sha256::digest(&*der).into();
    digest == *pin
}
