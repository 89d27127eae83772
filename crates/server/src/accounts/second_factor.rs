//! The second factor: codes by time (RFC 6238), and recovery codes for when the phone is lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use keepwatch_core::crypto::random_bytes;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::secret::{Digest, Secret};
use super::{AccountError, Result};

const ISSUER: &str = "Keepwatch";
/// HMAC-SHA-1, 6 digits, 30 seconds, one step of grace: what every program for it does.
const RECOVERY_CODES: usize = 10;
/// A second factor is confirmed within this time, or not at all.
const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_mins(15);
const MOST_BEGUN: usize = 1000;

/// A second factor of a user.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecondFactor {
    #[serde(with = "hex::serde")]
    secret: [u8; 20],
    /// The step of the last code that was taken: none is taken twice.
    last_step: u64,
    /// Recovery codes that were not used.
    recovery: Vec<Digest>,
}

/// What a code was good for.
pub(crate) enum Used {
    Step(u64),
    Recovery(Digest),
}

/// What the user's phone has to know.
pub(crate) struct Enrolment {
    /// In base 32.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`
    pub uri: Zeroizing<String>,
    /// It as a picture, in SVG.
    pub qr: Zeroizing<String>,
}

impl SecondFactor {
    fn totp(secret: [u8; 20], user: &str) -> Totp {
        Builder::new()
            .with_secret(secret)
            .with_issuer(Some(ISSUER))
            .with_account_name(user)
            .build()
            .expect("20 bytes and a plain name are what RFC 6238 asks for")
    }

    /// What a code is good for, if it is right.
    pub fn check(&self, code: &str, now: Timestamp) -> Option<Used> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if code.len() == 6 {
            let seconds = u64::try_from(now.as_second()).ok()?;
            let step = Self::totp(self.secret, "user").check(&code, seconds)?;
            return (step > self.last_step).then_some(Used::Step(step));
        }
        let digest = Secret::given(&code.to_uppercase()).digest();
        let known = self.recovery.contains(&digest);
        known.then_some(Used::Recovery(digest))
    }

    /// Takes a code; false if another request has taken it.
    pub fn take(&mut self, used: &Used) -> bool {
        match used {
            Used::Step(step) if *step > self.last_step => {
                self.last_step = *step;
                true
            }
            Used::Step(_) => false,
            Used::Recovery(digest) => {
                let before = self.recovery.len();
                self.recovery.retain(|code| code != digest);
                self.recovery.len() < before
            }
        }
    }

    /// How many recovery codes are left.
    pub fn recovery_left(&self) -> usize {
        self.recovery.len()
    }
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecondFactor(…)")
    }
}

/// Second factors that were begun and not confirmed yet, by user.
#[derive(Default)]
pub(crate) struct Begun(Mutex<HashMap<String, ([u8; 20], Timestamp)>>);

impl Begun {
    /// A new secret for a user.
    pub fn begin(&self, user: &str, now: Timestamp) -> Result<Enrolment> {
        let secret: [u8; 20] = random_bytes().map_err(keepwatch_core::Error::from)?;
        let totp = SecondFactor::totp(secret, user);
        let uri = totp.to_url().map_err(|_| AccountError::Value {
            field: "user",
            problem: "the name cannot be part of an address".to_owned(),
        })?;
        let qr = QrCode::new(uri.as_bytes()).map_err(|_| AccountError::Value {
            field: "user",
            problem: "the name is too long".to_owned(),
        })?;
        let qr = qr
            .render::<svg::Color<'_>>()
            .min_dimensions(240, 240)
            .build();
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, (_, at)| now.duration_since(*at) < CONFIRM_WITHIN);
        if begun.len() >= MOST_BEGUN {
            return Err(AccountError::Conflict(
                "too many are at it; again in some minutes",
            ));
        }
        begun.insert(user.to_owned(), (secret, now));
        Ok(Enrolment {
            secret: Zeroizing::new(totp.secret().to_base32()),
            uri: Zeroizing::new(uri),
            qr: Zeroizing::new(qr),
        })
    }

    /// The second factor, if the code shows that the phone has it; and its recovery codes.
    pub fn confirm(
        &self,
        user: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<(SecondFactor, Vec<String>)> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (secret, _) = begun
            .get(user)
            .filter(|(_, at)| now.duration_since(*at) < CONFIRM_WITHIN)
            .ok_or(AccountError::Conflict("no second factor was begun"))?;
        let mut factor = SecondFactor {
            secret: *secret,
            last_step: 0,
            recovery: Vec::new(),
        };
        let Some(used @ Used::Step(_)) = factor.check(code, now) else {
            return Err(AccountError::WrongCode);
        };
        factor.take(&used);
        let codes: Vec<Secret> = (0..RECOVERY_CODES)
            .map(|_| Secret::code())
            .collect::<Result<_, _>>()
            .map_err(keepwatch_core::Error::from)?;
        factor.recovery = codes.iter().map(Secret::digest).collect();
        let codes = codes.iter().map(|code| code.expose().to_owned());
        Ok((factor, codes.collect()))
    }

    /// It is in force, or not wanted any more.
    pub fn forget(&self, user: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(user);
    }
}

#[cfg(test)]
pub(super) fn code_at(uri: &str, now: Timestamp) -> String {
    let totp = Totp::from_url(uri).expect("it is a good address");
    totp.generate(now.as_second().cast_unsigned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("it is a time")
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // Appendix B, the last six digits of SHA-1.
        let factor = SecondFactor {
            secret: *b"12345678901234567890",
            last_step: 0,
            recovery: Vec::new(),
        };
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let used = factor.check(code, at(time));
            assert!(matches!(used, Some(Used::Step(step)) if step == time as u64 / 30));
            assert!(
                factor.check(code, at(time + 30)).is_some(),
                "a step of grace"
            );
            assert!(factor.check(code, at(time + 90)).is_none());
        }
    }

    #[test]
    fn each_code_is_good_once() {
        let begun = Begun::default();
        let now = at(1_800_000_000);
        let enrolment = begun.begin("ada", now).expect("it begins");
        assert!(
            enrolment.uri.starts_with("otpauth://totp/Keepwatch:ada?"),
            "{}",
            *enrolment.uri
        );
        assert!(enrolment.qr.contains("<svg"));
        let code = code_at(&enrolment.uri, now);
        assert!(begun.confirm("zoe", &code, now).is_err());
        assert!(begun.confirm("ada", "000000", now).is_err() || code == "000000");
        let (mut factor, codes) = begun.confirm("ada", &code, now).expect("it is right");
        assert_eq!(codes.len(), RECOVERY_CODES);
        assert!(factor.check(&code, now).is_none(), "it was used to confirm");
        let later = at(1_800_000_060);
        let used = factor
            .check(&code_at(&enrolment.uri, later), later)
            .expect("a new one");
        assert!(factor.take(&used) && !factor.take(&used));
        let used = factor
            .check(&codes[3].to_lowercase(), later)
            .expect("a recovery code");
        assert!(factor.take(&used) && !factor.take(&used));
        assert!(factor.check(&codes[3], later).is_none());
        assert_eq!(factor.recovery_left(), RECOVERY_CODES - 1);
    }

    #[test]
    fn who_does_not_confirm_in_time_begins_anew() {
        let begun = Begun::default();
        let enrolment = begun.begin("ada", at(0)).expect("it begins");
        let late = at(901);
        let code = code_at(&enrolment.uri, late);
        assert!(matches!(
            begun.confirm("ada", &code, late),
            Err(AccountError::Conflict(_))
        ));
    }
}
