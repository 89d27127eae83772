//! Passwords: Argon2id (RFC 9106), and no more at once than the memory is for.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use password_hash::phc::PasswordHash;
use password_hash::{PasswordHasher, PasswordVerifier};

use super::{AccountError, Result};

/// The shortest password, in characters (NIST SP 800-63B asks for 8, and for 15 where it is alone).
const MIN_PASSWORD: usize = 12;
/// The longest, in bytes.
const MAX_PASSWORD: usize = 1024;

/// How hard it is to try passwords.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            memory_kib: 64 << 10,
            passes: 3,
        }
    }
}

/// Makes and compares hashes.
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    /// Compared with when there is no such user, so that nobody learns that from the time it takes.
    nobody: String,
    turns: Turns,
}

impl Hasher {
    pub fn new(cost: Cost) -> Self {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None)
            .expect("the parameters are within what Argon2 allows");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = argon2
            .hash_password_with_salt(b"nobody", b"nobody's salt...")
            .map(|hash: PasswordHash| hash.to_string())
            .expect("a password and a salt of 16 bytes can be hashed");
        Self {
            argon2,
            nobody,
            turns: Turns::new(2),
        }
    }

    /// A new hash, as a PHC string.
    pub fn hash(&self, password: &str) -> Result<String> {
        check(password)?;
        let _turn = self.turns.take();
        let hash = self.argon2.hash_password(password.as_bytes());
        hash.map(|hash: PasswordHash| hash.to_string())
            .map_err(|_| AccountError::Value {
                field: "password",
                problem: "it cannot be hashed".to_owned(),
            })
    }

    /// Whether a password is the one of a hash. Without a hash it is not, after the same time.
    pub fn verify(&self, hash: Option<&str>, password: &str) -> bool {
        if password.len() > MAX_PASSWORD {
            return false;
        }
        let _turn = self.turns.take();
        let text = hash.unwrap_or(&self.nobody);
        let parsed = PasswordHash::new(text);
        let right = parsed.is_ok_and(|parsed| {
            self.argon2
                .verify_password(password.as_bytes(), &parsed)
                .is_ok()
        });
        right && hash.is_some()
    }
}

fn check(password: &str) -> Result<()> {
    let bad = |problem: String| {
        Err(AccountError::Value {
            field: "password",
            problem,
        })
    };
    if password.chars().count() < MIN_PASSWORD {
        return bad(format!("it must have {MIN_PASSWORD} characters or more"));
    }
    if password.len() > MAX_PASSWORD {
        return bad(format!("it must have {MAX_PASSWORD} bytes or less"));
    }
    let mut letters = password.chars();
    let first = letters.next();
    if letters.all(|letter| Some(letter) == first) {
        return bad("it is one character again and again".to_owned());
    }
    Ok(())
}

/// So many may work at once.
struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turns {
    fn new(turns: usize) -> Self {
        Self {
            free: Mutex::new(turns),
            freed: Condvar::new(),
        }
    }

    fn take(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }
}

struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Hasher {
        Hasher::new(Cost {
            memory_kib: 64,
            passes: 1,
        })
    }

    #[test]
    fn the_right_password_alone_fits() {
        let hasher = cheap();
        let hash = hasher.hash("correct horse battery").expect("it is long");
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(hasher.verify(Some(&hash), "correct horse battery"));
        assert!(!hasher.verify(Some(&hash), "correct horse batterY"));
        assert!(!hasher.verify(None, "nobody"));
        assert!(!hasher.verify(Some("no hash"), "correct horse battery"));
        assert_ne!(hasher.hash("correct horse battery").expect("again"), hash);
    }

    #[test]
    fn short_and_silly_passwords_are_refused() {
        let hasher = cheap();
        let long = "x1".repeat(600);
        for bad in ["", "elevenchars", "aaaaaaaaaaaaaaaa", &long] {
            assert!(hasher.hash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hash_of_another_cost_fits_as_well() {
        let other = Hasher::new(Cost {
            memory_kib: 128,
            passes: 2,
        });
        let hash = other.hash("correct horse battery").expect("it is long");
        assert!(cheap().verify(Some(&hash), "correct horse battery"));
    }
}
