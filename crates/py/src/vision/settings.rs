//! Keyword arguments as the settings of a camera.

use std::time::Duration;

use keepwatch_vision::{CameraSettings, CameraUrl, Color, Tls, Transport};
use pyo3::prelude::*;

use crate::credential::one_of;
use crate::errors::{Raise, Result, wrong_type};
use crate::record::FilePath;

/// Where a camera is. It may hold a password, and is wiped when it was read.
#[derive(Clone)]
pub struct Url(pub CameraUrl);

impl<'py> FromPyObject<'_, 'py> for Url {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let text = match object.extract::<String>() {
            Ok(text) => zeroize::Zeroizing::new(text),
            Err(_) => match object.extract::<std::path::PathBuf>() {
                Ok(path) => path.into_os_string().into_string().map_or_else(
                    |_| Err(Raise::value("url", "the path is not UTF-8")),
                    |path| Ok(zeroize::Zeroizing::new(path)),
                )?,
                Err(_) => return Err(wrong_type("an address or a path is needed")),
            },
        };
        let url = text.parse().map_err(Raise::from)?;
        Ok(Self(url))
    }
}

/// What the keyword arguments that are about the connection say.
pub fn settings(
    url: CameraUrl,
    transport: &str,
    read_timeout: f64,
    tls_ca_file: Option<FilePath>,
    tls_sha256: Option<&str>,
) -> Result<CameraSettings> {
    let mut settings = CameraSettings::new(url);
    settings.transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return Err(one_of("transport", transport, &["tcp", "udp"])),
    };
    settings.read_timeout = seconds("read_timeout", read_timeout)?;
    settings.tls = match (tls_ca_file, tls_sha256) {
        (None, None) => Tls::System,
        (Some(path), None) => Tls::CaFile(path.0),
        (None, Some(digits)) => Tls::Sha256(fingerprint(digits)?),
        (Some(_), Some(_)) => {
            return Err(Raise::value(
                "tls_sha256",
                "give one of tls_ca_file and tls_sha256, not both",
            ));
        }
    };
    settings.validate()?;
    Ok(settings)
}

/// As `openssl x509 -fingerprint -sha256` writes it, with colons or without.
fn fingerprint(digits: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(digits.replace(':', ""), &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Raise::value(
            "tls_sha256",
            "64 hexadecimal digits are needed",
        )),
    }
}

/// Reads a number of seconds.
pub fn seconds(argument: &'static str, seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Raise::value(argument, "it is no number of seconds, 0 or more"))
}

/// Reads `color`.
pub fn color(name: &str) -> Result<Color> {
    match name {
        "luma" => Ok(Color::Luma),
        "rgb" => Ok(Color::Rgb),
        _ => Err(one_of("color", name, &["luma", "rgb"])),
    }
}
